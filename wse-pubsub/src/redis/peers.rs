//! Which processes serve clients: each is subscribed to one channel while it does, so that one that dies is gone with its connection.
use super::{
    Core,
    listener::{Lost, late, said},
};
use crate::BusError;
use redis::aio::PubSubSink;
use std::convert::Infallible;
use tokio::{sync::watch, time::timeout};

/// What this process wants to be known, and what the server knows of it.
#[derive(Debug)]
pub(super) struct Peers {
    channel: String,
    serves: watch::Sender<bool>,
    known: watch::Sender<bool>,
}

impl Peers {
    pub(super) fn new(channel: String) -> Self {
        Self { channel, serves: watch::Sender::new(false), known: watch::Sender::new(false) }
    }

    pub(super) fn serve(&self, serves: bool) {
        self.serves.send_if_modified(|now| std::mem::replace(now, serves) != serves);
    }
}

/// Tells the server by a connection that is new; until it ends.
pub(super) async fn show(core: &Core, mut sink: PubSubSink) -> Result<Infallible, Lost> {
    let Peers { channel, serves, known } = &core.peers;
    let (mut wanted, limit) = (serves.subscribe(), core.config.publish_timeout);
    known.send_replace(false);
    loop {
        let shown = *wanted.wait_for(|serves| *serves != *known.borrow()).await.map_err(|_| "closed")?;
        let told = async { if shown { sink.subscribe(channel).await } else { sink.unsubscribe(channel).await } };
        timeout(limit, told).await.map_err(|_| late(limit))?.map_err(said)?;
        known.send_replace(shown);
    }
}

impl Core {
    /// Processes that are subscribed, but this one.
    pub(super) async fn others(&self) -> Result<usize, BusError> {
        self.open()?;
        let (limit, mut known) = (self.config.publish_timeout, self.peers.known.subscribe());
        let count = async {
            let own = *known.wait_for(|known| *known == *self.peers.serves.borrow()).await.map_err(|_| BusError::Closed)?;
            let node = self.link.node().await.map_err(|error| self.unavailable(&error))?;
            let mut ask = redis::cmd("PUBSUB");
            let ask = ask.arg("NUMSUB").arg(&self.peers.channel);
            let (_, all): (String, usize) =
                ask.query_async(&mut node.connection.clone()).await.map_err(|error| self.unavailable(&error))?;
            Ok(all.saturating_sub(own.into()))
        };
        timeout(limit, count).await.unwrap_or_else(|_| Err(self.unavailable(&late(limit))))
    }
}
