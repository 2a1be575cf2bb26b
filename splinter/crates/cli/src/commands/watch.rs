//! The command `watch`: prints changes as they happen: of one key, of the keys of some groups, or of all keys.

use super::prelude::*;
use crate::options;
use crate::output::{json_bytes, listed, shown, write_json};
use crate::retry::retry_forever;
use crate::store_file::StoreCheck;
use crate::time::deadline;
use crate::value::Reading;
use crate::wait::{AFTER, MISSING, SlotKeys, TIMEOUT, is_over, next_check, until_changed};
use splinter::{Change, Error, Key, Store, Watcher};
use std::time::Instant;

pub(super) static COMMAND: Command = Command {
    name: "watch",
    usage: &[
        "KEY [--after EPOCH] [--missing] [OPTION]...",
        "--group GROUP... [OPTION]...",
        "--prefix PREFIX [OPTION]...",
        "--all [OPTION]...",
    ],
    summary: "Prints the value of a key, or of a group's keys, whenever it changes",
    details: "\
It prints the new value after each change. If changes follow each other faster
than it can print, it prints the last one. With --group, which may be given more
than once, with --prefix and with --all, the key comes before the value, and a
removed key is reported. With --raw every value ends in a newline. With --after
it also prints a change before the watch began. It waits for a key that is busy.

It goes on until Ctrl-C is pressed, or the key is removed. With --missing it
waits for a key that is not there, and goes on when the key is removed.
--oneshot ends it after the first change, --count after N changes, and --timeout
after a time: the exit code is 1 if fewer changes came than --oneshot or --count
asked for. If the store is removed, or removed and created again, the watch ends
within two seconds, with exit code 1.",
    args: &[Arg::optional("KEY", Kind::Key)],
    options: &[
        Opt::flag("--oneshot", "ends after the first change"),
        Opt::valued("--count", "N", "ends after N changes").short('n'),
        TIMEOUT,
        Opt::valued("--group", "GROUP", "watches the keys and labels bound to GROUP, 0 to 63")
            .kind(Kind::Group),
        AFTER,
        MISSING,
        Opt::valued("--prefix", "PREFIX", "watches the keys that begin with PREFIX, also those to come"),
        Opt::flag("--all", "watches every key in the store"),
    ],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let groups = call.values("--group").map(|group| options::group("--group", group));
    let groups = groups.collect::<Result<Vec<u8>, _>>()?;
    let limits = Limits::of(call)?;
    let of_key = [AFTER.long, MISSING.long].into_iter().find(|option| call.has(option));
    match (call.get(0), groups.is_empty(), call.value("--prefix"), call.has("--all"), of_key) {
        (Some(key), true, None, false, _) => {
            let (key, after) = (session.key(key), call.number(AFTER.long)?);
            let store = session.store()?.clone();
            watch_key(session, &store, &key, limits, after, call.has(MISSING.long))
        }
        (None, false, None, false, None) => {
            let watcher = session.store()?.watch(&groups)?;
            watch_many(session, watcher, limits)
        }
        (None, true, Some(prefix), false, None) => {
            let prefix = session.key(prefix);
            if !prefix.is_empty() {
                Key::new(&prefix).map_err(|error| Failure::key(&prefix, error))?;
            }
            let watcher = session.store()?.watch_prefix(prefix)?;
            watch_many(session, watcher, limits)
        }
        (None, true, None, true, None) => {
            let watcher = session.store()?.watch_all()?;
            watch_many(session, watcher, limits)
        }
        (None, .., Some(option)) => Err(Failure::usage(format!("{option} needs a KEY"))),
        _ => Err(Failure::usage(format!("give one of KEY, --group, --prefix and --all; {}", call.usage()))),
    }
}

/// The limits of a watch: a number of changes, and a time.
struct Limits {
    /// After how many changes to end, if given.
    count: Option<u64>,
    seen: u64,
    deadline: Option<Instant>,
}

impl Limits {
    fn of(call: &Call<'_>) -> Result<Self, Failure> {
        let count = match (call.number("--count")?, call.has("--oneshot")) {
            (Some(_), true) => return Err(Failure::usage("give --oneshot or --count, not both")),
            (Some(0), _) => {
                return Err(Failure::usage("--count: 0 changes are none; give 1 or more"));
            }
            (None, true) => Some(1),
            (count, false) => count,
        };
        Ok(Self { count, seen: 0, deadline: deadline(call.span(TIMEOUT.long)?) })
    }

    /// Counts a change. Returns whether it was the last.
    fn is_last(&mut self) -> bool {
        self.seen += 1;
        self.count == Some(self.seen)
    }

    /// Returns the result of a watch at its deadline: an error if fewer changes came than were asked for.
    fn time_is_up(&self) -> Result<(), Failure> {
        match (self.count, self.seen) {
            (None, _) => Ok(()),
            (Some(_), 0) => Err(Failure::new("nothing changed in time")),
            (Some(count), seen) => Err(Failure::new(format!("only {seen} of {count} changes came in time"))),
        }
    }
}

fn watch_key(
    session: &mut Session,
    store: &Store,
    key: &[u8],
    mut limits: Limits,
    after: Option<u64>,
    is_awaited: bool,
) -> Result<(), Failure> {
    let now = match retry_forever(|| Reading::of(store, key)) {
        Ok(value) => value.epoch,
        // No key has epoch 0.
        Err(Error::NotFound) if is_awaited => 0,
        Err(error) => return Err(Failure::key(key, error)),
    };
    let mut epoch = after.unwrap_or(now);
    let mut store_check = StoreCheck::new();
    let removed = |error| match error {
        Error::NotFound => Failure::new(format!("{} was removed", shown(key))),
        error => Failure::key(key, error),
    };
    loop {
        match until_changed(session, store, key, epoch, is_awaited, limits.deadline, &mut store_check)? {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(()),
            Err(Error::TimedOut) => return limits.time_is_up(),
            Err(error) => return Err(removed(error)),
        }
        let value = match retry_forever(|| Reading::of(store, key)) {
            // It comes back with another epoch, or not at all.
            Err(Error::NotFound) if is_awaited => continue,
            value => value.map_err(removed)?,
        };
        epoch = value.epoch;
        write_change(session, key, false, &value)?;
        if limits.is_last() {
            return Ok(());
        }
        if is_over(limits.deadline) {
            return limits.time_is_up();
        }
    }
}

fn watch_many(session: &mut Session, mut watcher: Watcher, mut limits: Limits) -> Result<(), Failure> {
    let store = session.store()?.clone();
    let mut store_check = StoreCheck::new();
    let mut slot_keys = SlotKeys::default();
    watcher.resync(|change| {
        slot_keys.record(&change);
    });
    while !session.is_interrupted() {
        store_check.run_if_due(&store)?;
        let mut changes = Vec::new();
        match watcher.wait(Some(next_check(session, limits.deadline))) {
            Ok(change) => changes.extend(change),
            Err(lagged) => {
                let missed = lagged.missed;
                session.warn(&format!("watch: {missed} changes came too fast; all keys follow"));
                // Keys may have moved to other slots.
                slot_keys = SlotKeys::default();
                watcher.resync(|change| changes.push(change));
            }
        }
        for change in &changes {
            if report_change(session, &store, &mut slot_keys, change)? && limits.is_last() {
                return Ok(());
            }
        }
        if is_over(limits.deadline) {
            return limits.time_is_up();
        }
    }
    Ok(())
}

/// Prints a change: the key's new value, or its removal. Returns whether it printed anything: keys outside the prefix
/// are skipped.
fn report_change(
    session: &mut Session,
    store: &Store,
    slot_keys: &mut SlotKeys,
    change: &Change,
) -> Result<bool, Failure> {
    let before = slot_keys.record(change);
    let gone = before.filter(|gone| gone.as_ref().starts_with(&session.prefix));
    if let Some(gone) = gone {
        write_removal(session, gone.as_ref(), change.epoch)?;
    }
    let Some(key) = change.key.filter(|key| key.as_ref().starts_with(&session.prefix)) else {
        return Ok(gone.is_some());
    };
    match retry_forever(|| Reading::of(store, key.as_ref())) {
        Ok(value) => write_change(session, key.as_ref(), true, &value).map(|()| true),
        // It was removed meanwhile. A change that reports this will come.
        Err(Error::NotFound) => Ok(gone.is_some()),
        Err(error) => Err(Failure::key(key.as_ref(), error)),
    }
}

/// Writes a key's value, with the key if several keys are watched.
fn write_change(session: &mut Session, key: &[u8], is_named: bool, value: &Reading) -> Result<(), Failure> {
    if session.format == Format::Default && is_named {
        session.out.write_all(&listed(key))?;
        session.out.write_all(b" ")?;
    }
    value.answer_line(session, key)?;
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
            let answer = json!({ "key": json_bytes(key), "epoch": epoch, "removed": true });
            write_json(out, &answer)?;
        }
        Format::Raw => {}
    }
    Ok(out.flush()?)
}
