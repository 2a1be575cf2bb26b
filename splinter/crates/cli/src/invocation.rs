//! Parses the program's arguments and environment. Opens and prints nothing, and names no command.

use crate::failure::Failure;
use crate::options::{COMMON, Item, Items, Kind, Opt, number};
use crate::output::{Format, shown};
use crate::words::Word;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The version and build, as the banner and `--version` print them.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " build ", env!("SPLINTER_BUILD"));
/// The program's four names.
pub(crate) const NAMES: [&str; 4] = ["splinter_cli", "splinterctl", "splinterp_cli", "splinterpctl"];
pub(crate) const SHELLS: &[&str] = &["bash", "zsh", "fish"];

/// The variable that names the store to open, if `--use` does not.
pub(crate) const DEFAULT_STORE: &str = "SPLINTER_DEFAULT_STORE";
/// The variable that holds the prefix of keys, if `--prefix` is not given.
pub(crate) const NS_PREFIX: &str = "SPLINTER_NS_PREFIX";
/// The variable that names the file of the history, if `--history-file` does not.
pub(crate) const HISTORY_FILE: &str = "SPLINTER_HISTORY_FILE";

/// The variable that holds the length of the history, if `--history-len` is not given.
pub(crate) const HISTORY_LEN: &str = "SPLINTER_HISTORY_LEN";
/// The notation of sizes and times, for help and man pages.
pub(crate) const UNITS: &str = "1k is 1,000 and 1KiB 1,024, so M and MiB, G and GiB, T and TiB; 0x begins \
hexadecimal digits. A time is a number and ns, us, ms, s, m, h or d, as in 100ms.";

/// The parsed arguments and environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The name the program was called by, without folders.
    pub(crate) name: String,
    /// Whether stores are files, as the program's name says.
    pub(crate) persistent: bool,
    /// The store to open at the start.
    pub(crate) use_store: Option<Word>,
    /// The prefix of every key.
    pub(crate) prefix: Word,
    /// The file of commands to run at the start.
    pub(crate) rcfile: Option<PathBuf>,
    /// The file for the prompt's history, if one was given.
    pub(crate) history_file: Option<PathBuf>,
    /// The most lines of the history, if given.
    pub(crate) history_len: Option<usize>,
    /// The file of label names, if not the usual one.
    pub(crate) rc_file: Option<PathBuf>,
    /// The user's home folder, if there is one.
    pub(crate) home: Option<PathBuf>,
    pub(crate) format: Format,
    pub(crate) task: Task,
}

/// The task of this call of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Read commands from the terminal, or from a pipe.
    Repl,
    /// Run one command, given as words.
    Once(Vec<Word>),
    Version,
    Help,
    List,
    Manual(PathBuf),
    /// Print the completion script for a shell.
    Completions(Word),
    /// Print what may follow on a line, for such a script. The last word is the one to complete.
    Complete(Vec<Word>),
}

/// The environment variables that the program reads, and what each means.
pub(crate) const ENVIRONMENT: [(&str, &str); 6] = [
    (DEFAULT_STORE, "the store to open first"),
    (NS_PREFIX, "the prefix of every key"),
    (HISTORY_FILE, "where the prompt keeps its history"),
    (HISTORY_LEN, "how many lines of it to keep"),
    ("SPLINTER_HASH_SEED", "the seed by which new stores place their keys; a random one without it"),
    ("SPLINTER_DEFAULT_UMASK", "the octal umask of new stores; without it they are 0600"),
];

/// The options that stand before the command.
pub(crate) static OPTIONS: &[Opt] = &[
    Opt::valued("--use", "STORE", "opens STORE first").kind(Kind::Store).short('u'),
    Opt::valued("--prefix", "PREFIX", "puts PREFIX in front of every key").short('p'),
    Opt::valued("--rcfile", "FILE", "runs the commands in FILE first").kind(Kind::File),
    Opt::valued("--rc-file", "FILE", "takes names of labels from FILE, not ~/.splinterrc")
        .kind(Kind::File)
        .short('r'),
    Opt::valued("--history-file", "FILE", "keeps the prompt's history in FILE").kind(Kind::File).short('H'),
    Opt::valued("--history-len", "N", "keeps N lines of it; 100, if not given").short('l'),
    Opt::flag("--no-repl", "runs one command, and never shows a prompt").short('n'),
    Opt::flag("--list-modules", "lists the commands").short('L'),
    Opt::valued("--manual", "FOLDER", "writes pages for man into FOLDER").kind(Kind::File),
    Opt::valued("--completions", "SHELL", "prints completion for bash, zsh or fish")
        .kind(Kind::Choice(SHELLS)),
    Opt::flag("--version", "prints the version; -v, too").short('V'),
];

/// Options that the help does not list: libsplinter's letter for `--version`, and the one that the completion scripts
/// use, which takes all words after it.
pub(crate) static HIDDEN: &[Opt] = &[Opt::flag("--version", "").short('v'), Opt::flag("--complete", "")];

impl Invocation {
    /// Parses the program's arguments, its name first. `variable` looks up environment variables. Mistakes, and a
    /// one-shot name without a command, have exit code 2.
    pub(crate) fn parse(
        args: &[OsString],
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Failure> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let name = program_name(args);
        let (mut is_once, persistent) = (name.ends_with("ctl"), name.starts_with("splinterp"));
        let mut invocation = Self {
            persistent,
            use_store: variable(DEFAULT_STORE).map(OsString::into_vec),
            prefix: variable(NS_PREFIX).map(OsString::into_vec).unwrap_or_default(),
            rcfile: None,
            history_file: variable(HISTORY_FILE).map(PathBuf::from),
            history_len: None,
            rc_file: None,
            home: variable("HOME").map(PathBuf::from),
            format: Format::Default,
            task: Task::Repl,
            name,
        };
        let words = args.iter().skip(1).map(|word| word.as_bytes());
        let mut items = Items::new(words, [OPTIONS, COMMON, HIDDEN]);
        let mut history_len = variable(HISTORY_LEN).map(|len| (HISTORY_LEN, len.into_vec()));
        let mut task = None;
        while let Some(item) = items.next() {
            let (long, value) = match item? {
                Item::Option(opt, value) => (opt.long, value.unwrap_or_default()),
                Item::Incomplete(opt) => return Err(opt.lacks_value()),
                Item::Argument(first)
                    if matches!(task, Some(Task::List | Task::Manual(_) | Task::Completions(_))) =>
                {
                    return Err(Failure::usage(format!(
                        "{} is one word too many: --list-modules, --manual and --completions take no command",
                        shown(first)
                    )));
                }
                Item::Argument(first) => {
                    let words = std::iter::once(first).chain(items.rest());
                    task = task.or(Some(Task::Once(words.map(Vec::from).collect())));
                    break;
                }
            };
            let path = || PathBuf::from(OsStr::from_bytes(value));
            match long {
                "--use" => invocation.use_store = Some(value.to_vec()),
                "--prefix" => invocation.prefix = value.to_vec(),
                "--rcfile" => invocation.rcfile = Some(path()),
                "--rc-file" => invocation.rc_file = Some(path()),
                "--history-file" => invocation.history_file = Some(path()),
                "--history-len" => history_len = Some(("--history-len", value.to_vec())),
                "--no-repl" => is_once = true,
                "--json" => invocation.format = Format::Json,
                "--raw" => invocation.format = Format::Raw,
                "--list-modules" => task = Some(Task::List),
                "--manual" => task = Some(Task::Manual(path())),
                "--completions" => task = Some(Task::Completions(value.to_vec())),
                "--version" => task = Some(Task::Version),
                "--complete" => {
                    task = Some(Task::Complete(items.rest().map(Vec::from).collect()));
                    break;
                }
                _ => task = Some(Task::Help),
            }
        }
        let history_len = history_len.map(|(what, len)| number(what, &len));
        invocation.history_len = history_len.transpose()?;
        invocation.task = match task {
            Some(task) => task,
            None if is_once => {
                return Err(Failure::usage("no command is given; --help lists them".to_owned()));
            }
            None => Task::Repl,
        };
        Ok(invocation)
    }
}

/// Returns the name the program was called by, without folders.
pub(crate) fn program_name(args: &[OsString]) -> String {
    let name = args.first().map(Path::new).and_then(Path::file_name);
    name.map_or_else(|| "splinter_cli".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str, variables: &[(&str, &str)]) -> Result<Invocation, Failure> {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Invocation::parse(&args, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    fn once(words: &[&str]) -> Task {
        Task::Once(words.iter().map(|word| Word::from(*word)).collect())
    }

    #[test]
    fn the_name_says_whether_there_is_a_prompt_and_whether_stores_are_files() {
        for (name, persistent, task) in [
            ("/usr/bin/splinter_cli", false, Some(Task::Repl)),
            ("splinterp_cli", true, Some(Task::Repl)),
            ("./splinterctl", false, None),
            ("splinterpctl", true, None),
        ] {
            let called = parse(name, &[]);
            assert_eq!(called.map(|called| called.task).ok(), task, "{name}");
            let called = parse(&format!("{name} list a"), &[]).unwrap();
            assert_eq!((called.persistent, called.task), (persistent, once(&["list", "a"])));
        }
    }

    #[test]
    fn options_go_before_the_command_and_over_the_environment() {
        let variables = [(DEFAULT_STORE, "a"), (NS_PREFIX, "p:"), (HISTORY_FILE, "h"), ("HOME", "/root")];
        let called = parse("splinterctl list --raw", &variables).unwrap();
        assert_eq!(called.use_store.as_deref(), Some(&b"a"[..]));
        assert_eq!((called.prefix.as_slice(), called.format), (&b"p:"[..], Format::Default));
        assert_eq!(called.history_file, Some("h".into()));
        assert_eq!(called.task, once(&["list", "--raw"]));
        let line = "splinterctl -u b --prefix= --history-file i --json --rcfile=r -- --odd x";
        let called = parse(line, &variables).unwrap();
        assert_eq!(called.use_store.as_deref(), Some(&b"b"[..]));
        assert_eq!((called.prefix.as_slice(), called.format), (&b""[..], Format::Json));
        assert_eq!((called.history_file, called.rcfile), (Some("i".into()), Some("r".into())));
        assert_eq!(called.task, once(&["--odd", "x"]));
        // An empty variable counts as unset.
        assert_eq!(parse("splinterctl list", &[(DEFAULT_STORE, "")]).unwrap().use_store, None);
    }

    #[test]
    fn help_and_version_need_no_command_and_go_before_one() {
        assert_eq!(parse("splinterctl --help", &[]).unwrap().task, Task::Help);
        assert_eq!(parse("splinterctl -V list", &[]).unwrap().task, Task::Version);
    }

    #[test]
    fn wrong_calls_are_refused_with_the_reason() {
        for (line, message) in [
            ("splinterctl", "no command is given; --help lists them"),
            ("splinterctl --", "no command is given; --help lists them"),
            ("splinterctl --use", "--use needs a STORE after it"),
            ("splinterctl --raw=1 list", "--raw takes no value"),
            (
                "splinterctl -L x",
                "\"x\" is one word too many: --list-modules, --manual and --completions take no command",
            ),
            ("splinter_cli --jsn", "there is no option \"--jsn\"; did you mean --json?"),
        ] {
            let failure = parse(line, &[]).unwrap_err();
            assert_eq!((failure.exit, failure.message.as_str()), (2, message));
        }
    }
}
