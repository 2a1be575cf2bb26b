//! Splits a line into words, for the prompt and for scripts. Knows quotes and escapes, and no command.
//!
//! Blanks separate words. `'…'` keeps everything as it is. `"…"` keeps blanks. In it and outside quotes, `\n`, `\r`,
//! `\t`, `\0`, `\e` and `\xHH` stand for bytes, and `\` before any other character for that character. A `#` where a
//! word could begin starts a comment.

use std::fmt;

/// A word. It is bytes, since keys and values are.
pub(crate) type Word = Vec<u8>;

/// The error of [`split`]: the part of the line that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    Quote(char),
    Escape,
    /// `\x` is not followed by two hexadecimal digits.
    Hex,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quote(quote) => write!(f, "a {quote} is not closed; write \\{quote} to mean one"),
            Self::Escape => f.write_str("the line ends in \\; write \\\\ to mean one"),
            Self::Hex => f.write_str("\\x needs two hexadecimal digits"),
        }
    }
}

pub(crate) fn split(line: &[u8]) -> Result<Vec<Word>, Unfinished> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while let Some(first) = rest.first()
        && *first != b'#'
    {
        let (word, len) = take_word(rest)?;
        words.push(word);
        rest = rest[len..].trim_ascii_start();
    }
    Ok(words)
}

/// The words of an incomplete line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) words: Vec<Word>,
    /// Where the last word begins, in bytes.
    pub(crate) start: usize,
    /// The last word, as far as it goes; empty after a blank.
    pub(crate) last: Word,
}

/// Splits an incomplete line, in which a quote may be open or an escape unfinished.
pub(crate) fn split_partial(line: &[u8]) -> Partial {
    let mut words = Vec::new();
    let mut start = line.len() - line.trim_ascii_start().len();
    loop {
        let rest = &line[start..];
        match take_word(rest) {
            Ok((word, len)) if len < rest.len() => {
                words.push(word);
                start += len + rest[len..].len() - rest[len..].trim_ascii_start().len();
            }
            Ok((last, _)) => return Partial { words, start, last },
            Err(_) => {
                // Parse the word as if the quote ended here.
                let closed = [b"\"", b"'"].map(|quote| take_word(&[rest, quote].concat()));
                let last = closed.into_iter().flatten().next();
                return Partial { words, start, last: last.map_or_else(Vec::new, |(word, _)| word) };
            }
        }
    }
}

/// Parses the word at the beginning of `line`. Returns it, and its length in the line in bytes.
fn take_word(line: &[u8]) -> Result<(Word, usize), Unfinished> {
    let mut word = Vec::new();
    let mut at = 0;
    let mut quote = None;
    while let Some(&byte) = line.get(at) {
        match (quote, byte) {
            (None, _) if byte.is_ascii_whitespace() => break,
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), _) if byte == open => quote = None,
            (None | Some(b'"'), b'\\') => {
                let (byte, len) = escaped(&line[at + 1..])?;
                word.push(byte);
                at += len;
            }
            _ => word.push(byte),
        }
        at += 1;
    }
    match quote {
        Some(open) => Err(Unfinished::Quote(open.into())),
        None => Ok((word, at)),
    }
}

/// Parses what follows a backslash. Returns the byte that it stands for, and its length in bytes.
fn escaped(rest: &[u8]) -> Result<(u8, usize), Unfinished> {
    Ok(match rest.first().ok_or(Unfinished::Escape)? {
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'0' => (0, 1),
        b'e' => (0x1b, 1),
        b'x' => {
            let digits = rest.get(1..3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            (byte.ok_or(Unfinished::Hex)?, 3)
        }
        byte => (*byte, 1),
    })
}

/// Quotes a word so that [`split`] reads it as one word; leaves it bare if possible.
pub(crate) fn quoted(word: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"'\"\\#".contains(byte) || *byte >= 0x80;
    if !word.is_empty() && std::str::from_utf8(word).is_ok() && word.iter().all(plain) {
        return word.to_vec();
    }
    let mut text = vec![b'"'];
    for chunk in word.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => text.extend([b'\\', byte]),
                0..0x20 | 0x7f => text.extend(format!("\\x{byte:02x}").bytes()),
                _ => text.push(byte),
            }
        }
        text.extend(chunk.invalid().iter().flat_map(|byte| format!("\\x{byte:02x}").into_bytes()));
    }
    text.push(b'"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words = split(line.as_bytes()).unwrap();
        words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
    }

    #[test]
    fn blanks_separate_and_quotes_hold_together() {
        assert_eq!(words("  set a  b\t"), ["set", "a", "b"]);
        assert_eq!(words(r#"set test_one "Hello, world!""#), ["set", "test_one", "Hello, world!"]);
        assert_eq!(words(r#"a'b c'"d e"f"#), ["ab cd ef"]);
        assert_eq!(words(r#"'' """#), ["", ""]);
        assert_eq!(words("   "), Vec::<String>::new());
    }

    #[test]
    fn escapes_stand_for_bytes_outside_single_quotes() {
        assert_eq!(words(r#"a\ b "\"\n\t\\" '\n'"#), ["a b", "\"\n\t\\", "\\n"]);
        assert_eq!(split(br"\xff\x00\0").unwrap(), [b"\xff\0\0"]);
    }

    #[test]
    fn a_comment_begins_where_a_word_could() {
        assert_eq!(words("# nothing"), Vec::<String>::new());
        assert_eq!(words("get a#b # c"), ["get", "a#b"]);
        assert_eq!(words(r"get \#b '#'"), ["get", "#b", "#"]);
    }

    #[test]
    fn unfinished_quotes_and_escapes_are_refused() {
        assert_eq!(split(b"set a \"b"), Err(Unfinished::Quote('"')));
        assert_eq!(split(b"set a 'b\\'c'"), Err(Unfinished::Quote('\'')));
        assert_eq!(split(b"set a \\"), Err(Unfinished::Escape));
        assert_eq!(split(b"\\x1"), Err(Unfinished::Hex));
        assert_eq!(split(b"\\xzz"), Err(Unfinished::Hex));
    }

    #[test]
    fn a_line_that_is_being_written_has_a_last_word() {
        let cases: [(&str, &[&str], usize, &str); 6] = [
            ("", &[], 0, ""),
            ("ge", &[], 0, "ge"),
            ("get ", &["get"], 4, ""),
            (" get  a b", &["get", "a"], 8, "b"),
            ("get \"a b", &["get"], 4, "a b"),
            ("get 'a b", &["get"], 4, "a b"),
        ];
        for (line, words, start, last) in cases {
            let words = words.iter().map(|word| Word::from(*word)).collect();
            let partial = Partial { words, start, last: last.into() };
            assert_eq!(split_partial(line.as_bytes()), partial, "{line:?}");
        }
    }

    #[test]
    fn a_quoted_word_reads_as_itself_again() {
        let all: Vec<u8> = (0..=255).collect();
        for word in [&b""[..], b"a", b"a b", "kä#se".as_bytes(), b"\"\\'", b"\xff\xfe", &all] {
            assert_eq!(split(&quoted(word)).unwrap(), [word], "{word:?}");
        }
        assert_eq!(quoted(b"demo::key"), b"demo::key");
    }
}
