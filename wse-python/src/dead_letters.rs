//! Dead letters as Python's tuples.
use crate::convert::value_to_python;
use pyo3::{prelude::*, types::PyTuple};
use wse_pubsub::DeadLetter;

/// (id, time in milliseconds, attempts, user, type, message id, error, payload), as `_native.pyi` says.
pub(crate) fn tuple<'py>(py: Python<'py>, letter: &DeadLetter) -> PyResult<Bound<'py, PyTuple>> {
    // What was written as JSON is JSON; whatever else were there would be null.
    let value = simd_json::to_owned_value(&mut letter.payload.to_vec()).unwrap_or_default();
    let (user, message_id) = (letter.user.as_deref(), letter.message_id.as_deref());
    let payload = value_to_python(py, value)?;
    (&*letter.id, letter.at.0, letter.attempts, user, &*letter.event_type, message_id, &*letter.error, payload).into_pyobject(py)
}
