//! The command line of Splinter: one program with four names. `splinter_cli` and `splinterp_cli` are prompts;
//! `splinterctl` and `splinterpctl` run one command. The names with a `p` use stores in files, the others named stores
//! in shared memory.
//!
//! The table [`TABLE`] lists all commands. The prompt, the one-shot form, help, hints, completion and man pages read
//! it. A module uses only modules of earlier layers, or ones before it in its own:
//!
//! 1. Bytes and the system, without stores or commands: [`words`] splits a line, [`output`] and [`table`] format
//!    answers, [`stdio`], [`failure`], [`time`], [`byte_order_mark`], [`envelope`], [`interrupt`], `fatal_signals`,
//!    [`atomic_file`], [`retry`].
//! 2. Parsing, which opens and prints nothing: [`options`], [`invocation`], [`labels`].
//! 3. Stores: [`store_file`], [`session`] (what lasts between commands), [`entry`], [`store_copy`], [`wait`].
//! 4. [`command`], which says what a command is; [`value`], [`help`], [`execute`].
//! 5. [`commands`]: one file a command, and the table.
//! 6. [`complete`], [`completions`], [`manual`], [`repl`].

pub mod atomic_file;
pub mod byte_order_mark;
pub mod command;
pub mod commands;
pub mod complete;
pub mod completions;
pub mod entry;
pub mod envelope;
pub mod execute;
pub mod failure;
mod fatal_signals;
pub mod help;
pub mod interrupt;
pub mod invocation;
pub mod labels;
pub mod manual;
pub mod options;
pub mod output;
pub mod repl;
pub mod retry;
pub mod session;
pub mod stdio;
pub mod store_copy;
pub mod store_file;
pub mod table;
pub mod time;
pub mod value;
pub mod wait;
pub mod words;

pub use commands::TABLE;
pub use invocation::BUILD;

use failure::Failure;
use invocation::{Invocation, SHELLS, Task};
use session::Session;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// Runs the program with `args`; the first is the name it was called by. Returns the exit code: 0 for success, 1 if the
/// store could not do it (a missing key, for example), 2 if the call was wrong.
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Lists the modules in the order of the layers in this file's documentation.
    fn layers() -> Vec<&'static str> {
        let lines = include_str!("lib.rs").lines().skip_while(|line| !line.starts_with("//! 1."));
        let lines = lines.take_while(|line| line.starts_with("//!"));
        lines.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
    }

    /// Returns the modules of this crate that a file uses outside its tests.
    fn used(file: &Path) -> Vec<String> {
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        let name = |text: &str| {
            text.split(|char: char| !char.is_alphanumeric() && char != '_').next().map(str::to_owned)
        };
        code.split("crate::").skip(1).filter_map(name).collect()
    }

    #[test]
    fn a_module_uses_only_modules_of_earlier_layers() {
        let layers = layers();
        let place = |module: &str| layers.iter().position(|known| *known == module);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let names = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for file in names(&source).chain(names(&source.join("commands"))).filter(|path| path.is_file()) {
            let mut module = file.file_stem().unwrap().to_str().unwrap();
            if file.parent() != Some(&source) {
                module = "commands";
            } else if ["lib", "main"].contains(&module) {
                continue;
            }
            let own = place(module).unwrap_or_else(|| panic!("{module} is in no layer"));
            for other in used(&file) {
                let is_earlier = place(&other).is_some_and(|place| place < own);
                assert!(is_earlier, "{} uses {other}", file.display());
            }
        }
    }
}
