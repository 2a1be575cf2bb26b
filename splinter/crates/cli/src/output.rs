//! Formats answers: as the documentation shows them, as JSON, or as bare bytes. Escapes what a terminal would obey.
//! Independent of stores.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::Utf8Chunk;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people, as the documentation shows it. A value is `LEN:VALUE`.
    #[default]
    Default,
    /// For programs: one line of JSON per answer.
    Json,
    /// For pipes: the bytes unchanged, without length or headings.
    Raw,
}

/// Writes a value: the bytes alone in the raw format, else `LEN:VALUE` and a newline. On a screen `VALUE` has the
/// characters that a terminal obeys as escapes, except newlines and tabs.
pub(crate) fn write_value(
    out: &mut dyn Write,
    format: Format,
    on_screen: bool,
    value: &[u8],
) -> io::Result<()> {
    if format == Format::Raw {
        return out.write_all(value);
    }
    write!(out, "{}:", value.len())?;
    let shown = if on_screen { escaped(value, &['\n', '\t']) } else { value.into() };
    out.write_all(&shown)?;
    out.write_all(b"\n")
}

pub(crate) fn write_json(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{}", json_text(value))
}

/// Formats JSON without the characters that a terminal obeys. JSON itself requires escapes for the first 32 only.
pub(crate) fn json_text(value: &(impl fmt::Display + ?Sized)) -> String {
    let text = value.to_string();
    if !text.chars().any(is_obeyed) {
        return text;
    }
    // These characters occur only in strings, where an escape is allowed.
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match is_obeyed(char) {
            true => safe.extend(char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
            false => safe.push(char),
        }
    }
    safe
}

/// Tells whether a terminal obeys a character instead of showing it: a control character, or one that reorders, hides
/// or breaks the text around it. The joiners U+200C and U+200D are none of these: words and emoji need them.
pub(crate) fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// Formats 64 bits as JSON: a string of hexadecimal digits. Many programs read numbers as floats with 53 bits of
/// precision.
pub(crate) fn json_mask(mask: u64) -> Value {
    json!(format!("{mask:#x}"))
}

/// Formats bytes as JSON: a string if they are UTF-8, else `{"base64": "…"}`.
pub(crate) fn json_bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// Formats a count with its noun, as in "1 key" and "2 keys".
pub(crate) fn counted(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// How many bytes of a word a message shows at most. A key has at most 63 bytes, so a message always shows all of it.
const SHOWN: usize = 256;

/// Formats bytes for a message, on one line and in quotes, as [`quoted`] does. If there are more than 256, shows the
/// first ones and the total.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let first = &bytes[..bytes.len().min(SHOWN)];
    let text = quoted(match std::str::from_utf8(first) {
        // Do not cut through a character.
        Err(error) if error.error_len().is_none() && first.len() < bytes.len() => {
            &first[..error.valid_up_to()]
        }
        _ => first,
    });
    if first.len() < bytes.len() { format!("{text}... ({} bytes)", bytes.len()) } else { text }
}

/// Formats a path for a message, as [`shown`] does.
pub(crate) fn shown_path(path: &Path) -> String {
    shown(path.as_os_str().as_bytes())
}

/// Puts bytes in quotes, on one line. Text in any script stays; characters that a terminal obeys, and bytes that are
/// not UTF-8, become escapes.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => text.extend(['\\', char]),
                _ if is_obeyed(char) => text.extend(char.escape_default()),
                _ => text.push(char),
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text.push('"');
    text
}

/// Makes a message fit for a terminal: one line, with escapes for the characters that a terminal obeys. Shortens words
/// of more than 301 characters in the middle, and then a message of more than 2,001.
pub(crate) fn one_line(message: &str) -> String {
    let mut safe = String::new();
    for char in message.chars() {
        match is_obeyed(char) {
            true => safe.extend(char.escape_default()),
            false => safe.push(char),
        }
    }
    let words: Vec<String> = safe.split(' ').map(|word| cut(word, 150)).collect();
    cut(&words.join(" "), 1000)
}

/// Shortens text in the middle, to `ends` characters at each end. A message has its cause at its beginning, and its
/// advice at its end.
fn cut(text: &str, ends: usize) -> String {
    let mut places = text.char_indices().map(|(at, _)| at);
    match (places.nth(ends), places.rev().nth(ends)) {
        (Some(head), Some(tail)) => format!("{} ... {}", &text[..head], &text[tail..]),
        _ => text.to_owned(),
    }
}

/// Formats a name for a list. Escapes the characters that a terminal would obey, in the form that the prompt
/// reads between double quotes. If there is one, escapes `\` as well; otherwise returns the name unchanged.
pub(crate) fn listed(name: &[u8]) -> Cow<'_, [u8]> {
    escaped(name, &[])
}

/// Escapes the characters that a terminal obeys, other than those in `kept`, and `\`. Returns `text` unchanged if it has
/// no such character.
fn escaped<'a>(text: &'a [u8], kept: &[char]) -> Cow<'a, [u8]> {
    let is_escaped = |char: char| is_obeyed(char) && !kept.contains(&char);
    // A terminal that does not read UTF-8 takes these bytes for control characters.
    let is_byte_obeyed = |byte: &u8| (0x80..0xa0).contains(byte);
    let is_harmless = |chunk: Utf8Chunk<'_>| {
        !chunk.valid().chars().any(is_escaped) && !chunk.invalid().iter().any(is_byte_obeyed)
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
                _ if is_obeyed(char) => safe.extend(bytes.iter().flat_map(escape)),
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

    fn written(format: Format, on_screen: bool, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_value(&mut out, format, on_screen, value).unwrap();
        out
    }

    #[test]
    fn a_value_is_written_with_its_length_as_json_or_bare() {
        assert_eq!(written(Format::Default, false, b"Fine, thanks!"), b"13:Fine, thanks!\n");
        assert_eq!(written(Format::Default, false, b"\xff\0"), b"2:\xff\0\n");
        assert_eq!(written(Format::Raw, true, b"\xff\0"), b"\xff\0");
        assert_eq!(json_bytes(b"Fine, \"thanks\"!").to_string(), "\"Fine, \\\"thanks\\\"!\"");
        assert_eq!(json_bytes(b"\xff\0").to_string(), "{\"base64\":\"/wA=\"}");
    }

    #[test]
    fn names_in_messages_are_one_line() {
        assert_eq!(shown("käse".as_bytes()), "\"käse\"");
        assert_eq!(shown(b"a\n\"\xff\x1b"), "\"a\\n\\\"\\xff\\u{1b}\"");
    }

    #[test]
    fn of_many_bytes_a_message_shows_the_first_and_how_many_there_are() {
        assert_eq!(shown(&[b'x'; 256]).len(), 258);
        assert_eq!(shown(&[b'x'; 257]), format!("\"{}\"... (257 bytes)", "x".repeat(256)));
        // No character is cut in half.
        let text = "x".to_owned() + &"\u{e4}".repeat(200);
        assert_eq!(shown(text.as_bytes()), format!("\"x{}\"... (401 bytes)", "\u{e4}".repeat(127)));
        assert_eq!(quoted(text.as_bytes()).len(), 403);
    }

    #[test]
    fn a_message_is_one_line_and_no_word_in_it_is_long() {
        let word = |len| "\u{e4}".repeat(len);
        assert_eq!(one_line(&word(301)), word(301));
        let line = one_line(&format!("cannot open {}: why", word(100_000)));
        assert_eq!(line, format!("cannot open {} ... {}: why", word(150), word(150)));
        assert_eq!(one_line("open \x1b[2J\u{202e}\n"), "open \\u{1b}[2J\\u{202e}\\n");
        let message = |len| "\u{e4} ".repeat(len);
        assert_eq!(one_line(&message(1000)), message(1000));
        assert_eq!(one_line(&message(9000)), format!("{} ... {}", message(500), &message(501)[2..]));
    }

    #[test]
    fn values_on_a_screen_hold_nothing_that_a_terminal_obeys() {
        let screen = |value: &[u8]| written(Format::Default, true, value);
        assert_eq!(screen(b"a\\b\n\tc"), b"6:a\\b\n\tc\n");
        assert_eq!(screen(b"\x1b[2J\r\n\\"), b"7:\\x1b[2J\\x0d\n\\\\\n");
        assert_eq!(screen(b"\xff\x9b\x7f"), b"3:\xff\\x9b\\x7f\n");
        let json = json_text(&json_bytes("\u{9b}\u{7f}\x1b\u{e4}".as_bytes()));
        assert_eq!(json, "\"\\u009b\\u007f\\u001b\u{e4}\"");
    }

    #[test]
    fn names_in_lists_have_escapes_for_control_characters_only() {
        for plain in [&b"plain"[..], "k\u{e4}se \\n".as_bytes(), b"\xff\\"] {
            assert_eq!(&*listed(plain), plain);
        }
        assert_eq!(&*listed(b"\x1b[2J\\\n\xff"), b"\\x1b[2J\\\\\\n\xff");
        assert_eq!(&*listed("\u{9b}".as_bytes()), b"\\xc2\\x9b");
        assert_eq!(&*listed("a\u{202e}b".as_bytes()), b"a\\xe2\\x80\\xaeb");
    }

    #[test]
    fn characters_that_reorder_or_hide_text_are_escapes_everywhere() {
        for char in
            "\u{ad}\u{200b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{61c}\u{feff}\u{2028}\u{e0041}"
                .chars()
        {
            let text = format!("a{char}b");
            let forms = [
                String::from_utf8(written(Format::Default, true, text.as_bytes())).unwrap(),
                json_text(&json!(text)),
                shown(text.as_bytes()),
            ];
            assert!(forms.iter().all(|form| !form.contains(char) && form.contains('\\')), "{forms:?}");
            assert_eq!(serde_json::from_str::<String>(&forms[1]).unwrap(), text);
        }
        // Ordinary text keeps its joiners, and a pipe gets every byte.
        for text in ["\u{645}\u{6cc}\u{200c}\u{62e}", "\u{1f469}\u{200d}\u{1f52c}"] {
            assert_eq!(&*listed(text.as_bytes()), text.as_bytes());
        }
        assert_eq!(written(Format::Default, false, "\u{202e}".as_bytes()), "3:\u{202e}\n".as_bytes());
    }
}
