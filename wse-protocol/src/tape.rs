//! JSON that a peer sent, as simd-json's tape: parsed once, bounded in depth, in memory that the thread keeps.
use crate::{ErrorCode, WireError};
use simd_json::{Buffers, ErrorType, Node, Tape};
use std::cell::RefCell;

/// Text up to this leaves its memory to the next one: what a thread keeps is below 2 MiB.
pub(crate) const KEPT_BYTES: usize = 32 * 1024;

thread_local! {
    /// Taking it from the heap for every message costs more than parsing one of 128 bytes.
    static KEPT: RefCell<Option<Box<Scratch>>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Scratch {
    buffers: Buffers,
    tape: Option<Tape<'static>>,
    ends: Vec<usize>,
}

/// Parses one JSON value of at most `depth` levels and has `read` look at it; `text` is scratch afterwards (simd-json unescapes in
/// place).
///
/// # Errors
/// `INVALID_JSON` or `TOO_DEEP`, and those of `read`.
pub(crate) fn parse<T>(text: &mut [u8], depth: usize, read: impl FnOnce(&Tape<'_>) -> Result<T, WireError>) -> Result<T, WireError> {
    let keep = text.len() <= KEPT_BYTES;
    // Taken out, so that a reader may parse too.
    let mut scratch = KEPT.with(|kept| kept.take()).unwrap_or_default();
    let mut tape = scratch.tape.take().unwrap_or_else(Tape::null).reset();
    let checked = match simd_json::fill_tape(text, &mut scratch.buffers, &mut tape) {
        Err(error) => Err(not_json(&error, depth)),
        Ok(()) if deeper_than(&tape.0, depth, &mut scratch.ends) => Err(too_deep(depth)),
        Ok(()) => Ok(()),
    };
    // What is not kept is gone before the reader takes memory of its own.
    let kept = keep.then_some(scratch);
    let outcome = checked.and_then(|()| read(&tape));
    if let Some(mut scratch) = kept {
        scratch.tape = Some(tape.reset());
        KEPT.with(|kept| kept.replace(Some(scratch)));
    }
    outcome
}

/// The error of a value with more levels than `depth`.
pub(crate) fn too_deep(depth: usize) -> WireError {
    WireError::new(ErrorCode::TooDeep, format!("nested deeper than {depth} levels"))
}

fn not_json(error: &simd_json::Error, depth: usize) -> WireError {
    match error.error() {
        // The parser's own limit, 1,024 levels, is above ours.
        ErrorType::DepthLimitExceeded => too_deep(depth),
        _ => WireError::new(ErrorCode::InvalidJson, format!("not JSON: {error}")),
    }
}

/// Whether one of these values, which follow one another, has more levels than `limit`.
pub(crate) fn is_deeper(nodes: &[Node<'_>], limit: usize) -> bool {
    deeper_than(nodes, limit, &mut Vec::new())
}

fn deeper_than(nodes: &[Node<'_>], limit: usize, ends: &mut Vec<usize>) -> bool {
    ends.clear();
    for (index, node) in nodes.iter().enumerate() {
        if let Node::Object { count, .. } | Node::Array { count, .. } = node {
            while ends.last().is_some_and(|end| *end < index) {
                ends.pop();
            }
            if ends.len() == limit {
                return true;
            }
            ends.push(index + count);
        }
    }
    false
}
