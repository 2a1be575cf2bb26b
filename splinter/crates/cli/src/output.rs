//! How answers look: as in the transcripts that users know, as JSON, or bare. Knows bytes and formats; nothing of stores.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;
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

/// Writes a value for people at a terminal, as [`write_value`] by default does, but with escapes for what the terminal would
/// obey. Newlines and tabs stay.
///
/// # Errors
/// Those of `out`.
pub fn write_on_screen(out: &mut dyn Write, value: &[u8]) -> io::Result<()> {
    write!(out, "{}:", value.len())?;
    out.write_all(&escaped(value, &['\n', '\t']))?;
    out.write_all(b"\n")
}

/// Writes one line of JSON.
///
/// # Errors
/// Those of `out`.
pub fn write_json(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{}", json_text(value))
}

/// Turns JSON into text that holds no control characters: JSON itself asks for escapes of the first 32 only.
pub fn json_text(value: &(impl fmt::Display + ?Sized)) -> String {
    let text = value.to_string();
    if !text.chars().any(char::is_control) {
        return text;
    }
    // They stand in strings only, where each may be an escape.
    let escape = |char: char| match char.is_control() {
        true => format!("\\u{:04x}", u32::from(char)),
        false => char.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Turns 64 bits into JSON: a string of hexadecimal digits, since many programs read numbers as floats of 53 bits.
pub fn json_mask(mask: u64) -> Value {
    json!(format!("{mask:#x}"))
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

/// How many characters of a word a message shows. A key has at most 63 bytes, which is all of it however it is escaped.
const SHOWN: usize = 256;

/// Shows bytes in a message, on one line and in quotes, as [`quoted`] does; of very many only the first, and how many there
/// are.
pub fn shown(bytes: &[u8]) -> String {
    let first = &bytes[..bytes.len().min(SHOWN)];
    let text = quoted(match std::str::from_utf8(first) {
        // Not through the middle of a character.
        Err(error) if error.error_len().is_none() && first.len() < bytes.len() => {
            &first[..error.valid_up_to()]
        }
        _ => first,
    });
    if first.len() < bytes.len() { format!("{text}... ({} bytes)", bytes.len()) } else { text }
}

/// Puts bytes in quotes, on one line: text in any script as it is, escapes for control characters and for what is not
/// UTF-8.
pub fn quoted(bytes: &[u8]) -> String {
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

/// Cuts a message that is longer than anybody reads, in the middle: what was wrong, and what to do, stand at the ends.
pub fn cut(message: String) -> String {
    const ENDS: usize = 1000;
    let mut ends = message.char_indices().map(|(at, _)| at);
    let (Some(head), Some(tail)) = (ends.nth(ENDS), ends.rev().nth(ENDS)) else { return message };
    format!("{} ... {}", &message[..head], &message[tail..])
}

/// Shows a name in a list: as it is, unless it holds control characters, which a terminal would obey. Then these and `\` are
/// escapes, as a line at the prompt takes them between double quotes.
pub fn listed(name: &[u8]) -> Cow<'_, [u8]> {
    escaped(name, &[])
}

/// Puts escapes for what a terminal would obey, but for the characters in `kept`, and for `\`; if there is any of it.
fn escaped<'a>(text: &'a [u8], kept: &[char]) -> Cow<'a, [u8]> {
    let is_obeyed = |char: &char| char.is_control() && !kept.contains(char);
    // A terminal that does not read UTF-8 takes these bytes for control characters.
    let is_byte_obeyed = |byte: &u8| (0x80..0xa0).contains(byte);
    let is_harmless = |chunk: Utf8Chunk<'_>| {
        !chunk.valid().chars().any(|char| is_obeyed(&char))
            && !chunk.invalid().iter().any(is_byte_obeyed)
    };
    if text.utf8_chunks().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut safe = Vec::new();
    let escape = |byte: &u8| format!("\\x{byte:02x}").into_bytes();
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = char.encode_utf8(&mut bytes).as_bytes();
            match char {
                _ if kept.contains(&char) => safe.extend(bytes),
                '\\' | '\n' | '\t' => safe.extend(bytes[0].escape_ascii()),
                _ if char.is_control() => safe.extend(bytes.iter().flat_map(escape)),
                _ => safe.extend(bytes),
            }
        }
        for byte in chunk.invalid() {
            match is_byte_obeyed(byte) {
                true => safe.extend(escape(byte)),
                false => safe.push(*byte),
            }
        }
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
    fn of_many_bytes_a_message_shows_the_first_and_how_many_there_are() {
        assert_eq!(shown(&[b'x'; 256]).len(), 258);
        assert_eq!(shown(&[b'x'; 257]), format!("\"{}\"... (257 bytes)", "x".repeat(256)));
        // Not half a character, and no byte of one.
        let text = "x".to_owned() + &"\u{e4}".repeat(200);
        assert_eq!(shown(text.as_bytes()), format!("\"x{}\"... (401 bytes)", "\u{e4}".repeat(127)));
        assert_eq!(quoted(text.as_bytes()).len(), 403);
        let message = |len| "\u{e4}".repeat(len);
        assert_eq!(cut(message(2001)), message(2001));
        assert_eq!(cut(message(9000)), format!("{} ... {}", message(1000), message(1001)));
    }

    #[test]
    fn values_on_a_screen_hold_nothing_that_a_terminal_obeys() {
        let screen = |value: &[u8]| {
            let mut out = Vec::new();
            write_on_screen(&mut out, value).unwrap();
            out
        };
        assert_eq!(screen(b"a\\b\n\tc"), b"6:a\\b\n\tc\n");
        assert_eq!(screen(b"\x1b[2J\r\n\\"), b"7:\\x1b[2J\\x0d\n\\\\\n");
        assert_eq!(screen(b"\xff\x9b\x7f"), b"3:\xff\\x9b\\x7f\n");
        let json = json_text(&json_bytes("\u{9b}\u{7f}\x1b\u{e4}".as_bytes()));
        assert_eq!(json, "\"\\u009b\\u007f\\u001b\u{e4}\"");
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
