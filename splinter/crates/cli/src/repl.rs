//! Reading commands, from a prompt or from a script. What a command is it does not know: it hands on words.

use crate::command;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::session::Session;
use crate::{BUILD, words};
use rustyline::error::ReadlineError;
use std::io::{self, BufRead, IsTerminal, Write};

/// The prompt's name for no store.
const NO_STORE: &str = "no-conn";

/// Reads commands until there are no more: from a prompt if there is a terminal, else as a script.
///
/// # Errors
/// For a script, the first command that failed, with its line: those after it are not run. At a prompt nothing but that
/// there is no reading from the terminal.
pub fn run(session: &mut Session, invocation: &Invocation) -> Result<(), Failure> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return prompt(session, invocation);
    }
    script(session, io::stdin().lock())
}

/// Runs every line of a script, up to the first that fails.
///
/// # Errors
/// What failed, after the number of its line.
pub fn script(session: &mut Session, mut lines: impl BufRead) -> Result<(), Failure> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::io("read the commands", &error))? == 0 {
            break;
        }
        execute(session, &line).map_err(|failure| failure.said_by(&format!("line {number}")))?;
    }
    Ok(())
}

fn execute(session: &mut Session, line: &[u8]) -> Result<(), Failure> {
    let words = words::split(line).map_err(|unfinished| Failure::usage(unfinished.to_string()))?;
    command::execute(session, &words)
}

/// Reads commands from a terminal, and tells of what failed.
fn prompt(session: &mut Session, invocation: &Invocation) -> Result<(), Failure> {
    let terminal = |error: ReadlineError| Failure::new(format!("cannot use the terminal: {error}"));
    session.is_interactive = true;
    let mut editor = rustyline::DefaultEditor::new().map_err(terminal)?;
    writeln!(session.out, "{} version {BUILD}", invocation.name)?;
    writeln!(session.out, "To quit, press ctrl-c or ctrl-d.")?;
    session.out.flush()?;
    if let Err(failure) = session.connect() {
        eprintln!("{}", failure.message);
    }
    loop {
        let name = session.store_name().map_or(NO_STORE.into(), String::from_utf8_lossy);
        match editor.readline(&format!("{name} # ")) {
            Ok(line) => match execute(session, line.as_bytes()) {
                Err(failure) if failure.is_closed_pipe() => return Err(failure),
                Err(failure) => eprintln!("{}", failure.message),
                Ok(()) => {}
            },
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
            Err(error) => return Err(terminal(error)),
        }
    }
}
