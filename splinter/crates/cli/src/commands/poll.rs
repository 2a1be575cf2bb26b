//! `poll`: waits for the next change of a key.

use crate::command::{Arg, Call, Command, Count, Kind, number};
use crate::failure::Failure;
use crate::output::shown;
use crate::session::{Session, patiently};
use crate::value::Reading;
use crate::waiting::{AFTER, until_changed};
use splinter::Error;
use std::time::{Duration, Instant};

/// The command.
pub static COMMAND: Command = Command {
    name: "poll",
    usage: &["KEY [TIMEOUT_MS] [--after EPOCH]"],
    summary: "Waits for the next change of a key, and prints its value",
    details: "\
Without TIMEOUT_MS, in milliseconds, it waits until there is one. That nothing
changed in time, and that the key was removed, are failures: exit code 1. With
--after nothing is missed that changed before the wait began.",
    args: &[
        Arg { name: "KEY", kind: Kind::Key, count: Count::One },
        Arg { name: "TIMEOUT_MS", kind: Kind::Number, count: Count::Maybe },
    ],
    options: &[AFTER],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let timeout_ms = call.get(1).map(|word| number::<u64>("TIMEOUT_MS", word)).transpose()?;
    let timeout = timeout_ms.map(Duration::from_millis);
    // A time that the clock does not reach is no limit.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let store = session.store()?.clone();
    let epoch = patiently(|| store.epoch(&key)).map_err(|error| Failure::key(&key, error))?;
    let epoch = call.number(AFTER.long)?.unwrap_or(epoch);
    let changed = until_changed(session, &store, &key, epoch, deadline);
    let removed = || Failure::new(format!("{} was removed", shown(&key)));
    let changed = changed.map_err(|error| match error {
        Error::NotFound => removed(),
        Error::TimedOut => {
            let timeout_ms = timeout_ms.unwrap_or_default();
            Failure::new(format!("{} did not change within {timeout_ms} ms", shown(&key)))
        }
        error => Failure::key(&key, error),
    })?;
    if changed.is_none() {
        return Ok(());
    }
    let value = patiently(|| Reading::of(&store, &key)).map_err(|error| match error {
        Error::NotFound => removed(),
        error => Failure::key(&key, error),
    })?;
    Ok(value.answer(session, &key)?)
}
