//! The command `head`: shows a key's metadata, without its value.

use super::prelude::*;
use crate::entry::bits;
use crate::output::{json_bytes, json_mask, listed};
use crate::retry::retry_key;

pub(super) static COMMAND: Command = Command {
    name: "head",
    usage: &["KEY"],
    summary: "Shows the metadata of a key, without its value",
    details: "\
The epoch is even and grows with every change. Labels are 64 bits. The groups
are those that a change signals, through the key or through a label. ctime and
atime are numbers that programs wrote, in a unit of their choice.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let store = session.store()?;
    let slot = retry_key(&key, || store.snapshot(&key))?;
    let groups: Vec<u8> = bits(slot.groups).collect();
    let head = json!({
        "key": json_bytes(&key), "hash": format!("{:#018x}", slot.hash), "epoch": slot.epoch,
        "value_length": slot.value_len, "value_offset": slot.value_offset,
        "type": slot.kind.to_string(), "labels": json_mask(slot.labels), "groups": groups,
        "user_flags": slot.user_flags, "ctime": slot.ctime, "atime": slot.atime,
        "has_vector": slot.has_vector,
    });
    let numbers = groups.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    let rows = [
        ("hash", format!("{:#018x}", slot.hash)),
        ("epoch", slot.epoch.to_string()),
        ("value_length", slot.value_len.to_string()),
        ("value_offset", slot.value_offset.to_string()),
        ("type", slot.kind.to_string()),
        ("labels", format!("{:#x}", slot.labels)),
        ("groups", if groups.is_empty() { "none".into() } else { numbers }),
        ("user_flags", format!("{:#x}", slot.user_flags)),
        ("ctime", slot.ctime.to_string()),
        ("atime", slot.atime.to_string()),
        ("vector", if slot.has_vector { "yes" } else { "no" }.into()),
    ];
    if session.format != Format::Json {
        session.out.write_all(&[b"key: ", &*listed(&key), b"\n"].concat())?;
    }
    session.print_rows(rows, &head)
}
