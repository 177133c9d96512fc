//! The engine's threads: one for each shard, the first of which runs the bus's tasks too.
use super::{Handle, StartError};
use crate::{
    EngineConfig,
    config::BusChoice,
    shard::{CommandReceiver, Commands, Common, Shard, WAITING_BYTES, commands},
};
use std::sync::{Arc, mpsc as blocking};
use tokio::{runtime, task::LocalSet};
use wse_pubsub::{Bus, BusError, Consumer, EventReceiver, MemoryBus, RedisBus};

type Opened = (Arc<dyn Bus>, Vec<EventReceiver>);

/// One shard's thread to be.
struct Thread {
    config: EngineConfig,
    common: Common,
    consumer: Consumer,
    commands: CommandReceiver,
    handle: Commands,
}

/// Connects the bus and starts every shard.
pub(super) fn start(config: &EngineConfig, common: &Common) -> Result<(Arc<dyn Bus>, Vec<Handle>), StartError> {
    let (opened, receivers) = blocking::channel::<Result<Opened, StartError>>();
    let (ready, started) = blocking::channel();
    let count = config.shards.clamp(1, 64);
    let first = thread(config, common, 0);
    let choice = config.bus.clone();
    spawn(first, ready.clone(), move || open_bus(choice, count), Some(opened))?;
    let (bus, mut receivers) = receivers.recv().map_err(|_| StartError::Ended)??;
    let mut handles = vec![started.recv().map_err(|_| StartError::Ended)??];
    for (number, events) in (1..count).zip(receivers.drain(..)) {
        let bus = bus.clone();
        spawn(thread(config, common, number), ready.clone(), move || std::future::ready(Ok((bus, vec![events]))), None)?;
        handles.push(started.recv().map_err(|_| StartError::Ended)??);
    }
    Ok((bus, handles))
}

fn thread(config: &EngineConfig, common: &Common, number: usize) -> Thread {
    let (handle, commands) = commands(WAITING_BYTES, common.counters.clone());
    Thread { config: config.clone(), common: common.clone(), consumer: Consumer(number as u16), commands, handle }
}

fn spawn<F>(
    thread: Thread,
    ready: blocking::Sender<Result<Handle, StartError>>,
    open: impl FnOnce() -> F + Send + 'static,
    opened: Option<blocking::Sender<Result<Opened, StartError>>>,
) -> Result<(), StartError>
where
    F: Future<Output = Result<Opened, BusError>>,
{
    let name = format!("wse-shard-{}", thread.consumer.0);
    std::thread::Builder::new().name(name).spawn(move || {
        let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error.into()))),
        };
        LocalSet::new().block_on(&runtime, serve(thread, runtime.handle().clone(), ready, open, opened));
    })?;
    Ok(())
}

async fn serve<F>(
    thread: Thread,
    runtime: runtime::Handle,
    ready: blocking::Sender<Result<Handle, StartError>>,
    open: impl FnOnce() -> F,
    opened: Option<blocking::Sender<Result<Opened, StartError>>>,
) where
    F: Future<Output = Result<Opened, BusError>>,
{
    let Thread { config, common, consumer, commands, handle } = thread;
    let (bus, mut receivers) = match open().await {
        Ok(opened) => opened,
        Err(error) => {
            // Where nobody waits for the bus, it was open already.
            let _ = opened.map(|opened| opened.send(Err(error.into())));
            return;
        }
    };
    if receivers.is_empty() {
        return;
    }
    let events = receivers.remove(0);
    let _ = ready.send(Ok(Handle { runtime, commands: handle }));
    if let Some(opened) = opened {
        let _ = opened.send(Ok((bus.clone(), receivers)));
    }
    drop(ready);
    if let Err(error) = Shard::new(&config, bus, consumer, &common).run(commands, events).await {
        tracing::error!(%error, "a shard could not watch its sockets");
    }
}

async fn open_bus(choice: BusChoice, consumers: usize) -> Result<Opened, BusError> {
    Ok(match choice {
        BusChoice::Memory(config) => {
            let (bus, receivers) = MemoryBus::new(config, consumers);
            (Arc::new(bus), receivers)
        }
        BusChoice::Redis(config) => {
            let (bus, receivers) = RedisBus::connect(config, consumers).await?;
            (Arc::new(bus), receivers)
        }
    })
}
