//! The command `use`: opens the store for the following commands.

use super::prelude::*;
use crate::output::{json_bytes, listed};

pub(super) static COMMAND: Command = Command {
    name: "use",
    usage: &["STORE"],
    summary: "Opens a store for the commands that follow",
    details: "\
STORE is a name in shared memory; for splinterp_cli and splinterpctl, a path. A
store that this user may only read is opened read-only. If STORE cannot be
opened, the store in use stays.",
    args: &[Arg::one("STORE", Kind::Store)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let name = call.arguments[0];
    session.use_store(name)?;
    let text = [b"use: now connected to ", &*listed(name)].concat();
    session.report(text, &json!({ "store": json_bytes(name) }))
}
