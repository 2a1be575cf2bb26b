//! The command `help`: lists the commands, or explains one, from the table.

use super::prelude::*;
use crate::help;

pub(super) static COMMAND: Command = Command {
    name: "help",
    usage: &["[COMMAND]"],
    summary: "Lists the commands, or explains one",
    details: "COMMAND --help does the same.",
    args: &[Arg::optional("COMMAND", Kind::Command)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    match call.get(0) {
        None => help::write_commands(&mut session.out, call.table)?,
        Some(name) => {
            let command = call.table.find(name).ok_or_else(|| call.table.unknown(name))?;
            help::write_command(&mut session.out, command)?;
        }
    }
    Ok(())
}
