//! Skips the byte-order mark that some editors put in front of UTF-8 text. It has no meaning there.

/// The mark, in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns text without the mark in front of it. The mark of UTF-16, which the program does not read, is an error: part
/// of a message.
pub(crate) fn without(text: &[u8]) -> Result<&[u8], &'static str> {
    match text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err("it is UTF-16; save it as UTF-8"),
        text => Ok(text.strip_prefix(MARK).unwrap_or(text)),
    }
}
