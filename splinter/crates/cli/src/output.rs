//! How answers look: as in the transcripts that users know, as JSON, or bare. Knows bytes and formats; nothing of stores.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::{self, Write};
use std::str::Utf8Chunk;

/// How a command's answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people, as the documentation shows it: a value is `LEN:VALUE`.
    #[default]
    Default,
    /// For programs: one line of JSON for an answer.
    Json,
    /// For pipes: bytes as they are, without length or headings.
    Raw,
}

/// Writes a value: `LEN:VALUE` and a newline, or the bytes alone.
///
/// # Errors
/// Those of `out`.
pub fn write_value(out: &mut dyn Write, format: Format, value: &[u8]) -> io::Result<()> {
    match format {
        Format::Default => {
            write!(out, "{}:", value.len())?;
            out.write_all(value)?;
            out.write_all(b"\n")
        }
        Format::Json => write_json(out, &json_bytes(value)),
        Format::Raw => out.write_all(value),
    }
}

/// Writes one line of JSON.
///
/// # Errors
/// Those of `out`.
pub fn write_json(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value}")
}

/// Turns bytes into JSON: a string if they are UTF-8, else `{"base64": "…"}`.
pub fn json_bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// Counts things, as in "1 key" and "2 keys".
pub fn counted(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// Shows bytes in a message, on one line and in quotes: text in any script as it is, escapes for control characters and
/// for what is not UTF-8.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => text.extend(['\\', char]),
                _ if char.is_control() => text.extend(char.escape_default()),
                _ => text.push(char),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text.push('"');
    text
}

/// Shows a name in a list: as it is, unless it holds control characters, which a terminal would obey. Then these and `\\` are
/// escapes, as a line at the prompt takes them between double quotes.
pub fn listed(name: &[u8]) -> Cow<'_, [u8]> {
    let controls = |chunk: Utf8Chunk<'_>| chunk.valid().chars().any(char::is_control);
    if !name.utf8_chunks().any(controls) {
        return Cow::Borrowed(name);
    }
    let mut safe = Vec::new();
    for chunk in name.utf8_chunks() {
        for char in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = char.encode_utf8(&mut bytes).as_bytes();
            match char {
                '\\' | '\n' | '\t' => safe.extend(bytes[0].escape_ascii()),
                _ if char.is_control() => {
                    safe.extend(
                        bytes.iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()),
                    );
                }
                _ => safe.extend(bytes),
            }
        }
        safe.extend(chunk.invalid());
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_value(&mut out, format, value).unwrap();
        out
    }

    #[test]
    fn a_value_is_written_with_its_length_as_json_or_bare() {
        assert_eq!(written(Format::Default, b"Fine, thanks!"), b"13:Fine, thanks!\n");
        assert_eq!(written(Format::Json, b"Fine, \"thanks\"!"), b"\"Fine, \\\"thanks\\\"!\"\n");
        assert_eq!(written(Format::Raw, b"\xff\0"), b"\xff\0");
    }

    #[test]
    fn bytes_that_are_no_text_are_written_all_the_same() {
        assert_eq!(written(Format::Default, b"\xff\0"), b"2:\xff\0\n");
        assert_eq!(written(Format::Json, b"\xff\0"), b"{\"base64\":\"/wA=\"}\n");
    }

    #[test]
    fn names_in_messages_are_one_line_whatever_they_hold() {
        assert_eq!(shown("käse".as_bytes()), "\"käse\"");
        assert_eq!(shown(b"a\n\"\xff\x1b"), "\"a\\n\\\"\\xff\\u{1b}\"");
    }

    #[test]
    fn names_in_lists_are_as_they_are_but_for_what_a_terminal_would_obey() {
        for plain in [&b"plain"[..], "k\u{e4}se \\n".as_bytes(), b"\xff\\"] {
            assert_eq!(&*listed(plain), plain);
        }
        assert_eq!(&*listed(b"\x1b[2J\\\n\xff"), b"\\x1b[2J\\\\\\n\xff");
        assert_eq!(&*listed("\u{9b}".as_bytes()), b"\\xc2\\x9b");
    }
}
