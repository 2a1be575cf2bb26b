//! The command `bump`: raises a key's epoch and changes nothing else.

use super::prelude::*;

pub(super) static COMMAND: Command = Command {
    name: "bump",
    usage: &["KEY"],
    summary: "Raises the epoch of a key, which wakes all processes that watch it",
    details: "\
The value, type, labels and vector stay as they are.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    change_key(session, call.arguments[0], json!({ "bumped": true }), |writer, key| writer.bump(key))
}
