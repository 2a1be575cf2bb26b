//! The command line of Splinter: one program with four names. `splinter_cli` and `splinterp_cli` are prompts;
//! `splinterctl` and `splinterpctl` run one command. The names with a `p` use stores in files, the others named stores
//! in shared memory.
//!
//! The table `commands::TABLE` lists all commands. The prompt, the one-shot form, help, hints, completion and man pages read
//! it. A module uses only modules of earlier layers, or ones before it in its own; `ci/layers` finds circles:
//!
//! 1. Bytes and the system, without stores or commands: `words` splits a line, `output` and `table` format
//!    answers, `stdio`, `input`, `failure`, `time`, `byte_order_mark`, `chunks`, `envelope`, `interrupt`, `fatal_signals`,
//!    `atomic_file`, `retry`, `lines`, `vector`.
//! 2. Parsing, which opens and prints nothing: `options`, `invocation`, `labels`.
//! 3. Stores: `store_file`, `session` (what lasts between commands), `entry`, `old_format`, `store_copy`, `wait`,
//!    `tandem`.
//! 4. `command`, which says what a command is; `value`, `help`, `execute`.
//! 5. `commands`: one file a command, and the table.
//! 6. `complete`, `completions`, `manual`, `repl`.

mod atomic_file;
mod byte_order_mark;
mod chunks;
mod command;
mod commands;
mod complete;
mod completions;
mod entry;
pub mod envelope;
mod execute;
mod expect;
mod failure;
mod fatal_signals;
mod help;
mod input;
mod interrupt;
mod invocation;
mod labels;
mod lines;
mod manual;
mod old_format;
mod options;
mod output;
mod repl;
mod retry;
mod session;
mod stdio;
mod store_copy;
mod store_file;
mod table;
mod tandem;
mod time;
mod value;
mod vector;
mod wait;
mod words;

pub use invocation::BUILD;

use commands::TABLE;
use failure::Failure;
use invocation::{Invocation, SHELLS, Task};
use session::Session;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// Runs the program with `args`; the first is the name it was called by. Returns the exit code: 0 for success, 1 if the
/// store could not do it (a missing key, for example), 2 if the call was wrong, or a command's own.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let name = invocation::program_name(&args);
    let words: Vec<&[u8]> = args.iter().map(|word| word.as_bytes()).collect();
    let format = command::format_among(&words).unwrap_or_default();
    fatal_signals::install_handlers(&name, format);
    let invocation = Invocation::parse(&args, |variable| std::env::var_os(variable))
        .map_err(|failure| failure.in_format(format));
    let done = invocation
        .and_then(|invocation| run(&invocation).map_err(|failure| failure.in_format(invocation.format)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&name),
    }
}

fn run(invocation: &Invocation) -> Result<(), Failure> {
    let mut session = Session::new(invocation);
    match &invocation.task {
        Task::Version => writeln!(session.out, "{} version {BUILD}", invocation.name)?,
        Task::Help => help::write_program(&mut session.out, &invocation.name, &TABLE)?,
        Task::List => help::write_commands(&mut session.out, &TABLE)?,
        Task::Manual(folder) => manual::write_pages(folder, &TABLE)?,
        Task::Completions(shell) => {
            let script = completions::script(shell)
                .ok_or_else(|| options::not_one_of(shell, SHELLS).with_context("--completions"))?;
            session.out.write_all(script.as_bytes())?;
        }
        Task::Complete(words) => completions::write_candidates(&mut session, &TABLE, words)?,
        Task::Repl => repl::run(&mut session, invocation)?,
        Task::Once(words) => {
            repl::startup(&mut session, invocation)?;
            execute::execute(&TABLE, &mut session, words)?;
        }
    }
    Ok(session.out.flush()?)
}
