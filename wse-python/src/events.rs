//! Events on their way to one Python event loop: filled by the engine's thread, emptied by the loop in batches.
use crate::{
    convert::{bus_error, value_to_python},
    messages::Messages,
    publish::{Receipt, outcomes_to_python},
    snapshot::SnapshotCall,
};
use pyo3::{IntoPyObjectExt, exceptions::PyRuntimeError, prelude::*, types::PyTuple};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use wse_protocol::{CloseCode, SessionId, envelope::Envelope};
use wse_pubsub::BusError;
use wse_server::{ConnectionId, Host, token::Identity};

/// The first item of each event's tuple.
pub(crate) mod kind {
    pub(crate) const AUTHENTICATE: u8 = 1;
    pub(crate) const OPENED: u8 = 2;
    pub(crate) const MESSAGES: u8 = 3;
    pub(crate) const CLOSED: u8 = 4;
    pub(crate) const PUBLISHED: u8 = 5;
    pub(crate) const OUTBOUND: u8 = 6;
    pub(crate) const WRITABLE: u8 = 7;
    pub(crate) const SNAPSHOT: u8 = 8;
}

/// One thing that the loop is told.
#[derive(Debug)]
pub(crate) enum Event {
    Authenticate(ConnectionId, Option<String>, Option<Identity>),
    Opened(ConnectionId, Option<Identity>, Option<SessionId>),
    #[expect(clippy::vec_box, reason = "as the engine hands messages over")]
    Messages(ConnectionId, Vec<Box<Envelope>>),
    Closed(ConnectionId, CloseCode, String),
    Published(u64, Result<Receipt, BusError>),
    PublishedMany(u64, Vec<Result<Receipt, BusError>>),
    Outbound(ConnectionId),
    Writable(ConnectionId),
    Snapshot(ConnectionId, wse_server::SnapshotCall),
}

impl Event {
    /// What counts for a turn of the loop.
    fn len(&self) -> usize {
        if let Self::Messages(_, messages) = self { messages.len() } else { 1 }
    }
}

/// A queue that wakes its loop once for each batch. Bounded by what fills it: per connection `handler_queue` messages and one
/// of each other kind; one event for each publish that waits.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    descriptor: wakeup::Descriptor,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    closed: bool,
}

impl Queue {
    pub(crate) fn push(&self, event: Event) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.events.push_back(event);
        if state.events.len() == 1 {
            self.descriptor.raise();
            self.filled.notify_all();
        }
    }

    /// The oldest ones, until they are `limit` or more.
    fn take(&self, limit: usize) -> Vec<Event> {
        let (mut state, mut taken, mut count) = (self.lock(), Vec::new(), 0);
        while count < limit
            && let Some(event) = state.events.pop_front()
        {
            count += event.len();
            taken.push(event);
        }
        if state.events.is_empty() {
            self.descriptor.clear();
        }
        taken
    }

    fn wait(&self, limit: Duration) -> bool {
        let waits = |state: &mut State| state.events.is_empty() && !state.closed;
        let state = self.filled.wait_timeout_while(self.lock(), limit, waits).unwrap_or_else(PoisonError::into_inner).0;
        !state.events.is_empty()
    }

    fn close(&self) {
        let mut state = self.lock();
        *state = State { closed: true, ..State::default() };
        self.descriptor.clear();
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for Queue {
    fn authenticate(&self, connection: ConnectionId, token: Option<String>, identity: Option<Identity>) {
        self.push(Event::Authenticate(connection, token, identity));
    }

    fn opened(&self, connection: ConnectionId, identity: Option<Identity>, session: Option<SessionId>) {
        self.push(Event::Opened(connection, identity, session));
    }

    fn messages(&self, connection: ConnectionId, envelopes: Vec<Box<Envelope>>) {
        self.push(Event::Messages(connection, envelopes));
    }

    fn closed(&self, connection: ConnectionId, code: CloseCode, reason: String, _opened: bool) {
        self.push(Event::Closed(connection, code, reason));
    }

    fn snapshot(&self, call: wse_server::SnapshotCall) {
        self.push(Event::Snapshot(call.connection(), call));
    }

    fn outbound(&self, connection: ConnectionId) {
        self.push(Event::Outbound(connection));
    }

    fn writable(&self, connection: ConnectionId) {
        self.push(Event::Writable(connection));
    }
}

/// `EventQueue` of `_native.pyi`.
#[pyclass(frozen)]
#[derive(Debug)]
pub(crate) struct EventQueue(pub(crate) Arc<Queue>);

#[pymethods]
impl EventQueue {
    #[new]
    fn new() -> PyResult<Self> {
        let descriptor = wakeup::Descriptor::new()?;
        Ok(Self(Arc::new(Queue { state: Mutex::default(), filled: Condvar::new(), descriptor })))
    }

    fn fileno(&self) -> i32 {
        self.0.descriptor.number()
    }

    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        self.0.take(limit).into_iter().map(|event| tuple(py, event)).collect()
    }

    fn wait(&self, py: Python<'_>, seconds: f64) -> bool {
        let limit = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
        py.detach(|| self.0.wait(limit))
    }

    fn close(&self) {
        self.0.close();
    }
}

fn tuple(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Authenticate(id, token, identity) => (kind::AUTHENTICATE, id.0, token, identity_of(py, identity)?).into_pyobject(py),
        Event::Opened(id, identity, session) => {
            (kind::OPENED, id.0, identity_of(py, identity)?, session.map(|session| session.to_string())).into_pyobject(py)
        }
        Event::Messages(id, messages) => (kind::MESSAGES, id.0, Messages::new(messages)).into_pyobject(py),
        Event::Closed(id, code, reason) => (kind::CLOSED, id.0, code.number(), reason).into_pyobject(py),
        Event::Published(ticket, outcome) => {
            let result = match outcome {
                Ok(receipt) => receipt.into_bound_py_any(py)?,
                Err(error) => bus_error(py, &error).into_bound_py_any(py)?,
            };
            (kind::PUBLISHED, ticket, result).into_pyobject(py)
        }
        Event::PublishedMany(ticket, outcomes) => (kind::PUBLISHED, ticket, outcomes_to_python(py, outcomes)?).into_pyobject(py),
        Event::Outbound(id) => (kind::OUTBOUND, id.0).into_pyobject(py),
        Event::Writable(id) => (kind::WRITABLE, id.0).into_pyobject(py),
        Event::Snapshot(id, call) => (kind::SNAPSHOT, id.0, SnapshotCall::new(call)).into_pyobject(py),
    }
}

/// The user's id and the claims of a checked token.
fn identity_of(py: Python<'_>, identity: Option<Identity>) -> PyResult<Option<(String, Bound<'_, PyAny>)>> {
    let Some(identity) = identity else { return Ok(None) };
    let claims = simd_json::serde::to_owned_value(&identity.claims).map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
    Ok(Some((identity.user, value_to_python(py, claims)?)))
}

/// A descriptor that is readable while events wait.
#[cfg(target_os = "linux")]
mod wakeup {
    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fd::{AsRawFd, OwnedFd};
    use std::io;

    #[derive(Debug)]
    pub(super) struct Descriptor(OwnedFd);

    impl Descriptor {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
        }

        pub(super) fn number(&self) -> i32 {
            self.0.as_raw_fd()
        }

        pub(super) fn raise(&self) {
            // Fails only when the counter is full, and then it is readable already.
            let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
        }

        pub(super) fn clear(&self) {
            // Fails only when it is clear already.
            let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
        }
    }
}

/// Elsewhere a thread waits on the queue instead.
#[cfg(not(target_os = "linux"))]
mod wakeup {
    #[derive(Debug)]
    pub(super) struct Descriptor;

    impl Descriptor {
        pub(super) fn new() -> std::io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn number(&self) -> i32 {
            -1
        }

        pub(super) fn raise(&self) {}

        pub(super) fn clear(&self) {}
    }
}
