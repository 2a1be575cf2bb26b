//! Waits for changes of a key. Ctrl-C at the prompt ends a wait; a busy key never does.

use crate::failure::Failure;
use crate::options::Opt;
use crate::retry::BUSY_PAUSE;
use crate::session::Session;
use crate::store_file::{self, StoreCheck};
use splinter::{Change, Error, Key, Store};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

/// How often a wait at the prompt checks whether Ctrl-C was pressed.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The option `--after`: the epoch from which a change counts.
pub(crate) const AFTER: Opt =
    Opt::valued("--after", "EPOCH", "counts every change since EPOCH, which list and head show");

/// The option `--timeout`: ends a command after some time.
pub(crate) const TIMEOUT: Opt = Opt::valued("--timeout", "SPAN", "ends after this time, as in 500ms or 2m");

/// The option `--missing`: waits for a key that is missing, too.
pub(crate) const MISSING: Opt =
    Opt::flag("--missing", "also waits for a key that is not there, or is removed");

/// Waits until the epoch of `key` is no longer `epoch`; while the key is missing, too, if `is_awaited`. Returns the new
/// epoch, or none if Ctrl-C was pressed, or the store's error: [`Error::NotFound`] or [`Error::TimedOut`]. Fails if the
/// store was removed, or removed and created again.
pub(crate) fn until_changed(
    session: &Session,
    store: &Store,
    key: &[u8],
    epoch: u64,
    is_awaited: bool,
    deadline: Option<Instant>,
    store_check: &mut StoreCheck,
) -> Result<Result<Option<u64>, Error>, Failure> {
    loop {
        if session.is_interrupted() {
            return Ok(Ok(None));
        }
        store_check.run_if_due(store)?;
        let next = Some(next_check(session, deadline));
        let waited = match is_awaited {
            true => store.wait_for_after(key, epoch, next),
            false => store.poll_after(key, epoch, next),
        };
        match waited {
            Ok(now) => return Ok(Ok(Some(now))),
            Err(Error::TimedOut) if !is_over(deadline) => {}
            Err(Error::Again) => thread::sleep(BUSY_PAUSE),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Returns when to wake next: at the deadline, or earlier, in time to check for a removed store, and at a prompt for
/// Ctrl-C. Gives back the session's writer id, since a command that waits keeps none.
pub(crate) fn next_check(session: &Session, deadline: Option<Instant>) -> Instant {
    session.release_writer();
    let interval = if session.is_interactive { POLL_INTERVAL } else { store_file::CHECK_INTERVAL };
    let next = Instant::now() + interval;
    deadline.map_or(next, |deadline| deadline.min(next))
}

pub(crate) fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// The key of each slot. An event for a removal names the slot only.
#[derive(Default)]
pub(crate) struct SlotKeys(HashMap<u32, Key>);

impl SlotKeys {
    /// Records a change. Returns the key that was in the slot before, if it is another one.
    pub(crate) fn record(&mut self, change: &Change) -> Option<Key> {
        match change.key {
            Some(key) => self.0.insert(change.slot, key).filter(|before| *before != key),
            None => self.0.remove(&change.slot),
        }
    }
}
