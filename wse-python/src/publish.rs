//! What is published: a message as Python gives it, and `Receipt` of `_native.pyi`.
use crate::convert::{bus_error, payload_error, topic_error, usage_error};
use bytes::Bytes;
use pyo3::{IntoPyObjectExt, exceptions::PyValueError, prelude::*, pybacked::PyBackedBytes};
use wse_protocol::{Format, Priority, Topic, WireError, check_depth, check_payload};
use wse_pubsub::BusError;
use wse_server::NewMessage;

/// A stored publish.
#[pyclass(frozen, get_all, eq)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    id: String,
    topic: String,
    epoch: String,
    seq: u64,
}

#[pymethods]
impl Receipt {
    fn __repr__(&self) -> String {
        format!("Receipt(id={:?}, topic={:?}, epoch={:?}, seq={})", self.id, self.topic, self.epoch, self.seq)
    }
}

impl Receipt {
    pub(crate) fn new(topic: &Topic, receipt: &wse_pubsub::Receipt) -> Self {
        let position = &receipt.position;
        Self { id: receipt.id.to_string(), topic: topic.as_str().into(), epoch: position.epoch.as_str().into(), seq: position.seq.number() }
    }
}

/// `Outgoing` of `_native.pyi`.
#[derive(FromPyObject)]
pub(crate) struct Outgoing(
    String,         // topic
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
    pub(crate) fn read(self, py: Python<'_>, path: &str) -> PyResult<(Topic, NewMessage)> {
        let Self(topic, payload, format, event_type, priority, key, ttl_ms, idempotency_key) = self;
        if ttl_ms.is_some() {
            return Err(usage_error(py, "ttl is not available yet: messages are kept for history_age; leave it out"));
        }
        let topic = Topic::parse(&topic).map_err(|error| topic_error(py, &topic, &error))?;
        let (format, payload) = read_payload(py, path, &payload, format.as_deref())?;
        let message = NewMessage {
            format,
            event_type: bounded(py, "type", event_type)?,
            priority: Priority::try_from(priority).map_err(|e| usage_error(py, &e.to_string()))?,
            key: bounded(py, "key", key)?,
            idempotency_key,
            ..NewMessage::new(payload)
        };
        Ok((topic, message))
    }
}

fn bounded(py: Python<'_>, name: &str, text: Option<String>) -> PyResult<Option<std::sync::Arc<str>>> {
    match text {
        Some(text) if text.is_empty() || text.len() > 256 => Err(usage_error(py, &format!("{name} has 1 to 256 bytes"))),
        text => Ok(text.map(Into::into)),
    }
}

/// The format and the bytes. What the application wrote itself is read to its end; of what our encoder made only the depth is in doubt.
pub(crate) fn read_payload(py: Python<'_>, path: &str, payload: &[u8], format: Option<&str>) -> PyResult<(Format, Bytes)> {
    let wrong = |what: &str, error: WireError| payload_error(py, path, &format!("{what}{}", error.message));
    let format = match format {
        None => check_depth(payload).map(|()| Format::Json).map_err(|error| wrong("is ", error))?,
        Some(name) => {
            let format = Format::parse(name).ok_or_else(|| PyValueError::new_err(format!("{name} is no format")))?;
            let what = match format {
                Format::Json => "bytes must be JSON already, for text pass a str: ",
                Format::Msgpack => "must be one MessagePack value of JSON's types: ",
            };
            check_payload(format, payload).map_err(|error| wrong(what, error))?;
            format
        }
    };
    Ok((format, Bytes::copy_from_slice(payload)))
}

/// A receipt or an exception for each message.
pub(crate) fn outcomes_to_python(py: Python<'_>, outcomes: Vec<Result<Receipt, BusError>>) -> PyResult<Bound<'_, PyAny>> {
    let outcome = |outcome| match outcome {
        Ok(receipt) => Receipt::into_bound_py_any(receipt, py),
        Err(error) => bus_error(py, &error).into_bound_py_any(py),
    };
    outcomes.into_iter().map(outcome).collect::<PyResult<Vec<_>>>()?.into_bound_py_any(py)
}
