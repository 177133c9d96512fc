//! From JSON text: one pass of simd-json to its tape, one pass over the tape.
use super::header::{Header, Scalar};
use super::{BATCH_LEVELS, Envelope, Received, is_batch, of_item};
use crate::{ErrorCode, Payload, WireError, tape, transcode::write_nodes};
use simd_json::{Node, StaticNode};
use std::{cell::RefCell, ops::Range, slice::Iter};

thread_local! {
    /// Where payloads are written, whose size is known at their end.
    static PACKED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn decode(frame: &mut [u8], depth: usize) -> Result<Box<Envelope>, WireError> {
    tape::parse(frame, depth, |tape| Ok(envelope(&tape.0)?.0))
}

pub(super) fn decode_received(frame: &mut [u8], depth: usize) -> Result<Received, WireError> {
    tape::parse(frame, depth + BATCH_LEVELS, |tape| {
        let (envelope, payload) = match envelope(&tape.0) {
            Err(_) if tape::is_deeper(&tape.0, depth) => return Err(tape::too_deep(depth)),
            read => read?,
        };
        let items = if is_batch(&envelope) { elements(&tape.0[payload.clone()]) } else { None };
        let Some(items) = items else {
            return if tape::is_deeper(&tape.0, depth) { Err(tape::too_deep(depth)) } else { Ok(Received { envelope, items: None }) };
        };
        let others = [&tape.0[1..payload.start], &tape.0[payload.end..]];
        let is_deeper = others.into_iter().any(|others| tape::is_deeper(others, depth.saturating_sub(1)));
        if is_deeper || items.iter().any(|item| tape::is_deeper(item, depth)) {
            return Err(tape::too_deep(depth));
        }
        let items = items.into_iter().map(|item| Ok(*self::envelope(item).map_err(of_item)?.0)).collect::<Result<_, _>>()?;
        Ok(Received { envelope, items: Some(items) })
    })
}

/// The elements of an array, each with all its nodes.
fn elements<'a, 't>(array: &'a [Node<'t>]) -> Option<Vec<&'a [Node<'t>]>> {
    let (Node::Array { len, .. }, mut rest) = array.split_first()? else { return None };
    let mut elements = Vec::with_capacity(*len);
    for _ in 0..*len {
        let (element, after) = rest.split_at_checked(size(rest.first()?))?;
        elements.push(element);
        rest = after;
    }
    Some(elements)
}

/// Nodes of the value that `node` begins.
fn size(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
        _ => 1,
    }
}

/// The envelope that these nodes are, and which of them are its payload.
fn envelope(all: &[Node<'_>]) -> Result<(Box<Envelope>, Range<usize>), WireError> {
    let mut nodes = all.iter();
    let Some(Node::Object { len, .. }) = nodes.next() else {
        return Err(WireError::new(ErrorCode::InvalidJson, "the frame is JSON but not an object"));
    };
    let (mut header, mut payload) = (Header::default(), None);
    for _ in 0..*len {
        match (nodes.next(), nodes.next()) {
            (Some(Node::String("p")), Some(node)) => {
                let start = all.len() - nodes.len() - 1;
                skip(*node, &mut nodes);
                if payload.replace(start..all.len() - nodes.len()).is_some() {
                    header.stands_twice("p");
                }
            }
            (Some(Node::String(key)), Some(node)) => {
                header.put(key, scalar(*node));
                skip(*node, &mut nodes);
            }
            _ => break, // a tape has what its lengths say
        }
    }
    let place = payload.unwrap_or_default();
    Ok((header.envelope(|| packed(&all[place.clone()]))?, place))
}

/// The payload that these nodes are; null where there are none.
fn packed(nodes: &[Node<'_>]) -> Payload {
    if nodes.is_empty() {
        return Payload::default();
    }
    PACKED.with_borrow_mut(|bytes| {
        write_nodes(nodes, bytes);
        let payload = Payload::of_checked(bytes);
        bytes.clear();
        bytes.shrink_to(tape::KEPT_BYTES);
        payload
    })
}

fn scalar<'a>(node: Node<'a>) -> Scalar<'a> {
    match node {
        Node::String(text) => Scalar::Text(text),
        Node::Static(StaticNode::U64(number)) => Scalar::Integer(number),
        Node::Static(StaticNode::I64(number)) => u64::try_from(number).map_or(Scalar::Other, Scalar::Integer),
        _ => Scalar::Other,
    }
}

/// Passes over the rest of the value that `node` begins.
fn skip(node: Node<'_>, nodes: &mut Iter<'_, Node<'_>>) {
    if let Node::Object { count, .. } | Node::Array { count, .. } = node
        && let Some(last) = count.checked_sub(1)
    {
        nodes.nth(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_payload_leaves_no_memory_to_the_thread() {
        let mut frame = format!(r#"{{"v":2,"t":"a","p":[{}1]}}"#, "0.5,".repeat(100_000)).into_bytes();
        assert_eq!(decode(&mut frame, 4).map(|envelope| envelope.payload.msgpack().len()), Ok(5 + 9 * 100_000 + 1));
        assert!(PACKED.with_borrow(Vec::capacity) <= tape::KEPT_BYTES);
    }
}
