//! Values between the two languages: payloads as Python objects, and errors as exceptions.
use pyo3::{
    exceptions::PyRuntimeError,
    intern,
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyList, PyString},
};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use wse_protocol::{Payload, Value, WireError};
use wse_pubsub::BusError;
use wse_server::StartError;

/// A payload as `json.loads` would give it. Its depth is bounded by the decoder.
pub(crate) fn payload_to_python<'py>(py: Python<'py>, payload: &Payload) -> PyResult<Bound<'py, PyAny>> {
    // Only Python can fail here, of memory.
    payload.deserialize(Objects(py)).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

/// A value that is no message's payload, as Python objects.
pub(crate) fn value_to_python(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    Objects(py).deserialize(value).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}

/// Makes Python objects of whatever comes.
#[derive(Clone, Copy)]
struct Objects<'py>(Python<'py>);

impl<'de, 'py> DeserializeSeed<'de> for Objects<'py> {
    type Value = Bound<'py, PyAny>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'py> Visitor<'de> for Objects<'py> {
    type Value = Bound<'py, PyAny>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON's types")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(self.0.None().into_bound(self.0))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(PyBool::new(self.0, value).to_owned().into_any())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        value.into_pyobject(self.0).map(Bound::into_any).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        value.into_pyobject(self.0).map(Bound::into_any).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(PyFloat::new(self.0, value).into_any())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(PyString::new(self.0, value).into_any())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        let list = PyList::empty(self.0);
        while let Some(value) = values.next_element_seed(self)? {
            list.append(value).map_err(A::Error::custom)?;
        }
        Ok(list.into_any())
    }

    /// Of a key that stands twice the last value counts.
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let dict = PyDict::new(self.0);
        while let Some((key, value)) = fields.next_entry_seed(self, self)? {
            dict.set_item(key, value).map_err(A::Error::custom)?;
        }
        Ok(dict.into_any())
    }
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
