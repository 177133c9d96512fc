//! zlib (RFC 1950), both ways: compressing what gains by it, and inflating what a peer sent without trusting it.
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use wse_protocol::{ErrorCode, defaults};

/// A compressed frame has a tag of two bytes that a plain one has not.
const TAG: usize = 2;

/// What a compressed message may inflate to ([P-17]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InflateLimits {
    /// Bytes of one message; default 1 MiB, what a server takes.
    pub bytes: usize,
    /// Times its compressed size; default 200. zlib reaches 1,032 on one repeated byte; no text of ours comes near 200.
    pub ratio: usize,
    /// Bytes that any message may inflate to, whatever the ratio; default 64 KiB.
    pub free: usize,
}

impl Default for InflateLimits {
    fn default() -> Self {
        Self {
            bytes: defaults::MESSAGE_BYTES as usize,
            ratio: defaults::INFLATE_RATIO as usize,
            free: defaults::INFLATE_RATIO_FROM_BYTES as usize,
        }
    }
}

impl InflateLimits {
    /// The most that `compressed` bytes may become.
    fn most(&self, compressed: usize) -> usize {
        self.bytes.min(self.free.max(self.ratio.saturating_mul(compressed)))
    }
}

/// How a [`Compressor`] works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressorConfig {
    /// Messages below this many bytes stay as they are; default 1,024.
    pub from_bytes: usize,
    /// zlib's level, 1 (fast) to 9 (small); default 6.
    pub level: u32,
    /// What receivers accept, by default up to 16 MiB: what would inflate to more is not compressed.
    pub limits: InflateLimits,
}

impl Default for CompressorConfig {
    fn default() -> Self {
        let (from_bytes, level) = (defaults::COMPRESSION_FROM_BYTES as usize, defaults::COMPRESSION_LEVEL as u32);
        let limits = InflateLimits { bytes: defaults::INFLATE_BYTES as usize, ..InflateLimits::default() };
        Self { from_bytes, level, limits }
    }
}

/// What a [`Compressor`] or an [`Inflater`] has done so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CompressionCounts {
    /// Messages compressed, or inflated.
    pub messages: u64,
    /// Their bytes before.
    pub bytes_in: u64,
    /// Their bytes after.
    pub bytes_out: u64,
    /// Messages left plain (below the threshold, not smaller, or beyond what receivers accept), or refused.
    pub skipped: u64,
}

impl CompressionCounts {
    fn count(&mut self, bytes_in: usize, bytes_out: usize) {
        self.messages += 1;
        self.bytes_in += bytes_in as u64;
        self.bytes_out += bytes_out as u64;
    }
}

/// Compresses one message after the other, each on its own. Some 260 KiB of state, made once: one per shard, not per connection.
///
/// ```
/// use wse_core::{Compressor, CompressorConfig, InflateLimits, Inflater};
///
/// let message = br#"{"price": 1.50}"#.repeat(100);
/// let mut out = Vec::new();
/// assert!(Compressor::new(CompressorConfig::default()).compress(&message, &mut out));
/// assert_eq!(Inflater::new(InflateLimits::default()).inflate(&out), Ok(message));
/// ```
#[derive(Debug)]
pub struct Compressor {
    config: CompressorConfig,
    state: Compress,
    counts: CompressionCounts,
}

impl Compressor {
    /// A compressor; levels above 9 count as 9.
    #[must_use]
    pub fn new(config: CompressorConfig) -> Self {
        let state = Compress::new(Compression::new(config.level.min(9)), true);
        Self { config, state, counts: CompressionCounts::default() }
    }

    /// Appends the zlib stream of `message` to `out`; `false` if it is better left plain, and then `out` is as it was.
    #[must_use = "what is left plain is not in `out`"]
    pub fn compress(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let before = out.len();
        let done = message.len() >= self.config.from_bytes && self.deflate(message, out);
        let size = out.len() - before;
        if done && message.len() <= self.config.limits.most(size) {
            self.counts.count(message.len(), size);
            return true;
        }
        out.truncate(before);
        self.counts.skipped += 1;
        false
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> CompressionCounts {
        self.counts
    }

    /// Whether the stream, with the tag, is smaller than the message. `out` has garbage at its end if not.
    fn deflate(&mut self, message: &[u8], out: &mut Vec<u8>) -> bool {
        let (before, room) = (out.len(), message.len().saturating_sub(TAG + 1));
        out.resize(before + room, 0);
        self.state.reset();
        let ended = self.state.compress(message, &mut out[before..], FlushCompress::Finish);
        out.truncate(before + usize::try_from(self.state.total_out()).unwrap_or(room).min(room));
        matches!(ended, Ok(Status::StreamEnd))
    }
}

/// Why a compressed message was refused: the peer's fault each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// It is no zlib stream, or its checksum is wrong.
    #[error("the compressed message is no valid zlib stream")]
    Corrupt,
    /// The stream does not end.
    #[error("the compressed message is cut off")]
    Truncated,
    /// Bytes follow the stream's end.
    #[error("the compressed message goes on after its end")]
    Trailing,
    /// It would inflate to more than a message may have.
    #[error("the compressed message inflates to more than {limit} bytes")]
    TooLarge {
        /// Bytes of a message.
        limit: usize,
    },
    /// It would inflate to more than its own size allows.
    #[error("the compressed message inflates to more than {ratio} times its size")]
    Ratio {
        /// Times its size.
        ratio: usize,
    },
}

impl InflateError {
    /// The code that the peer is told ([P-17]).
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::Corrupt | Self::Truncated | Self::Trailing => ErrorCode::InvalidCompression,
            Self::TooLarge { .. } | Self::Ratio { .. } => ErrorCode::InflateLimit,
        }
    }
}

/// Inflates one message after the other. Some 40 KiB of state, made once: one per shard, not per connection.
///
/// Never holds more than the limits allow and one byte: what would be larger is refused when the limit is reached.
#[derive(Debug)]
pub struct Inflater {
    limits: InflateLimits,
    state: Decompress,
    counts: CompressionCounts,
}

impl Inflater {
    /// An inflater with these limits.
    #[must_use]
    pub fn new(limits: InflateLimits) -> Self {
        Self { limits, state: Decompress::new(true), counts: CompressionCounts::default() }
    }

    /// The message of exactly one zlib stream.
    ///
    /// # Errors
    /// The [`InflateError`] that says what is wrong with it.
    pub fn inflate(&mut self, compressed: &[u8]) -> Result<Vec<u8>, InflateError> {
        self.state.reset(true);
        let inflated = self.inflate_whole(compressed);
        match &inflated {
            Ok(message) => self.counts.count(compressed.len(), message.len()),
            Err(_) => self.counts.skipped += 1,
        }
        inflated
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> CompressionCounts {
        self.counts
    }

    fn inflate_whole(&mut self, compressed: &[u8]) -> Result<Vec<u8>, InflateError> {
        let most = self.limits.most(compressed.len());
        let mut out = Vec::new();
        loop {
            // One byte more than allowed, to see whether the stream ends within it.
            let room = (out.len().max(4 * compressed.len()).max(512)).min(most.saturating_add(1) - out.len());
            out.reserve_exact(room);
            let rest = compressed.get(self.consumed()..).unwrap_or_default();
            let status = self.state.decompress_vec(rest, &mut out, FlushDecompress::None).map_err(|_| InflateError::Corrupt)?;
            if out.len() > most {
                return Err(self.beyond(most));
            }
            match status {
                Status::StreamEnd if self.consumed() == compressed.len() => return Ok(out),
                Status::StreamEnd => return Err(InflateError::Trailing),
                _ if out.len() < out.capacity() => return Err(InflateError::Truncated),
                _ => {}
            }
        }
    }

    fn consumed(&self) -> usize {
        usize::try_from(self.state.total_in()).unwrap_or(usize::MAX)
    }

    fn beyond(&self, most: usize) -> InflateError {
        if most == self.limits.bytes { InflateError::TooLarge { limit: most } } else { InflateError::Ratio { ratio: self.limits.ratio } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// zlib.compress(b"WSE" * 10, 6) as CPython 3 with zlib 1.2 makes it.
    const FOREIGN: &[u8] = &[120, 156, 11, 15, 118, 13, 199, 141, 0, 145, 135, 9, 87];

    fn inflater(bytes: usize) -> Inflater {
        Inflater::new(InflateLimits { bytes, ..InflateLimits::default() })
    }

    /// Without the limits: what an attacker sends.
    fn raw(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + 1024);
        let mut state = Compress::new(Compression::best(), true);
        assert!(matches!(state.compress_vec(message, &mut out, FlushCompress::Finish), Ok(Status::StreamEnd)));
        out
    }

    #[test]
    fn a_message_below_the_threshold_or_without_gain_stays_plain() {
        let mut compressor = Compressor::new(CompressorConfig::default());
        let mut out = b"C:".to_vec();
        assert!(!compressor.compress(&[b'a'; 1023], &mut out));
        let mut state = 1u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        let noise: Vec<u8> = noise.take(4000).collect();
        assert!(!compressor.compress(&noise, &mut out));
        assert_eq!(out, b"C:", "nothing is left behind");
        assert!(compressor.compress(&[b'a'; 1024], &mut out) && out.starts_with(b"C:\x78"));
        assert_eq!(compressor.counts(), CompressionCounts { messages: 1, bytes_in: 1024, bytes_out: out.len() as u64 - 2, skipped: 2 });
    }

    #[test]
    fn what_receivers_would_refuse_for_its_ratio_stays_plain() {
        let mut compressor = Compressor::new(CompressorConfig::default());
        let mut out = Vec::new();
        assert!(compressor.compress(&[b'a'; 64 * 1024], &mut out), "free up to 64 KiB");
        assert_eq!(inflater(1 << 20).inflate(&out).map(|m| m.len()), Ok(64 * 1024));
        assert!(!compressor.compress(&[b'a'; 512 * 1024], &mut out));
        let many = b"abcdefghijklmnopqrstuvwxyz0123456789".repeat(1 << 19); // 18 MiB
        assert!(!compressor.compress(&many, &mut out), "larger than any message may be");
    }

    #[test]
    fn another_librarys_stream_is_read() {
        assert_eq!(inflater(100).inflate(FOREIGN), Ok(b"WSE".repeat(10)));
    }

    #[test]
    fn each_fault_of_a_stream_has_its_error_and_the_next_message_is_read() {
        let mut inflater = inflater(1 << 20);
        let (mut flipped, mut trailing) = (FOREIGN.to_vec(), FOREIGN.to_vec());
        flipped[12] ^= 1;
        trailing.push(0);
        let cases: [(&[u8], InflateError); 6] = [
            (b"", InflateError::Truncated),
            (b"no zlib", InflateError::Corrupt),
            (&flipped, InflateError::Corrupt),
            (&FOREIGN[..12], InflateError::Truncated),
            (&trailing, InflateError::Trailing),
            (&[FOREIGN, FOREIGN].concat(), InflateError::Trailing),
        ];
        for (stream, error) in cases {
            assert_eq!(inflater.inflate(stream), Err(error), "{stream:?}");
            assert!(inflater.inflate(FOREIGN).is_ok());
        }
        assert_eq!(inflater.counts(), CompressionCounts { messages: 6, bytes_in: 78, bytes_out: 180, skipped: 6 });
    }

    #[test]
    fn the_size_limit_is_exact() {
        let stream = raw(&[b'a'; 1000]);
        assert_eq!(inflater(1000).inflate(&stream).map(|m| m.len()), Ok(1000));
        assert_eq!(inflater(999).inflate(&stream), Err(InflateError::TooLarge { limit: 999 }));
        assert_eq!(inflater(0).inflate(&raw(b"")), Ok(vec![]));
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_held() {
        let bomb = raw(&vec![0; 16 << 20]);
        assert_eq!(inflater(1 << 20).inflate(&bomb), Err(InflateError::TooLarge { limit: 1 << 20 }));
        let small = raw(&vec![0; 1 << 19]);
        assert_eq!(inflater(1 << 20).inflate(&small), Err(InflateError::Ratio { ratio: 200 }));
        // Bytes behind the stream raise what the ratio allows, but then they are trailing.
        let padded = [small.as_slice(), &[0; 4096]].concat();
        assert_eq!(inflater(1 << 20).inflate(&padded), Err(InflateError::Trailing));
    }

    proptest! {
        #[test]
        fn whatever_is_compressed_is_smaller_and_every_receiver_gets_it_back(
            unit in proptest::collection::vec(any::<u8>(), 1..300), times in 1usize..400, level in 0u32..12,
        ) {
            let message = unit.repeat(times);
            let mut compressor = Compressor::new(CompressorConfig { level, from_bytes: 0, ..CompressorConfig::default() });
            let mut out = Vec::new();
            if compressor.compress(&message, &mut out) {
                prop_assert!(out.len() + TAG < message.len());
                prop_assert_eq!(inflater(1 << 20).inflate(&out), Ok(message));
            } else {
                prop_assert!(out.is_empty());
            }
        }

        #[test]
        fn no_bytes_make_it_panic_or_pass_its_limit(stream in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..20, flip in 0usize..13) {
            let mut inflater = inflater(100);
            let mut damaged = FOREIGN.to_vec();
            damaged[flip] ^= 1 << (cut % 8);
            damaged.truncate(cut);
            damaged.extend(&stream);
            for bytes in [&stream, &damaged] {
                if let Ok(message) = inflater.inflate(bytes) {
                    prop_assert!(message.len() <= 100);
                }
            }
        }
    }
}
