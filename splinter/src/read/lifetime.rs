//! How long keys stay.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use super::handle::AsKey;
use super::handle::sealed::Plain;
use crate::error::Error;
use crate::open::Store;
use std::time::Duration;

impl Store {
    /// Returns for how long `key` stays, or `None` if that is until it is removed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Again`].
    #[doc(alias("expiry", "deadline"))]
    pub fn ttl(&self, key: impl AsKey) -> Result<Option<Duration>, Error> {
        let key = key.plain().key_ref(self.arena())?;
        let arena = self.arena();
        arena.read_with_metadata(&key, |read| Ok(arena.time_left(read.number, read.descriptor)))
    }

    /// Returns the store time, in nanoseconds: the time of [`Lifetime::Until`](crate::Lifetime::Until). It goes on while
    /// the machine sleeps, setting the clock does not move it, and it stands still while the machine is off.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.arena().clock.now()
    }
}
