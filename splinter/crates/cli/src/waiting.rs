//! Waiting for changes so that whoever sits at the prompt can end it. Never gives up because a key is busy.

use crate::command::{Kind, Opt};
use crate::failure::Failure;
use crate::presence::{self, Lookout};
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

/// The option that ends a command after some time.
pub const TIMEOUT: Opt = Opt {
    long: "--timeout",
    short: None,
    value: Some(("SPAN", Kind::Text)),
    help: "ends when this has passed, as in 500ms or 2m",
};

/// Waits until the epoch of `key` is no longer `epoch`. Returns the epoch then; nothing if Ctrl-C was pressed; or what the
/// store answered, [`Error::NotFound`] or [`Error::TimedOut`].
///
/// # Errors
/// The store was removed, or removed and made again.
pub fn until_changed(
    session: &Session,
    store: &Store,
    key: &[u8],
    epoch: u64,
    deadline: Option<Instant>,
    lookout: &mut Lookout,
) -> Result<Result<Option<u64>, Error>, Failure> {
    loop {
        if session.is_interrupted() {
            return Ok(Ok(None));
        }
        lookout.look(store)?;
        match store.poll_after(key, epoch, Some(next_look(session, deadline))) {
            Ok(now) => return Ok(Ok(Some(now))),
            Err(Error::TimedOut) if !is_over(deadline) => {}
            Err(Error::Again) => thread::sleep(Duration::from_micros(100)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Says until when to sleep: to the deadline, but no longer than a store may be gone unnoticed, and at a prompt no longer
/// than it takes to answer Ctrl-C. A command that waits keeps no lane.
pub fn next_look(session: &Session, deadline: Option<Instant>) -> Instant {
    session.release_writer();
    let look = Instant::now() + if session.is_interactive { LOOK } else { presence::LOOK };
    deadline.map_or(look, |deadline| deadline.min(look))
}

/// Tells whether a deadline has passed.
pub fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
