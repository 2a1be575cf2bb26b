//! Parses words into options and arguments, and words into numbers, groups and text. Names no command and opens no
//! store.

use crate::failure::Failure;
use crate::output::shown;
use splinter::{GROUPS, units};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// An argument of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arg {
    /// Its name in the usage line, as in "KEY".
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) count: Count,
}

/// How many words an argument takes. Only the last argument of a command may take more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    One,
    Optional,
    Any,
}

impl Arg {
    /// An argument of one word.
    pub(crate) const fn one(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, count: Count::One }
    }

    /// An argument that may be left out.
    pub(crate) const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, count: Count::Optional }
    }

    /// An argument of any number of words.
    pub(crate) const fn any(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, count: Count::Any }
    }
}

/// The kind of a word, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A key, without the session's prefix.
    Key,
    /// The name of a store, or its path.
    Store,
    File,
    /// A signal group, 0 to 63.
    Group,
    Command,
    Choice(&'static [&'static str]),
    /// Anything else: a number, or any text.
    Text,
}

/// An option, of the program or of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt {
    /// Its name, with the dashes.
    pub(crate) long: &'static str,
    /// Its letter, if it has one.
    pub(crate) short: Option<char>,
    /// The name and kind of its value, if it takes one.
    pub(crate) value: Option<(&'static str, Kind)>,
    /// Its effect, in one line.
    pub(crate) help: &'static str,
}

impl Opt {
    /// An option without a value.
    pub(crate) const fn flag(long: &'static str, help: &'static str) -> Self {
        Self { long, short: None, value: None, help }
    }

    /// An option with a value of kind [`Kind::Text`]. `value` is its name in the help.
    pub(crate) const fn valued(long: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { long, short: None, value: Some((value, Kind::Text)), help }
    }

    /// Gives the option's value another kind.
    #[must_use]
    pub(crate) const fn kind(mut self, kind: Kind) -> Self {
        if let Some((_, text)) = &mut self.value {
            *text = kind;
        }
        self
    }

    #[must_use]
    pub(crate) const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// Makes the failure for a missing value.
    pub(crate) fn lacks_value(&self) -> Failure {
        let name = self.value.map_or("value", |(name, _)| name);
        // The letter N is pronounced "en".
        let article = if name == "N" || name.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
        Failure::usage(format!("{} needs {article} {name} after it", self.long))
    }
}

/// The options of the program and of every command.
pub(crate) static COMMON: &[Opt] = &[
    Opt::flag("--json", "answers in JSON"),
    Opt::flag("--raw", "answers with nothing but the data"),
    Opt::flag("--help", "explains the command").short('h'),
];

/// A part of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    Argument(&'a [u8]),
    /// An option, and its value if it takes one.
    Option(&'static Opt, Option<&'a [u8]>),
    /// An option at the end of the line, without the value that it takes.
    Incomplete(&'static Opt),
}

/// Parses words into options and arguments. Options may stand anywhere, and `--` ends them. A lone `-`, or a word that
/// begins like a negative number, is an argument.
pub(crate) struct Items<I, const N: usize> {
    words: I,
    tables: [&'static [Opt]; N],
    options_ended: bool,
}

impl<'a, I: Iterator<Item = &'a [u8]>, const N: usize> Items<I, N> {
    pub(crate) fn new(words: I, tables: [&'static [Opt]; N]) -> Self {
        Self { words, tables, options_ended: false }
    }

    /// Returns the words that are not parsed yet.
    pub(crate) fn rest(self) -> I {
        self.words
    }

    fn parse_option(&mut self, word: &'a [u8]) -> Result<Item<'a>, Failure> {
        let (opt, joined) = find_option(&self.tables, word)?;
        match (opt.value, joined.or_else(|| opt.value.and_then(|_| self.words.next()))) {
            (None, Some(_)) => Err(Failure::usage(format!("{} takes no value", opt.long))),
            (Some(_), None) => Ok(Item::Incomplete(opt)),
            (_, value) => Ok(Item::Option(opt, value)),
        }
    }
}

impl<'a, I: Iterator<Item = &'a [u8]>, const N: usize> Iterator for Items<I, N> {
    /// An unknown option, or a value for an option that takes none, is a failure with exit code 2.
    type Item = Result<Item<'a>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut word = self.words.next()?;
        if !self.options_ended && word == b"--" {
            self.options_ended = true;
            word = self.words.next()?;
        }
        let is_option = matches!(word, [b'-', second, ..] if !second.is_ascii_digit());
        match is_option && !self.options_ended {
            true => Some(self.parse_option(word)),
            false => Some(Ok(Item::Argument(word))),
        }
    }
}

/// Finds the option that a word names, and the value that `=` joins to it.
pub(crate) fn find_option<'a>(
    tables: &[&'static [Opt]],
    word: &'a [u8],
) -> Result<(&'static Opt, Option<&'a [u8]>), Failure> {
    let (name, joined) = match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    };
    let options = || tables.iter().copied().flatten();
    let is_named = |opt: &&Opt| {
        let short = opt.short.map(|letter| format!("-{letter}"));
        opt.long.as_bytes() == name || short.is_some_and(|short| short.as_bytes() == name)
    };
    options().find(is_named).map(|opt| (opt, joined)).ok_or_else(|| {
        let close = closest(&String::from_utf8_lossy(name), options().map(|opt| opt.long));
        let advice = close.map_or_else(
            || "put -- before an argument that begins with -".to_owned(),
            |close| format!("did you mean {close}?"),
        );
        Failure::usage(format!("there is no option {}; {advice}", shown(name)))
    })
}

/// Returns the name that is most similar to `word`, if one is similar enough.
pub(crate) fn closest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // No name is that long, and the comparison would take long.
    if word.len() > 64 {
        return None;
    }
    let distance = |name| strsim::damerau_levenshtein(&word.to_lowercase(), name);
    // A third of the letters may be wrong. A name that `word` begins is similar, too.
    let close = names.filter_map(|name| match distance(name) {
        wrong if wrong * 3 <= name.len().max(3) => Some((wrong, name)),
        _ if word.len() >= 2 && name.starts_with(word) => Some((name.len(), name)),
        _ => None,
    });
    close.min_by_key(|(wrong, _)| *wrong).map(|(_, name)| name)
}

/// Returns what a word stands for in a list of names and values. Any other word is a mistake, with exit code 2.
pub(crate) fn choice<T: Copy>(word: &[u8], known: &[(&str, T)]) -> Result<T, Failure> {
    let found = known.iter().find(|(name, _)| name.as_bytes() == word);
    let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    found.map(|(_, value)| *value).ok_or_else(|| not_one_of(word, &names()))
}

pub(crate) fn path(word: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(word))
}

/// Makes the failure for a word that is not one of a few.
pub(crate) fn not_one_of(word: &[u8], known: &[&str]) -> Failure {
    Failure::usage(format!("{} is not one of {}", shown(word), known.join(", ")))
}

/// Parses a number that must fit `T`: decimal, optionally with a unit (1k, 1MiB), or with 0x. Other words have exit
/// code 2, and a message that begins with `what`.
pub(crate) fn number<T: TryFrom<u64>>(what: &str, word: &[u8]) -> Result<T, Failure> {
    let text = std::str::from_utf8(word).unwrap_or_default();
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => units::count(text),
    };
    let most = match size_of::<T>() {
        8.. => "2^64 - 1".to_owned(),
        bytes => ((1_u64 << (bytes * 8)) - 1).to_string(),
    };
    let number = number
        .ok_or_else(|| Failure::usage(format!("{what}: {} is not a number from 0 to {most}", shown(word))))?;
    T::try_from(number)
        .map_err(|_| Failure::usage(format!("{what}: {number} is too large; {most} is the most")))
}

/// Parses the number of a signal group. Other words have exit code 2, and a message that begins with `what`.
pub(crate) fn group(what: &str, word: &[u8]) -> Result<u8, Failure> {
    let group = number(what, word).ok().filter(|group| usize::from(*group) < GROUPS);
    group.ok_or_else(|| {
        let (word, last) = (shown(word), GROUPS - 1);
        Failure::usage(format!("{what}: {word} is not a signal group; they are 0 to {last}"))
    })
}

/// Returns a word as text, for words that may not be arbitrary bytes. Other words have exit code 2, and a message that
/// begins with `what`.
pub(crate) fn text<'a>(what: &str, word: &'a [u8]) -> Result<&'a str, Failure> {
    let not_text = |_| Failure::usage(format!("{what}: {} is not UTF-8", shown(word)));
    std::str::from_utf8(word).map_err(not_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_recognised() {
        let names = || ["get", "set", "unset", "list", "retrain"].into_iter();
        for (word, meant) in [("gte", "get"), ("lits", "list"), ("unst", "unset"), ("re", "retrain")] {
            assert_eq!(closest(word, names()), Some(meant), "{word}");
        }
        assert_eq!(closest("frobnicate", names()), None);
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal_and_fit() {
        assert_eq!(number::<u64>("x", b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(number::<u8>("x", b"0xff"), Ok(255));
        assert_eq!((number("x", b"1MiB"), number("x", b"1k")), (Ok(1_u64 << 20), Ok(1_000_u32)));
        for bad in [&b""[..], b"-1", b"+1", b"0x", b"0x+1", b"1e3", b"\xff", b"18446744073709551616"] {
            assert_eq!(number::<u64>("x", bad).unwrap_err().exit, 2, "{bad:?}");
        }
        let too_large = number::<u8>("--group", b"256").unwrap_err().message;
        assert_eq!(too_large, "--group: 256 is too large; 255 is the most");
    }
}
