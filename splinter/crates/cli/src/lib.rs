//! The command line of Splinter: one program with four names. `splinter_cli` and `splinterp_cli` are prompts;
//! `splinterctl` and `splinterpctl` run one command. The names with a `p` use stores in files, the others named stores
//! in shared memory.
//!
//! The table [`COMMANDS`] lists all commands. The prompt, the one-shot form, help, hints and completion all read it.
//! The parsers open and print nothing: [`invocation`] reads the program's arguments, [`words`] splits a line, and
//! [`command`] sorts a command's words into arguments and options.

pub mod bom;
pub mod command;
pub mod commands;
pub mod complete;
pub mod completions;
pub mod copying;
pub mod envelope;
pub mod failure;
mod fatal;
pub mod interchange;
pub mod interrupt;
pub mod invocation;
pub mod labels;
pub mod manual;
pub mod newfile;
pub mod output;
pub mod presence;
pub mod repl;
pub mod room;
pub mod session;
pub mod standard;
pub mod table;
pub mod time;
pub mod value;
pub mod waiting;
pub mod words;

pub use commands::COMMANDS;

use failure::Failure;
use invocation::{Invocation, Task};
use session::Session;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// The version and build, as the banner and `--version` print them.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " build ", env!("SPLINTER_BUILD"));

/// Runs the program with `args`; the first is the name it was called by. Returns the exit code: 0 for success, 1 if the
/// store could not do it (a missing key, for example), 2 if the call was wrong.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let name = invocation::program_name(&args);
    let words: Vec<&[u8]> = args.iter().map(|word| word.as_bytes()).collect();
    let format = command::format_among(&words).unwrap_or_default();
    fatal::install_handlers(&name, format);
    let invocation = Invocation::parse(&args, |variable| std::env::var_os(variable))
        .map_err(|failure| failure.in_format(format));
    let done = invocation.and_then(|invocation| {
        run(&invocation).map_err(|failure| failure.in_format(invocation.format))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&name),
    }
}

fn run(invocation: &Invocation) -> Result<(), Failure> {
    let mut session = Session::new(invocation);
    match &invocation.task {
        Task::Version => writeln!(session.out, "{} version {BUILD}", invocation.name)?,
        Task::Help => invocation::write_help(&invocation.name, &mut session.out)?,
        Task::List => commands::help::write_commands(&mut session.out)?,
        Task::Manual(folder) => manual::write_pages(folder)?,
        Task::Completions(shell) => {
            let script = completions::script(shell).ok_or_else(|| {
                let (shell, known) = (output::shown(shell), completions::SHELLS.join(", "));
                Failure::usage(format!("--completions: {shell} is not one of {known}"))
            })?;
            session.out.write_all(script.as_bytes())?;
        }
        Task::Repl => repl::run(&mut session, invocation)?,
        Task::Once(words) => {
            repl::startup(&mut session, invocation)?;
            command::execute(&mut session, words)?;
        }
    }
    Ok(session.out.flush()?)
}
