//! One connection's place in its peer's byte stream.
use super::assembly::Assembly;
use super::header::{Head, Header, Kind};
use super::incoming::interpret;
use super::{DecodeError, Incoming, Limits, mask};
use crate::frame::CONTROL_BYTES;

/// Turns what a client sends after the handshake into messages and control frames.
///
/// It takes bytes as they were read, cut anywhere, and copies only what is not whole within one read: the end of a message whose rest is to
/// come, and the fragments of a fragmented message. Between messages it has nothing on the heap; inline it has 56 bytes.
///
/// Everything is judged as early as the bytes allow: a header by its first bytes, a length before any payload, text as it arrives.
#[derive(Debug)]
pub struct Decoder {
    assembly: Assembly,
    stage: Stage,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Within a header, or between frames.
    Head(Head),
    Body(Body),
    /// After a close or an error.
    Ended,
}

/// A frame whose payload is to come.
#[derive(Debug, Clone, Copy)]
struct Body {
    kind: Kind,
    fin: bool,
    /// Turned so that it begins with the mask of the next byte.
    mask: [u8; 4],
    /// Bytes to come.
    left: u32,
}

/// Something whole, unmasked and checked.
struct Whole<'b> {
    kind: Kind,
    /// Where it lies, if not in the assembly.
    in_place: Option<&'b mut [u8]>,
}

/// What the bytes so far made of a frame.
enum Progress<'b> {
    Whole(Whole<'b>),
    /// On to the next frame: this one was a fragment.
    Fragment,
    /// No bytes are left.
    Starved,
}

impl Decoder {
    /// A decoder for a connection whose handshake is done and of which nothing else was read.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { assembly: Assembly::default(), stage: Stage::Head(Head::EMPTY), limits }
    }

    /// The next message or control frame that the bytes complete, taking its bytes from the front of `input`; `None` when they complete
    /// nothing more. Then all of `input` is taken, and what it holds of an unfinished frame is kept.
    ///
    /// Call it until it gives `None`, then read more. Whoever stops before that, to hold the peer back, must keep `input`, which is what
    /// remains of the read, and bring it first the next time. Bytes given out from the decoder's own memory are released by the next call.
    /// Payloads are unmasked within `input`, so the bytes that it has taken are spoilt.
    ///
    /// Control frames come between the fragments of a message, as they were sent. After a close or an error all input is discarded and
    /// every call gives `None`.
    ///
    /// # Errors
    /// What the peer did wrong; it is the last word on this connection.
    pub fn decode<'a, 'b: 'a>(&'a mut self, input: &mut &'b mut [u8]) -> Result<Option<Incoming<'a>>, DecodeError> {
        if !matches!(self.stage, Stage::Body(_)) {
            self.assembly.reclaim();
        }
        let whole = match self.advance(input) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.end();
                return Err(error);
            }
        };
        if whole.kind == Kind::Close {
            self.stage = Stage::Ended;
        }
        interpret(whole.kind, whole.in_place.unwrap_or_else(|| self.assembly.given())).map(Some)
    }

    /// Bytes that it has on the heap: at most the message limit and 125, and nothing between messages.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.assembly.heap_bytes()
    }

    fn end(&mut self) {
        self.assembly = Assembly::default();
        self.stage = Stage::Ended;
    }

    fn advance<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Whole<'b>>, DecodeError> {
        loop {
            let body = match &mut self.stage {
                Stage::Head(head) => match head.read(input, self.assembly.is_within())? {
                    Some(header) => self.admit(header)?,
                    None => return Ok(None),
                },
                Stage::Body(body) => *body,
                Stage::Ended => {
                    *input = &mut [];
                    return Ok(None);
                }
            };
            match self.take(body, input)? {
                Progress::Whole(whole) => return Ok(Some(whole)),
                Progress::Fragment => {}
                Progress::Starved => return Ok(None),
            }
        }
    }

    /// Holds a frame to the limit before its payload is there.
    fn admit(&mut self, header: Header) -> Result<Body, DecodeError> {
        let Header { kind, fin, mask, len } = header;
        let limit = self.limits.max_message_bytes();
        let room = if kind.is_control() { CONTROL_BYTES } else { limit - self.assembly.message_len() };
        match u32::try_from(len) {
            Ok(left) if left as usize <= room => {
                self.assembly.begin(kind);
                Ok(Body { kind, fin, mask, left })
            }
            _ => Err(DecodeError::TooLarge { limit }),
        }
    }

    /// Takes what there is of the payload.
    fn take<'b>(&mut self, body: Body, input: &mut &'b mut [u8]) -> Result<Progress<'b>, DecodeError> {
        let len = input.len().min(body.left as usize);
        let payload = input.split_off_mut(..len).unwrap_or_default();
        mask::apply(body.mask, payload);
        let is_last = len == body.left as usize;
        if is_last && body.fin && self.assembly.is_clear_for(body.kind) && body.kind != Kind::Continuation {
            self.stage = Stage::Head(Head::EMPTY);
            self.assembly.pass(body.kind, payload)?;
            return Ok(Progress::Whole(Whole { kind: body.kind, in_place: Some(payload) }));
        }
        self.keep(body, payload)?;
        if !is_last {
            return Ok(Progress::Starved);
        }
        self.stage = Stage::Head(Head::EMPTY);
        if !body.fin {
            return Ok(Progress::Fragment);
        }
        let kind = self.assembly.finish(body.kind)?;
        Ok(Progress::Whole(Whole { kind, in_place: None }))
    }

    /// Copies a part of a payload, or a fragment.
    fn keep(&mut self, mut body: Body, payload: &[u8]) -> Result<(), DecodeError> {
        let bound = match body.fin {
            true => self.assembly.len() + body.left as usize,
            false => self.limits.max_message_bytes() + CONTROL_BYTES,
        };
        self.assembly.push(body.kind, payload, bound)?;
        body.mask.rotate_left(payload.len() % 4);
        body.left -= payload.len() as u32;
        self.stage = Stage::Body(body);
        Ok(())
    }
}
