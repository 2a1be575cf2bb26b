//! Searching the index: finds the slots that a key's entries lead to. An optimistic read of the slot then tells whether
//! it holds the key.

use super::Arena;
use super::key::KeyRef;
use super::records::Bucket;
use super::state::{Control, Entry};
use crate::sync::{Acquire, fence, load_acquire};

/// The buckets alone. A search borrows no more of an arena, so that its visitor may change the rest.
#[derive(Clone, Copy)]
pub(crate) struct Index<'a>(&'a [Bucket]);

impl<'a> Arena<'a> {
    /// Borrows the buckets.
    #[inline(always)]
    pub(crate) fn index(&self) -> Index<'a> {
        Index(self.buckets)
    }

    /// Finds the slot that most likely holds `key`: the lookup fast path. Returns none if no slot does. If the slot
    /// does not hold the key, and only then, call [`Self::probe`].
    ///
    /// Nearly every lookup needs only this. It returns nothing but a slot number, so that it inlines into registers.
    #[inline(always)]
    pub(crate) fn find_fast(&self, key: &KeyRef<'_>) -> Option<u32> {
        if key.slot.is_some() {
            return key.slot;
        }
        let bucket = self.bucket(self.home(key.hash), 0);
        // Before the entries: an entry that is moved nearer to its home is in place before the maximum distance is
        // lowered.
        let control = Control(load_acquire(&bucket.control));
        match bucket.matches(Entry::tag(key.hash, 0)).next() {
            // Acquire: the key words were written before the entry was.
            Some(index) => Some(Entry(bucket.entries[index].load(Acquire)).slot()),
            None if control.max_distance() == 0 => Self::none_found(),
            None => Some(u32::MAX),
        }
    }

    /// Visits slots as [`Index::probe`] does.
    #[inline]
    pub(crate) fn probe<T>(
        &self,
        key: &KeyRef<'_>,
        visit: impl FnMut(u32, u64, usize) -> Option<T>,
    ) -> Option<T> {
        self.index().probe(key, visit)
    }

    /// Returns the control word of `home`.
    pub(crate) fn control(&self, home: usize) -> Control {
        self.index().control(home)
    }

    /// Returns none. The fence makes the caller see everything that was done before the key was removed: the exchange
    /// that frees an entry, and the addition that lowers a maximum distance, are releases.
    #[inline(always)]
    fn none_found<T>() -> Option<T> {
        fence(Acquire);
        None
    }
}

impl<'a> Index<'a> {
    /// How often a search that finds nothing starts over because a writer moved entries of the home.
    const SEARCHES: usize = if cfg!(loom) { 3 } else { 1 << 10 };

    /// Computes a hash's home bucket; the number of buckets is a power of two.
    #[inline(always)]
    pub(crate) fn home(self, hash: u64) -> usize {
        hash as usize & (self.0.len() - 1)
    }

    /// Returns the index of the bucket `distance` after `home`, once round at most.
    #[inline(always)]
    pub(crate) fn place(self, home: usize, distance: u64) -> usize {
        (home + distance as usize) & (self.0.len() - 1)
    }

    /// Borrows the bucket `distance` after `home`, once round at most.
    #[inline(always)]
    pub(crate) fn bucket(self, home: usize, distance: u64) -> &'a Bucket {
        &self.0[self.place(home, distance)]
    }

    /// Returns how far from its home an entry can lie.
    pub(crate) fn farthest(self) -> u64 {
        (self.0.len() as u64 - 1).min(Control::DISTANCE_MAX)
    }

    /// Returns the control word of `home`.
    fn control(self, home: usize) -> Control {
        Control(load_acquire(&self.bucket(home, 0).control))
    }

    /// Visits the slots that may hold `key`, with the place of the entry that leads there, until `visit` returns
    /// something: the lookup slow path. Probes from the home bucket as far as its maximum distance, though not more
    /// than once round.
    ///
    /// Visits a key that is present throughout. Its entry and maximum distance were in place before it was published,
    /// and both stay until it is removed. A writer may move its entry nearer to its home, past the search. Then the
    /// home's version has changed, and the search starts over.
    #[cold]
    pub(crate) fn probe<T>(
        self,
        key: &KeyRef<'_>,
        mut visit: impl FnMut(u32, u64, usize) -> Option<T>,
    ) -> Option<T> {
        if let Some(number) = key.slot {
            return visit(number, 0, 0);
        }
        let home = self.home(key.hash);
        let mut control = self.control(home);
        // Each pass means that the home has changed again; only damage changes it so often.
        for _ in 0..Self::SEARCHES {
            let mut distances = 0..=control.max_distance().min(self.farthest());
            let found = distances.find_map(|distance| {
                let bucket = self.bucket(home, distance);
                bucket.matches(Entry::tag(key.hash, distance)).find_map(|index| {
                    let entry = Entry(bucket.entries[index].load(Acquire));
                    visit(entry.slot(), distance, index)
                })
            });
            if found.is_some() {
                return found;
            }
            fence(Acquire);
            let before = std::mem::replace(&mut control, self.control(home));
            if control.version() == before.version() {
                break;
            }
        }
        Arena::none_found()
    }
}
