//! Masks of frames (RFC 6455, section 5.3).

/// Bytes per step: two SSE registers, which the compiler fills by itself.
const STEP: usize = 32;

/// Takes the mask off, or puts it on; the payload begins with the mask's first byte.
pub(super) fn apply(mask: [u8; 4], payload: &mut [u8]) {
    let (steps, rest) = payload.as_chunks_mut::<STEP>();
    for step in steps {
        words(mask, step);
    }
    let rest = words(mask, rest);
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// Does the whole words; gives what is left, at most three bytes.
#[inline]
fn words(mask: [u8; 4], bytes: &mut [u8]) -> &mut [u8] {
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_meets_its_byte_of_the_mask() {
        let mask = [1, 2, 4, 8];
        for len in 0..100 {
            let mut payload = vec![0; len];
            apply(mask, &mut payload);
            assert_eq!(payload, mask.into_iter().cycle().take(len).collect::<Vec<_>>(), "{len}");
        }
    }
}
