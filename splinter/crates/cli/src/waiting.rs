//! Waiting for changes so that whoever sits at the prompt can end it. Never gives up because a key is busy.

use crate::command::{Kind, Opt};
use crate::session::Session;
use splinter::{Error, Store};
use std::thread;
use std::time::{Duration, Instant};

/// How long a wait at the prompt sleeps before it looks whether Ctrl-C was pressed.
pub const LOOK: Duration = Duration::from_millis(100);

/// The option that names the epoch from which a change counts.
pub const AFTER: Opt = Opt {
    long: "--after",
    short: None,
    value: Some(("EPOCH", Kind::Number)),
    help: "counts every change since EPOCH, which list and head show",
};

/// Waits until the epoch of `key` is no longer `epoch`. Returns the epoch then; nothing if Ctrl-C was pressed.
///
/// # Errors
/// [`Error::NotFound`], [`Error::TimedOut`].
pub fn until_changed(
    session: &Session,
    store: &Store,
    key: &[u8],
    epoch: u64,
    deadline: Option<Instant>,
) -> Result<Option<u64>, Error> {
    loop {
        if session.is_interrupted() {
            return Ok(None);
        }
        match store.poll_after(key, epoch, next_look(session, deadline)) {
            Ok(now) => return Ok(Some(now)),
            Err(Error::TimedOut) if !is_over(deadline) => {}
            Err(Error::Again) => thread::sleep(Duration::from_micros(100)),
            Err(error) => return Err(error),
        }
    }
}

/// Says until when to sleep: to the deadline, but at a prompt no longer than it takes to answer Ctrl-C. A command
/// that waits keeps no lane.
pub fn next_look(session: &Session, deadline: Option<Instant>) -> Option<Instant> {
    session.release_writer();
    let look = session.is_interactive.then(|| Instant::now() + LOOK);
    look.into_iter().chain(deadline).min()
}

/// Tells whether a deadline has passed.
pub fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
