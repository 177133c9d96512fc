//! The stamp that every message carries: its number and when it was published, in printable characters, so that any format keeps it.
//!
//! ```text
//! @@ 0000002a 000000e8d4a51000      mark, number, nanoseconds of the monotonic clock; both in hexadecimal (without the spaces)
//! ```
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// What a stamp begins with.
pub const MARK: &[u8; 2] = b"@@";
/// Bytes of a stamp.
pub const LEN: usize = 26;
/// The shortest message: a JSON string that holds a stamp.
pub const SHORTEST: usize = LEN + 2;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));

/// A message's number within its run, from 0, and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// From 0.
    pub number: u32,
    /// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine share.
    pub nanos: u64,
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[must_use]
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Writes a JSON string of exactly `to.len()` bytes (at least [`SHORTEST`]) that begins with the stamp.
pub fn write(to: &mut [u8], stamp: Stamp) {
    to.fill(b'x');
    to[0] = b'"';
    let end = to.len() - 1;
    to[end] = b'"';
    to[1..3].copy_from_slice(MARK);
    to[3..11].copy_from_slice(&hex8(stamp.number));
    to[11..19].copy_from_slice(&hex8((stamp.nanos >> 32) as u32));
    to[19..27].copy_from_slice(&hex8(stamp.nanos as u32));
}

/// A message of `size` bytes, or of [`SHORTEST`] if that is more.
#[must_use]
pub fn message(size: usize, stamp: Stamp) -> Vec<u8> {
    let mut bytes = vec![0; size.max(SHORTEST)];
    write(&mut bytes, stamp);
    bytes
}

/// Gives the first stamp in `bytes` another number.
pub fn renumber(bytes: &mut [u8], number: u32) {
    if let Some(to) = find(bytes).and_then(|at| bytes.get_mut(at + MARK.len()..)?.first_chunk_mut()) {
        *to = hex8(number);
    }
}

/// The stamp at the front of `bytes`.
#[inline]
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Stamp> {
    let (mark, rest) = bytes.split_first_chunk::<2>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (high, rest) = rest.split_first_chunk::<8>()?;
    let low = rest.first_chunk::<8>()?;
    if mark != MARK {
        return None;
    }
    let nanos = u64::from(unhex8(*high)?) << 32 | u64::from(unhex8(*low)?);
    Some(Stamp { number: unhex8(*number)?, nanos })
}

/// Where the first stamp in `bytes` begins.
#[must_use]
pub fn find(bytes: &[u8]) -> Option<usize> {
    FINDER.find(bytes)
}

fn hex8(value: u32) -> [u8; 8] {
    std::array::from_fn(|at| b"0123456789abcdef"[(value >> (28 - 4 * at) & 15) as usize])
}

/// Eight lower-case hexadecimal digits at once: a receiver of ten million messages a second cannot go digit by digit.
#[inline]
fn unhex8(digits: [u8; 8]) -> Option<u32> {
    let chunk = u64::from_be_bytes(digits);
    let letters = (chunk & 0x4040_4040_4040_4040) >> 6;
    let nibbles = (chunk & 0x0f0f_0f0f_0f0f_0f0f) + letters * 9;
    // A digit is 0x30 + n with n up to 9, a letter 0x57 + n with n from 10 to 15: adding 6 carries for letters only.
    let base = 0x3030_3030_3030_3030 + letters * 0x27;
    let carries = (nibbles + 0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if chunk.wrapping_sub(base) != nibbles || nibbles & 0xf0f0_f0f0_f0f0_f0f0 != 0 || carries != letters << 4 {
        return None;
    }
    let pairs = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((quads | quads >> 16) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_the_way_through_a_message_of_any_size() {
        for number in [0, 1, 0xff, 0x1234_5678, 0xdead_beef, u32::MAX] {
            for size in [0, SHORTEST, 128, 1024] {
                let stamp = Stamp { number, nanos: u64::from(number) << 20 | 0xabc };
                let message = message(size, stamp);
                assert_eq!(message.len(), size.max(SHORTEST));
                assert_eq!((message[0], message[message.len() - 1]), (b'"', b'"'));
                assert_eq!(read(&message[find(&message).expect("there is one")..]), Some(stamp));
            }
        }
    }

    #[test]
    fn a_message_is_a_json_string() {
        let text = message(64, Stamp { number: 7, nanos: 9 });
        assert!(serde_json::from_slice::<String>(&text).is_ok_and(|text| text.len() == 62));
    }

    #[test]
    fn what_is_no_stamp_is_not_read_as_one() {
        let good = message(64, Stamp { number: 0x0fa9, nanos: 1 });
        for at in 3..27 {
            for bad in (0..=255).filter(|byte: &u8| !b"0123456789abcdef".contains(byte)) {
                let mut broken = good.clone();
                broken[at] = bad;
                assert_eq!(read(&broken[1..]), None, "{bad} at {at}");
            }
        }
        assert_eq!(read(&good[1..26]), None);
    }
}
