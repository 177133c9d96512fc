//! What is published: a message as Python gives it, and `Receipt` of `_native.pyi`.
use crate::convert::{bus_error, payload_error, topic_error, usage_error};
use bytes::Bytes;
use pyo3::{
    IntoPyObjectExt,
    exceptions::{PyIndexError, PyTypeError, PyValueError},
    intern,
    prelude::*,
    pybacked::PyBackedBytes,
    types::{PyBytes, PyString, PyTuple},
};
use std::{fmt::Display, time::Duration};
use wse_protocol::{Format, Priority, SessionId, Topic, WireError, check_depth, check_payload};
use wse_pubsub::BusError;
use wse_server::NewMessage;

/// A stored publish.
#[pyclass(frozen, eq)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    topic: Topic,
    stored: wse_pubsub::Receipt,
}

#[pymethods]
impl Receipt {
    #[getter]
    fn id(&self) -> &str {
        &self.stored.id
    }

    #[getter]
    fn topic(&self) -> &str {
        self.topic.as_str()
    }

    #[getter]
    fn epoch(&self) -> &str {
        self.stored.position.epoch.as_str()
    }

    #[getter]
    fn seq(&self) -> u64 {
        self.stored.position.seq.number()
    }

    fn __repr__(&self) -> String {
        format!("Receipt(id={:?}, topic={:?}, epoch={:?}, seq={})", self.id(), self.topic(), self.epoch(), self.seq())
    }
}

impl Receipt {
    pub(crate) fn new(topic: Topic, stored: wse_pubsub::Receipt) -> Self {
        Self { topic, stored }
    }
}

/// From here on a copy, and giving it back, costs more than sharing does.
const SHARED_BYTES: usize = 512;
/// The same of an object that nobody else keeps: let go of at once, its memory is the next one's, and still in the cache. What our encoder
/// made is such a one, and `Msgpack(...)`, which Python's collector would go over as long as the history held it.
const SHARED_BYTES_OF_OURS: usize = 4096;

/// Whom a message is for: `To` of `_native.pyi`.
#[derive(FromPyObject)]
enum Address {
    /// Everybody in a topic.
    Topic(String),
    /// The kind, `user` or `session`, and which.
    Direct(String, String),
}

impl Address {
    fn read(self, py: Python<'_>) -> PyResult<Topic> {
        match self {
            Self::Topic(name) => Topic::parse(&name).map_err(|error| topic_error(py, &name, &error)),
            Self::Direct(kind, id) if kind == "user" => Topic::of_user(&id).map_err(|error| usage_error(py, &error.message)),
            Self::Direct(_, id) => match SessionId::parse(&id) {
                Some(id) => Ok(Topic::of_session(&id)),
                None => Err(usage_error(py, "a session is what connection.session says, 32 hexadecimal digits")),
            },
        }
    }
}

/// `Outgoing` of `_native.pyi`.
#[derive(FromPyObject)]
pub(crate) struct Outgoing(
    Address,        // topic, ("user", id) or ("session", id)
    PyBackedBytes,  // payload
    Option<String>, // format
    Option<String>, // type
    u8,             // priority
    Option<String>, // key
    Option<u64>,    // ttl_ms
    Option<String>, // idempotency_key
);

impl Outgoing {
    /// As the engine takes it; `path` is what errors call the payload.
    pub(crate) fn read(self, py: Python<'_>, path: impl Display) -> PyResult<(Topic, NewMessage)> {
        let Self(topic, payload, format, event_type, priority, key, ttl_ms, idempotency_key) = self;
        let topic = topic.read(py)?;
        let (format, payload) = read_payload(py, path, payload, format.as_deref())?;
        let message = NewMessage {
            format,
            event_type: bounded(py, "type", event_type)?,
            priority: Priority::try_from(priority).map_err(|e| usage_error(py, &e.to_string()))?,
            key: bounded(py, "key", key)?,
            ttl: ttl_ms.map(Duration::from_millis),
            idempotency_key,
            ..NewMessage::new(payload)
        };
        Ok((topic, message))
    }
}

/// Messages that room is made for at once; what an iterable says of its length is the application's.
const RESERVED: usize = 1024;

/// How messages of several are read: see `Engine.publish_many` of `_native.pyi`.
#[derive(FromPyObject)]
pub(crate) struct Reading<'py>(
    Bound<'py, PyAny>, // dumps
    Bound<'py, PyAny>, // its options
    Bound<'py, PyAny>, // the class of what is MessagePack already
    Bound<'py, PyAny>, // other
);

impl<'py> Reading<'py> {
    /// All of them, as the engine takes them.
    pub(crate) fn read(&self, messages: &Bound<'py, PyAny>) -> PyResult<Vec<(Topic, NewMessage)>> {
        let py = messages.py();
        let mut read: Vec<(Topic, NewMessage)> = Vec::with_capacity(messages.len().unwrap_or_default().min(RESERVED));
        for (index, message) in messages.try_iter()?.enumerate() {
            let (message, path) = (message?, format_args!("messages[{index}].payload"));
            let last = read.last().map(|(topic, _)| topic);
            let next = match self.plain(&message)? {
                Some(pair) => pair.read(py, last, path)?,
                None => {
                    let other = self.3.call1((index, message))?;
                    match other.cast::<PyTuple>()?.len() {
                        3 => other.extract::<Pair<'_>>()?.read(py, last, path)?,
                        _ => other.extract::<Outgoing>()?.read(py, path)?,
                    }
                }
            };
            read.push(next);
        }
        Ok(read)
    }

    /// A topic and plain data, or bytes: most messages, which so take no step through Python.
    fn plain(&self, message: &Bound<'py, PyAny>) -> PyResult<Option<Pair<'py>>> {
        let Ok(pair) = message.cast_exact::<PyTuple>() else { return Ok(None) };
        if pair.len() != 2 {
            return Ok(None);
        }
        let (topic, payload) = (pair.get_item(0)?, pair.get_item(1)?);
        let Ok(topic) = topic.cast_into_exact::<PyString>() else { return Ok(None) };
        let py = message.py();
        let (payload, format) = if payload.is_exact_instance_of::<PyBytes>() {
            (payload, Some(intern!(py, "json").clone()))
        } else if payload.get_type().is(&self.2) {
            (payload, Some(intern!(py, "msgpack").clone()))
        } else {
            match self.0.call1((payload, py.None(), &self.1)) {
                Ok(json) => (json, None),
                Err(error) if error.is_instance_of::<PyTypeError>(py) => return Ok(None),
                Err(error) => return Err(error),
            }
        };
        Ok(Some(Pair(topic, payload.cast_into::<PyBytes>()?.into(), format)))
    }
}

/// `Pair` of `_native.pyi`: topic, payload, format.
#[derive(FromPyObject)]
struct Pair<'py>(Bound<'py, PyString>, PyBackedBytes, Option<Bound<'py, PyString>>);

impl Pair<'_> {
    /// As the engine takes it. `last` is the topic of the message before it: most often the same.
    fn read(self, py: Python<'_>, last: Option<&Topic>, path: impl Display) -> PyResult<(Topic, NewMessage)> {
        let Self(name, payload, format) = self;
        let name = name.to_str()?;
        let topic = match last.filter(|last| last.as_str() == name) {
            Some(last) => last.clone(),
            None => Topic::parse(name).map_err(|error| topic_error(py, name, &error))?,
        };
        let format = format.as_ref().map(|format| format.to_str()).transpose()?;
        let (format, payload) = read_payload(py, path, payload, format)?;
        Ok((topic, NewMessage { format, ..NewMessage::new(payload) }))
    }
}

fn bounded(py: Python<'_>, name: &str, text: Option<String>) -> PyResult<Option<std::sync::Arc<str>>> {
    match text {
        Some(text) if text.is_empty() || text.len() > 256 => Err(usage_error(py, &format!("{name} has 1 to 256 bytes"))),
        text => Ok(text.map(Into::into)),
    }
}

/// The format and the bytes. What the application wrote itself is read to its end; of what our encoder made only the depth is in doubt.
pub(crate) fn read_payload(py: Python<'_>, path: impl Display, payload: PyBackedBytes, format: Option<&str>) -> PyResult<(Format, Bytes)> {
    let wrong = |what: &str, error: WireError| payload_error(py, &path.to_string(), &format!("{what}{}", error.message));
    let by_application = format == Some("json");
    let format = match format {
        None => check_depth(&payload).map(|()| Format::Json).map_err(|error| wrong("is ", error))?,
        Some(name) => {
            let format = Format::parse(name).ok_or_else(|| PyValueError::new_err(format!("{name} is no format")))?;
            let what = match format {
                Format::Json => "bytes must be JSON already, for text pass a str: ",
                Format::Msgpack => "must be one MessagePack value of JSON's types: ",
            };
            check_payload(format, &payload).map_err(|error| wrong(what, error))?;
            format
        }
    };
    // A large one stays where it is: the history holds the Python object. It needs no GIL to be read or let go of.
    let shared = payload.len() >= if by_application { SHARED_BYTES } else { SHARED_BYTES_OF_OURS };
    Ok((format, if shared { Bytes::from_owner(payload) } else { Bytes::copy_from_slice(&payload) }))
}

/// The receipts of one `publish_many`. Python's collector goes over every object that is alive, so that each is made when it is asked for.
#[pyclass(frozen)]
#[derive(Debug)]
pub(crate) struct StoredMany(Vec<Receipt>);

#[pymethods]
impl StoredMany {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn at(&self, index: usize) -> PyResult<Receipt> {
        self.0.get(index).cloned().ok_or_else(|| PyIndexError::new_err(index))
    }
}

/// `Outcomes` of `_native.pyi`.
pub(crate) fn outcomes_to_python(py: Python<'_>, outcomes: Vec<Result<Receipt, BusError>>) -> PyResult<Bound<'_, PyAny>> {
    let Some(failure) = outcomes.iter().find_map(|outcome| outcome.as_ref().err()).cloned() else {
        return (StoredMany(outcomes.into_iter().flatten().collect()), py.None()).into_bound_py_any(py);
    };
    let outcome = |outcome| match outcome {
        Ok(receipt) => Receipt::into_bound_py_any(receipt, py),
        Err(error) => bus_error(py, &error).into_bound_py_any(py),
    };
    let outcomes = outcomes.into_iter().map(outcome).collect::<PyResult<Vec<_>>>()?;
    (StoredMany(Vec::new()), (bus_error(py, &failure), PyTuple::new(py, outcomes)?)).into_bound_py_any(py)
}
