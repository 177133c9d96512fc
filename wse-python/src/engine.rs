//! `Engine` and `Admission` of `_native.pyi`.
use crate::{
    convert::{bus_error, dead_letter_error, start_error},
    dead_letters,
    events::{Event, EventQueue},
    options::engine_config,
    presence,
    publish::{Outgoing, Reading, Receipt, outcomes_to_python, read_payload},
    snapshot::scope,
};
use bytes::Bytes;
use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyDict, PyString, PyTuple},
};
use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use wse_protocol::{CloseCode, ErrorCode, WireError};
use wse_pubsub::{BusError, Claim};
use wse_server::{
    Channel, ChannelFrame, ConnectionId, Engine as Native, EngineConfig, Outcomes, PeerFrame, RequestHead, Sharing,
    ws::{Field, Fields, handshake::Key},
};

/// The judgement of one upgrade request.
#[pyclass(frozen)]
#[derive(Debug)]
pub(crate) struct Admission {
    native: wse_server::Admission,
    key: Option<Key>,
}

#[pymethods]
impl Admission {
    #[getter]
    fn http_status(&self) -> Option<u16> {
        self.native.refusal.as_ref().map(|(status, _)| status.as_u16())
    }

    #[getter]
    fn message(&self) -> &str {
        self.native.refusal.as_ref().map_or("", |(_, error)| &error.message)
    }

    #[getter]
    fn subprotocol(&self) -> Option<&'static str> {
        self.native.subprotocol
    }
}

/// One process's engine.
#[pyclass(frozen)]
#[derive(Debug)]
pub(crate) struct Engine {
    config: EngineConfig,
    native: Mutex<Option<Native>>,
    channels: Mutex<HashMap<u64, Channel>>,
    tickets: AtomicU64,
}

#[pymethods]
impl Engine {
    #[new]
    fn new(options: &Bound<'_, PyDict>) -> PyResult<Self> {
        Ok(Self { config: engine_config(options)?, native: Mutex::default(), channels: Mutex::default(), tickets: AtomicU64::new(1) })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let mut native = lock(&self.native);
            if native.is_none() {
                *native = Some(Native::start(self.config.clone())?);
            }
            Ok(())
        })
        .map_err(|error| start_error(py, &error))
    }

    fn serve(&self) -> PyResult<()> {
        self.running()?.serve();
        Ok(())
    }

    fn drain(&self, py: Python<'_>, window: f64, seconds: f64) -> PyResult<()> {
        let time = |seconds| Duration::try_from_secs_f64(seconds).map_err(|e| PyValueError::new_err(e.to_string()));
        let (window, limit, native) = (time(window)?, time(seconds)?, self.running()?);
        py.detach(|| native.runtime().block_on(native.drain(window, limit)));
        Ok(())
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| {
            if let Some(native) = lock(&self.native).take() {
                native.runtime().block_on(native.close_bus());
            }
        });
    }

    fn publish<'py>(&self, py: Python<'py>, queue: &EventQueue, message: Outgoing) -> PyResult<Bound<'py, PyAny>> {
        let (native, (topic, message)) = (self.running()?, message.read(py, "payload")?);
        let ticket = self.tickets.fetch_add(1, Relaxed);
        let (queue, named) = (queue.0.clone(), topic.clone());
        let done = move |outcome: Result<_, BusError>| queue.push(Event::Published(ticket, outcome.map(|r| Receipt::new(named, r))));
        match native.publish_or_spawn(&topic, message, done) {
            Some(Ok(receipt)) => Receipt::new(topic, receipt).into_bound_py_any(py),
            Some(Err(error)) => Err(bus_error(py, &error)),
            None => ticket.into_bound_py_any(py),
        }
    }

    fn publish_many<'py>(
        &self,
        py: Python<'py>,
        queue: &EventQueue,
        messages: &Bound<'py, PyAny>,
        reading: Reading<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (native, messages) = (self.running()?, reading.read(messages)?);
        let topics: Vec<_> = messages.iter().map(|(topic, _)| topic.clone()).collect();
        let named =
            move |outcomes: Outcomes| topics.into_iter().zip(outcomes).map(|(t, outcome)| outcome.map(|r| Receipt::new(t, r))).collect();
        let ticket = self.tickets.fetch_add(1, Relaxed);
        let (queue, later) = (queue.0.clone(), named.clone());
        match native.publish_many_or_spawn(messages, move |outcomes| queue.push(Event::PublishedMany(ticket, later(outcomes)))) {
            Some(outcomes) => outcomes_to_python(py, named(outcomes)),
            None => ticket.into_bound_py_any(py),
        }
    }

    fn publish_blocking(&self, py: Python<'_>, message: Outgoing) -> PyResult<Receipt> {
        let (native, (topic, message)) = (self.running()?, message.read(py, "payload")?);
        let outcome = py.detach(|| {
            let (sender, outcome) = std::sync::mpsc::channel();
            let at_once = native.publish_or_spawn(&topic, message, move |outcome| drop(sender.send(outcome)));
            at_once.or_else(|| outcome.recv().ok())
        });
        match outcome {
            Some(Ok(receipt)) => Ok(Receipt::new(topic, receipt)),
            Some(Err(error)) => Err(bus_error(py, &error)),
            None => Err(PyRuntimeError::new_err("the engine was stopped while it published")),
        }
    }

    fn admit(
        &self,
        headers: Vec<(PyBackedBytes, PyBackedBytes)>,
        query: &[u8],
        client: Option<(String, u16)>,
        secure: bool,
    ) -> PyResult<Admission> {
        let _ = (client, secure);
        let listed: Vec<Field<'_>> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let headers = Fields::from(&listed[..]);
        let query = std::str::from_utf8(query).unwrap_or("");
        let native = self.running()?.admit(RequestHead { headers, query });
        let key = headers.only(http::header::SEC_WEBSOCKET_KEY).and_then(|key| Key::parse(key).ok());
        Ok(Admission { native, key })
    }

    #[cfg(unix)]
    fn adopt_socket(&self, queue: &EventQueue, admission: &Admission, descriptor: i32, leftover: &[u8]) -> PyResult<u64> {
        let socket = owned(descriptor);
        let key = admission.key.as_ref().ok_or_else(|| PyValueError::new_err("the request has no valid Sec-WebSocket-Key"))?;
        let leftover = Bytes::copy_from_slice(leftover);
        Ok(self.running()?.adopt(queue.0.clone(), admission.native.clone(), socket, leftover, Some(key)).0)
    }

    fn open_channel(&self, queue: &EventQueue, admission: &Admission) -> PyResult<u64> {
        let (id, channel) = self.running()?.open_channel(queue.0.clone(), admission.native.clone());
        lock(&self.channels).insert(id.0, channel);
        Ok(id.0)
    }

    fn push(&self, connection: u64, frame: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(channel) = self.channel(connection) else { return Ok(true) };
        if let Ok(text) = frame.cast::<PyString>() {
            return Ok(channel.push(PeerFrame::Text(text.to_cow()?.as_bytes())));
        }
        Ok(channel.push(PeerFrame::Binary(frame.cast::<PyBytes>()?.as_bytes())))
    }

    fn take<'py>(&self, py: Python<'py>, connection: u64, limit: usize) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let Some(channel) = self.channel(connection) else { return Ok(Vec::new()) };
        let frame = |frame| match frame {
            ChannelFrame::Text(text) => PyString::from_bytes(py, &text).map(Bound::into_any),
            ChannelFrame::Binary(bytes) => PyBytes::new(py, &bytes).into_bound_py_any(py),
            ChannelFrame::Close { code, reason } => (code.number(), reason).into_bound_py_any(py),
        };
        channel.take(limit).into_iter().map(frame).collect()
    }

    fn hang_up(&self, connection: u64, code: u16) {
        if let Some(channel) = lock(&self.channels).remove(&connection) {
            channel.push(PeerFrame::HangUp(CloseCode::new(code)));
        }
    }

    #[pyo3(signature = (connection, user))]
    fn welcome(&self, connection: u64, user: Option<String>) -> PyResult<()> {
        self.running()?.welcome(ConnectionId(connection), user);
        Ok(())
    }

    fn refuse(&self, connection: u64, code: &str, message: &str) -> PyResult<()> {
        self.running()?.refuse(ConnectionId(connection), wire_error(code, message, None)?);
        Ok(())
    }

    fn register_snapshot(&self, py: Python<'_>, pattern: &str, shared: bool) -> PyResult<()> {
        let sharing = if shared { Sharing::Everyone } else { Sharing::User };
        self.running()?.register_snapshot(scope(py, pattern)?, sharing);
        Ok(())
    }

    fn reply(&self, py: Python<'_>, connection: u64, cid: &str, payload: PyBackedBytes, format: Option<&str>) -> PyResult<()> {
        let (format, payload) = read_payload(py, "payload", payload, format)?;
        self.running()?.reply(ConnectionId(connection), cid, format, payload);
        Ok(())
    }

    #[pyo3(signature = (connection, cid, code, message))]
    fn fail(&self, connection: u64, cid: Option<&str>, code: &str, message: &str) -> PyResult<()> {
        self.running()?.fail(ConnectionId(connection), wire_error(code, message, cid)?);
        Ok(())
    }

    fn mark_idempotent(&self, r#type: &str) {
        self.config.idempotent.insert(r#type);
    }

    fn dead_letters<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let letters = self.wait(py, |native| async move { native.dead_letters(limit).await })?;
        letters.iter().map(|letter| dead_letters::tuple(py, letter)).collect()
    }

    fn claim_dead_letter<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Bound<'py, PyTuple>> {
        let claim = self.wait(py, |native| async move { native.claim_dead_letter(id).await })?;
        match claim {
            Claim::Letter(letter) => dead_letters::tuple(py, &letter),
            Claim::Taken => Err(dead_letter_error(py, id, "somebody else replays it; it is free again in a minute at most")),
            Claim::Gone => Err(dead_letter_error(py, id, "there is no such letter")),
        }
    }

    fn release_dead_letter(&self, py: Python<'_>, id: &str) -> PyResult<()> {
        self.wait(py, |native| async move { native.release_dead_letter(id).await })
    }

    fn remove_dead_letter(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        self.wait(py, |native| async move { native.remove_dead_letter(id).await })
    }

    fn presence<'py>(&self, py: Python<'py>, topic: &str) -> PyResult<(u64, Vec<Bound<'py, PyTuple>>)> {
        let present = presence::ask(py, &self.running()?, topic, |native, topic| async move { native.presence(&topic).await })?;
        let members = present.members.iter().map(|member| presence::tuple(py, member));
        Ok((present.count, members.collect::<PyResult<_>>()?))
    }

    fn presence_count(&self, py: Python<'_>, topic: &str) -> PyResult<u64> {
        presence::ask(py, &self.running()?, topic, |native, topic| async move { native.presence_count(&topic).await })
    }

    fn handled(&self, connection: u64, count: usize) -> PyResult<()> {
        self.running()?.handled(ConnectionId(connection), count);
        Ok(())
    }

    fn close(&self, connection: u64, code: u16, reason: &str) -> PyResult<()> {
        self.running()?.close(ConnectionId(connection), CloseCode::new(code), reason);
        Ok(())
    }

    fn topics(&self, py: Python<'_>, connection: u64) -> PyResult<Vec<String>> {
        let native = self.running()?;
        let topics = py.detach(|| native.runtime().block_on(native.topics(ConnectionId(connection))));
        Ok(topics.iter().map(|topic| topic.as_str().to_owned()).collect())
    }

    fn name_of(&self, connection: u64) -> PyResult<String> {
        Ok(self.running()?.name_of(ConnectionId(connection)))
    }

    fn health<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let native = self.running()?;
        let health = py.detach(|| native.runtime().block_on(native.inspect()));
        let text = simd_json::serde::to_owned_value(&health).map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
        crate::convert::value_to_python(py, text)
    }
}

impl Engine {
    fn running(&self) -> PyResult<Native> {
        lock(&self.native).clone().ok_or_else(|| PyRuntimeError::new_err("the engine is not running: call start()"))
    }

    /// Waits for the bus without the GIL.
    fn wait<T: Send, F>(&self, py: Python<'_>, ask: impl FnOnce(Native) -> F + Send) -> PyResult<T>
    where
        F: Future<Output = Result<T, BusError>>,
    {
        let native = self.running()?;
        py.detach(|| {
            let runtime = native.runtime().clone();
            runtime.block_on(ask(native))
        })
        .map_err(|error| bus_error(py, &error))
    }

    fn channel(&self, connection: u64) -> Option<Channel> {
        lock(&self.channels).get(&connection).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "the caller gives the descriptor away: it is a duplicate that nothing else owns")]
fn owned(descriptor: i32) -> std::net::TcpStream {
    use std::os::fd::FromRawFd;
    unsafe { std::net::TcpStream::from_raw_fd(descriptor) }
}

fn wire_error(code: &str, message: &str, cid: Option<&str>) -> PyResult<WireError> {
    let known = ErrorCode::ALL.iter().find(|known| known.as_str() == code);
    let known = known.ok_or_else(|| PyValueError::new_err(format!("{code} is no error code of the wire")))?;
    Ok(WireError::new(*known, message).answering(cid.map(Into::into)))
}
