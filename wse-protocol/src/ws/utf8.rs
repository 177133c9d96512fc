//! Whether text is UTF-8, whole or as far as it has come.
use super::DecodeError;

/// Fails unless `text` is UTF-8 from its first to its last byte.
pub(super) fn check(text: &[u8]) -> Result<(), DecodeError> {
    simdutf8::basic::from_utf8(text).map(drop).map_err(|_| DecodeError::InvalidUtf8)
}

/// Fails unless `text` is how UTF-8 can begin; gives how many bytes at its end are a character not yet whole: at most three.
pub(super) fn check_beginning(text: &[u8]) -> Result<u8, DecodeError> {
    match simdutf8::compat::from_utf8(text) {
        Ok(_) => Ok(0),
        Err(error) if error.error_len().is_none() => Ok((text.len() - error.valid_up_to()) as u8),
        Err(_) => Err(DecodeError::InvalidUtf8),
    }
}
