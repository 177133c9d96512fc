//! A shard without a thread, sockets or a clock of its own, on a bus that waits and fails when it is told to.
mod beacons;
mod drain;
mod faulty_bus;
mod filters;
mod joins;
mod patterns;
mod presence;

pub(crate) use faulty_bus::{Call, FaultyBus};

use crate::{
    ConnectionId, EngineConfig, Host,
    connection::{Connection, Waker, dispatch, fetch_if_room},
    counters::Counters,
    hub::{Filters, Outlet},
    presence::Presences,
    shard::{Common, Shard},
    snapshot::Snapshots,
};
use serde_json::{Value, json};
use std::{cell::Cell, rc::Rc, sync::Arc, time::Instant};
use tokio::{sync::Notify, task::LocalSet};
use wse_core::{
    Chunk,
    session::{Offer, Session, Transmit},
};
use wse_crypto::token::Identity;
use wse_protocol::{CloseCode, Format, Priority, Publication, SessionId, Topic, UnixMillis, envelope::Envelope};
use wse_pubsub::{Bus, Consumer, EventReceiver, MemoryConfig};

/// An application that wants nothing.
#[derive(Debug)]
pub(crate) struct Nobody;

impl Host for Nobody {
    fn authenticate(&self, _: ConnectionId, _: Option<String>, _: Option<Identity>) {}
    fn opened(&self, _: ConnectionId, _: Option<Identity>, _: Option<SessionId>) {}
    fn messages(&self, _: ConnectionId, _: Vec<Box<Envelope>>) {}
    fn closed(&self, _: ConnectionId, _: CloseCode, _: String, _: bool) {}
}

/// What the hub writes to where the tests take frames from sessions.
struct NoSockets;

impl Outlet for NoSockets {
    fn write(&mut self, _: &Connection, _: &Chunk, _: Instant) -> bool {
        false
    }

    fn flush(&mut self, _: Instant) {}
}

/// A shard, its bus, and what the bus brings.
pub(crate) struct Rig {
    pub(crate) shard: Rc<Shard>,
    pub(crate) bus: Arc<FaultyBus>,
    events: EventReceiver,
    next: Cell<u64>,
}

/// A connection whose frames the test takes.
pub(crate) struct Client {
    pub(crate) connection: Rc<Connection>,
    shard: Rc<Shard>,
}

/// Runs a test on a shard's kind of thread.
pub(crate) async fn on_a_shard<T>(test: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(test).await
}

/// Lets every task that can go on do so.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

impl Rig {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self::over(config, MemoryConfig::default())
    }

    /// One whose bus keeps what this says.
    pub(crate) fn over(config: &EngineConfig, memory: MemoryConfig) -> Self {
        let (bus, events) = FaultyBus::new(memory);
        let bus = Arc::new(bus);
        let counters = Arc::new(Counters::default());
        let snapshots = Snapshots::new(config.snapshots, counters.clone());
        let presences = Presences::new(config, counters.clone());
        let common = Common { counters, filters: Arc::new(Filters::new(config.filter_limit)), snapshots, presences };
        let shard = Shard::new(config, bus.clone(), Consumer(0), &common);
        Self { shard, bus, events, next: Cell::new(1) }
    }

    /// A connection that is ready.
    pub(crate) fn connect(&self) -> Client {
        self.connect_with(Offer::default())
    }

    /// A connection that this was said of when it came.
    pub(crate) fn connect_with(&self, offer: Offer) -> Client {
        let id = ConnectionId(self.next.replace(self.next.get() + 1));
        let session = Session::new(self.shard.config.clone(), format!("c{}", id.0), offer, Instant::now());
        let connection = Rc::new(Connection::new(id, session, Arc::new(Nobody), Waker::Task(Notify::new())));
        self.shard.connections.borrow_mut().insert(id, connection.clone());
        let client = Client { connection, shard: self.shard.clone() };
        client.take();
        client
    }

    /// Stores a message of about so many bytes, and hands on what the bus has.
    pub(crate) async fn publish(&mut self, topic: &str, bytes: usize) -> Value {
        self.publish_payload(topic, &format!("\"{}\"", "x".repeat(bytes))).await
    }

    /// The same of this JSON.
    pub(crate) async fn publish_payload(&mut self, topic: &str, payload: &str) -> Value {
        self.publish_to(&Topic::parse(topic).unwrap(), payload).await
    }

    /// The same to any topic, the server's own too.
    pub(crate) async fn publish_to(&mut self, topic: &Topic, payload: &str) -> Value {
        let position = self.store(topic, payload).await;
        self.hand_on();
        position
    }

    /// A message of which the hub is not told yet.
    pub(crate) async fn store(&mut self, topic: &Topic, payload: &str) -> Value {
        let payload = payload.to_owned().into();
        let (event_type, priority, format) = ("m".into(), Priority::Normal, Format::Json);
        let publication =
            Publication { id: "m".into(), event_type, ts: UnixMillis(0), expires: None, key: None, priority, format, payload };
        let receipt = self.bus.publish(topic, publication, None).await.unwrap();
        json!({"e": receipt.position.epoch.as_str(), "seq": receipt.position.seq.number()})
    }

    /// What a turn does with what the bus has brought.
    pub(crate) fn hand_on(&mut self) {
        self.hand_on_to(&mut NoSockets);
    }

    /// The same, with sockets.
    pub(crate) fn hand_on_to(&mut self, outlet: &mut dyn Outlet) {
        let mut events = Vec::new();
        self.events.try_recv_many(&mut events, 10_000).unwrap();
        events.into_iter().for_each(|event| self.shard.hub.handle(&self.shard, event, outlet));
    }
}

impl Client {
    /// A request; nothing has been done about it that needs to wait.
    pub(crate) fn request(&self, action: &str, mut p: Value) {
        p["action"] = action.into();
        self.say(json!({"v": 2, "c": "WSE", "t": "subscription", "p": p}));
    }

    /// The same of any message.
    pub(crate) fn say(&self, message: Value) {
        let text = message.to_string();
        self.connection.session().handle_text(Instant::now(), &mut text.into_bytes());
        dispatch(&self.shard, &self.connection);
    }

    /// Reads all that waits, as a driver would write it.
    pub(crate) fn take(&self) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            dispatch(&self.shard, &self.connection);
            let next = self.connection.session().poll_transmit(Instant::now());
            match next {
                Some(Transmit::Plain(frame) | Transmit::Own(frame)) => frames.push(serde_json::from_slice(&frame.payload()).unwrap()),
                Some(Transmit::Topic(chunk)) => {
                    frames.extend(chunk.payloads().map(|(_, payload)| serde_json::from_slice::<Value>(&payload).unwrap()));
                }
                Some(Transmit::Close { code, .. }) => frames.push(json!({"t": "close", "code": code.map(CloseCode::number)})),
                None => break,
            }
        }
        fetch_if_room(&self.shard, &self.connection);
        frames
    }

    /// The entries of the answers and news that wait; whatever else waits is passed over.
    pub(crate) fn told(&self) -> Vec<Value> {
        let updates = self.take().into_iter().filter(|frame| frame["t"] == "subscription_update");
        updates.flat_map(|update| update["p"]["topics"].as_array().unwrap().clone()).collect()
    }

    pub(crate) fn close(&self) {
        self.connection.session().close(Instant::now(), CloseCode::NORMAL, "");
        dispatch(&self.shard, &self.connection);
    }
}
