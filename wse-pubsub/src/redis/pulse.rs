//! Whether messages reach this process: what the listener last saw of its connection.
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The state of the subscription connection.
#[derive(Debug)]
pub(crate) struct Pulse {
    state: Mutex<State>,
    returned: Notify,
}

#[derive(Debug)]
struct State {
    /// What the canary last said and is waited for.
    awaited: Option<String>,
    up: bool,
    proved: Instant,
    fault: Option<String>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        let fault = Some("the subscription connection is not open yet".into());
        let state = State { awaited: None, up: false, proved: Instant::now(), fault };
        Self { state: Mutex::new(state), returned: Notify::new() }
    }

    /// A canary message was sent.
    pub(crate) fn expect(&self, text: &str) {
        self.lock().awaited = Some(text.to_owned());
    }

    /// A canary message came back.
    pub(crate) fn handle(&self, text: &[u8]) {
        let mut state = self.lock();
        if state.awaited.as_ref().is_some_and(|awaited| awaited.as_bytes() == text) {
            *state = State { awaited: None, up: true, proved: Instant::now(), fault: None };
            self.returned.notify_one();
        }
    }

    /// Waits until the expected message has come back. Cancel safe.
    pub(crate) async fn returned(&self) {
        while self.lock().awaited.is_some() {
            self.returned.notified().await;
        }
    }

    /// The connection is lost.
    pub(crate) fn fail(&self, why: String) {
        let mut state = self.lock();
        state.up = false;
        state.fault = Some(why);
    }

    /// Whether it is up, since when that is proved, and what is wrong.
    pub(crate) fn read(&self) -> (bool, Duration, Option<String>) {
        let state = self.lock();
        (state.up, state.proved.elapsed(), state.fault.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
