//! The command `help`: lists the commands, or explains one, from the table.

use crate::COMMANDS;
use crate::command::{self, Arg, COMMON, Call, Command, Count, Kind, Opt};
use crate::commands::ALIASES;
use crate::failure::Failure;
use crate::session::Session;
use std::io::{self, Write};

/// The entry of the command table.
pub static COMMAND: Command = Command {
    name: "help",
    usage: &["[COMMAND]"],
    summary: "Lists the commands, or explains one",
    details: "COMMAND --help does the same.",
    args: &[Arg { name: "COMMAND", kind: Kind::Command, count: Count::Maybe }],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    match call.get(0) {
        None => write_commands(&mut session.out)?,
        Some(name) => {
            let command = command::find(name).ok_or_else(|| command::unknown(name))?;
            write_one(&mut session.out, command)?;
        }
    }
    Ok(())
}

/// Writes a line for each command.
pub(crate) fn write_commands(out: &mut dyn Write) -> io::Result<()> {
    for command in COMMANDS {
        writeln!(out, "  {:<10} {}", command.name, command.summary)?;
    }
    for (alias, name) in ALIASES {
        writeln!(out, "  {alias:<10} Another name for {name}")?;
    }
    Ok(())
}

/// Writes the help of a command.
pub(crate) fn write_one(out: &mut dyn Write, command: &Command) -> io::Result<()> {
    for (at, line) in command.usage.iter().enumerate() {
        let lead = if at == 0 { "usage:" } else { "      " };
        writeln!(out, "{}", format!("{lead} {} {line}", command.name).trim_end())?;
    }
    writeln!(out, "\n{}.\n\n{}\n\noptions:", command.summary, command.details)?;
    write_options(out, command.options.iter().chain(COMMON))
}

/// Writes a line for each option.
pub(crate) fn write_options<'a>(
    out: &mut dyn Write,
    options: impl Iterator<Item = &'a Opt>,
) -> io::Result<()> {
    for opt in options {
        let short = opt.short.map_or("    ".to_owned(), |letter| format!("-{letter}, "));
        let value = opt.value.map_or(String::new(), |(name, _)| format!(" {name}"));
        writeln!(out, "  {short}{:<20} {}", format!("{}{value}", opt.long), opt.help)?;
    }
    Ok(())
}
