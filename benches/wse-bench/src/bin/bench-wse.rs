//! WSE in Rust as a server under test: the crate's own listener, and a task that publishes from inside.
use bytes::Bytes;
use serde::Deserialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::net::TcpListener;
use wse_bench::{
    BenchError, Doing, Result,
    control::{Publish, drive},
    subject::TOPIC,
};
use wse_protocol::{Format, Topic};
use wse_server::{App, Engine, EngineConfig, NewMessage, listener};

/// What the load sends to be counted: read as a service would read it.
#[derive(Deserialize)]
struct Sent {
    text: String,
}

struct Publisher {
    engine: Engine,
    topic: Topic,
    /// Whether payloads are MessagePack.
    packed: bool,
}

impl Publish for Publisher {
    /// As MessagePack, if it is to be: a string without escapes.
    fn written(&self, message: Vec<u8>) -> Vec<u8> {
        if !self.packed {
            return message;
        }
        let text = &message[1..message.len() - 1];
        let len = u16::try_from(text.len()).expect("messages of this tool are short");
        [&[0xda], &len.to_be_bytes()[..], text].concat()
    }

    async fn publish(&mut self, messages: Vec<Bytes>) {
        let format = if self.packed { Format::Msgpack } else { Format::Json };
        let batch = messages.into_iter().map(|message| (self.topic.clone(), NewMessage { format, ..NewMessage::new(message) }));
        for outcome in self.engine.publish_many(batch).await {
            if let Err(error) = outcome {
                // The load sees the hole; the log says why.
                eprintln!("publish: {error}");
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<()> {
    let port = wse_bench::cli::port()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.doing("listen")?;
    wse_bench::machine::raise_descriptors();
    let mut config = EngineConfig::default();
    // A flood is what ingest and echo are: the only settings that differ from the defaults.
    (config.session.messages_per_second, config.session.bytes_per_second) = (None, None);
    if let Some(flush) = std::env::var("FLUSH_MS").ok().and_then(|ms| ms.parse().ok()) {
        config.flush_interval = Duration::from_millis(flush);
    }
    let engine = Engine::start(config).map_err(|error| BenchError::Usage(error.to_string()))?;
    let handled = Arc::new(AtomicU64::new(0));
    let counter = handled.clone();
    let app = App::new(engine.clone()).on("echo", |message| async move { Ok(message.payload) }).on("count", move |message| {
        let read = message.payload.parse().map(|Sent { text }| counter.fetch_add(u64::from(!text.is_empty()), Relaxed));
        async move { read.map(drop) }
    });
    tokio::spawn(async move { listener::serve(listener, "/wse", &app).await });
    let topic = Topic::parse(TOPIC).map_err(|error| BenchError::Usage(error.to_string()))?;
    let packed = std::env::var("PAYLOADS").is_ok_and(|payloads| payloads == "msgpack");
    drive(&mut Publisher { engine, topic, packed }, handled).await
}
