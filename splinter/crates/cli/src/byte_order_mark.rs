//! Skips the byte-order mark that some editors put in front of UTF-8 text. It has no meaning there.

/// The mark, in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns text without the mark in front of it.
///
/// ```
/// assert_eq!(splinter_cli::byte_order_mark::without(b"\xef\xbb\xbfset a 1"), Ok(&b"set a 1"[..]));
/// assert_eq!(splinter_cli::byte_order_mark::without(b"set a 1"), Ok(&b"set a 1"[..]));
/// assert!(splinter_cli::byte_order_mark::without(b"\xff\xfes\0e\0t\0").is_err());
/// ```
///
/// # Errors
/// The mark is that of UTF-16, which the program does not read. The error is part of a message.
pub fn without(text: &[u8]) -> Result<&[u8], &'static str> {
    match text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err("it is UTF-16; save it as UTF-8"),
        text => Ok(text.strip_prefix(MARK).unwrap_or(text)),
    }
}
