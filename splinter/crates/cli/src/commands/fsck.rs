//! `fsck`: looks for damage in a store, and mends it.

use crate::command::{Arg, Call, Command, Count, Kind, Opt};
use crate::failure::Failure;
use crate::output::{Format, counted, write_json};
use crate::session::Session;
use serde_json::{Value, json};
use splinter::{Inspection, Store, StoreError};
use std::thread;
use std::time::Duration;

/// The command.
pub static COMMAND: Command = Command {
    name: "fsck",
    usage: &["[STORE] [--repair]"],
    summary: "Looks for damage in a store, and mends it",
    details: "Counts claims of writers that died, keys that several slots hold, keys that the
index does not lead to, slots that are marked wrongly, entries that lead to no
key, slots that signal wrongly, and bytes where the scrub level promises
zeroes. What is seen at each of several looks counts. Exits 1 if anything is
wrong.

--repair takes over what dead writers left. If nobody else is registered as a
writer it mends the rest as well, while readers go on: of a key's slots the one
that readers find stays, slots with what cannot be a key are freed, and index
and marks are made anew. Values are taken as they are: there are no checksums.
A file that is no store at all, or not all of one, is refused with the reason.",
    args: &[Arg { name: "STORE", kind: Kind::Store, count: Count::Maybe }],
    options: &[Opt {
        long: "--repair",
        short: None,
        value: None,
        help: "mends what is wrong, as far as can be",
    }],
    run,
};

/// A kind of damage: its name in JSON, what is said of it, and how much of it an inspection found.
struct Damage(&'static str, &'static str, fn(&Inspection) -> u64);

const KINDS: [Damage; 7] = [
    Damage("stuck_claims", "claims that dead writers left", |found| found.stuck_claims),
    Damage("duplicate_keys", "second slots of a key", |found| found.duplicate_keys),
    Damage("unreachable_keys", "keys that the index does not lead to", |found| {
        found.unreachable_keys
    }),
    Damage("leaked_slots", "slots marked wrongly as used or free", |found| found.leaked_slots),
    Damage("dangling_entries", "index entries that lead to no key", |found| found.dangling_entries),
    Damage("misrouted_slots", "slots that signal wrongly", |found| found.misrouted_slots),
    Damage("stale_bytes", "bytes that should be zero", |found| found.stale_bytes),
];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let opened = call.get(0).map(|name| session.open_apart(name)).transpose()?;
    let store = match &opened {
        Some(store) => store,
        None => session.store()?,
    };
    let name = store.location().to_string();
    let found = inspect(store)?;
    if found.is_sound() || !call.has("--repair") {
        write(session, &name, &found, None)?;
        return match found.is_sound() {
            true => Ok(()),
            false => Err(Failure::new(format!("{name} is damaged; --repair mends it"))),
        };
    }
    let repair = store.repair()?;
    write(session, &name, &repair.before, Some((&repair.after, repair.removed)))?;
    match (repair.after.is_sound(), repair.others) {
        (true, _) => Ok(()),
        (false, 0) => Err(Failure::new(format!(
            "{name} is damaged still: it changed meanwhile, or cannot be mended; export its keys \
             and import them into a new store"
        ))),
        (false, others) => Err(Failure::new(format!(
            "{name} is damaged still, and others may be writing ({}); end them, and try again",
            counted(others.into(), "writer")
        ))),
    }
}

/// Inspects a store again and again while something seems wrong, and counts what was seen each time: what a writer has just
/// not finished is not there for long.
fn inspect(store: &Store) -> Result<Inspection, StoreError> {
    let mut least = store.inspect()?;
    for _ in 0..LOOKS {
        if least.is_sound() {
            break;
        }
        thread::sleep(Duration::from_millis(1));
        let found = store.inspect()?;
        (least.keys, least.live_claims) = (found.keys, found.live_claims);
        for (least, found) in [
            (&mut least.stuck_claims, found.stuck_claims),
            (&mut least.duplicate_keys, found.duplicate_keys),
            (&mut least.unreachable_keys, found.unreachable_keys),
            (&mut least.leaked_slots, found.leaked_slots),
            (&mut least.dangling_entries, found.dangling_entries),
            (&mut least.misrouted_slots, found.misrouted_slots),
            (&mut least.stale_bytes, found.stale_bytes),
            (&mut least.stale_slots, found.stale_slots),
        ] {
            *least = found.min(*least);
        }
    }
    Ok(least)
}

/// How often a store is looked at again.
const LOOKS: u32 = 20;

/// Writes what was found, and what of it is left after a repair, and how many slots that cost.
fn write(
    session: &mut Session,
    name: &str,
    found: &Inspection,
    repaired: Option<(&Inspection, u64)>,
) -> Result<(), Failure> {
    let out = &mut session.out;
    let now = repaired.map_or(found, |(after, _)| after);
    match session.format {
        Format::Json => {
            let counts = |found: &Inspection| -> Value {
                let counts = KINDS.iter().map(|Damage(name, _, count)| (*name, count(found)));
                let more = [("keys", found.keys), ("live_claims", found.live_claims)];
                counts.chain(more).map(|(name, count)| (name.to_owned(), json!(count))).collect()
            };
            let mut told =
                json!({ "store": name, "sound": now.is_sound(), "found": counts(found) });
            if let Some((after, removed)) = repaired {
                told["left"] = counts(after);
                told["removed_slots"] = json!(removed);
            }
            write_json(out, &told)?;
        }
        Format::Default | Format::Raw => {
            for Damage(_, what, count) in KINDS {
                let (found, left) = (count(found), count(now));
                match (found, left) {
                    (0, 0) => {}
                    (_, 0) => writeln!(out, "{what}: {found}, mended")?,
                    _ if repaired.is_none() => writeln!(out, "{what}: {found}")?,
                    _ => {
                        writeln!(out, "{what}: {found}, of which {left} are left")?;
                    }
                }
            }
            if let Some((_, removed @ 1..)) = repaired {
                writeln!(out, "slots given up: {removed}")?;
            }
            let state = if now.is_sound() { "sound" } else { "damaged" };
            writeln!(out, "{name}: {}, {state}", counted(now.keys, "key"))?;
        }
    }
    Ok(())
}
