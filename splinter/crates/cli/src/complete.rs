//! Completes the last word of a line (commands, options, keys, stores, files and so on), and hints at the arguments
//! that are missing. Reads the table of commands, and gets keys, stores and files through one trait.

use crate::command::{Command, Table};
use crate::options::{self, Arg, COMMON, Count, Item, Items, Kind, Opt};
use crate::words::{self, Partial};
use splinter::{GROUPS, Store};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// Lists the keys, stores and files to complete from.
pub(crate) trait Source {
    /// Lists the keys, without the prefix.
    fn keys(&self) -> Vec<Vec<u8>>;
    fn stores(&self) -> Vec<Vec<u8>>;
    /// Lists the paths in the file system that begin with `start`.
    fn files(&self, start: &[u8]) -> Vec<Vec<u8>>;
}

/// The keys of a store, and what this machine has.
#[derive(Default)]
pub(crate) struct StoreSource {
    pub(crate) store: Option<Store>,
    /// The prefix of every key.
    pub(crate) prefix: Vec<u8>,
    /// Whether stores are files.
    pub(crate) persistent: bool,
}

impl Source for StoreSource {
    fn keys(&self) -> Vec<Vec<u8>> {
        let keys = self.store.iter().flat_map(Store::keys);
        let bare = |key: splinter::Key| key.as_ref().strip_prefix(&self.prefix[..]).map(Vec::from);
        keys.filter_map(bare).collect()
    }

    fn stores(&self) -> Vec<Vec<u8>> {
        if self.persistent { self.files(b"") } else { entries(Path::new("/dev/shm")) }
    }

    fn files(&self, start: &[u8]) -> Vec<Vec<u8>> {
        let folder_len = start.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let folder = &start[..folder_len];
        let path = if folder.is_empty() { b"." } else { folder };
        let names = entries(options::path(path));
        names.into_iter().map(|name| [folder, &name].concat()).collect()
    }
}

/// Lists the names in a folder, except hidden ones.
fn entries(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().into_vec());
    names.filter(|name| !name.starts_with(b".")).collect()
}

/// The possible kinds of the last word of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// A word of a kind, or nothing that can be listed.
    Word(Kind),
    /// An option in one of these tables.
    Option([&'static [Opt]; 2]),
}

/// A word that completes a line, and what it means; empty if there is nothing to say.
pub(crate) type Candidate = (Vec<u8>, String);

impl Expected {
    /// Returns the words that `last` can become: the value of the option `pending`, one of `options`, or an argument of
    /// the kind `argument`. Also returns how many bytes of `last` are an option to which its value is joined.
    pub(crate) fn at(
        options: [&'static [Opt]; 2],
        pending: Option<&Opt>,
        last: &[u8],
        argument: Kind,
    ) -> (Self, usize) {
        if let Some((_, kind)) = pending.and_then(|opt| opt.value) {
            return (Self::Word(kind), 0);
        }
        if !last.starts_with(b"-") {
            return (Self::Word(argument), 0);
        }
        match options::find_option(&options, last) {
            Ok((Opt { value: Some((_, kind)), .. }, Some(joined))) => {
                (Self::Word(*kind), last.len() - joined.len())
            }
            _ => (Self::Option(options), 0),
        }
    }

    /// Returns what the last word of a command's line can be, after the words `before`.
    pub(crate) fn of_command(command: &Command, before: &[Vec<u8>], last: &[u8]) -> (Self, usize) {
        let (given, pending) = count_arguments(command, before);
        let argument = argument(command, given).map_or(Kind::Text, |arg| arg.kind);
        Self::at([command.options, COMMON], pending, last, argument)
    }

    /// Lists the words that begin with `last`, in order.
    pub(crate) fn candidates(self, table: &Table, last: &[u8], source: &dyn Source) -> Vec<Candidate> {
        let bare = |words: Vec<Vec<u8>>| -> Vec<Candidate> {
            words.into_iter().map(|word| (word, String::new())).collect()
        };
        let mut all = match self {
            Self::Option(options) => {
                let options = options.into_iter().flatten();
                options.map(|opt| (opt.long.into(), opt.help.to_owned())).collect()
            }
            Self::Word(Kind::Command) => {
                table.names().map(|(name, summary)| (name.into(), summary)).collect()
            }
            Self::Word(Kind::Key) => bare(source.keys()),
            Self::Word(Kind::Store) => bare(source.stores()),
            Self::Word(Kind::File) => bare(source.files(last)),
            Self::Word(Kind::Group) => bare((0..GROUPS).map(|n| n.to_string().into()).collect()),
            Self::Word(Kind::Choice(words)) => bare(words.iter().map(|word| (*word).into()).collect()),
            Self::Word(Kind::Text) => Vec::new(),
        };
        all.retain(|(word, _)| word.starts_with(last));
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Completes the last word of `line`. Returns the offset where it begins, in bytes, and the candidates, quoted as the
/// prompt reads them.
pub(crate) fn complete(table: &Table, line: &str, source: &dyn Source) -> (usize, Vec<String>) {
    let Partial { words, start, last } = words::split_partial(line.as_bytes());
    let (expected, joint) = match words.split_first() {
        None => (Expected::Word(Kind::Command), 0),
        Some((name, before)) => match table.find(name) {
            Some(command) => Expected::of_command(command, before, &last),
            None => return (start, Vec::new()),
        },
    };
    let (option, value) = last.split_at(joint);
    let candidates = expected.candidates(table, value, source).into_iter();
    let written = candidates.map(|(word, _)| words::quoted(&[option, &word].concat()));
    (start, written.filter_map(|word| String::from_utf8(word).ok()).collect())
}

/// Counts the arguments among `words`. Also returns the last of them, if it is an option that needs a value.
fn count_arguments(command: &Command, words: &[Vec<u8>]) -> (usize, Option<&'static Opt>) {
    let (mut given, mut pending) = (0, None);
    for item in Items::new(words.iter().map(Vec::as_slice), [command.options, COMMON]) {
        match item {
            Ok(Item::Argument(_)) => given += 1,
            Ok(Item::Incomplete(opt)) => pending = Some(opt),
            Ok(Item::Option(..)) | Err(_) => {}
        }
    }
    (given, pending)
}

/// Returns the argument at an index; the last one if it may be any number.
fn argument(command: &Command, at: usize) -> Option<&Arg> {
    let last = command.args.last().filter(|arg| arg.count == Count::Any);
    command.args.get(at).or(last)
}

/// Returns the hint for `line` if it ends in a blank: the arguments that are missing.
pub(crate) fn hint(table: &Table, line: &str) -> Option<String> {
    let Partial { words, last, .. } = words::split_partial(line.as_bytes());
    let (name, rest) = words.split_first()?;
    let command = table.find(name)?;
    if !last.is_empty() || !line.ends_with(char::is_whitespace) {
        return None;
    }
    if rest.is_empty() {
        // The first way to call it, in full.
        return command.usage.first().filter(|usage| !usage.is_empty()).map(ToString::to_string);
    }
    let (given, pending) = count_arguments(command, rest);
    if let Some(opt) = pending {
        return opt.value.map(|(name, _)| name.to_owned());
    }
    let names: Vec<_> = command.args.iter().skip(given).map(|arg| arg.name).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::TABLE;

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
        let cases: [(&str, usize, &[&str]); 13] = [
            ("uns", 0, &["unset"]),
            ("  ret", 2, &["retrain"]),
            ("use ", 4, &["splinter_test"]),
            ("get test", 4, &["test_one", "test_two"]),
            ("get \"two w", 4, &["\"two words\""]),
            ("unset other t", 12, &["test_one", "test_two", "\"two words\""]),
            ("set k --fi", 6, &["--file"]),
            ("set k --file a", 13, &["afile"]),
            ("export --format=nd", 7, &["--format=ndjson"]),
            ("math k x", 7, &["xor"]),
            ("help cl", 5, &["clear", "cls"]),
            ("bind other 6", 11, &["6", "60", "61", "62", "63"]),
            ("frob x", 5, &[]),
        ];
        for (line, start, words) in cases {
            let (at, found) = complete(&TABLE, line, &Fixed);
            assert_eq!(
                (at, found.as_slice()),
                (start, &words.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{line:?}"
            );
        }
    }

    #[test]
    fn hints_show_the_missing_arguments() {
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
            assert_eq!(hint(&TABLE, line).as_deref(), said, "{line:?}");
        }
    }
}
