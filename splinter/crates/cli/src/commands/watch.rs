//! `watch`: prints what changes, as it changes: a key's value, or the keys of some groups, or of the whole store.

use crate::command::{self, Arg, Call, Command, Count, Kind, Opt};
use crate::failure::Failure;
use crate::output::{Format, json_bytes, listed, shown, write_json};
use crate::session::Session;
use crate::value::Reading;
use crate::waiting::{AFTER, next_look, until_changed};
use serde_json::json;
use splinter::{Change, Error, Key, Store, Watcher};
use std::collections::HashMap;
use std::thread;
use std::time::Duration;

/// The command.
pub static COMMAND: Command = Command {
    name: "watch",
    usage: &[
        "KEY [--oneshot] [--after EPOCH]",
        "--group GROUP... [--oneshot]",
        "--all [--oneshot]",
    ],
    summary: "Prints the value of a key, or of a group's keys, whenever it changes",
    details: "\
The new value is printed after each change; of changes that follow each other
faster than they can be printed, the last. With --group, which may be given
more than once, and --all, the key stands in front of the value, and a key that
was removed is told of. With --raw every value ends in a newline. It goes on
until Ctrl-C is pressed, or the key is removed; with --oneshot until the first
change. With --after nothing is missed that changed before the watch began. A
key that is busy is waited for.",
    args: &[Arg { name: "KEY", kind: Kind::Key, count: Count::Maybe }],
    options: &[
        Opt { long: "--oneshot", short: None, value: None, help: "ends after the first change" },
        Opt {
            long: "--group",
            short: None,
            value: Some(("GROUP", Kind::Group)),
            help: "watches the keys and labels bound to GROUP, 0 to 63",
        },
        AFTER,
        Opt { long: "--all", short: None, value: None, help: "watches every key in the store" },
    ],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let groups = call.values("--group").map(|group| command::group("--group", group));
    let groups = groups.collect::<Result<Vec<u8>, _>>()?;
    let is_once = call.has("--oneshot");
    let is_after = call.has(AFTER.long);
    match (call.get(0), groups.is_empty(), call.has("--all")) {
        (Some(key), true, false) => {
            let (key, after) = (session.key(key), call.number(AFTER.long)?);
            let store = session.store()?.clone();
            watch_key(session, &store, &key, is_once, after)
        }
        (None, false, false) if !is_after => {
            let watcher = session.store()?.watch(&groups)?;
            watch_many(session, watcher, is_once)
        }
        (None, true, true) if !is_after => {
            let watcher = session.store()?.watch_all()?;
            watch_many(session, watcher, is_once)
        }
        (None, ..) if is_after => Err(Failure::usage("--after needs a KEY")),
        _ => Err(Failure::usage(format!("give one of KEY, --group and --all; {}", call.usage()))),
    }
}

fn watch_key(
    session: &mut Session,
    store: &Store,
    key: &[u8],
    is_once: bool,
    after: Option<u64>,
) -> Result<(), Failure> {
    let now = read(store, key).map_err(|error| Failure::key(key, error))?.epoch;
    let mut epoch = after.unwrap_or(now);
    let removed = |error| match error {
        Error::NotFound => Failure::new(format!("{} was removed", shown(key))),
        error => Failure::key(key, error),
    };
    while until_changed(session, store, key, epoch, None).map_err(removed)?.is_some() {
        let value = read(store, key).map_err(removed)?;
        epoch = value.epoch;
        write_change(session, key, false, &value)?;
        if is_once {
            break;
        }
    }
    Ok(())
}

fn watch_many(session: &mut Session, mut watcher: Watcher, is_once: bool) -> Result<(), Failure> {
    let store = session.store()?.clone();
    // What the slots held: whoever hears of a removal is told of the slot only.
    let mut held = HashMap::new();
    watcher.resync(|change| {
        held.extend(change.key.map(|key| (change.slot, key)));
    });
    while !session.is_interrupted() {
        let mut is_told = false;
        match watcher.wait(next_look(session, None)) {
            Ok(None) => {}
            Ok(Some(change)) => is_told = tell(session, &store, &mut held, &change)?,
            Err(lagged) => {
                let missed = lagged.missed;
                session.warn(&format!("watch: {missed} changes came too fast; all keys follow"));
                let mut all = Vec::new();
                watcher.resync(|change| all.push(change));
                for change in &all {
                    is_told |= tell(session, &store, &mut held, change)?;
                }
            }
        }
        if is_once && is_told {
            break;
        }
    }
    Ok(())
}

/// Tells of a change: what the key holds now, or that it was removed. Returns whether there was anything to tell: what
/// is not under the prefix is left out.
fn tell(
    session: &mut Session,
    store: &Store,
    held: &mut HashMap<u32, Key>,
    change: &Change,
) -> Result<bool, Failure> {
    let before = match change.key {
        Some(key) => held.insert(change.slot, key).filter(|before| *before != key),
        None => held.remove(&change.slot),
    };
    let gone = before.filter(|gone| gone.as_ref().starts_with(&session.prefix));
    if let Some(gone) = gone {
        write_removal(session, gone.as_ref(), change.epoch)?;
    }
    let Some(key) = change.key.filter(|key| key.as_ref().starts_with(&session.prefix)) else {
        return Ok(gone.is_some());
    };
    match read(store, key.as_ref()) {
        Ok(value) => write_change(session, key.as_ref(), true, &value).map(|()| true),
        // It was removed since; of that there is word to come.
        Err(Error::NotFound) => Ok(gone.is_some()),
        Err(error) => Err(Failure::key(key.as_ref(), error)),
    }
}

/// Writes what a key holds now, with its name if it may be one of several.
fn write_change(
    session: &mut Session,
    key: &[u8],
    is_named: bool,
    value: &Reading,
) -> Result<(), Failure> {
    if session.format == Format::Default && is_named {
        session.out.write_all(&listed(key))?;
        session.out.write_all(b" ")?;
    }
    value.answer(session, key)?;
    if session.format == Format::Raw {
        session.out.write_all(b"\n")?;
    }
    Ok(session.out.flush()?)
}

fn write_removal(session: &mut Session, key: &[u8], epoch: u64) -> Result<(), Failure> {
    let out = &mut session.out;
    match session.format {
        Format::Default => {
            out.write_all(&listed(key))?;
            out.write_all(b" was removed\n")?;
        }
        Format::Json => {
            let told = json!({ "key": json_bytes(key), "epoch": epoch, "removed": true });
            write_json(out, &told)?;
        }
        Format::Raw => {}
    }
    Ok(out.flush()?)
}

/// Reads the value of `key`, however often it changes meanwhile.
fn read(store: &Store, key: &[u8]) -> Result<Reading, Error> {
    loop {
        match Reading::of(store, key) {
            Err(Error::Again) => thread::sleep(Duration::from_micros(100)),
            read => return read,
        }
    }
}
