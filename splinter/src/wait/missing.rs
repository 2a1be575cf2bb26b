//! Waits for a key that may be missing: one that is not there yet, or that is removed and comes back.
//!
//! A missing key has no slot to sleep on. So the caller watches the whole store, looks for the key, and looks again after
//! each change. An insertion adds its entry to the index before it looks whether the store is watched: it signals, or the
//! caller finds that entry.

use super::presence::{Presence, Waiter, find, wait};
use crate::arena::key::KeyRef;
use crate::error::Error;
use crate::open::Store;
use crate::wait::Watcher;
use crate::wait::spin::Backoff;
use std::time::Instant;

impl Store {
    /// Waits until there is a key of this name, and returns its epoch. Returns at once if the key is there.
    ///
    /// If the key is missing, the caller watches the whole store as [`Self::watch_all`] does: every change of any key costs
    /// its writer a store into a shared cache line, and a system call if the caller sleeps. Writers stop counting when all
    /// such waits and watchers are over, or have fallen behind. If that is too much, give the key a
    /// [lasting subscription](crate::Writer::register_lasting), and watch its group. On a store opened for reading only, the
    /// caller looks again every millisecond instead.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || writer.set("answer", b"42"));
    ///     store.wait_for("answer", Some(Instant::now() + Duration::from_secs(5)))?;
    ///     assert_eq!(store.get_vec("answer")?, b"42");
    ///     Ok::<(), splinter::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TimedOut`] when `deadline` passed first, and those of a key that cannot be one. Without a deadline it waits
    /// for ever.
    #[doc(alias("poll", "await", "exists"))]
    pub fn wait_for(&self, key: impl AsRef<[u8]>, deadline: Option<Instant>) -> Result<u64, Error> {
        self.wait_for_other(key.as_ref(), None, deadline)
    }

    /// Waits until the key is there with another epoch than `epoch`, which came with a value read earlier: until it has
    /// changed, or was removed and has come back. Returns the new epoch. It is [`Self::poll_after`] that goes on over
    /// removals, since no epoch of a key comes again.
    ///
    /// It costs writers of other keys nothing while the key is there.
    ///
    /// # Errors
    /// As [`Self::wait_for`].
    #[doc(alias("poll", "await"))]
    pub fn wait_for_after(
        &self,
        key: impl AsRef<[u8]>,
        epoch: u64,
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        self.wait_for_other(key.as_ref(), Some(epoch), deadline)
    }

    fn wait_for_other(
        &self,
        key: &[u8],
        epoch: Option<u64>,
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        let key_ref = self.arena().key(key)?;
        let backoff = Backoff::new(self, deadline);
        wait(&mut Missing { store: self, key, key_ref, deadline, backoff, watcher: None }, epoch)
    }
}

/// A wait for a key that may be missing.
struct Missing<'s> {
    store: &'s Store,
    key: &'s [u8],
    key_ref: KeyRef<'s>,
    deadline: Option<Instant>,
    backoff: Backoff<'s>,
    watcher: Option<Watcher>,
}

impl Waiter for Missing<'_> {
    fn is_over(&self) -> bool {
        self.backoff.is_past_deadline()
    }

    fn look(&mut self) -> Presence {
        find(self.store.arena(), &self.key_ref)
    }

    fn wait_for_change(&mut self, epoch: u64) -> Result<(), Error> {
        match self.store.poll_after(self.key, epoch, self.deadline) {
            Ok(_) | Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn wait_for_any_change(&mut self) {
        match &mut self.watcher {
            // A watcher that lagged begins anew. Whatever it says, the key may be there.
            Some(watcher) => {
                let _ = watcher.wait(self.deadline);
            }
            None if self.store.is_read_only() => self.backoff.back_off(),
            None => self.watcher = self.store.watch_all().ok(),
        }
    }

    fn back_off(&mut self) {
        self.backoff.back_off();
    }
}
