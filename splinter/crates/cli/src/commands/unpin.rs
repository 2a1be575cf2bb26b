//! The command `unpin`: lets a cache evict a key again.

use super::prelude::*;

pub(super) static COMMAND: Command = Command {
    name: "unpin",
    usage: &["KEY"],
    summary: "Lets a cache evict a key that was pinned",
    details: "\
It stays until the cache needs room and it was not used lately. See pin.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    change_key(session, call.arguments[0], json!({ "pinned": false }), |writer, key| writer.unpin(key))
}
