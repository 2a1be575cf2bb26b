//! What is replayed: which keys are asked for, one after the other. A trace is made by a rule or read from a text.

use super::pattern::Pattern;
use splinter::{KEY_MAX, Key};
use splinter_harness::error::RunError;
use splinter_harness::input;
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io::{self, BufRead, BufReader, Read as _, stdin};
use std::path::Path;

/// The most requests of a trace, and the most keys: each takes some bytes of memory.
pub(super) const MOST_REQUESTS: u64 = 1 << 28;
pub(super) const MOST_KEYS: u64 = 1 << 24;
/// The longest key, and the end of its line.
const LONGEST: u64 = KEY_MAX as u64 + 2;

/// Returns how many bytes of memory a trace and its references take, about: each request's key and when it comes again,
/// each key's name and places.
pub(super) const fn memory_of(requests: u64, keys: u64) -> u64 {
    8 * requests + 32 * keys
}

/// Requests for keys, which are known by number.
#[derive(Debug)]
pub(super) struct Trace {
    /// The keys that are asked for, in order.
    pub requests: Vec<u32>,
    names: Names,
}

impl Trace {
    /// Makes a trace by a rule. Keys are their numbers as text.
    pub(super) fn by(pattern: Pattern, keys: u32, requests: usize, seed: u64) -> Self {
        let mut names = Names::default();
        for key in 0..keys {
            names.add(key.to_string().as_bytes());
        }
        Self { requests: pattern.draw(keys, requests, seed), names }
    }

    /// Reads a file, or standard input if the path is `-`: a key on each line, of which at most so many are read. Asks
    /// `fits` meanwhile whether there is memory for so many bytes, so that no text can take it all.
    ///
    /// # Errors
    /// [`RunError::Usage`]: why it is no trace, with the number of the line, or the error of `fits`.
    pub(super) fn load(
        path: &Path,
        most: Option<u64>,
        fits: impl Fn(u64) -> Result<(), String>,
    ) -> Result<Self, RunError> {
        let is_standard_input = path.as_os_str() == "-";
        let name = if is_standard_input { "standard input".to_owned() } else { path.display().to_string() };
        let unread = |error: io::Error| RunError::Usage(format!("cannot read the trace: {name}: {error}"));
        let wrong = |why: String| RunError::Usage(format!("{name}: {why}"));
        if most.is_none() && !is_standard_input {
            let len = fs::metadata(path).ok().filter(Metadata::is_file).map_or(0, |file| file.len());
            // It has as many lines at least.
            let lines = len / LONGEST;
            if lines > MOST_REQUESTS {
                return Err(wrong(too_many_lines()));
            }
            fits(memory_of(lines, 0)).map_err(wrong)?;
        }
        let mut text: Box<dyn BufRead> = match is_standard_input {
            true => Box::new(stdin().lock()),
            false => Box::new(BufReader::new(input::open(path).map_err(unread)?)),
        };
        input::skip_mark(&mut text).map_err(unread)?;
        Self::read(&mut text, most, fits).map_err(|why| match why {
            Unread::Kernel(error) => unread(error),
            Unread::Wrong(why) => wrong(why),
        })
    }

    /// Reads a text.
    fn read(
        text: &mut impl BufRead,
        most: Option<u64>,
        fits: impl Fn(u64) -> Result<(), String>,
    ) -> Result<Self, Unread> {
        // What the table of names takes for each, beside the bytes of the name.
        const OF_A_NAME: u64 = 96;
        // How many lines are read between two questions.
        const STEP: usize = 1 << 12;
        let mut trace = Self { requests: Vec::new(), names: Names::default() };
        let mut numbers: HashMap<Box<[u8]>, u32> = HashMap::new();
        let mut line = Vec::new();
        while most.is_none_or(|most| (trace.requests.len() as u64) < most) {
            line.clear();
            if text.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if trace.requests.len().is_multiple_of(STEP) {
                let (requests, keys) = (trace.requests.len() as u64, numbers.len() as u64);
                let names = OF_A_NAME * keys + 2 * trace.names.bytes.len() as u64;
                fits(memory_of(requests, keys) + names).map_err(Unread::Wrong)?;
            }
            let at = trace.requests.len() as u64 + 1;
            let key = line.strip_suffix(b"\n").unwrap_or(&line);
            let key = key.strip_suffix(b"\r").unwrap_or(key);
            if let Err(error) = Key::new(key) {
                return Err(Unread::Wrong(format!("line {at}: {error}; give each line one key")));
            }
            let number = match numbers.get(key) {
                Some(number) => *number,
                None => {
                    if numbers.len() as u64 == MOST_KEYS {
                        let why = format!("line {at}: more than {MOST_KEYS} different keys; use --requests");
                        return Err(Unread::Wrong(why));
                    }
                    let number = trace.names.add(key);
                    numbers.insert(key.into(), number);
                    number
                }
            };
            if at > MOST_REQUESTS {
                return Err(Unread::Wrong(too_many_lines()));
            }
            trace.requests.push(number);
        }
        match trace.requests.is_empty() {
            true => Err(Unread::Wrong("there is no line in it: give each line one key".to_owned())),
            false => Ok(trace),
        }
    }

    /// Returns how many different keys it can ask for.
    pub(super) fn keys(&self) -> usize {
        self.names.ends.len()
    }

    /// Returns a key's name.
    #[inline]
    pub(super) fn name(&self, key: u32) -> &[u8] {
        self.names.get(key as usize)
    }
}

fn too_many_lines() -> String {
    format!("it has more than {MOST_REQUESTS} lines: use --requests")
}

/// Why a text is no trace.
#[derive(Debug)]
enum Unread {
    Kernel(io::Error),
    Wrong(String),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

/// Names, one behind the other.
#[derive(Debug, Default)]
struct Names {
    bytes: Vec<u8>,
    /// Where each ends: within 2^32, as there are at most 2^24 of at most 63 bytes.
    ends: Vec<u32>,
}

impl Names {
    /// Adds a name; returns its number.
    fn add(&mut self, name: &[u8]) -> u32 {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len() as u32);
        self.ends.len() as u32 - 1
    }

    #[inline]
    fn get(&self, number: usize) -> &[u8] {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.bytes[start as usize..self.ends[number] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], most: Option<u64>) -> Result<Trace, String> {
        Trace::read(&mut &*text, most, |_| Ok(())).map_err(|unread| match unread {
            Unread::Kernel(error) => error.to_string(),
            Unread::Wrong(why) => why,
        })
    }

    #[test]
    fn a_text_has_a_key_on_each_line_whatever_ends_the_line() {
        let longest = [b'x'; KEY_MAX];
        let text = [b"a\nb c\r\na\n".as_slice(), &longest, b"\r\n\xff"].concat();
        let trace = read(&text, None).unwrap();
        assert_eq!(trace.requests, [0, 1, 0, 2, 3]);
        let names: Vec<&[u8]> = (0..4).map(|key| trace.name(key)).collect();
        assert_eq!(names, [b"a".as_slice(), b"b c", &longest, b"\xff"]);
        assert_eq!(trace.keys(), 4);
    }

    #[test]
    fn only_as_many_lines_are_read_as_are_asked_for() {
        assert_eq!(read(b"a\nb\n\n", Some(2)).unwrap().requests, [0, 1]);
    }

    #[test]
    fn a_text_that_takes_too_much_memory_is_read_no_further() {
        let lines: String = (0..100_000).map(|line| format!("{line}\n")).collect();
        let fits = |bytes| if bytes > 1 << 20 { Err("too much".to_owned()) } else { Ok(()) };
        let mut text = lines.as_bytes();
        let Unread::Wrong(why) = Trace::read(&mut text, None, fits).unwrap_err() else { panic!() };
        assert_eq!(why, "too much");
        assert!(text.len() > lines.len() / 2, "{} bytes are unread", text.len());
        // Requests alone take memory, too.
        let same = "a\n".repeat(1 << 20);
        let mut text = same.as_bytes();
        assert!(Trace::read(&mut text, None, fits).is_err());
        assert!(Trace::read(&mut lines.as_bytes(), Some(1000), fits).is_ok());
    }

    #[test]
    fn a_line_that_is_no_key_is_named_by_its_number() {
        let long = [b"a\n".as_slice(), &[b'x'; KEY_MAX + 1], b"\nb\n"].concat();
        let endless = [b'x'; 1000];
        for (text, at) in [
            (b"a\n\nb\n".as_slice(), 2),
            (b"\n", 1),
            (b"a\nb\n\r\n", 3),
            (b"a\0b\n", 1),
            (&long, 2),
            (&endless, 1),
        ] {
            let refused = read(text, None).unwrap_err();
            assert!(refused.starts_with(&format!("line {at}: ")), "{refused}");
            assert!(refused.ends_with("give each line one key") && !refused.contains('\n'), "{refused}");
        }
        assert!(read(b"", None).unwrap_err().contains("no line"));
    }

    #[test]
    fn generated_keys_are_named_by_number() {
        let trace = Trace::by(Pattern::Loop, 12, 15, 1);
        assert_eq!(trace.requests[10..], [10, 11, 0, 1, 2]);
        assert_eq!((trace.name(0), trace.name(11)), (b"0".as_slice(), b"11".as_slice()));
    }
}
