//! Defines what a command is, and parses a call of one. Names no command: it works on any [`Table`].

use crate::failure::Failure;
use crate::options::{Arg, COMMON, Count, Item, Items, Opt, closest, not_one_of, number};
use crate::output::{Format, shown};
use crate::session::Session;
use crate::time;
use crate::words::Word;
use std::time::Duration;

/// A command. The prompt, the one-shot form, help, hints, completion and man pages use it.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// The words after the name: a line for each way to call it.
    pub(crate) usage: &'static [&'static str],
    /// Its effect, in one line: a verb in the third person, no full stop.
    pub(crate) summary: &'static str,
    /// The rest of its help, in paragraphs with lines of at most 80 columns.
    pub(crate) details: &'static str,
    /// Its arguments, in order.
    pub(crate) args: &'static [Arg],
    /// Its options, besides those of every command ([`COMMON`]).
    pub(crate) options: &'static [Opt],
    /// Runs the command. The words have been checked against `args` and `options`.
    pub(crate) run: fn(&mut Session, &mut Call<'_>) -> Result<(), Failure>,
}

/// All commands, and other names for them.
pub(crate) struct Table {
    /// The commands, in alphabetical order.
    pub(crate) commands: &'static [&'static Command],
    /// Aliases, and the command that each stands for.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
    /// Names that other tools use, and the command to suggest for each.
    pub(crate) synonyms: &'static [(&'static str, &'static str)],
}

impl Table {
    /// Returns the command with a name or an alias. The name must be complete.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&'static Command> {
        let alias = self.aliases.iter().find(|(alias, _)| alias.as_bytes() == name);
        let name = alias.map_or(name, |(_, own)| own.as_bytes());
        self.commands.iter().copied().find(|command| command.name.as_bytes() == name)
    }

    /// Lists the names of all commands with their summaries, and the aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'static str, String)> {
        let commands = self.commands.iter().map(|command| (command.name, command.summary.to_owned()));
        let alias = |(alias, name): &(_, &str)| (*alias, format!("Another name for {name}"));
        commands.chain(self.aliases.iter().map(alias))
    }

    /// Makes the failure for an unknown command, with a suggestion.
    pub(crate) fn unknown(&self, name: &[u8]) -> Failure {
        let text = String::from_utf8_lossy(name);
        let synonym = self.synonyms.iter().find(|(synonym, _)| *synonym == text.to_lowercase());
        let similar = || closest(&text, self.names().map(|(name, _)| name));
        let advice = match synonym.map(|(_, ours)| *ours).or_else(similar) {
            Some(close) => format!("did you mean {close}?"),
            None => "help lists them".to_owned(),
        };
        Failure::usage(format!("there is no command {}; {advice}", shown(name)))
    }
}

/// A parsed call of a command: its arguments and options.
pub(crate) struct Call<'a> {
    pub(crate) table: &'static Table,
    pub(crate) command: &'static Command,
    /// The arguments, as many as the command takes.
    pub(crate) arguments: Vec<&'a [u8]>,
    options: Vec<(&'static Opt, Option<&'a [u8]>)>,
}

impl<'a> Call<'a> {
    /// Parses the words after a command's name, as [`Items`] does. Mistakes have exit code 2.
    pub(crate) fn parse(
        table: &'static Table,
        command: &'static Command,
        words: &'a [Word],
    ) -> Result<Self, Failure> {
        let mut call = Self { table, command, arguments: Vec::new(), options: Vec::new() };
        for item in Items::new(words.iter().map(Vec::as_slice), [command.options, COMMON]) {
            match item? {
                Item::Argument(word) => call.arguments.push(word),
                Item::Option(opt, value) => call.options.push((opt, value)),
                Item::Incomplete(opt) => return Err(opt.lacks_value()),
            }
        }
        if !call.has("--help") {
            call.check_count()?;
        }
        Ok(call)
    }

    fn check_count(&self) -> Result<(), Failure> {
        let args = self.command.args;
        let needed = args.iter().skip(self.arguments.len()).find(|arg| arg.count == Count::One);
        if let Some(missing) = needed {
            return Err(self.missing(missing.name));
        }
        match self.arguments.get(args.len()) {
            Some(extra) if args.iter().all(|arg| arg.count != Count::Any) => {
                let message = format!("{} is one word too many; {}", shown(extra), self.usage());
                Err(Failure::usage(message))
            }
            _ => Ok(()),
        }
    }

    /// Makes the failure for a missing argument.
    pub(crate) fn missing(&self, name: &str) -> Failure {
        Failure::usage(format!("{name} is missing; {}", self.usage()))
    }

    /// Returns the first argument, which is one of the actions `known`, and the words after it. `takes` tells for an
    /// action the names of the words that it needs, and how many words it takes at most. Mistakes have exit code 2.
    pub(crate) fn action<'s>(
        &'s self,
        known: &'static [&'static str],
        takes: impl FnOnce(&str) -> (&'static [&'static str], usize),
    ) -> Result<(&'static str, &'s [&'a [u8]]), Failure> {
        let Some((word, words)) = self.arguments.split_first() else {
            let (known, name) = (known.join(", "), self.command.name);
            let why = format!("say what to do: {known}; help {name} explains them");
            return Err(Failure::usage(why));
        };
        let action = known.iter().find(|action| action.as_bytes() == *word);
        let action = *action.ok_or_else(|| not_one_of(word, known))?;
        let (needed, most) = takes(action);
        let usage = || self.usage_of(word);
        if let Some(missing) = needed.get(words.len()) {
            return Err(Failure::usage(format!("{missing} is missing; {}", usage())));
        }
        if let Some(extra) = words.get(most) {
            let extra = shown(extra);
            return Err(Failure::usage(format!("{extra} is one word too many; {}", usage())));
        }
        Ok((action, words))
    }

    /// Returns the usage of the command, as part of a message.
    pub(crate) fn usage(&self) -> String {
        let lines = self.command.usage.iter();
        let lines = lines.map(|line| format!("{} {line}", self.command.name).trim_end().to_owned());
        format!("use: {}", lines.collect::<Vec<_>>().join(", or: "))
    }

    /// Returns the usage of the command with `action` as its first word, as part of a message.
    pub(crate) fn usage_of(&self, action: &[u8]) -> String {
        let is_it = |line: &&&str| line.split(' ').next().map(str::as_bytes) == Some(action);
        match self.command.usage.iter().find(is_it) {
            Some(line) => format!("use: {} {line}", self.command.name),
            None => self.usage(),
        }
    }

    /// Returns the argument at an index, if it was given.
    pub(crate) fn get(&self, at: usize) -> Option<&'a [u8]> {
        self.arguments.get(at).copied()
    }

    /// Tells whether an option was given. `long` is one of the command's options.
    pub(crate) fn has(&self, long: &str) -> bool {
        self.options.iter().any(|(opt, _)| opt.long == long)
    }

    /// Returns the value of an option; the last one if it was given more than once.
    pub(crate) fn value(&self, long: &str) -> Option<&'a [u8]> {
        self.values(long).last()
    }

    /// Returns every value of an option, in order.
    pub(crate) fn values(&self, long: &str) -> impl Iterator<Item = &'a [u8]> {
        self.options.iter().filter(move |(opt, _)| opt.long == long).filter_map(|(_, value)| *value)
    }

    /// Returns the value of an option as a number.
    pub(crate) fn number<T: TryFrom<u64>>(&self, long: &str) -> Result<Option<T>, Failure> {
        self.value(long).map(|word| number(long, word)).transpose()
    }

    /// Returns the value of an option as a duration.
    pub(crate) fn span(&self, long: &str) -> Result<Option<Duration>, Failure> {
        self.value(long).map(|word| time::span(long, word)).transpose()
    }

    /// Returns the output format that the options ask for, if they do.
    pub(crate) fn format(&self) -> Option<Format> {
        self.options.iter().rev().find_map(|(opt, _)| format_of(opt.long.as_bytes()))
    }
}

/// Returns the output format that `words` ask for, even if they do not parse: the last one before `--`.
pub(crate) fn format_among<W: AsRef<[u8]>>(words: &[W]) -> Option<Format> {
    let words = words.iter().map(AsRef::as_ref).take_while(|word| *word != b"--");
    words.filter_map(format_of).last()
}

fn format_of(option: &[u8]) -> Option<Format> {
    match option {
        b"--json" => Some(Format::Json),
        b"--raw" => Some(Format::Raw),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Kind;
    use crate::words::split;

    static TABLE: Table = Table { commands: &[&TRIAL], aliases: &[("try", "trial")], synonyms: &[] };

    static TRIAL: Command = Command {
        name: "trial",
        usage: &["KEY [VALUE]", "KEY --file FILE"],
        summary: "Tries",
        details: "",
        args: &[Arg::one("KEY", Kind::Key), Arg::optional("VALUE", Kind::Text)],
        options: &[Opt::valued("--file", "FILE", "").kind(Kind::File).short('f'), Opt::flag("--oneshot", "")],
        run: |_, _| Ok(()),
    };

    fn parse(line: &str, check: impl FnOnce(&Call<'_>)) -> Result<(), Failure> {
        let words = split(line.as_bytes()).unwrap();
        Call::parse(&TABLE, &TRIAL, &words).map(|call| check(&call))
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
    fn a_word_that_begins_with_a_dash_can_be_an_argument() {
        for (line, value) in [("k -", "-"), ("k -12", "-12"), ("k -- --file", "--file")] {
            parse(line, |call| assert_eq!(call.get(1), Some(value.as_bytes()))).unwrap();
        }
    }

    #[test]
    fn mistakes_come_with_advice() {
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
    fn names_are_exact_and_aliases_stand_for_commands() {
        assert!(TABLE.find(b"trial").is_some() && TABLE.find(b"try").is_some());
        assert!(TABLE.find(b"tri").is_none() && TABLE.find(b"TRIAL").is_none());
    }
}
