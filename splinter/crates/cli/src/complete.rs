//! Completes the last word of a line (commands, options, keys, stores, files and so on), and hints at the arguments
//! that are missing. Reads the table of commands, and gets keys, stores and files through one trait.

use crate::command::{self, Arg, COMMON, Command, Count, Kind};
use crate::words::{self, Partial};
use splinter::GROUPS;

/// Lists the keys, stores and files to complete from.
pub trait Source {
    /// Lists the keys, without the prefix.
    fn keys(&self) -> Vec<Vec<u8>>;
    /// Lists the stores.
    fn stores(&self) -> Vec<Vec<u8>>;
    /// Lists the paths in the file system that begin with `start`.
    fn files(&self, start: &[u8]) -> Vec<Vec<u8>>;
}

/// Completes the last word of `line`. Returns the offset where it begins, in bytes, and the candidates, quoted as the
/// prompt reads them.
pub fn complete(line: &str, source: &dyn Source) -> (usize, Vec<String>) {
    let Partial { words, start, last } = words::split_partial(line.as_bytes());
    let candidates = match words.split_first() {
        None => command_names(),
        Some((name, rest)) => match command::find(name) {
            Some(command) => of_command(command, rest, &last, source),
            None => Vec::new(),
        },
    };
    let mut candidates: Vec<_> =
        candidates.into_iter().filter(|candidate| candidate.starts_with(&last)).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let written = candidates.iter().map(|candidate| words::quoted(candidate));
    (start, written.filter_map(|word| String::from_utf8(word).ok()).collect())
}

fn command_names() -> Vec<Vec<u8>> {
    command::names().map(Into::into).collect()
}

fn of_command(
    command: &Command,
    rest: &[Vec<u8>],
    last: &[u8],
    source: &dyn Source,
) -> Vec<Vec<u8>> {
    let (given, pending) = count_arguments(command, rest);
    let kind = match pending {
        Some(kind) => kind,
        None if last.starts_with(b"-") => {
            let options = command.options.iter().chain(COMMON);
            return options.map(|opt| opt.long.into()).collect();
        }
        None => match argument(command, given) {
            Some(arg) => arg.kind,
            None => return Vec::new(),
        },
    };
    match kind {
        Kind::Key => source.keys(),
        Kind::Store => source.stores(),
        Kind::File => source.files(last),
        Kind::Group => (0..GROUPS).map(|group| group.to_string().into_bytes()).collect(),
        Kind::Command => command_names(),
        Kind::Choice(words) => words.iter().map(|word| word.as_bytes().to_vec()).collect(),
        Kind::Number | Kind::Text => Vec::new(),
    }
}

/// Counts the arguments among `words`. Also returns the kind of the next word, if the last of them is an option that
/// needs a value.
fn count_arguments(command: &Command, words: &[Vec<u8>]) -> (usize, Option<Kind>) {
    let (mut given, mut pending, mut is_ended) = (0, None, false);
    for word in words {
        if pending.take().is_some() {
            continue;
        }
        if !is_ended && word == b"--" {
            is_ended = true;
        } else if !is_ended && command::is_option(word) {
            let options = || command.options.iter().chain(COMMON);
            if let Ok((opt, None)) = command::find_option(options, word) {
                pending = opt.value.map(|(_, kind)| kind);
            }
        } else {
            given += 1;
        }
    }
    (given, pending)
}

/// Returns the argument at an index; the last one if it may be any number.
fn argument(command: &Command, at: usize) -> Option<&Arg> {
    let open = |arg: &&Arg| matches!(arg.count, Count::Some | Count::Any);
    command.args.get(at).or_else(|| command.args.last().filter(open))
}

/// Returns the hint for `line` if it ends in a blank: the arguments that are missing.
pub fn hint(line: &str) -> Option<String> {
    let Partial { words, last, .. } = words::split_partial(line.as_bytes());
    let (name, rest) = words.split_first()?;
    let command = command::find(name)?;
    if !last.is_empty() || !line.ends_with(char::is_whitespace) {
        return None;
    }
    if rest.is_empty() {
        // The first way to call it, in full.
        return command.usage.first().filter(|usage| !usage.is_empty()).map(ToString::to_string);
    }
    let (given, pending) = count_arguments(command, rest);
    if pending.is_some() {
        let options = || command.options.iter().chain(COMMON);
        let (opt, _) = command::find_option(options, rest.last()?).ok()?;
        return opt.value.map(|(name, _)| name.to_owned());
    }
    let names: Vec<_> = command.args.iter().skip(given).map(|arg| arg.name).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Source for Fixed {
        fn keys(&self) -> Vec<Vec<u8>> {
            ["test_two", "test_one", "two words", "other"].map(Into::into).into()
        }

        fn stores(&self) -> Vec<Vec<u8>> {
            vec![b"splinter_test".to_vec()]
        }

        fn files(&self, start: &[u8]) -> Vec<Vec<u8>> {
            vec![[start, b"file"].concat()]
        }
    }

    #[test]
    fn the_word_under_the_cursor_becomes_what_it_can_be() {
        let cases: [(&str, usize, &[&str]); 12] = [
            ("un", 0, &["unset"]),
            ("  ret", 2, &["retrain"]),
            ("use ", 4, &["splinter_test"]),
            ("get test", 4, &["test_one", "test_two"]),
            ("get \"two w", 4, &["\"two words\""]),
            ("unset other t", 12, &["test_one", "test_two", "\"two words\""]),
            ("set k --fi", 6, &["--file"]),
            ("set k --file a", 13, &["afile"]),
            ("math k x", 7, &["xor"]),
            ("help cl", 5, &["clear", "cls"]),
            ("bind other 6", 11, &["6", "60", "61", "62", "63"]),
            ("frob x", 5, &[]),
        ];
        for (line, start, words) in cases {
            let (at, found) = complete(line, &Fixed);
            assert_eq!(
                (at, found.as_slice()),
                (start, &words.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{line:?}"
            );
        }
    }

    #[test]
    fn hints_say_what_is_still_to_come() {
        for (line, said) in [
            ("get ", Some("KEY")),
            ("set ", Some("KEY VALUE")),
            ("math k ", Some("OPERATION NUMBER")),
            ("set k --file ", Some("FILE")),
            ("get k ", None),
            ("get", None),
            ("frob ", None),
            ("", None),
        ] {
            assert_eq!(hint(line).as_deref(), said, "{line:?}");
        }
    }
}
