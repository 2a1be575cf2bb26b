//! How both programs begin, refuse, hand out what they found, and end. A verb returns its exit code or a [`Failure`]; only
//! [`run`] turns a failure into a line on standard error and a code.

use crate::console;
use crate::environment::require_proc;
use crate::error::RunError;
use crate::files::{as_json, try_files, write_file};
use crate::interrupt;
use crate::progress::Line;
use crate::verdict::{USAGE, Verdict};
use clap::{Args, Parser};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

/// The program's name, as it is called.
static NAME: OnceLock<&str> = OnceLock::new();

/// Why a verb ended without a result.
#[derive(Debug)]
pub enum Failure {
    /// The command line asks for something that cannot be done: what, and what to do.
    Usage(String),
    /// The machine did not let it run; the line says what it refused.
    Machine(String),
    /// Standard output could not be written, which was said; the code to end with.
    Output(ExitCode),
}

impl From<String> for Failure {
    fn from(line: String) -> Self {
        Self::Usage(line)
    }
}

impl From<&str> for Failure {
    fn from(line: &str) -> Self {
        Self::Usage(line.to_owned())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Usage(line) => Self::Usage(line),
            RunError::Failed(line) => Self::Machine(line),
        }
    }
}

/// What a verb returns.
pub type Outcome = Result<ExitCode, Failure>;

/// Runs a program: parses its command line, makes sure of `/proc` where the verb `measures`, does what the verb says and
/// returns the exit code.
pub fn run<P: Parser>(
    name: &'static str,
    measures: impl FnOnce(&P) -> bool,
    act: impl FnOnce(P) -> Outcome,
) -> ExitCode {
    let _ = NAME.set(name);
    let done = console::begin(name).map_err(Failure::Output).and_then(|parsed| {
        if measures(&parsed) {
            require_proc().map_err(Failure::Machine)?;
        }
        act(parsed)
    });
    let (line, code) = match done {
        Ok(code) | Err(Failure::Output(code)) => return code,
        Err(Failure::Usage(line)) => (line, ExitCode::from(USAGE)),
        Err(Failure::Machine(line)) => (line, Verdict::Inconclusive.exit_code()),
    };
    complain(&line);
    code
}

/// Says on standard error what is wrong.
pub fn complain(what: &str) {
    console::complain(NAME.get().unwrap_or(&"splinter"), what);
}

/// Prints a result. A reader that has had enough is no error.
///
/// # Errors
/// [`Failure::Output`], once standard error has the reason.
pub fn print(text: &str) -> Result<(), Failure> {
    console::print(NAME.get().unwrap_or(&"splinter"), text).map_err(Failure::Output)
}

/// Prints a record as JSON, or the text that people read of it.
///
/// # Errors
/// As [`print()`].
pub fn print_record(
    json: bool,
    record: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    print(&if json { as_json(record) } else { text() })
}

/// Where the record goes.
#[derive(Args, Clone, Debug)]
pub struct OutputArguments {
    /// Prints the record as JSON instead of a summary
    #[arg(long)]
    pub json: bool,
    /// Writes the record to a file
    #[arg(long, value_name = "PATH")]
    pub record: Option<PathBuf>,
}

/// Another file that a verb writes, and the text that goes there of its record.
pub type Log<'a, R> = (&'a Path, fn(&R) -> String);

impl OutputArguments {
    /// Prints the record as JSON, or its `text`, and keeps it in the file, if one is given, even if it cannot be printed.
    ///
    /// # Errors
    /// What could not be printed or kept.
    pub fn hand_out(&self, record: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let printed = print_record(self.json, record, text);
        if let Some(file) = &self.record {
            write_file(file, &as_json(record))?;
        }
        printed
    }

    /// Does all that a verb with one record does: finds out whether its files can be written, none of which may be an
    /// input, does the verb's `work`, and hands on the record, which `tell` sums up and judges, and the log.
    ///
    /// # Errors
    /// What was wrong with the command line or the machine, or could not be written.
    pub fn run_and_report<R: Serialize, E: Into<Failure>>(
        &self,
        verb: &str,
        inputs: &[Option<&Path>],
        log: Option<Log<'_, R>>,
        work: impl FnOnce(&mut Line) -> Result<R, E>,
        tell: impl FnOnce(&R) -> (String, Verdict),
    ) -> Outcome {
        try_files(&[self.record.as_deref(), log.map(|(path, _)| path)], inputs)?;
        interrupt::watch();
        let mut line = Line::new(verb);
        let record = work(&mut line).map_err(Into::into)?;
        drop(line);
        let (summary, verdict) = tell(&record);
        let handed_out = self.hand_out(&record, || summary + "\n");
        if let Some((path, text)) = log {
            write_file(path, &text(&record))?;
        }
        handed_out.map(|()| verdict.exit_code())
    }
}
