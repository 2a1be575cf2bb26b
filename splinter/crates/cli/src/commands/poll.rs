//! The command `poll`: waits for the next change of a key.

use super::prelude::*;
use crate::options::number;
use crate::output::shown;
use crate::retry::{retry_busy, retry_key};
use crate::store_file::StoreCheck;
use crate::time::{deadline, span};
use crate::value::Reading;
use crate::wait::{AFTER, MISSING, until_changed};
use splinter::{Error, OptionalExt};
use std::time::Duration;

pub(super) static COMMAND: Command = Command {
    name: "poll",
    usage: &["KEY [TIMEOUT] [--after EPOCH] [--missing]"],
    summary: "Waits for the next change of a key, and prints its value",
    details: "\
TIMEOUT is a time, as in 500ms or 2s; a number without a unit is milliseconds.
Without TIMEOUT, it waits until there is a change. If nothing changes in time,
or the key is removed, the exit code is 1. With --after, it also notices a
change before it began to wait. With --missing, it waits for a key that is not
there until that is set, and goes on if the key is removed.",
    args: &[Arg::one("KEY", Kind::Key), Arg::optional("TIMEOUT", Kind::Text)],
    options: &[AFTER, MISSING],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    // The original took milliseconds only.
    let timeout = call.get(1).map(|word| {
        let said = String::from_utf8_lossy(word);
        match word.iter().all(u8::is_ascii_digit) {
            true => number("TIMEOUT", word).map(|ms| (Duration::from_millis(ms), format!("{said} ms"))),
            false => span("TIMEOUT", word).map(|span| (span, said.into_owned())),
        }
    });
    let (timeout, said) = timeout.transpose()?.unzip();
    let deadline = deadline(timeout);
    let store = session.store()?.clone();
    let is_awaited = call.has(MISSING.long);
    let epoch = match is_awaited {
        // No key has epoch 0.
        true => retry_busy(|| store.epoch(&key).optional())
            .map_err(|error| Failure::key(&key, error))?
            .unwrap_or(0),
        false => retry_key(&key, || store.epoch(&key))?,
    };
    let mut epoch = call.number(AFTER.long)?.unwrap_or(epoch);
    let removed = || Failure::new(format!("{} was removed", shown(&key)));
    let failed = |error| match error {
        Error::NotFound => removed(),
        Error::TimedOut => {
            let said = said.clone().unwrap_or_default();
            Failure::new(format!("{} did not change within {said}", shown(&key)))
        }
        error => Failure::key(&key, error),
    };
    let mut check = StoreCheck::new();
    loop {
        let changed = until_changed(session, &store, &key, epoch, is_awaited, deadline, &mut check)?;
        let Some(now) = changed.map_err(&failed)? else { return Ok(()) };
        match retry_busy(|| Reading::in_use(&store, &key)) {
            // It was removed since, and is waited for again.
            Err(Error::NotFound) if is_awaited => epoch = now,
            value => return Ok(value.map_err(&failed)?.answer(session, &key)?),
        }
    }
}
