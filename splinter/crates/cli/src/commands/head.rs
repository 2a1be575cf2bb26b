//! The command `head`: shows a key's metadata, without its value.

use super::prelude::*;
use crate::entry::bits;
use crate::output::json_mask;
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
    let numbers = groups.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    let vector = if session.format == Format::Json { "has_vector" } else { "vector" };
    let mut fields = vec![
        ("hash", json!(format!("{:#018x}", slot.hash)), None),
        ("epoch", json!(slot.epoch), None),
        ("value_length", json!(slot.value_len), None),
        ("value_offset", json!(slot.value_offset), None),
        ("type", json!(slot.kind.to_string()), None),
        ("labels", json_mask(slot.labels), None),
        ("groups", json!(groups), Some(if groups.is_empty() { "none".into() } else { numbers })),
        ("user_flags", json!(slot.user_flags), Some(format!("{:#x}", slot.user_flags))),
        ("ctime", json!(slot.ctime), None),
        ("atime", json!(slot.atime), None),
        (vector, json!(slot.has_vector), None),
        ("pinned", json!(slot.pinned), None),
    ];
    fields.extend(slot.ttl.map(|ttl| ("ttl_ms", json!(ttl.as_millis() as u64), None)));
    session.print_fields(Some(("key", &key)), fields)
}
