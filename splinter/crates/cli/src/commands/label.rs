//! The command `label`: shows, adds or removes the 64 labels of a key.

use super::prelude::*;
use crate::entry::bits;
use crate::output::{json_bytes, json_mask};
use crate::retry::retry_key;

pub(super) static COMMAND: Command = Command {
    name: "label",
    usage: &["KEY", "KEY MASK", "KEY MASK --remove"],
    summary: "Shows, adds or removes labels of a key",
    details: "\
A label is one of 64 bits. MASK has a bit for each label, and is decimal or
begins with 0x. list --label MASK finds the keys that have all of them; bind
--label signals changes of such keys to a group. A key keeps its labels when it
is set, and loses them when it is removed.

Wherever a command takes a MASK, it also takes a name from ~/.splinterrc. A line
of that file is a name and a mask, as in WAITING 0x1; # begins a comment.",
    args: &[Arg::one("KEY", Kind::Key), Arg::optional("MASK", Kind::Text)],
    options: &[Opt::flag("--remove", "removes the labels in MASK instead")],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let Some((mask, is_removed)) = given(session, call)? else {
        let store = session.store()?;
        let slot = retry_key(&key, || store.snapshot(&key))?;
        let labels = json!({
            "key": json_bytes(&key), "epoch": slot.epoch, "labels": json_mask(slot.labels),
            "numbers": bits(slot.labels).collect::<Vec<_>>(),
        });
        return session.print(format_args!("{:#x}", slot.labels), &labels);
    };
    let answer = json!({ if is_removed { "removed" } else { "added" }: json_mask(mask) });
    change_key(session, call.arguments[0], answer, |writer, key| match is_removed {
        true => writer.unlabel(key, mask),
        false => writer.label(key, mask),
    })
}

/// Returns the labels that a call changes, if it does, and whether it removes them.
pub(super) fn given(session: &Session, call: &Call<'_>) -> Result<Option<(u64, bool)>, Failure> {
    let is_removed = call.has("--remove");
    match call.get(1) {
        None if is_removed => Err(Failure::usage(format!("--remove needs a MASK; {}", call.usage()))),
        None => Ok(None),
        Some(word) => Ok(Some((session.labels.mask("MASK", word, &session.interrupt)?, is_removed))),
    }
}
