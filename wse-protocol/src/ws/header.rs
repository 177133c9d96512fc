//! The header of a client's frame (RFC 6455, section 5.2), judged as early as its bytes allow.
use super::Violation;
use crate::frame::CONTROL_BYTES;

/// The longest header: two bytes, a length of 64 bits, the mask.
pub(super) const HEADER_BYTES: usize = 14;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Kind {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) fin: bool,
    pub(super) mask: [u8; 4],
    /// Bytes of payload; below 2^63.
    pub(super) len: u64,
}

impl Header {
    /// The header that `bytes` begin with, and how many of them it has; `None` while it is not whole.
    ///
    /// `is_within` tells whether a fragmented message has begun and not ended.
    pub(super) fn parse(bytes: &[u8], is_within: bool) -> Result<Option<(Self, usize)>, Violation> {
        let [first, after_first @ ..] = bytes else { return Ok(None) };
        let (kind, fin) = judge_first(*first, is_within)?;
        let [second, after_second @ ..] = after_first else { return Ok(None) };
        let short = judge_second(*second, kind)?;
        let Some((len, after_len)) = parse_len(short, after_second)? else { return Ok(None) };
        let Some(mask) = after_len.first_chunk() else { return Ok(None) };
        let used = bytes.len() - after_len.len() + mask.len();
        Ok(Some((Self { kind, fin, mask: *mask, len }, used)))
    }
}

fn judge_first(byte: u8, is_within: bool) -> Result<(Kind, bool), Violation> {
    if byte & 0x70 != 0 {
        return Err(Violation::ReservedBits);
    }
    let fin = byte & 0x80 != 0;
    let kind = match byte & 0x0F {
        0x0 if is_within => Kind::Continuation,
        0x0 => return Err(Violation::LoneContinuation),
        0x1 | 0x2 if is_within => return Err(Violation::Interleaved),
        0x1 => Kind::Text,
        0x2 => Kind::Binary,
        0x8 => Kind::Close,
        0x9 => Kind::Ping,
        0xA => Kind::Pong,
        _ => return Err(Violation::ReservedOpcode),
    };
    if kind.is_control() && !fin {
        return Err(Violation::FragmentedControl);
    }
    Ok((kind, fin))
}

/// Gives the seven bits of length.
fn judge_second(byte: u8, kind: Kind) -> Result<u8, Violation> {
    if byte & 0x80 == 0 {
        return Err(Violation::Unmasked);
    }
    let short = byte & 0x7F;
    if kind.is_control() && usize::from(short) > CONTROL_BYTES {
        return Err(Violation::LongControl);
    }
    Ok(short)
}

/// The length, and what follows it; `None` while it is not whole.
fn parse_len(short: u8, bytes: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    match short {
        126 => {
            let Some((long, rest)) = bytes.split_first_chunk() else { return Ok(None) };
            let len = u64::from(u16::from_be_bytes(*long));
            if len < 126 { Err(Violation::LengthForm) } else { Ok(Some((len, rest))) }
        }
        127 if bytes.first().is_some_and(|high| high & 0x80 != 0) => Err(Violation::LengthForm),
        127 => {
            let Some((long, rest)) = bytes.split_first_chunk() else { return Ok(None) };
            let len = u64::from_be_bytes(*long);
            if len <= u64::from(u16::MAX) { Err(Violation::LengthForm) } else { Ok(Some((len, rest))) }
        }
        short => Ok(Some((short.into(), bytes))),
    }
}

/// The part of a header that has arrived, when it arrives in parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    bytes: [u8; HEADER_BYTES],
    len: u8,
}

impl Head {
    pub(super) const EMPTY: Self = Self { bytes: [0; HEADER_BYTES], len: 0 };

    /// Takes a header's bytes from the front of `input`; without a whole header it has taken all.
    pub(super) fn read(&mut self, input: &mut &mut [u8], is_within: bool) -> Result<Option<Header>, Violation> {
        if self.len == 0
            && let Some((header, used)) = Header::parse(input, is_within)?
        {
            let _taken = input.split_off_mut(..used);
            return Ok(Some(header));
        }
        self.join(input, is_within)
    }

    fn join(&mut self, input: &mut &mut [u8], is_within: bool) -> Result<Option<Header>, Violation> {
        let kept = usize::from(self.len);
        let free = self.bytes.iter_mut().skip(kept);
        let joined = kept + free.zip(input.iter()).map(|(free, byte)| *free = *byte).count();
        let parsed = Header::parse(self.bytes.get(..joined).unwrap_or_default(), is_within)?;
        let used = parsed.map_or(joined, |(_, used)| used);
        let _taken = input.split_off_mut(..used.saturating_sub(kept));
        self.len = if parsed.is_some() { 0 } else { joined as u8 };
        Ok(parsed.map(|(header, _)| header))
    }
}
