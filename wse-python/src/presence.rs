//! Who is in a topic, as Python is told: `presence` of `_native.pyi`.
use crate::convert::{bus_error, topic_error, value_to_python};
use pyo3::{prelude::*, types::PyTuple};
use wse_protocol::{Member, Topic};
use wse_server::{Engine, PresenceError};

/// Asks the engine about a topic, without the GIL.
pub(crate) fn ask<T: Send, F>(py: Python<'_>, engine: &Engine, name: &str, ask: impl FnOnce(Engine, Topic) -> F + Send) -> PyResult<T>
where
    F: Future<Output = Result<T, PresenceError>>,
{
    let topic = Topic::parse(name).map_err(|error| topic_error(py, name, &error))?;
    let asked = py.detach(|| engine.runtime().block_on(ask(engine.clone(), topic)));
    asked.map_err(|error| match error {
        PresenceError::Bus(error) => bus_error(py, &error),
        PresenceError::Topic(error) => topic_error(py, name, &error),
        error => pyo3::exceptions::PyRuntimeError::new_err(error.to_string()),
    })
}

/// (id, user, data).
pub(crate) fn tuple<'py>(py: Python<'py>, member: &Member) -> PyResult<Bound<'py, PyTuple>> {
    // What was written as JSON is JSON; whatever else were there would be null.
    let value = simd_json::to_owned_value(&mut member.data.to_vec()).unwrap_or_default();
    (member.id.as_str(), member.user.as_deref(), value_to_python(py, value)?).into_pyobject(py)
}
