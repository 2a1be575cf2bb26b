//! The command `retrain`: removes a key's vector, so that the program that makes vectors makes a new one.

use super::prelude::*;

pub(super) static COMMAND: Command = Command {
    name: "retrain",
    usage: &["KEY"],
    summary: "Removes the vector of a key, which wakes all processes that watch it",
    details: "\
The value stays, and the epoch grows. A program that makes vectors can then make
a new one.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    change_key(session, call.arguments[0], json!({ "retrained": true }), |writer, key| {
        writer.clear_vector(key)
    })
}
