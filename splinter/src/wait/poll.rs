//! Waits for a change of one key: looks, spins for a moment, then sleeps on the slot's futex.

#![allow(
    clippy::needless_pass_by_value,
    reason = "a key is given as to the standard library's functions: by reference or not"
)]

use crate::error::Error;
use crate::open::Store;
use crate::read::{AsKey, Plain};
use crate::signals::PreparedWait;
use crate::tuning;
use crate::wait::spin::{Backoff, CLAIM_SPIN, Spin};
use std::time::Instant;

impl Store {
    /// Waits until the content of `key` changes, and returns its epoch after a change that is published during this call.
    /// Changes are: setting, appending, integers, types, vectors, bumping, removal. Labels, times, flags, deadlines
    /// and subscriptions are none. A deadline that passes ends no wait; the removal of the key does.
    ///
    /// It may also return for a write that was under way already, or for a dead writer's change that was undone. So check
    /// whether the change that you wait for is there.
    ///
    /// The caller spins for a moment, then sleeps. A writer pays one system call to wake it. On a store opened for
    /// reading only, the caller cannot tell writers that it sleeps. It looks again every millisecond instead.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// writer.set("news", b"none")?;
    /// std::thread::scope(|scope| {
    ///     let epoch = store.epoch("news")?;
    ///     scope.spawn(move || writer.set("news", b"some"));
    ///     store.poll_after("news", epoch, Some(Instant::now() + Duration::from_secs(5)))?;
    ///     assert_eq!(store.get_vec("news")?, b"some");
    ///     Ok::<(), splinter::Error>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] when the key is missing, [`Error::TimedOut`] when `deadline` passed first. Without a
    /// deadline it waits for ever.
    #[doc(alias("wait", "subscribe"))]
    pub fn poll(&self, key: impl AsKey, deadline: Option<Instant>) -> Result<u64, Error> {
        self.poll_key(key.plain(), None, deadline)
    }

    /// Waits until the epoch of `key` differs from `epoch`, which came with a value read earlier. It misses no change
    /// between that read and this call. Returns the new epoch, from which to wait for the next change.
    ///
    /// # Errors
    /// As [`Self::poll`].
    pub fn poll_after(&self, key: impl AsKey, epoch: u64, deadline: Option<Instant>) -> Result<u64, Error> {
        self.poll_key(key.plain(), Some(epoch), deadline)
    }

    fn poll_key<'k>(
        &self,
        key: impl Plain<'k>,
        epoch: Option<u64>,
        deadline: Option<Instant>,
    ) -> Result<u64, Error> {
        let arena = self.arena();
        let key = key.key_ref(arena)?;
        let number = arena.locate(&key).ok_or(Error::NotFound)?;
        let read = arena.begin_read(number, &key).ok_or(Error::NotFound)?;
        let (slot, epoch) = (read.slot, epoch.unwrap_or(read.stable_epoch()));
        let mut spin = Spin::new(tuning::spin(), deadline);
        loop {
            if let Some(now) = arena.moved_from(slot, epoch) {
                return Ok(now);
            }
            if !spin.spin_once() {
                break;
            }
            if spin.is_check_due() {
                self.recover_dead_writers();
            }
        }
        let (mut backoff, mut claimed_spin) = (Backoff::new(self, deadline), Spin::new(CLAIM_SPIN, deadline));
        let state = slot.state_integer.first_word();
        loop {
            if self.is_read_only() {
                match arena.moved_from(slot, epoch) {
                    Some(now) => return Ok(now),
                    None => backoff.back_off(),
                }
            } else {
                match arena.prepare_wait(slot, epoch) {
                    PreparedWait::Changed(now) => return Ok(now),
                    PreparedWait::Ready(expected) => backoff.sleep(state, expected, u32::MAX),
                    // A claim nearly always ends before a sleep would pay.
                    PreparedWait::Claimed(_) if claimed_spin.spin_once() => {}
                    PreparedWait::Claimed(_) => backoff.back_off(),
                }
            }
            if backoff.is_past_deadline() && arena.moved_from(slot, epoch).is_none() {
                return Err(Error::TimedOut);
            }
        }
    }
}
