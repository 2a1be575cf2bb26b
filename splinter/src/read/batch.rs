//! Many keys at once: the cache misses of a batch overlap instead of following one another. Each stage
//! asks for the line that the next one reads; nothing is decided before the last stage, which is the
//! ordinary read or write, and finds its lines in cache.

use crate::arena::key::KeyRef;
use crate::arena::state::Descriptor;
use crate::arena::{Arena, prefetch};
use crate::error::Error;
use crate::sync::Relaxed;
use crate::tuning;

/// The maximum number of keys in flight.
const BATCH: usize = tuning::MOST_PREFETCHED;

/// Up to [`BATCH`] valid keys, with their places among those that were given.
pub(crate) struct Batch<'k> {
    keys: [(usize, KeyRef<'k>); BATCH],
    count: usize,
}

impl<'k> Batch<'k> {
    /// Takes the valid keys, and calls `refused` for the others. Ignores those after the first [`BATCH`].
    pub(crate) fn new(
        keys: impl Iterator<Item = Result<KeyRef<'k>, Error>>,
        mut refused: impl FnMut(usize, Error),
    ) -> Self {
        let mut batch = Self { keys: [(0, KeyRef::hashed(0)); BATCH], count: 0 };
        for (place, key) in keys.take(BATCH).enumerate() {
            match key {
                Ok(key) => {
                    batch.keys[batch.count] = (place, key);
                    batch.count += 1;
                }
                Err(error) => refused(place, error),
            }
        }
        batch
    }

    /// Returns the keys with their places.
    pub(crate) fn keys(&self) -> &[(usize, KeyRef<'k>)] {
        &self.keys[..self.count]
    }

    /// Prefetches the cache lines of all keys, for reading or, if `WRITE`, for writing.
    #[inline(always)]
    pub(crate) fn fetch<const WRITE: bool>(&self, arena: &Arena<'_>) {
        for (_, key) in self.keys() {
            prefetch::<false, _>(arena.bucket(arena.home(key.hash), 0));
        }
        let mut likely = [None; BATCH];
        for ((_, key), likely) in self.keys().iter().zip(&mut likely) {
            let number = arena.find_fast(key);
            *likely = number.and_then(|number| Some((number, arena.slot(number)?)));
            if let Some((_, slot)) = *likely {
                prefetch::<WRITE, _>(slot);
            }
        }
        for (number, slot) in likely.into_iter().flatten() {
            let current = Descriptor(slot.descriptor.load(Relaxed)).current();
            let which = if WRITE { 1 - current } else { current };
            if let Some(word) = arena.value(number, which).first() {
                prefetch::<WRITE, _>(word);
            }
        }
    }
}
