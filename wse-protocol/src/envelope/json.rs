//! From JSON text: one pass of simd-json to its tape, one pass over the tape.
use super::Envelope;
use super::header::{Header, Scalar};
use crate::{ErrorCode, Value, WireError, tape};
use simd_json::{Node, StaticNode, Tape, owned::Object};
use std::slice::Iter;

pub(super) fn decode(frame: &mut [u8], depth: usize) -> Result<Envelope, WireError> {
    tape::parse(frame, depth, envelope)
}

fn envelope(tape: &Tape<'_>) -> Result<Envelope, WireError> {
    let mut nodes = tape.0.iter();
    let Some(Node::Object { len, .. }) = nodes.next() else {
        return Err(WireError::new(ErrorCode::InvalidJson, "the frame is JSON but not an object"));
    };
    let (mut header, mut payload) = (Header::default(), None);
    for _ in 0..*len {
        match (nodes.next(), nodes.next()) {
            (Some(Node::String("p")), Some(node)) => {
                if payload.replace(value(*node, &mut nodes)).is_some() {
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
    header.envelope(payload.unwrap_or_default())
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

/// The value that `node` begins. Recurses as deep as the tape, whose depth is checked. Of a key that stands twice the last value counts.
fn value(node: Node<'_>, nodes: &mut Iter<'_, Node<'_>>) -> Value {
    match node {
        Node::String(text) => Value::String(text.into()),
        Node::Static(node) => Value::Static(node),
        Node::Array { len, .. } => {
            let items = (0..len).map_while(|_| nodes.next().map(|node| value(*node, nodes)));
            Value::Array(Box::new(items.collect()))
        }
        Node::Object { len, .. } => {
            let mut object = Object::with_capacity_and_hasher(len, Default::default());
            for _ in 0..len {
                if let (Some(Node::String(key)), Some(node)) = (nodes.next(), nodes.next()) {
                    object.insert((*key).into(), value(*node, nodes));
                }
            }
            Value::Object(Box::new(object))
        }
    }
}
