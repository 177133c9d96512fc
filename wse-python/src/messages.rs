//! `Messages` of `_native.pyi`: what a connection sent, made into Python objects one by one.
use crate::convert::payload_to_python;
use pyo3::{
    prelude::*,
    types::{PyString, PyTuple},
};
use std::vec::IntoIter;
use wse_protocol::envelope::Envelope;

/// An iterator, so that a message has its objects only while it is handled: a flood of them would keep the garbage collector busy.
#[pyclass]
#[derive(Debug)]
pub(crate) struct Messages {
    waiting: IntoIter<Box<Envelope>>,
    /// The type of the one before: most often the same.
    event_type: Option<Py<PyString>>,
}

impl Messages {
    #[expect(clippy::vec_box, reason = "as the engine hands messages over")]
    pub(crate) fn new(messages: Vec<Box<Envelope>>) -> Self {
        Self { waiting: messages.into_iter(), event_type: None }
    }

    fn named<'py>(&mut self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyString>> {
        if let Some(last) = &self.event_type
            && last.bind(py).to_str()? == name
        {
            return Ok(last.bind(py).clone());
        }
        let new = PyString::new(py, name);
        self.event_type = Some(new.clone().unbind());
        Ok(new)
    }
}

#[pymethods]
impl Messages {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(message) = self.waiting.next() else { return Ok(None) };
        let (name, payload) = (self.named(py, &message.event_type)?, payload_to_python(py, &message.payload)?);
        (name, payload, message.id.as_deref(), message.cid.as_deref()).into_pyobject(py).map(Some)
    }
}
