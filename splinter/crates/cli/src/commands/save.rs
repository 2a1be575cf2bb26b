//! The command `save`: copies the store in use into a file, while others use it.

use super::prelude::*;
use crate::options;
use crate::output::{counted, json_bytes, shown};
use crate::store_copy::{Copied, copy_to};

pub(super) static COMMAND: Command = Command {
    name: "save",
    usage: &["FILE [--force]"],
    summary: "Copies the store into a file, while others use it",
    details: "\
It copies each key as it was at one moment, with its value, type, labels,
groups, flags, times and vector, and pinned if it is. The moments differ: a
change during the copy may be in it or not. Epochs start again, and a cache
forgets its order: all keys are as if they had just come. FILE is a store like
any other, for splinterpctl and for restore. It gets its name once it is
complete and on the device. Until then it has no name, or a hidden one beside
it if the file system has no unnamed files.",
    args: &[Arg::one("FILE", Kind::File)],
    options: &[FORCE],
    run,
};

/// The option `--force`: replaces an existing file or store.
pub(super) const FORCE: Opt = Opt::flag("--force", "replaces a file or store of that name").short('f');

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let file = call.arguments[0];
    let store = session.store()?;
    let copied = copy_to(store, options::path(file), call.has("--force"))?;
    print_copied(session, "saved", copied, "to", file)
}

/// Prints what was copied.
pub(super) fn print_copied(
    session: &mut Session,
    done: &str,
    copied: Copied,
    preposition: &str,
    name: &[u8],
) -> Result<(), Failure> {
    let Copied { keys, vanished } = copied;
    session.report(
        format!("{done} {} {preposition} {}", counted(keys, "key"), shown(name)),
        &json!({ done: json_bytes(name), "keys": keys, "vanished": vanished }),
    )
}
