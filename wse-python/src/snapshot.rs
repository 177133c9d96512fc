//! `SnapshotCall` of `_native.pyi`: one question for a topic's state.
use crate::{convert::topic_error, publish::read_payload};
use pyo3::{exceptions::PyRuntimeError, prelude::*, pybacked::PyBackedBytes};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wse_server::{SnapshotCall as Native, TopicScope};

/// A call that has not been answered yet, or has.
#[pyclass(frozen)]
#[derive(Debug)]
pub(crate) struct SnapshotCall {
    #[pyo3(get)]
    topic: String,
    #[pyo3(get)]
    user: Option<String>,
    native: Mutex<Option<Native>>,
}

impl SnapshotCall {
    pub(crate) fn new(native: Native) -> Self {
        let (topic, user) = (native.topic().as_str().into(), native.user().map(Into::into));
        Self { topic, user, native: Mutex::new(Some(native)) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Native>> {
        self.native.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> PyResult<Native> {
        self.lock().take().ok_or_else(|| PyRuntimeError::new_err("the call was answered already"))
    }
}

#[pymethods]
impl SnapshotCall {
    #[getter]
    fn wanted(&self) -> bool {
        self.lock().as_ref().is_some_and(Native::is_wanted)
    }

    fn answer(&self, py: Python<'_>, payload: PyBackedBytes, format: Option<&str>) -> PyResult<()> {
        let (format, payload) = read_payload(py, "snapshot", payload, format)?;
        self.take()?.answer(format, payload);
        Ok(())
    }

    fn fail(&self, message: &str) -> PyResult<()> {
        self.take()?.fail(message);
        Ok(())
    }
}

/// `check_scope` of `_native.pyi`.
#[pyfunction]
pub(crate) fn check_scope(py: Python<'_>, name: &str) -> PyResult<()> {
    scope(py, name).map(drop)
}

pub(crate) fn scope(py: Python<'_>, name: &str) -> PyResult<TopicScope> {
    TopicScope::parse(name).map_err(|error| topic_error(py, name, &error))
}
