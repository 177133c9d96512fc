//! From MessagePack: one pass over the bytes.
use super::header::{Header, Scalar};
use super::{BATCH_LEVELS, Envelope, Received, is_batch, of_item};
use crate::msgpack::{Reader, Token};
use crate::{ErrorCode, Payload, WireError, tape::too_deep};

pub(super) fn decode(body: &[u8], depth: usize) -> Result<Box<Envelope>, WireError> {
    let mut values = Values { reader: Reader::new(body), limit: depth };
    let Token::Map(len) = values.reader.token()? else {
        return Err(WireError::new(ErrorCode::InvalidMsgpack, "the frame is MessagePack but not a map"));
    };
    let (header, payload) = values.envelope(len, depth)?;
    values.reader.end()?;
    header.envelope(|| packed(payload))
}

pub(super) fn decode_received(body: &[u8], depth: usize) -> Result<Received, WireError> {
    match decode(body, depth) {
        Ok(envelope) if !is_batch(&envelope) => return Ok(Received { envelope, items: None }),
        Err(error) if error.code != ErrorCode::TooDeep => return Err(error),
        _ => {}
    }
    let envelope = decode(body, depth + BATCH_LEVELS).map_err(|_| too_deep(depth))?;
    if !is_batch(&envelope) {
        return Err(too_deep(depth));
    }
    let items = Values { reader: Reader::new(body), limit: depth }.items(depth)?;
    Ok(Received { envelope, items: items.map(|items| items.into_iter().collect()).transpose()? })
}

struct Values<'a> {
    reader: Reader<'a>,
    /// The levels that a frame may have, for the sentence of an error.
    limit: usize,
}

/// What was read of an envelope, not judged yet: its header, and the bytes of its payload.
type Parts<'a> = (Header<'a>, Option<&'a [u8]>);

fn packed(payload: Option<&[u8]>) -> Payload {
    payload.map(Payload::of_checked).unwrap_or_default()
}

impl<'a> Values<'a> {
    /// The pairs of a map of `depth` levels that is an envelope.
    fn envelope(&mut self, len: usize, depth: usize) -> Result<Parts<'a>, WireError> {
        let (mut header, mut payload) = (Header::default(), None);
        let inner = self.inner(depth)?;
        for _ in 0..len {
            match self.reader.key()? {
                "p" => {
                    let before = self.reader.clone();
                    self.reader.skip(inner, self.limit)?;
                    if payload.replace(self.reader.since(&before)).is_some() {
                        header.stands_twice("p");
                    }
                }
                key => header.put(key, self.scalar(inner)?),
            }
        }
        Ok((header, payload))
    }

    /// The envelopes in the payload of a frame that was read before; none where that is no array.
    fn items(&mut self, depth: usize) -> Result<Option<Vec<Result<Envelope, WireError>>>, WireError> {
        let (inner, mut items) = (self.inner(depth)?, None);
        let Token::Map(len) = self.reader.token()? else { return Ok(None) };
        for _ in 0..len {
            let is_payload = self.reader.key()? == "p";
            match self.reader.token()? {
                Token::Array(len) if is_payload => items = Some((0..len).map(|_| self.item(depth)).collect::<Result<_, _>>()?),
                token => self.reader.skip_rest(token, inner, self.limit)?,
            }
        }
        Ok(items)
    }

    /// Its depth, then what its header says.
    fn item(&mut self, depth: usize) -> Result<Result<Envelope, WireError>, WireError> {
        match self.reader.token()? {
            Token::Map(len) => {
                self.envelope(len, depth).map(|(header, payload)| header.envelope(|| packed(payload)).map(|read| *read).map_err(of_item))
            }
            token => self
                .reader
                .skip_rest(token, depth, self.limit)
                .map(|()| Err(WireError::new(ErrorCode::InvalidMessage, "an item that is no envelope"))),
        }
    }

    /// A header's value; a container is read to its end.
    fn scalar(&mut self, depth: usize) -> Result<Scalar<'a>, WireError> {
        Ok(match self.reader.token()? {
            Token::Text(text) => Scalar::Text(text),
            Token::Unsigned(number) => Scalar::Integer(number),
            token => {
                self.reader.skip_rest(token, depth, self.limit)?;
                Scalar::Other
            }
        })
    }

    fn inner(&self, depth: usize) -> Result<usize, WireError> {
        depth.checked_sub(1).ok_or_else(|| too_deep(self.limit))
    }
}
