//! The command `exit`: ends a prompt or a script.

use super::prelude::*;

pub(super) static COMMAND: Command = Command {
    name: "exit",
    usage: &[""],
    summary: "Ends the prompt or the script",
    details: "\
The later lines of a script are not read. quit does the same.",
    args: &[],
    options: &[],
    run,
};

fn run(session: &mut Session, _: &mut Call<'_>) -> Result<(), Failure> {
    session.is_over = true;
    Ok(())
}
