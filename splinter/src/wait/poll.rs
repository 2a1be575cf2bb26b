//! Waiting for a change of one key: a look, a short spin, then sleep on the slot itself.

use crate::error::Error;
use crate::open::Store;
use crate::read::{AsKey, Plain};
use crate::signals::PreparedWait;
use crate::wait::spin::{Backoff, Spin};
use std::time::Instant;

impl Store {
    /// Waits until `key` changes: returns its epoch after any change that is published once this was
    /// called: setting, appending, integers, types, labels, times, flags, vectors, bumping, removal. It may
    /// also return for a write that was under way already, or for whatever else raises the epoch, such as
    /// [`Writer::register`](crate::Writer::register), so look whether what you wait for is there.
    ///
    /// Whoever waits spins for a moment, then sleeps; a writer pays for it with one system call. On a
    /// store opened for reading only nobody can be told that somebody sleeps, so it looks again every
    /// millisecond instead.
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
    /// [`Error::NotFound`] when the key is missing; [`Error::TimedOut`] when `deadline` passed first;
    /// without one it waits for ever.
    #[doc(alias("wait", "subscribe"))]
    pub fn poll(&self, key: impl AsKey, deadline: Option<Instant>) -> Result<u64, Error> {
        self.poll_key(key.plain(), None, deadline)
    }

    /// Waits until the epoch of `key` is no longer `epoch`, which came with a value read earlier: no change
    /// between that and this call is missed. Returns the epoch then, which is the `epoch` to wait for the
    /// next change from.
    ///
    /// An epoch belongs to the slot that holds the key. If the key was removed meanwhile and set again, it may
    /// be in another slot, and only by a rare chance that has the same epoch and this waits for one change
    /// more.
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
        let mut spin = Spin::default();
        loop {
            if let Some(now) = arena.moved_from(slot, epoch) {
                return Ok(now);
            }
            if !spin.goes_on() {
                break;
            }
        }
        let (mut backoff, mut patience) = (Backoff::new(self, deadline), Spin::default());
        let state = slot.state_number.first_word();
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
                    // Nearly always for so short a time that there is no sense in sleeping.
                    PreparedWait::Claimed(_) if patience.goes_on() => {}
                    PreparedWait::Claimed(_) => backoff.back_off(),
                }
            }
            if backoff.is_over() && arena.moved_from(slot, epoch).is_none() {
                return Err(Error::TimedOut);
            }
        }
    }
}
