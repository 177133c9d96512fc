//! A payload from one format into the other.
use crate::msgpack::{Reader, Token};
use crate::{Format, WireError, check::PAYLOAD_DEPTH as DEPTH, tape};
use serde::Serialize;
use simd_json::{Node, StaticNode};

/// Why writing to a `Vec` is not handled.
const FITS: &str = "a Vec takes every write";

/// Appends the value in `bytes`, written in the format `from`, in the format `to`. Within one format the bytes are copied unread.
/// Integers of JSON stay integers from -2^63 to 2^64-1 and are doubles beyond. Levels are bounded by `nesting_depth` less one.
///
/// # Errors
/// `INVALID_JSON` or `INVALID_MSGPACK` when the bytes are not one value of their format, and `TOO_DEEP`. What was appended until then
/// is taken back.
pub fn transcode(from: Format, to: Format, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let start = out.len();
    let done = match (from, to) {
        (Format::Json, Format::Msgpack) => json_to_msgpack(bytes, out),
        (Format::Msgpack, Format::Json) => msgpack_to_json(bytes, out),
        _ => {
            out.extend_from_slice(bytes);
            Ok(())
        }
    };
    if done.is_err() {
        out.truncate(start);
    }
    done
}

fn json_to_msgpack(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut scratch = bytes.to_vec();
    tape::parse(&mut scratch, DEPTH, |tape| {
        write_nodes(&tape.0, out);
        Ok(())
    })
}

/// Nodes stand in the order of MessagePack, heads first.
pub(crate) fn write_nodes(nodes: &[Node<'_>], out: &mut Vec<u8>) {
    use rmp::encode::{write_array_len, write_bool, write_f64, write_map_len, write_nil, write_sint, write_str, write_uint};
    let wide = |len: usize| u32::try_from(len).unwrap_or(u32::MAX); // simd-json takes less than 4 GiB
    for node in nodes {
        match *node {
            Node::String(text) => write_str(out, text).expect(FITS),
            Node::Object { len, .. } => drop(write_map_len(out, wide(len)).expect(FITS)),
            Node::Array { len, .. } => drop(write_array_len(out, wide(len)).expect(FITS)),
            Node::Static(StaticNode::Null) => write_nil(out).expect(FITS),
            Node::Static(StaticNode::Bool(value)) => write_bool(out, value).expect(FITS),
            Node::Static(StaticNode::I64(number)) => drop(write_sint(out, number).expect(FITS)),
            Node::Static(StaticNode::U64(number)) => drop(write_uint(out, number).expect(FITS)),
            Node::Static(StaticNode::F64(number)) => write_f64(out, number).expect(FITS),
        }
    }
}

fn msgpack_to_json(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut reader = Reader::new(bytes);
    write_value(&mut reader, out, DEPTH)?;
    reader.end()
}

/// Recurses at most `depth` deep.
fn write_value(reader: &mut Reader<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), WireError> {
    match reader.token()? {
        Token::Nil => out.extend_from_slice(b"null"),
        Token::Bool(value) => json(out, &value),
        Token::Unsigned(number) => json(out, &number),
        Token::Negative(number) => json(out, &number),
        Token::Float(number) => json(out, &number),
        Token::Text(text) => json(out, text),
        Token::Array(len) => {
            let inner = depth.checked_sub(1).ok_or_else(|| tape::too_deep(DEPTH))?;
            out.push(b'[');
            for index in 0..len {
                comma(out, index);
                write_value(reader, out, inner)?;
            }
            out.push(b']');
        }
        Token::Map(len) => {
            let inner = depth.checked_sub(1).ok_or_else(|| tape::too_deep(DEPTH))?;
            out.push(b'{');
            for index in 0..len {
                comma(out, index);
                json(out, reader.key()?);
                out.push(b':');
                write_value(reader, out, inner)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn comma(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

fn json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value).expect(FITS);
}
