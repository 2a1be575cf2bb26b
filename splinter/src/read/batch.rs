//! Many keys at once: the cache misses of a batch overlap instead of following one another. Each stage
//! asks for the line that the next one reads; nothing is decided before the last stage, which is the
//! ordinary read or write, and finds its lines in cache.

use crate::arena::key::KeyRef;
use crate::arena::records::Slot;
use crate::arena::state::Descriptor;
use crate::arena::{Arena, prefetch};
use crate::error::Error;
use crate::read::Handle;
use crate::sync::Relaxed;
use crate::tuning;

/// The maximum number of keys in flight.
const BATCH: usize = tuning::MOST_PREFETCHED;
/// The most lines of a value that are asked for: the processor's own prefetching follows along a longer one.
const LINES: usize = 4;

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

    /// Prefetches the cache lines of all keys, for reading or, if `WRITE`, for writing values of the `len` bytes that a
    /// key's place leads to.
    #[inline(always)]
    pub(crate) fn fetch<const WRITE: bool>(&self, arena: &Arena<'_>, len: impl Fn(usize) -> usize) {
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
        for ((place, _), likely) in self.keys().iter().zip(likely) {
            let Some((number, slot)) = likely else { continue };
            let descriptor = Descriptor(slot.descriptor.load(Relaxed));
            let (which, len) = match WRITE {
                true => (1 - descriptor.current(), len(*place)),
                false => (descriptor.current(), arena.len_of(descriptor)),
            };
            fetch_value::<WRITE>(arena, number, which, len);
        }
    }
}

/// Borrows the records of keys, with their slots' numbers.
fn slots<'a>(arena: &Arena<'a>, keys: &[Handle]) -> impl Iterator<Item = (u32, &'a Slot)> {
    keys.iter().filter_map(|key| Some((key.slot(), arena.slot(key.slot())?)))
}

/// Prefetches the records of keys, for gets.
#[inline]
pub(crate) fn fetch_records(arena: &Arena<'_>, keys: &[Handle]) {
    slots(arena, keys).for_each(|(_, slot)| prefetch::<false, _>(slot));
}

/// Prefetches the values of keys, for gets.
#[inline]
pub(crate) fn fetch_values(arena: &Arena<'_>, keys: &[Handle]) {
    for (number, slot) in slots(arena, keys) {
        let descriptor = Descriptor(slot.descriptor.load(Relaxed));
        fetch_value::<false>(arena, number, descriptor.current(), arena.len_of(descriptor));
    }
}

/// Prefetches the cache lines that sets of the keys to values of `len` bytes change.
#[inline]
pub(crate) fn fetch_for_sets(arena: &Arena<'_>, keys: &[Handle], len: usize) {
    slots(arena, keys).for_each(|(_, slot)| prefetch::<true, _>(slot));
    for (number, slot) in slots(arena, keys) {
        fetch_value::<true>(arena, number, 1 - Descriptor(slot.descriptor.load(Relaxed)).current(), len);
    }
}

/// Prefetches the first lines of a value buffer.
#[inline(always)]
fn fetch_value<const WRITE: bool>(arena: &Arena<'_>, number: u32, which: u64, len: usize) {
    // The first line even of an empty value.
    let lines = len.div_ceil(64).clamp(1, LINES);
    let value = arena.value(number, which);
    for line in 0..lines {
        if let Some(word) = value.get(line * 8) {
            prefetch::<WRITE, _>(word);
        }
    }
}
