//! The rare commands: where a log stands and what it holds, which topics a namespace has, who is in a topic. A pool, so that a large answer delays no publish.
use super::{
    RedisConfig, address, link,
    scripts::{RawRead, Scripts},
    track::Content,
};
use crate::BusError;
use deadpool_redis::{Connection, Manager, Pool, PoolError, Runtime};
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError, ScriptInvocation};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use wse_core::log::PageLimit;
use wse_protocol::{Epoch, Followed, Pattern, Position, Seq, Topic};

/// Connections for reads: more are waited for.
const POOL: usize = 8;

/// Topics per script that asks where they stand.
const POSITIONS: usize = 256;

/// Reads logs.
#[derive(Debug)]
pub(crate) struct Reader {
    pool: Pool,
    scripts: Arc<Scripts>,
    url: String,
    timeout: Duration,
}

/// What the server knows of a log.
#[derive(Debug)]
pub(crate) struct Read {
    /// The highest position.
    pub(crate) top: Position,
    /// The first entry after the asked position that can be had; `top + 1` if none.
    pub(crate) first: Seq,
    /// Entries from the asked position on, contiguous; none if it cannot be followed.
    pub(crate) entries: Vec<(Seq, Content)>,
}

impl Reader {
    pub(crate) fn new(client: &Client, scripts: Arc<Scripts>, config: &RedisConfig) -> Result<Self, BusError> {
        let wrong = |why: String| BusError::Address { at: address::redacted(&config.url), why };
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout))
            .set_response_timeout(Some(config.publish_timeout));
        let manager = Manager::new_with_config(client.get_connection_info().clone(), settings).map_err(|error| wrong(error.to_string()))?;
        let pool = Pool::builder(manager)
            .max_size(POOL)
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(config.connect_timeout))
            .recycle_timeout(Some(config.connect_timeout))
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { pool, scripts, url: config.url.clone(), timeout: config.publish_timeout })
    }

    /// Where a log stands (it is begun if there is none) and entries after `since`, as many as `limit` allows, and about 1 MiB at most.
    pub(crate) async fn read(&self, of: &Followed, since: Option<&Position>, limit: PageLimit) -> Result<Read, BusError> {
        let ask = async {
            let (mut connection, fence) = self.connection().await?;
            Ok(self.scripts.read(&mut connection, &fence, of, since, limit).await?)
        };
        let raw = self.answer(of.as_str(), ask).await?;
        parse(of, raw).ok_or_else(|| strange(of.as_str()))
    }

    /// Where a births log stands, and the topics of its namespace at that moment.
    pub(crate) async fn members(&self, pattern: &Pattern) -> Result<(Position, Vec<Topic>), BusError> {
        let ask = async {
            let (mut connection, fence) = self.connection().await?;
            Ok(self.scripts.members(&mut connection, &fence, pattern).await?)
        };
        let (epoch, top, names) = self.answer(pattern.as_str(), ask).await?;
        let topics = names.iter().map(|name| Topic::parse(name).ok()).collect::<Option<_>>();
        position(&epoch, top).zip(topics).ok_or_else(|| strange(pattern.as_str()))
    }

    /// Where topics of a namespace stand; without those that are forgotten.
    pub(crate) async fn positions(&self, pattern: &Pattern, topics: &[Topic]) -> Result<Vec<(Topic, Position)>, BusError> {
        let mut positions = Vec::with_capacity(topics.len());
        for some in topics.chunks(POSITIONS) {
            let ask = async {
                let (mut connection, fence) = self.connection().await?;
                Ok(self.scripts.positions(&mut connection, &fence, pattern, some).await?)
            };
            let raw = self.answer(pattern.as_str(), ask).await?;
            let known = some.iter().zip(raw).filter_map(|(topic, (epoch, top))| Some((topic.clone(), position(&epoch, top)?)));
            positions.extend(known);
        }
        Ok(positions)
    }

    /// What another script answers, called with the fence of the node that it runs on.
    pub(crate) async fn ask<'a, T: FromRedisValue>(
        &self,
        name: &str,
        call: impl FnOnce(&str) -> ScriptInvocation<'a>,
    ) -> Result<T, BusError> {
        let ask = async {
            let (mut connection, fence) = self.connection().await?;
            Ok(call(&fence).invoke_async(&mut connection).await?)
        };
        self.answer(name, ask).await
    }

    /// A connection, and the fence of the node that it leads to.
    async fn connection(&self) -> Result<(Connection, String), PoolError> {
        let mut connection = self.pool.get().await?;
        let fence = link::fence(&mut connection).await?;
        Ok((connection, fence))
    }

    async fn answer<T>(&self, name: &str, ask: impl Future<Output = Result<T, PoolError>>) -> Result<T, BusError> {
        let answer = timeout(self.timeout, ask).await;
        answer.unwrap_or_else(|_| Err(PoolError::Backend(link::late()))).map_err(|error| self.failed(name, error))
    }

    fn failed(&self, name: &str, error: PoolError) -> BusError {
        match error {
            PoolError::Backend(error) => failure(&self.url, name, &error),
            error => address::unavailable(&self.url, &error),
        }
    }

    /// Ends the pool; later reads fail.
    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// Whose fault an error of the client library is.
pub(crate) fn failure(url: &str, name: &str, error: &RedisError) -> BusError {
    let foreign = error.code() == Some("WRONGTYPE") || error.to_string().contains("WRONGTYPE");
    if foreign || matches!(error.kind(), redis::ErrorKind::UnexpectedReturnType) {
        return BusError::Corrupt { topic: name.into(), why: error.to_string() };
    }
    address::unavailable(url, error)
}

fn strange(name: &str) -> BusError {
    BusError::Corrupt { topic: name.into(), why: "it is not what this version writes".into() }
}

fn position(epoch: &str, seq: u64) -> Option<Position> {
    Some(Position { epoch: Epoch::parse(epoch)?, seq: Seq::new(seq)? })
}

fn parse(of: &Followed, (epoch, top, first, raw): RawRead) -> Option<Read> {
    let entry = |(seq, bytes): (u64, Vec<u8>)| Some((Seq::new(seq)?, Content::decode(of, bytes.into())?));
    let entries = raw.into_iter().map(entry).collect::<Option<_>>()?;
    Some(Read { top: position(&epoch, top)?, first: Seq::new(first)?, entries })
}
