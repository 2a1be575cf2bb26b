//! The command `fsck`: finds damage in a store, and repairs it.

use super::prelude::*;
use crate::options;
use crate::output::{counted, json_bytes, shown, shown_path, write_json};
use crate::store_copy::copy_bytes;
use crate::store_file;
use serde_json::Value;
use splinter::{Inspection, Repair, Store, StoreError};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

pub(super) static COMMAND: Command = Command {
    name: "fsck",
    usage: &["[STORE] [--repair [--copy FILE | --no-copy]]"],
    summary: "Looks for damage in a store, and repairs it",
    details: "\
It counts claims of writers that died, keys in several slots, keys that the
index does not lead to, slots that are marked wrongly, index entries that lead
to no key, slots that signal wrongly, sketches that are not those of their
vectors, and bytes that the scrub level promises to zero. It looks several
times, and counts only what it sees each time.

--repair first copies the damaged store, byte by byte, into FILE, or beside it
as STORE.before-repair. Then it recovers the claims of dead writers. If no other
writer is registered, it also repairs the rest, while readers continue: of a
key's slots, it keeps the one that readers find; it frees slots whose content
cannot be a key; and it makes index, marks and sketches again. It prints the
keys of all slots that it gives up. It does not check values, which have no
checksums. It refuses a file that is not a complete store, and says why.

The exit code is 0 if the store is sound, or was repaired with every key; 3 if
it is damaged, or still is after a repair; 4 if it was repaired without some
keys.",
    args: &[Arg::optional("STORE", Kind::Store)],
    options: &[
        Opt::flag("--repair", "repairs the damage as far as possible"),
        Opt::valued("--copy", "FILE", "keeps the damaged store in FILE, which must not exist")
            .kind(Kind::File),
        Opt::flag("--no-copy", "repairs without a copy"),
    ],
    run,
};

/// The exit code for a store that is damaged.
const DAMAGED: u8 = 3;
/// The exit code for a store that was repaired and lost keys.
const LOST: u8 = 4;

/// A kind of damage: its name in JSON, its description, and its count in an inspection.
struct Damage(&'static str, &'static str, fn(&Inspection) -> u64);

const KINDS: [Damage; 8] = [
    Damage("stuck_claims", "claims that dead writers left", |found| found.stuck_claims),
    Damage("duplicate_keys", "second slots of a key", |found| found.duplicate_keys),
    Damage("unreachable_keys", "keys that the index does not lead to", |found| found.unreachable_keys),
    Damage("leaked_slots", "slots marked wrongly as used or free", |found| found.leaked_slots),
    Damage("dangling_entries", "index entries that lead to no key", |found| found.dangling_entries),
    Damage("wrong_notify_flags", "slots that signal wrongly", |found| found.wrong_notify_flags),
    Damage("wrong_sketches", "sketches that are not those of their vectors", |found| found.wrong_sketches),
    Damage("stale_bytes", "bytes that should be zero", |found| found.stale_bytes),
];

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (copy, no_copy) = (call.value("--copy"), call.has("--no-copy"));
    match (call.has("--repair"), copy, no_copy) {
        (false, Some(_), _) => return Err(Failure::usage("--copy goes with --repair")),
        (false, _, true) => return Err(Failure::usage("--no-copy goes with --repair")),
        (_, Some(_), true) => return Err(Failure::usage("give --copy or --no-copy, not both")),
        _ => {}
    }
    // A repair needs all writer ids.
    session.release_writer();
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
            false => Err(Failure::with_exit_code(DAMAGED, format!("{name} is damaged; --repair repairs it"))),
        };
    }
    if store.is_read_only() {
        return Err(StoreError::ReadOnly.into());
    }
    let copy = match (copy, no_copy) {
        (_, true) => None,
        (Some(file), false) => Some(options::path(file).to_owned()),
        (None, false) => Some(beside(&store_file::path(store.location()))),
    };
    if let Some(copy) = &copy {
        copy_bytes(store, copy).map_err(|mut failure| {
            failure.message += "; nothing was repaired; --copy puts the copy elsewhere, --no-copy goes \
                                without";
            failure
        })?;
    }
    let repair = store.repair()?;
    write(session, &name, &repair.before, Some((&repair, copy.as_deref())))?;
    let given_up = counted(repair.given_up.len() as u64, "key");
    match (repair.after.is_sound(), repair.others) {
        (true, _) if repair.given_up.is_empty() => Ok(()),
        (true, _) => Err(Failure::with_exit_code(LOST, format!("{name} is sound again, without {given_up}"))),
        (false, 0) => Err(Failure::with_exit_code(
            DAMAGED,
            format!(
                "{name} is still damaged: it changed meanwhile, or cannot be repaired; export its \
                 keys and import them into a new store"
            ),
        )),
        (false, others) => Err(Failure::with_exit_code(
            DAMAGED,
            format!(
                "{name} is still damaged, and others may be writing ({}); end them, and try again",
                counted(others.into(), "writer")
            ),
        )),
    }
}

/// Returns a name next to a store that no file has.
fn beside(store: &Path) -> PathBuf {
    let name = |number: u32| {
        let mut name = store.as_os_str().to_owned();
        name.push(".before-repair");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    let is_free = |path: &PathBuf| std::fs::symlink_metadata(path).is_err();
    (1..).map(name).find(is_free).unwrap_or_else(|| name(1))
}

/// Inspects a store, and again while it seems damaged. Counts only damage that every inspection found: an operation that a
/// writer has not finished yet looks like damage for a moment.
fn inspect(store: &Store) -> Result<Inspection, StoreError> {
    let mut least = store.inspect()?;
    for _ in 0..RECHECKS {
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
            (&mut least.wrong_notify_flags, found.wrong_notify_flags),
            (&mut least.wrong_sketches, found.wrong_sketches),
            (&mut least.stale_bytes, found.stale_bytes),
            (&mut least.stale_slots, found.stale_slots),
        ] {
            *least = found.min(*least);
        }
    }
    Ok(least)
}

/// How many more inspections to make.
const RECHECKS: u32 = 20;

/// Prints the damage found. After a repair, also prints the damage left, the keys given up and the path of the copy.
fn write(
    session: &mut Session,
    name: &str,
    found: &Inspection,
    repaired: Option<(&Repair, Option<&Path>)>,
) -> Result<(), Failure> {
    let out = &mut session.out;
    let now = repaired.map_or(found, |(repair, _)| &repair.after);
    match session.format {
        Format::Json => {
            let counts = |found: &Inspection| -> Value {
                let counts = KINDS.iter().map(|Damage(name, _, count)| (*name, count(found)));
                let more = [("keys", found.keys), ("live_claims", found.live_claims)];
                counts.chain(more).map(|(name, count)| (name.to_owned(), json!(count))).collect()
            };
            let mut answer = json!({ "store": name, "sound": now.is_sound(), "found": counts(found) });
            if let Some((repair, copy)) = repaired {
                answer["left"] = counts(&repair.after);
                let keys = repair.given_up.iter().map(|key| json_bytes(key.as_ref()));
                answer["given_up"] = keys.collect();
                answer["copy"] = copy.map(|copy| json_bytes(copy.as_os_str().as_bytes())).into();
            }
            write_json(out, &answer)?;
        }
        Format::Default | Format::Raw => {
            for Damage(_, what, count) in KINDS {
                let (found, left) = (count(found), count(now));
                match (found, left) {
                    (0, 0) => {}
                    (_, 0) => writeln!(out, "{what}: {found}, repaired")?,
                    _ if repaired.is_none() => writeln!(out, "{what}: {found}")?,
                    _ => {
                        writeln!(out, "{what}: {found}, of which {left} are left")?;
                    }
                }
            }
            if let Some((repair, copy)) = repaired {
                for key in &repair.given_up {
                    writeln!(out, "given up: {}", shown(key.as_ref()))?;
                }
                if let Some(copy) = copy {
                    writeln!(out, "as it was: {}", shown_path(copy))?;
                }
            }
            let state = if now.is_sound() { "sound" } else { "damaged" };
            writeln!(out, "{name}: {}, {state}", counted(now.keys, "key"))?;
        }
    }
    Ok(())
}
