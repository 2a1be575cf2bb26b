//! The command `pin`: keeps a cache from evicting a key.

use super::prelude::*;

pub(super) static COMMAND: Command = Command {
    name: "pin",
    usage: &["KEY"],
    summary: "Keeps a cache from evicting a key",
    details: "\
The key stays pinned until unpin names it, or it is removed; setting it anew
leaves it pinned. A deadline still holds. Once all keys of a full cache are
pinned, it takes no new ones. head shows whether a key is pinned.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    change_key(session, call.arguments[0], json!({ "pinned": true }), |writer, key| writer.pin(key))
}
