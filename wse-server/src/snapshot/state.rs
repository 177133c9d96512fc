//! The state of a topic as the application gave it, and its frames, each made once for all who get the same.
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use wse_core::{Prepared, Variant, Wire, filter::Filter};
use wse_protocol::{ErrorCode, Format, Payload, Position, Seq, Topic, Value, WireError, encode, prelude::*};

/// Different frames of one state that are kept; the ones beyond are made for each client that needs one.
const FRAMES: usize = 64;

/// One answer of the application.
#[derive(Debug)]
pub(crate) struct State {
    topic: Topic,
    /// It is at least as new as this.
    pub(crate) position: Position,
    format: Format,
    payload: Bytes,
    frames: Mutex<Vec<(Wanted, Prepared)>>,
}

/// What tells frames of one state apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The position that the client is told: the state's own, or an earlier one.
    pub(crate) at: Seq,
    /// What of the rows the client gets.
    pub(crate) filter: Option<Arc<Filter>>,
    /// The filter is, or has in it, one that nobody may go round: the state has to be rows.
    pub(crate) forced: bool,
    pub(crate) variant: Variant,
}

impl State {
    pub(super) fn new(topic: Topic, position: Position, format: Format, payload: Bytes) -> Self {
        Self { topic, position, format, payload, frames: Mutex::default() }
    }

    /// The frame for a client.
    pub(crate) fn frame(&self, wire: &mut Wire, wanted: Wanted) -> Result<Prepared, WireError> {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = frames.iter().find(|(known, _)| *known == wanted) {
            return Ok(known.clone());
        }
        let made = self.encode(wire, &wanted)?;
        if frames.len() < FRAMES {
            frames.push((wanted, made.clone()));
        }
        Ok(made)
    }

    fn encode(&self, wire: &mut Wire, wanted: &Wanted) -> Result<Prepared, WireError> {
        let rows = wanted.filter.as_ref().map(|filter| self.rows(filter, wanted.forced)).transpose()?.flatten();
        let (format, payload) = rows.as_deref().map_or((self.format, &self.payload[..]), |rows| (Format::Json, rows));
        let at = Position { epoch: self.position.epoch.clone(), seq: wanted.at };
        let mut body = Vec::new();
        encode::snapshot(&mut body, wanted.variant.format, &self.topic, &at, format, payload).map_err(|error| self.unreadable(&error))?;
        Ok(wire.own(wanted.variant, &body))
    }

    /// The rows that pass, as JSON; none where the state is no list, and need not be.
    fn rows(&self, filter: &Filter, forced: bool) -> Result<Option<Vec<u8>>, WireError> {
        let state = Payload::new(self.format, &self.payload).map_err(|error| self.unreadable(&error))?;
        match state.value() {
            Value::Array(mut rows) => {
                rows.retain(|row| filter.matches(row));
                Ok(Some(Value::Array(rows).encode().into_bytes()))
            }
            _ if !forced => Ok(None),
            _ => {
                tracing::error!(topic = %self.topic, "a topic with a forced filter needs a snapshot of rows: return a list, each item a payload");
                let text = format!("{} has a forced filter, so its snapshot has to be a list of rows", self.topic);
                Err(WireError::new(ErrorCode::SnapshotFailed, text))
            }
        }
    }

    fn unreadable(&self, error: &WireError) -> WireError {
        tracing::error!(topic = %self.topic, %error, "a snapshot is not what its format says");
        WireError::new(ErrorCode::SnapshotFailed, "the snapshot cannot be read; the server's log says why")
    }
}
