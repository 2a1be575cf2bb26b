//! Defines commands, and parses a command's words into arguments and options. Names no command: the table is in
//! [`commands`](crate::commands).

use crate::COMMANDS;
use crate::commands::{ALIASES, SYNONYMS};
use crate::failure::Failure;
use crate::output::{Format, shown};
use crate::session::Session;
use crate::time;
use crate::words::Word;
use splinter::{GROUPS, units};
use std::time::Duration;

/// A command. The prompt, the one-shot form, help, hints, completion and man pages use it.
pub struct Command {
    /// Its exact name.
    pub name: &'static str,
    /// What may follow the name: a line for each way to call it.
    pub usage: &'static [&'static str],
    /// What it does, in one line: a verb in the third person, no full stop.
    pub summary: &'static str,
    /// The rest of its help, in paragraphs with lines of at most 80 columns.
    pub details: &'static str,
    /// Its arguments, in order.
    pub args: &'static [Arg],
    /// Its options, besides those of every command ([`COMMON`]).
    pub options: &'static [Opt],
    /// Runs the command. The words have been checked against `args` and `options`.
    pub run: fn(&mut Session, &mut Call<'_>) -> Result<(), Failure>,
}

/// An argument of a command.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Its name in the usage line, as in "KEY".
    pub name: &'static str,
    /// What kind of word it is.
    pub kind: Kind,
    /// How many words it takes.
    pub count: Count,
}

/// How many words an argument takes. Only the last argument of a command may take more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Exactly one.
    One,
    /// None or one.
    Maybe,
    /// One or more.
    Some,
    /// Any number.
    Any,
}

/// The kind of a word, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key, without the session's prefix.
    Key,
    /// The name of a store, or its path.
    Store,
    /// A file.
    File,
    /// A signal group, 0 to 63.
    Group,
    /// The name of a command.
    Command,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A number: decimal, optionally with a unit, or with 0x.
    Number,
    /// Anything else.
    Text,
}

/// An option of a command.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its name, with the dashes.
    pub long: &'static str,
    /// Its letter, if it has one.
    pub short: Option<char>,
    /// The name and kind of its value, if it takes one.
    pub value: Option<(&'static str, Kind)>,
    /// What it does, in one line.
    pub help: &'static str,
}

impl Opt {
    /// Makes the failure for a missing value.
    pub(crate) fn lacks_value(&self) -> Failure {
        let name = self.value.map_or("value", |(name, _)| name);
        // The letter N is pronounced "en".
        let article =
            if name == "N" || name.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
        Failure::usage(format!("{} needs {article} {name} after it", self.long))
    }
}

/// The options of every command.
pub static COMMON: &[Opt] = &[
    Opt { long: "--json", short: None, value: None, help: "answers in JSON" },
    Opt { long: "--raw", short: None, value: None, help: "answers with nothing but the data" },
    Opt { long: "--help", short: Some('h'), value: None, help: "explains the command" },
];

/// A parsed call of a command: its arguments and options.
pub struct Call<'a> {
    /// The command that is called.
    pub command: &'static Command,
    /// The arguments, as many as the command takes.
    pub arguments: Vec<&'a [u8]>,
    options: Vec<(&'static Opt, Option<&'a [u8]>)>,
}

impl<'a> Call<'a> {
    /// Parses the words after a command's name. Options may stand anywhere, and `--` ends them. A lone `-`, or a word
    /// that begins like a negative number, is an argument.
    ///
    /// # Errors
    /// An unknown option, a missing option value, too few or too many arguments: exit code 2.
    pub fn parse(command: &'static Command, words: &'a [Word]) -> Result<Self, Failure> {
        let mut call = Self { command, arguments: Vec::new(), options: Vec::new() };
        let mut words = words.iter().map(Vec::as_slice);
        while let Some(word) = words.next() {
            if word == b"--" {
                call.arguments.extend(words.by_ref());
            } else if is_option(word) {
                let options = || command.options.iter().chain(COMMON);
                let (opt, joined) = find_option(options, word)?;
                let value = match (opt.value, joined) {
                    (None, None) => None,
                    (None, Some(_)) => {
                        return Err(Failure::usage(format!("{} takes no value", opt.long)));
                    }
                    (Some(_), Some(value)) => Some(value),
                    (Some(_), None) => Some(words.next().ok_or_else(|| opt.lacks_value())?),
                };
                call.options.push((opt, value));
            } else {
                call.arguments.push(word);
            }
        }
        if !call.has("--help") {
            call.check_count()?;
        }
        Ok(call)
    }

    fn check_count(&self) -> Result<(), Failure> {
        let args = self.command.args;
        let needed = args.iter().filter(|arg| matches!(arg.count, Count::One | Count::Some));
        if let Some(missing) = needed.enumerate().find(|(at, _)| *at >= self.arguments.len()) {
            let message = format!("{} is missing; {}", missing.1.name, self.usage());
            return Err(Failure::usage(message));
        }
        let is_open = args.iter().any(|arg| matches!(arg.count, Count::Some | Count::Any));
        match self.arguments.get(args.len()) {
            Some(extra) if !is_open => {
                let message = format!("{} is one word too many; {}", shown(extra), self.usage());
                Err(Failure::usage(message))
            }
            _ => Ok(()),
        }
    }

    /// Returns the usage of the command, as part of a message.
    pub fn usage(&self) -> String {
        let lines = self.command.usage.iter();
        let lines = lines.map(|line| format!("{} {line}", self.command.name).trim_end().to_owned());
        format!("use: {}", lines.collect::<Vec<_>>().join(", or: "))
    }

    /// Returns the usage of the command with `action` as its first word, as part of a message.
    pub fn usage_of(&self, action: &[u8]) -> String {
        let is_it = |line: &&&str| line.split(' ').next().map(str::as_bytes) == Some(action);
        match self.command.usage.iter().find(is_it) {
            Some(line) => format!("use: {} {line}", self.command.name),
            None => self.usage(),
        }
    }

    /// Returns the argument at an index, if it was given.
    pub fn get(&self, at: usize) -> Option<&'a [u8]> {
        self.arguments.get(at).copied()
    }

    /// Tells whether an option was given. `long` is one of the command's options.
    pub fn has(&self, long: &str) -> bool {
        self.options.iter().any(|(opt, _)| opt.long == long)
    }

    /// Returns the value of an option; the last one if it was given more than once.
    pub fn value(&self, long: &str) -> Option<&'a [u8]> {
        self.options.iter().rev().find(|(opt, _)| opt.long == long).and_then(|(_, value)| *value)
    }

    /// Returns every value of an option, in order.
    pub fn values(&self, long: &str) -> impl Iterator<Item = &'a [u8]> {
        self.options.iter().filter(move |(opt, _)| opt.long == long).filter_map(|(_, value)| *value)
    }

    /// Returns the value of an option as a number.
    ///
    /// # Errors
    /// As [`number`].
    pub fn number<T: TryFrom<u64>>(&self, long: &str) -> Result<Option<T>, Failure> {
        self.value(long).map(|word| number(long, word)).transpose()
    }

    /// Returns the value of an option as a duration.
    ///
    /// # Errors
    /// As [`time::span`].
    pub fn span(&self, long: &str) -> Result<Option<Duration>, Failure> {
        self.value(long).map(|word| time::span(long, word)).transpose()
    }

    /// Returns the output format that the options ask for, if they do.
    fn format(&self) -> Option<Format> {
        let last = self.options.iter().rev().map(|(opt, _)| opt.long);
        last.filter_map(|long| match long {
            "--json" => Some(Format::Json),
            "--raw" => Some(Format::Raw),
            _ => None,
        })
        .next()
    }
}

/// Parses a number that must fit `T`: decimal, optionally with a unit (1k, 1MiB), or with 0x.
///
/// # Errors
/// Not a number, or too large: exit code 2. The message begins with `what`.
pub fn number<T: TryFrom<u64>>(what: &str, word: &[u8]) -> Result<T, Failure> {
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
    let number = number.ok_or_else(|| {
        Failure::usage(format!("{what}: {} is no number from 0 to {most}", shown(word)))
    })?;
    T::try_from(number)
        .map_err(|_| Failure::usage(format!("{what}: {number} is too large; {most} is the most")))
}

/// Parses the number of a signal group.
///
/// # Errors
/// Not a number from 0 to 63: exit code 2. The message begins with `what`.
pub fn group(what: &str, word: &[u8]) -> Result<u8, Failure> {
    let group = number(what, word).ok().filter(|group| usize::from(*group) < GROUPS);
    group.ok_or_else(|| {
        let (word, last) = (shown(word), GROUPS - 1);
        Failure::usage(format!("{what}: {word} is no signal group; they are 0 to {last}"))
    })
}

/// Returns a word as text, for words that may not be arbitrary bytes.
///
/// # Errors
/// Not UTF-8: exit code 2. The message begins with `what`.
pub fn text<'a>(what: &str, word: &'a [u8]) -> Result<&'a str, Failure> {
    let not_text = |_| Failure::usage(format!("{what}: {} is not UTF-8", shown(word)));
    std::str::from_utf8(word).map_err(not_text)
}

/// Tells whether a word is an option. A lone `-` and negative numbers are not.
pub(crate) fn is_option(word: &[u8]) -> bool {
    matches!(word, [b'-', second, ..] if !second.is_ascii_digit())
}

/// Finds the option that a word names, and the value that `=` joins to it.
pub(crate) fn find_option<I: Iterator<Item = &'static Opt>>(
    options: impl Fn() -> I,
    word: &[u8],
) -> Result<(&'static Opt, Option<&[u8]>), Failure> {
    let (name, joined) = match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None => (word, None),
    };
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

/// Returns the command with a name or an alias. The name must be complete.
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let alias = ALIASES.iter().find(|(alias, _)| alias.as_bytes() == name);
    let name = alias.map_or(name, |(_, own)| own.as_bytes());
    COMMANDS.iter().copied().find(|command| command.name.as_bytes() == name)
}

/// Lists the names of all commands, and the aliases.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name).chain(ALIASES.iter().map(|(alias, _)| *alias))
}

/// Returns the name that is most similar to `word`, if one is similar enough.
pub fn closest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
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

/// Runs the command in `words`. No words are a success.
///
/// # Errors
/// The command's failure, after the command's name; exit code 2 for an unknown command.
pub fn execute(session: &mut Session, words: &[Word]) -> Result<(), Failure> {
    let Some((name, rest)) = words.split_first() else {
        return Ok(());
    };
    let usual = session.format;
    let command = find(name).ok_or_else(|| unknown(name).in_format(usual))?;
    let mut format = format_among(rest).unwrap_or(usual);
    if command.name != "use" {
        session.warn_if_lost();
    }
    let done = Call::parse(command, rest).and_then(|mut call| {
        if call.has("--help") {
            return Ok(crate::commands::help::write_one(&mut session.out, command)?);
        }
        format = call.format().unwrap_or(usual);
        session.format = format;
        let done = (command.run)(session, &mut call);
        session.format = usual;
        done
    });
    let flushed = session.out.flush().map_err(Failure::from);
    done.and(flushed).map_err(|failure| failure.with_context(command.name).in_format(format))
}

/// Returns the output format that `words` ask for, even if they do not parse: the last one before `--`.
pub(crate) fn format_among<W: AsRef<[u8]>>(words: &[W]) -> Option<Format> {
    let words = words.iter().map(AsRef::as_ref).take_while(|word| *word != b"--");
    let formats = words.filter_map(|word| match word {
        b"--json" => Some(Format::Json),
        b"--raw" => Some(Format::Raw),
        _ => None,
    });
    formats.last()
}

/// Makes the failure for an unknown command, with a suggestion.
pub(crate) fn unknown(name: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(name);
    let synonym = SYNONYMS.iter().find(|(synonym, _)| *synonym == text.to_lowercase());
    let advice = match synonym.map(|(_, ours)| *ours).or_else(|| closest(&text, names())) {
        Some(close) => format!("did you mean {close}?"),
        None => "help lists them".to_owned(),
    };
    Failure::usage(format!("there is no command {}; {advice}", shown(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::split;

    static TRIAL: Command = Command {
        name: "trial",
        usage: &["KEY [VALUE]", "KEY --file FILE"],
        summary: "Tries",
        details: "",
        args: &[
            Arg { name: "KEY", kind: Kind::Key, count: Count::One },
            Arg { name: "VALUE", kind: Kind::Text, count: Count::Maybe },
        ],
        options: &[
            Opt { long: "--file", short: Some('f'), value: Some(("FILE", Kind::File)), help: "" },
            Opt { long: "--oneshot", short: None, value: None, help: "" },
        ],
        run: |_, _| Ok(()),
    };

    fn parse(line: &str, check: impl FnOnce(&Call<'_>)) -> Result<(), Failure> {
        let words = split(line.as_bytes()).unwrap();
        Call::parse(&TRIAL, &words).map(|call| check(&call))
    }

    fn refusal(line: &str) -> String {
        let failure = parse(line, |_| ()).unwrap_err();
        assert_eq!(failure.exit, 2);
        failure.message
    }

    #[test]
    fn options_stand_anywhere_and_their_values_after_them_or_joined() {
        for line in ["k --file x --oneshot", "--oneshot -f x k", "--file=x k --oneshot"] {
            parse(line, |call| {
                assert_eq!(call.arguments, [b"k"]);
                assert_eq!(call.value("--file"), Some(&b"x"[..]));
                assert!(call.has("--oneshot") && !call.has("--json"));
            })
            .unwrap();
        }
    }

    #[test]
    fn what_begins_with_a_dash_can_be_an_argument() {
        for (line, value) in [("k -", "-"), ("k -12", "-12"), ("k -- --file", "--file")] {
            parse(line, |call| assert_eq!(call.get(1), Some(value.as_bytes()))).unwrap();
        }
    }

    #[test]
    fn mistakes_are_told_with_what_to_do() {
        let usage = "use: trial KEY [VALUE], or: trial KEY --file FILE";
        assert_eq!(refusal(""), format!("KEY is missing; {usage}"));
        assert_eq!(refusal("a b c"), format!("\"c\" is one word too many; {usage}"));
        assert_eq!(refusal("k --fil x"), "there is no option \"--fil\"; did you mean --file?");
        assert_eq!(
            refusal("k -x"),
            "there is no option \"-x\"; put -- before an argument that begins with -"
        );
        assert_eq!(refusal("k --file"), "--file needs a FILE after it");
        assert_eq!(refusal("k --oneshot=1"), "--oneshot takes no value");
    }

    #[test]
    fn names_are_exact_and_near_misses_are_recognised() {
        assert!(find(b"get").is_some() && find(b"ge").is_none() && find(b"GET").is_none());
        let names = || ["get", "set", "unset", "list", "retrain"].into_iter();
        for (word, meant) in
            [("gte", "get"), ("lits", "list"), ("unst", "unset"), ("re", "retrain")]
        {
            assert_eq!(closest(word, names()), Some(meant), "{word}");
        }
        assert_eq!(closest("frobnicate", names()), None);
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal_and_fit() {
        assert_eq!(number::<u64>("x", b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(number::<u8>("x", b"0xff"), Ok(255));
        assert_eq!((number("x", b"1MiB"), number("x", b"1k")), (Ok(1_u64 << 20), Ok(1_000_u32)));
        for bad in
            [&b""[..], b"-1", b"+1", b"0x", b"0x+1", b"1e3", b"\xff", b"18446744073709551616"]
        {
            assert_eq!(number::<u64>("x", bad).unwrap_err().exit, 2, "{bad:?}");
        }
        let too_large = number::<u8>("--group", b"256").unwrap_err().message;
        assert_eq!(too_large, "--group: 256 is too large; 255 is the most");
    }
}
