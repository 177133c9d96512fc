//! The one error of this crate: what a peer did wrong, in a form that can be sent back to it.
use crate::ErrorCode;

/// A frame or name that breaks a rule of the wire. The peer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct WireError {
    /// The stable code to answer with.
    pub code: ErrorCode,
    /// One sentence for the developer of the peer.
    pub message: String,
    /// What the answer refers to: the frame's `cid`, else its `id`, where one could be read.
    pub cid: Option<Box<str>>,
}

impl WireError {
    /// An error that refers to no readable message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cid: None }
    }

    /// The same error, as an answer to `cid`.
    #[must_use]
    pub fn answering(mut self, cid: Option<Box<str>>) -> Self {
        self.cid = cid;
        self
    }
}
