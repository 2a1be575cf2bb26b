//! Waits for a key that may be missing: one that is not there yet, or that is removed and comes back.
//!
//! A missing key has no slot to sleep on. So the caller watches the whole store, looks for the key, and looks again after
//! each change. An insertion adds its entry to the index before it looks whether the store is watched: it signals, or the
//! caller finds that entry.

use crate::arena::Arena;
use crate::arena::key::KeyRef;
use crate::arena::state::State;
use crate::error::Error;
use crate::open::Store;
use crate::sync::fence_after_exchange;
use crate::wait::Watcher;
use crate::wait::spin::Backoff;
use std::time::Instant;

/// What a look for a key found.
enum Presence {
    /// The key, with the epoch of its content.
    There(u64),
    /// The key, which writers changed all the while: look again.
    Changing,
    /// A writer inserts or removes the key: look again in a moment.
    Moving,
    Missing,
}

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
        let mut backoff = Backoff::new(self, deadline);
        let mut watcher: Option<Watcher> = None;
        loop {
            // Before the look: the last one begins after the deadline.
            let is_over = backoff.is_past_deadline();
            match find(self.arena(), &key_ref) {
                Presence::There(now) if Some(now) != epoch => return Ok(now),
                Presence::There(now) => match self.poll_after(key, now, deadline) {
                    Ok(_) | Err(Error::NotFound) => {}
                    Err(error) => return Err(error),
                },
                Presence::Changing => {}
                Presence::Moving | Presence::Missing if is_over => return Err(Error::TimedOut),
                Presence::Moving => backoff.back_off(),
                Presence::Missing => match &mut watcher {
                    // A watcher that lagged begins anew. Whatever it says, the key may be there.
                    Some(watcher) => {
                        let _ = watcher.wait(deadline);
                    }
                    None if self.is_read_only() => backoff.back_off(),
                    None => watcher = self.watch_all().ok(),
                },
            }
            // Before the next look, if a watch has begun.
            fence_after_exchange();
        }
    }
}

/// Looks for a key, also for one that a writer is about to insert.
fn find(arena: &Arena<'_>, key: &KeyRef<'_>) -> Presence {
    match arena.read(key, |read| Ok(read.stable_epoch())) {
        Ok(epoch) => return Presence::There(epoch),
        Err(Error::Again) => return Presence::Changing,
        Err(_) => {}
    }
    let moving = arena.probe(key, |number, _, _| {
        let slot = arena.slot(number)?;
        // Before the key is looked for: a claim that ends in between has published the key or freed the slot.
        let is_claimed = State(slot.state_integer.first_acquire()).is_claimed();
        let is_there = arena.begin_read(number, key).is_some();
        (is_there || is_claimed && key.is_in(slot)).then_some(Presence::Moving)
    });
    moving.unwrap_or(Presence::Missing)
}
