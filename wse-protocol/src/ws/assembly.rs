//! What a decoder holds of a message or control frame that has not come whole. Empty, it has nothing on the heap.
use super::header::Kind;
use super::{DecodeError, utf8};

/// The first allocation, if that much is to come; saves the steps of growth from a few bytes.
const FIRST_BYTES: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Binary,
}

#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// The unfinished message, and behind it the unfinished control frame or what was given out last.
    bytes: Vec<u8>,
    /// How many of `bytes` are the unfinished message's.
    message: u32,
    /// How many of the message's last bytes are a character not yet whole, if it is text.
    unchecked: u8,
    /// The unfinished message's format; `None` outside of messages.
    format: Option<Format>,
}

impl Assembly {
    /// Whether a message has begun and not ended.
    pub(super) fn is_within(&self) -> bool {
        self.format.is_some()
    }

    /// Bytes of the unfinished message.
    pub(super) fn message_len(&self) -> usize {
        self.message as usize
    }

    /// All bytes that are held.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Notes that a message begins, if that is what a frame of this kind means.
    pub(super) fn begin(&mut self, kind: Kind) {
        match kind {
            Kind::Text => self.format = Some(Format::Text),
            Kind::Binary => self.format = Some(Format::Binary),
            _ => {}
        }
    }

    /// Whether nothing is held that a frame of this kind would have to be put behind.
    pub(super) fn is_clear_for(&self, kind: Kind) -> bool {
        let before = if kind.is_control() { self.message_len() } else { 0 };
        self.bytes.len() == before
    }

    /// The message has come whole elsewhere: gives its kind, and checks its text.
    pub(super) fn pass(&mut self, kind: Kind, payload: &[u8]) -> Result<(), DecodeError> {
        if kind.is_control() {
            return Ok(());
        }
        self.format = None;
        if kind == Kind::Text { utf8::check(payload) } else { Ok(()) }
    }

    /// Puts unmasked bytes behind what is held. It will hold `bound` bytes at most, and need not grow beyond.
    pub(super) fn push(&mut self, kind: Kind, payload: &[u8], bound: usize) -> Result<(), DecodeError> {
        self.reserve(payload.len(), bound);
        self.bytes.extend_from_slice(payload);
        if kind.is_control() {
            return Ok(());
        }
        let unchecked = self.message_len() - usize::from(self.unchecked);
        self.message = self.bytes.len() as u32;
        if self.format == Some(Format::Text) {
            self.unchecked = utf8::check_beginning(self.bytes.get(unchecked..).unwrap_or_default())?;
        }
        Ok(())
    }

    fn reserve(&mut self, more: usize, bound: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let target = (2 * needed).max(FIRST_BYTES).min(bound).max(needed);
            self.bytes.reserve_exact(target - self.bytes.len());
        }
    }

    /// The last frame of the message, or the control frame, is whole: gives what it is. [`Assembly::given`] is its payload.
    pub(super) fn finish(&mut self, kind: Kind) -> Result<Kind, DecodeError> {
        if kind.is_control() {
            return Ok(kind);
        }
        let is_text = self.format.take() == Some(Format::Text);
        self.message = 0;
        match (is_text, std::mem::take(&mut self.unchecked)) {
            (true, 0) => Ok(Kind::Text),
            (true, _) => Err(DecodeError::InvalidUtf8),
            (false, _) => Ok(Kind::Binary),
        }
    }

    /// What [`Assembly::finish`] finished; it stays until [`Assembly::reclaim`].
    pub(super) fn given(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.message as usize..).unwrap_or_default()
    }

    /// Lets go of what was given out; without an unfinished message, of all memory.
    pub(super) fn reclaim(&mut self) {
        if self.message == 0 {
            self.bytes = Vec::new();
        } else {
            self.bytes.truncate(self.message_len());
        }
    }
}
