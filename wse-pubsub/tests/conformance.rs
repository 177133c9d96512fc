//! Every bus runs the conformance suite.
mod support;

use std::sync::Arc;
use support::RedisServer;
use wse_pubsub::{
    Bus, EventReceiver, MemoryBus, MemoryConfig, RedisBus,
    conformance::{Factory, Setup},
    conformance_suite,
};

struct Memory;

#[async_trait::async_trait]
impl Factory for Memory {
    async fn make(&self, setup: Setup) -> (Arc<dyn Bus>, Vec<EventReceiver>) {
        let config = MemoryConfig::default().history(setup.history).handover_bytes(setup.handover_bytes).births(setup.births);
        let config = config.outcomes(setup.outcomes).dead_letters(setup.dead_letters).direct(setup.direct).presence(setup.presence);
        let (bus, events) = MemoryBus::new(config, setup.consumers);
        (Arc::new(bus), events)
    }

    fn publish_waits_for_hub(&self) -> bool {
        true
    }
}

#[async_trait::async_trait]
impl Factory for RedisServer {
    async fn make(&self, setup: Setup) -> (Arc<dyn Bus>, Vec<EventReceiver>) {
        let config = self.config().history(setup.history).handover_bytes(setup.handover_bytes).births(setup.births);
        let config = config.outcomes(setup.outcomes).dead_letters(setup.dead_letters).direct(setup.direct).presence(setup.presence);
        let (bus, events) = RedisBus::connect(config, setup.consumers).await.expect("connected");
        (Arc::new(bus), events)
    }

    fn publish_waits_for_hub(&self) -> bool {
        false
    }
}

conformance_suite!(memory, Memory);
conformance_suite!(redis, RedisServer::start());
