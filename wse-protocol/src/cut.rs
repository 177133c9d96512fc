//! Text of a bounded length.

/// The longest beginning of `text` of at most `bytes` bytes that ends between two characters. `str::floor_char_boundary` would say this,
/// from Rust 1.91 on.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> &str {
    let longest = text.len().min(bytes);
    let end = (0..=longest).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}
