//! The command `persist`: takes a key's deadline away.

use super::prelude::*;

pub(super) static COMMAND: Command = Command {
    name: "persist",
    usage: &["KEY"],
    summary: "Keeps a key that would expire until it is removed",
    details: "\
The value, type, labels and vector stay as they are. See expire and ttl.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    change_key(session, call.arguments[0], json!({ "ttl_ms": null }), |writer, key| writer.persist(key))
}
