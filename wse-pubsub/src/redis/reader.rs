//! The rare commands: where a topic stands, and what its log holds. A pool, so that a large answer delays no publish.
use super::{
    RedisConfig, address, link, record,
    scripts::{RawRead, Scripts},
};
use crate::BusError;
use deadpool_redis::{Manager, Pool, PoolError, Runtime};
use redis::{AsyncConnectionConfig, Client, RedisError};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use wse_protocol::{Epoch, Position, Publication, Seq, Topic};

/// Connections for reads: more are waited for.
const POOL: usize = 8;

/// Reads topics.
#[derive(Debug)]
pub(crate) struct Reader {
    pool: Pool,
    scripts: Arc<Scripts>,
    url: String,
    timeout: Duration,
}

/// What the server knows of a topic.
#[derive(Debug)]
pub(crate) struct Read {
    /// The highest position.
    pub(crate) top: Position,
    /// The first entry after the asked position that can be had; `top + 1` if none.
    pub(crate) first: Seq,
    /// Entries from the asked position on, contiguous; none if it cannot be followed.
    pub(crate) entries: Vec<(Seq, Publication)>,
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

    /// Where a topic stands (it is begun if there is none) and at most `limit` entries after `since`; about 1 MiB at a time.
    pub(crate) async fn read(&self, topic: &Topic, since: Option<&Position>, limit: usize) -> Result<Read, BusError> {
        let answer = timeout(self.timeout, self.ask(topic, since, limit)).await;
        let raw = answer.unwrap_or_else(|_| Err(PoolError::Backend(link::late()))).map_err(|error| self.failed(topic, error))?;
        let why = || BusError::Corrupt { topic: topic.as_str().into(), why: "it is not what this version writes".into() };
        parse(raw).ok_or_else(why)
    }

    async fn ask(&self, topic: &Topic, since: Option<&Position>, limit: usize) -> Result<RawRead, PoolError> {
        let mut connection = self.pool.get().await?;
        let fence = link::fence(&mut connection).await?;
        Ok(self.scripts.read(&mut connection, &fence, topic, since, limit).await?)
    }

    fn failed(&self, topic: &Topic, error: PoolError) -> BusError {
        match error {
            PoolError::Backend(error) => failure(&self.url, topic, &error),
            error => address::unavailable(&self.url, &error),
        }
    }

    /// Ends the pool; later reads fail.
    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// Whose fault an error of the client library is.
pub(crate) fn failure(url: &str, topic: &Topic, error: &RedisError) -> BusError {
    let foreign = error.code() == Some("WRONGTYPE") || error.to_string().contains("WRONGTYPE");
    if foreign || matches!(error.kind(), redis::ErrorKind::UnexpectedReturnType) {
        return BusError::Corrupt { topic: topic.as_str().into(), why: error.to_string() };
    }
    address::unavailable(url, error)
}

fn parse((epoch, top, first, raw): RawRead) -> Option<Read> {
    let top = Position { epoch: Epoch::parse(&epoch)?, seq: Seq::new(top)? };
    let entry = |(seq, bytes): (u64, Vec<u8>)| Some((Seq::new(seq)?, record::decode(bytes.into())?));
    Some(Read { top, first: Seq::new(first)?, entries: raw.into_iter().map(entry).collect::<Option<_>>()? })
}
