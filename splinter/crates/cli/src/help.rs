//! Writes the help: of the program, of all commands, and of one. Only writes text.

use crate::command::{Command, Table};
use crate::invocation::{ENVIRONMENT, OPTIONS, UNITS};
use crate::options::{COMMON, Opt};
use std::io::{self, Write};

/// Writes the help of the program, which was called by `name`.
pub(crate) fn write_program(out: &mut dyn Write, name: &str, table: &Table) -> io::Result<()> {
    writeln!(out, "usage: {name} [OPTION]... [COMMAND [WORD]...]\n")?;
    writeln!(out, "splinter_cli and splinterp_cli read commands from a prompt, or from a pipe;")?;
    writeln!(out, "splinterctl and splinterpctl run one. Stores are named shared memory;")?;
    writeln!(out, "for splinterp_cli and splinterpctl, files.\n\noptions:")?;
    write_options(out, OPTIONS.iter().chain(COMMON))?;
    writeln!(out, "\ncommands:")?;
    write_commands(out, table)?;
    writeln!(out, "\nenvironment:")?;
    for (variable, what) in ENVIRONMENT {
        writeln!(out, "  {variable:<24} {what}")?;
    }
    writeln!(out, "\nsizes and times: {}", UNITS.replace(". ", ".\n"))?;
    writeln!(
        out,
        "\nexit codes: 0 success; 1 failure, such as no key, a busy key or no store; 2 wrong call;\n\
         5 a key that is not as --if-absent, --if-present or --if-epoch expect it;\n\
         fsck also has 3 damaged, 4 repaired without some keys"
    )
}

pub(crate) fn write_commands(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    for (name, summary) in table.names() {
        writeln!(out, "  {name:<11} {summary}")?;
    }
    Ok(())
}

pub(crate) fn write_command(out: &mut dyn Write, command: &Command) -> io::Result<()> {
    for (at, line) in command.usage.iter().enumerate() {
        let lead = if at == 0 { "usage:" } else { "      " };
        writeln!(out, "{}", format!("{lead} {} {line}", command.name).trim_end())?;
    }
    writeln!(out, "\n{}.\n\n{}\n\noptions:", command.summary, command.details)?;
    write_options(out, command.options.iter().chain(COMMON))
}

fn write_options<'a>(out: &mut dyn Write, options: impl Iterator<Item = &'a Opt>) -> io::Result<()> {
    for opt in options {
        let short = opt.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
        let value = opt.value.map_or(String::new(), |(name, _)| format!(" {name}"));
        writeln!(out, "  {short}{:<20} {}", format!("{}{value}", opt.long), opt.help)?;
    }
    Ok(())
}
