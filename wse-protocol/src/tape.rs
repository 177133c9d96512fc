//! JSON that a peer sent, as simd-json's tape: parsed once, bounded in depth.
use crate::{ErrorCode, WireError};
use simd_json::{ErrorType, Node, Tape};

/// Parses one JSON value of at most `depth` levels; `text` is scratch afterwards (simd-json unescapes in place).
///
/// # Errors
/// `INVALID_JSON` or `TOO_DEEP`.
pub(crate) fn parse(text: &mut [u8], depth: usize) -> Result<Tape<'_>, WireError> {
    let tape = simd_json::to_tape(text).map_err(|e| not_json(&e, depth))?;
    if deeper_than(&tape, depth) { Err(too_deep(depth)) } else { Ok(tape) }
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

fn deeper_than(tape: &Tape<'_>, limit: usize) -> bool {
    let mut ends: Vec<usize> = Vec::with_capacity(limit + 1);
    for (index, node) in tape.0.iter().enumerate() {
        while ends.last().is_some_and(|end| *end < index) {
            ends.pop();
        }
        if let Node::Object { count, .. } | Node::Array { count, .. } = node {
            if ends.len() == limit {
                return true;
            }
            ends.push(index + count);
        }
    }
    false
}
