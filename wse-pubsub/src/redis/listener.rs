//! The supervised subscription connection, and the tasks that read what it missed.
//!
//! The client library's reader never stops, whatever the hub does: a bell without room is dropped and its message read from
//! the log when the hub has caught up. So neither side's buffers grow, and the server has no reason to cut us off.
use super::{Core, interest::Name, peers, record};
use crate::random::{random_share, random_u64};
use futures_util::StreamExt;
use redis::{
    RedisError,
    aio::{PubSubSink, PubSubStream},
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};
use wse_core::{Backoff, log::PageLimit};
use wse_protocol::Followed;

/// Entries per read of the log.
const FILL: usize = 256;

/// Why a session ended, in one sentence.
pub(super) type Lost = String;

/// Keeps a subscription connection until the task is ended.
pub(crate) async fn listen(core: Arc<Core>) {
    let mut backoff = Backoff::new(core.config.backoff);
    loop {
        let began = Instant::now();
        let Err(why) = session(&core).await;
        tracing::warn!(at = core.at(), %why, "the subscription connection is lost; connecting again");
        core.pulse.fail(why);
        if began.elapsed() > core.config.backoff.cap {
            backoff.reset();
        }
        sleep(backoff.next(random_share())).await;
    }
}

/// Reads logs that may have missed something, until the task is ended.
pub(crate) async fn fill(core: Arc<Core>) {
    let mut backoff = Backoff::new(core.config.backoff);
    loop {
        let (of, since) = core.interests.next_suspect().await;
        match core.reader.read(&of, Some(&since), PageLimit::entries(FILL)).await {
            Ok(read) => {
                core.interests.handle_read(of.as_str(), &since, read);
                backoff.reset();
            }
            Err(error) => {
                tracing::debug!(of = of.as_str(), %error, "the log could not be read; again soon");
                core.interests.put_back(of.as_str());
                sleep(backoff.next(random_share())).await;
            }
        }
    }
}

async fn session(core: &Core) -> Result<Infallible, Lost> {
    let limit = core.config.connect_timeout;
    let connected = timeout(limit, core.client.get_async_pubsub()).await;
    let (mut sink, stream) = connected.map_err(|_| late(limit))?.map_err(said)?.split();
    let joined = timeout(limit, sink.subscribe(core.canary.as_str())).await;
    joined.map_err(|_| late(limit))?.map_err(said)?;
    core.interests.restart();
    tokio::select! {
        lost = pump(core, stream) => lost,
        lost = peers::show(core, sink.clone()) => lost,
        lost = follow_interest(core, sink) => lost,
        lost = prove(core) => lost,
        lost = audit(core, core.config.meta_age, |of| !is_direct(of) && !is_watched(of)) => lost,
        lost = audit(core, core.config.direct.remembered(), is_direct) => lost,
        lost = audit(core, core.config.presence.remembered(), is_watched) => lost,
    }
}

async fn pump(core: &Core, mut stream: PubSubStream) -> Result<Infallible, Lost> {
    while let Some(message) = stream.next().await {
        let (channel, body) = (message.get_channel_name(), message.get_payload_bytes());
        if channel == core.canary {
            core.pulse.handle(body);
        } else if let Some(name) = core.scripts.keys().name_of_bell(channel) {
            core.interests.handle_bell(&name, record::decode_bell(bytes::Bytes::copy_from_slice(body)));
        }
    }
    Err("the server closed the connection".into())
}

async fn follow_interest(core: &Core, mut sink: PubSubSink) -> Result<Infallible, Lost> {
    let keys = core.scripts.keys();
    loop {
        let changes = core.interests.next_changes().await;
        let bells = |names: &[Name]| names.iter().map(|name| keys.bell(name)).collect::<Vec<_>>();
        let limit = core.config.publish_timeout;
        if !changes.leave.is_empty() {
            let left = timeout(limit, sink.unsubscribe(bells(&changes.leave))).await;
            left.map_err(|_| late(limit))?.map_err(said)?;
        }
        if !changes.join.is_empty() {
            let joined = timeout(limit, sink.subscribe(bells(&changes.join))).await;
            joined.map_err(|_| late(limit))?.map_err(said)?;
            core.interests.confirm(&changes.join);
        }
    }
}

/// Publishes to a channel of our own and waits for it to come back.
async fn prove(core: &Core) -> Result<Infallible, Lost> {
    loop {
        let text = format!("{:016x}", random_u64());
        core.pulse.expect(&text);
        let round = async {
            core.ring_canary(&text).await.map_err(said)?;
            core.pulse.returned().await;
            Ok::<_, Lost>(())
        };
        let limit = core.config.canary_interval;
        timeout(limit, round).await.map_err(|_| format!("it is deaf: its own message did not return within {limit:?}"))??;
        sleep(limit).await;
    }
}

/// Looks at every log four times in the life of its meta, so that it stays alive and no bell is lost for ever.
async fn audit(core: &Core, meta_age: Duration, is_meant: fn(&Followed) -> bool) -> Result<Infallible, Lost> {
    loop {
        sleep(meta_age / 4).await;
        core.interests.suspect_all(is_meant);
    }
}

fn is_direct(of: &Followed) -> bool {
    matches!(of, Followed::Topic(topic) if topic.direct().is_some())
}

fn is_watched(of: &Followed) -> bool {
    matches!(of, Followed::Topic(topic) if topic.watches().is_some())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub(super) fn said(error: RedisError) -> Lost {
    error.to_string()
}

pub(super) fn late(limit: Duration) -> Lost {
    format!("no answer within {limit:?}")
}
