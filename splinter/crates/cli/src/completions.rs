//! Completion in shells. The scripts for bash, zsh and fish ask the program, by `--complete` and the words so far, what
//! can follow. The answer is `files`, since a shell knows best how paths are quoted; or it is `words`, and then a line
//! for each candidate: the word, a tab and what it means.

use crate::command::Table;
use crate::complete::{Expected, StoreSource};
use crate::invocation::{HIDDEN, NAMES, OPTIONS};
use crate::options::{COMMON, Item, Items, Kind};
use crate::session::Session;
use crate::words::Word;
use std::io::{self, Write};

/// Returns the script for a shell, or none if the shell is not one of [`SHELLS`](crate::invocation::SHELLS).
pub(crate) fn script(shell: &[u8]) -> Option<String> {
    let script = match shell {
        b"bash" => include_str!("completions/splinter.bash"),
        b"zsh" => include_str!("completions/splinter.zsh"),
        b"fish" => include_str!("completions/splinter.fish"),
        _ => return None,
    };
    Some(script.replace("NAMES", &NAMES.join(" ")))
}

/// Writes what can follow on a line, for a script. The last of `words` is the one to complete.
pub(crate) fn write_candidates(session: &mut Session, table: &Table, words: &[Word]) -> io::Result<()> {
    let Some((last, before)) = words.split_last() else { return Ok(()) };
    let mut store = session.wanted_store().map(<[u8]>::to_vec);
    let mut source =
        StoreSource { store: None, prefix: session.prefix.clone(), persistent: session.persistent };
    let mut items = Items::new(before.iter().map(Vec::as_slice), [OPTIONS, COMMON, HIDDEN]);
    let mut pending = None;
    let (expected, joint) = loop {
        match items.next() {
            Some(Ok(Item::Option(opt, Some(value)))) => match opt.long {
                "--use" => store = Some(value.to_vec()),
                "--prefix" => source.prefix = value.to_vec(),
                _ => {}
            },
            Some(Ok(Item::Option(_, None)) | Err(_)) => {}
            Some(Ok(Item::Incomplete(opt))) => pending = Some(opt),
            Some(Ok(Item::Argument(name))) => {
                let Some(command) = table.find(name) else { return Ok(()) };
                let before: Vec<Word> = items.rest().map(<[u8]>::to_vec).collect();
                break Expected::of_command(command, &before, last);
            }
            None => break Expected::at([OPTIONS, COMMON], pending, last, Kind::Command),
        }
    };
    match expected {
        Expected::Word(Kind::File) => return writeln!(session.out, "files"),
        Expected::Word(Kind::Store) if session.persistent => return writeln!(session.out, "files"),
        Expected::Word(Kind::Key) => {
            source.store = store.and_then(|name| session.open_apart(&name).ok());
        }
        _ => {}
    }
    writeln!(session.out, "words")?;
    let (option, value) = last.split_at(joint);
    for (word, meaning) in expected.candidates(table, value, &source) {
        // A line has no room for a key with a newline or a tab.
        if !word.iter().any(u8::is_ascii_control) {
            session.out.write_all(&[option, &word, b"\t", meaning.as_bytes(), b"\n"].concat())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;
    use crate::commands::TABLE;
    use crate::invocation::SHELLS;

    #[test]
    fn every_shell_has_a_script_for_all_names() {
        for shell in SHELLS {
            let script = script(shell.as_bytes()).unwrap();
            NAMES.iter().for_each(|name| assert!(script.contains(name), "{shell}: {name}"));
        }
        assert_eq!(script(b"tcsh"), None);
    }

    #[test]
    fn all_options_and_choices_of_all_commands_are_candidates() {
        let source = StoreSource::default();
        let after = |command: &Command, before: &[Word], last: &str| -> Vec<String> {
            let (expected, _) = Expected::of_command(command, before, last.as_bytes());
            let found = expected.candidates(&TABLE, last.as_bytes(), &source);
            found.into_iter().map(|(word, _)| String::from_utf8(word).unwrap()).collect()
        };
        for command in TABLE.commands {
            let found = after(command, &[], "--");
            for opt in command.options.iter().chain(COMMON) {
                assert!(found.contains(&opt.long.to_owned()), "{} {}", command.name, opt.long);
                if let Some((_, Kind::Choice(words))) = opt.value {
                    let mut words = words.to_vec();
                    words.sort_unstable();
                    assert_eq!(after(command, &[opt.long.into()], ""), words, "{}", opt.long);
                }
            }
            for (at, arg) in command.args.iter().enumerate() {
                if let Kind::Choice(words) = arg.kind {
                    let mut words = words.to_vec();
                    words.sort_unstable();
                    assert_eq!(after(command, &vec![b"x".to_vec(); at], ""), words);
                }
            }
        }
    }
}
