//! From MessagePack: one pass over the bytes.
use super::Envelope;
use super::header::{Header, Scalar};
use crate::msgpack::{Reader, Token};
use crate::{ErrorCode, Value, WireError, tape::too_deep};
use simd_json::{StaticNode, owned::Object};

/// Values that a container has room for from the start; a longer one grows as it is read, whatever its head claims.
const RESERVED: usize = 64;

pub(super) fn decode(body: &[u8], depth: usize) -> Result<Envelope, WireError> {
    let mut reader = Reader::new(body);
    let Token::Map(len) = reader.token()? else {
        return Err(WireError::new(ErrorCode::InvalidMsgpack, "the frame is MessagePack but not a map"));
    };
    let mut values = Values { reader, limit: depth };
    let (mut header, mut payload) = (Header::default(), None);
    let inner = depth.checked_sub(1).ok_or_else(|| too_deep(depth))?;
    for _ in 0..len {
        match values.reader.key()? {
            "p" => {
                if payload.replace(values.next(inner)?).is_some() {
                    header.stands_twice("p");
                }
            }
            key => header.put(key, values.scalar(inner)?),
        }
    }
    values.reader.end()?;
    header.envelope(payload.unwrap_or_default())
}

struct Values<'a> {
    reader: Reader<'a>,
    /// The levels that a frame may have, for the sentence of an error.
    limit: usize,
}

impl<'a> Values<'a> {
    /// A header's value; a container is read to its end.
    fn scalar(&mut self, depth: usize) -> Result<Scalar<'a>, WireError> {
        Ok(match self.reader.token()? {
            Token::Text(text) => Scalar::Text(text),
            Token::Unsigned(number) => Scalar::Integer(number),
            token => {
                self.value(token, depth)?;
                Scalar::Other
            }
        })
    }

    fn next(&mut self, depth: usize) -> Result<Value, WireError> {
        let token = self.reader.token()?;
        self.value(token, depth)
    }

    /// The value that `token` begins. Recurses at most `depth` deep. Of a key that stands twice the last value counts.
    fn value(&mut self, token: Token<'a>, depth: usize) -> Result<Value, WireError> {
        Ok(match token {
            Token::Nil => Value::default(),
            Token::Bool(value) => Value::Static(StaticNode::Bool(value)),
            Token::Unsigned(number) => Value::Static(StaticNode::U64(number)),
            Token::Negative(number) => Value::Static(StaticNode::I64(number)),
            Token::Float(number) => Value::Static(StaticNode::F64(number)),
            Token::Text(text) => Value::String(text.into()),
            Token::Array(len) => self.array(len, self.inner(depth)?)?,
            Token::Map(len) => self.map(len, self.inner(depth)?)?,
        })
    }

    fn inner(&self, depth: usize) -> Result<usize, WireError> {
        depth.checked_sub(1).ok_or_else(|| too_deep(self.limit))
    }

    fn array(&mut self, len: usize, depth: usize) -> Result<Value, WireError> {
        let mut items = Vec::with_capacity(len.min(RESERVED));
        for _ in 0..len {
            items.push(self.next(depth)?);
        }
        Ok(Value::Array(Box::new(items)))
    }

    fn map(&mut self, len: usize, depth: usize) -> Result<Value, WireError> {
        let mut object = Object::with_capacity_and_hasher(len.min(RESERVED), Default::default());
        for _ in 0..len {
            let key = self.reader.key()?;
            object.insert(key.into(), self.next(depth)?);
        }
        Ok(Value::Object(Box::new(object)))
    }
}
