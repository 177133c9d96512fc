//! Values between the two languages: a decoded payload as Python objects, and errors as exceptions.
use pyo3::{
    exceptions::PyRuntimeError,
    intern,
    prelude::*,
    types::{PyDict, PyList},
};
use simd_json::StaticNode;
use wse_protocol::{Value, WireError};
use wse_pubsub::BusError;
use wse_server::StartError;

/// A payload as `json.loads` would give it. Its depth is bounded by the decoder.
pub(crate) fn value_to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Static(StaticNode::Null) => py.None().into_bound(py),
        Value::Static(StaticNode::Bool(value)) => value.into_pyobject(py)?.to_owned().into_any(),
        Value::Static(StaticNode::I64(value)) => value.into_pyobject(py)?.into_any(),
        Value::Static(StaticNode::U64(value)) => value.into_pyobject(py)?.into_any(),
        Value::Static(StaticNode::F64(value)) => value.into_pyobject(py)?.into_any(),
        Value::String(value) => value.into_pyobject(py)?.into_any(),
        Value::Array(values) => {
            let list = PyList::empty(py);
            for value in values.iter() {
                list.append(value_to_python(py, value)?)?;
            }
            list.into_any()
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (key, value) in fields.iter() {
                dict.set_item(key, value_to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// An exception of `wse_server.errors`, by its class and arguments.
fn raise(py: Python<'_>, class: &str, arguments: impl for<'py> pyo3::call::PyCallArgs<'py>) -> PyErr {
    let made = py.import(intern!(py, "wse_server.errors")).and_then(|m| m.getattr(class)).and_then(|c| c.call1(arguments));
    made.map_or_else(|error| error, PyErr::from_value)
}

pub(crate) fn bus_error(py: Python<'_>, error: &BusError) -> PyErr {
    match error {
        BusError::Address { at, why } => config_error(py, "redis_url", &format!("{at}: {why}")),
        BusError::Unavailable { .. } => raise(py, "WSEUnavailable", (error.to_string(),)),
        _ => PyRuntimeError::new_err(error.to_string()),
    }
}

pub(crate) fn start_error(py: Python<'_>, error: &StartError) -> PyErr {
    match error {
        // The host makes its sentence around the reason; libraries report some over several lines.
        StartError::Bus(BusError::Unavailable { why, .. }) => raise(py, "WSEUnavailable", (why.lines().next().unwrap_or_default(),)),
        StartError::Bus(error) => bus_error(py, error),
        _ => raise(py, "WSEStartupError", (error.to_string(),)),
    }
}

pub(crate) fn config_error(py: Python<'_>, field: &str, text: &str) -> PyErr {
    raise(py, "WSEConfigError", (field, text))
}

pub(crate) fn usage_error(py: Python<'_>, text: &str) -> PyErr {
    raise(py, "WSEUsageError", (text,))
}

pub(crate) fn payload_error(py: Python<'_>, path: &str, text: &str) -> PyErr {
    raise(py, "WSEPayloadError", (path, text))
}

pub(crate) fn dead_letter_error(py: Python<'_>, id: &str, text: &str) -> PyErr {
    raise(py, "WSEDeadLetterError", (id, text))
}

pub(crate) fn topic_error(py: Python<'_>, name: &str, error: &WireError) -> PyErr {
    raise(py, "WSETopicError", (name, error.message.as_str(), error.code.as_str()))
}
