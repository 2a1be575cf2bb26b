//! The command `clear`: clears the screen.

use super::prelude::*;
use std::io::{self, IsTerminal};

pub(super) static COMMAND: Command = Command {
    name: "clear",
    usage: &[""],
    summary: "Clears the screen",
    details: "\
Without a terminal, it prints nothing.",
    args: &[],
    options: &[],
    run,
};

fn run(session: &mut Session, _: &mut Call<'_>) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        // ECMA-48: CUP moves the cursor to the first position, ED erases everything.
        session.out.write_all(b"\x1b[H\x1b[2J")?;
    }
    Ok(())
}
