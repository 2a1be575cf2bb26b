//! Many keys at once: the cache misses of a batch overlap instead of following one another. Each stage
//! asks for the line that the next one reads; nothing is decided before the last stage, which is the
//! ordinary read or write.

use super::Claimant;
use super::arena::Arena;
use super::key::KeyRef;
use super::read::Window;
use super::state::Meta;
use crate::error::Error;
use crate::sync::Relaxed;

/// How many keys are under way together: about as many misses as a core keeps in flight.
pub(crate) const BATCH: usize = 32;

/// Asks for the cache line at `address`, to be read or, if `WRITE`, written.
#[inline(always)]
pub(super) fn prefetch<const WRITE: bool, T>(address: &T) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _mm_prefetch};
        let address = std::ptr::from_ref(address).cast();
        #[allow(unsafe_code, reason = "a prefetch has no effect that can be observed")]
        if WRITE {
            // SAFETY: any address may be asked for, and this one is borrowed.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(address) };
        } else {
            // SAFETY: as above.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    let _ = address;
}

impl<'a> Arena<'a> {
    /// Finds the slots that the keys probably lie in, and has their lines on the way. A guess that is
    /// wrong costs time only.
    #[inline(always)]
    fn guess_all<const WRITE: bool>(&self, keys: &[KeyRef<'_>]) -> [u32; BATCH] {
        let mut guesses = [u32::MAX; BATCH];
        for key in keys {
            prefetch::<false, _>(self.chunk(self.home(key.hash), 0));
        }
        for (key, guess) in keys.iter().zip(&mut guesses) {
            *guess = self.guess(key.hash).unwrap_or(u32::MAX);
            if let Some(slot) = self.slot(*guess) {
                prefetch::<WRITE, _>(slot);
            }
        }
        for guess in guesses.iter().take(keys.len()) {
            if let Some(slot) = self.slot(*guess) {
                let meta = Meta(slot.meta.load(Relaxed));
                let which = if WRITE {
                    1 - meta.current()
                } else {
                    meta.current()
                };
                if let Some(word) = self.value(*guess, which).first() {
                    prefetch::<WRITE, _>(word);
                }
            }
        }
        guesses
    }

    /// Reads the keys, at most [`BATCH`]; `body` is called as in [`Arena::read`], with the key's place
    /// among them.
    pub(crate) fn read_batch(
        &self,
        batch: &Batch<'_>,
        mut body: impl FnMut(usize, &Window<'a>) -> Result<usize, Error>,
        mut done: impl FnMut(usize, Result<usize, Error>),
    ) {
        let guesses = self.guess_all::<false>(batch.keys());
        for (index, key) in batch.keys().iter().enumerate() {
            let place = batch.places[index];
            let result = match self.read_at(guesses[index], key, |window| body(place, window)) {
                Err(Error::NotFound) => self.read(key, |window| body(place, window)),
                result => result,
            };
            done(place, result);
        }
    }
}

impl Claimant<'_> {
    /// Sets the keys, at most [`BATCH`], each on its own; `value` is called with a key's place.
    pub(crate) fn set_batch<'v>(
        &mut self,
        batch: &Batch<'_>,
        value: impl Fn(usize) -> &'v [u8],
        mut done: impl FnMut(usize, Result<(), Error>),
    ) {
        let guesses = self.arena.guess_all::<true>(batch.keys());
        for (index, key) in batch.keys().iter().enumerate() {
            let place = batch.places[index];
            let result = match self.set_at(guesses[index], key, value(place)) {
                Err(Error::NotFound) => self.set(key, value(place)),
                result => result,
            };
            done(place, result);
        }
    }
}

/// Up to [`BATCH`] keys that were found to be keys, with their places among those that were given.
pub(crate) struct Batch<'k> {
    words: [KeyRef<'k>; BATCH],
    places: [usize; BATCH],
    count: usize,
}

impl<'k> Batch<'k> {
    /// Checks and hashes the keys; `refused` hears of those that cannot be one.
    pub(crate) fn new(
        keys: impl Iterator<Item = &'k [u8]>,
        mut refused: impl FnMut(usize, Error),
    ) -> Self {
        let mut batch = Self {
            words: [KeyRef::EMPTY; BATCH],
            places: [0; BATCH],
            count: 0,
        };
        for (place, key) in keys.take(BATCH).enumerate() {
            match KeyRef::new(key) {
                Ok(words) => {
                    batch.words[batch.count] = words;
                    batch.places[batch.count] = place;
                    batch.count += 1;
                }
                Err(error) => refused(place, error),
            }
        }
        batch
    }

    fn keys(&self) -> &[KeyRef<'k>] {
        &self.words[..self.count]
    }
}
