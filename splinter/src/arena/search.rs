//! Searching the index: which slots an entry for a key leads to. Whether one of them holds the key, the
//! slot is asked, within a window.

use super::Arena;
use super::key::KeyRef;
use super::state::{Control, Entry};
use crate::sync::{Acquire, fence, load_acquire};

impl Arena<'_> {
    /// Finds the slot that most likely holds `key`; none when surely none does. When the guess is wrong,
    /// and only then, [`Self::probe`] has to be asked.
    ///
    /// This is the whole of nearly every lookup. It hands out a number and nothing else, so that it
    /// inlines into registers.
    #[inline(always)]
    pub(crate) fn find_fast(&self, key: &KeyRef<'_>) -> Option<u32> {
        if key.slot.is_some() {
            return key.slot;
        }
        let bucket = self.bucket(self.home(key.hash), 0);
        // Before the entries: one that comes nearer to its home is there before the maximum distance is lowered.
        let control = Control(load_acquire(&bucket.control));
        match bucket.matches(Entry::label(key.hash, 0)).next() {
            // Acquire: the key words were written before the entry was.
            Some(index) => Some(Entry(bucket.entries[index].load(Acquire)).slot()),
            None if control.max_distance() == 0 => Self::none_found(),
            None => Some(u32::MAX),
        }
    }

    /// Visits the slots that may hold `key`, with the place of the entry that leads there, until `visit`
    /// returns something: those that its home bucket leads to, and behind it as far as its control word says, though no farther than once round.
    ///
    /// A key that is present throughout is visited: its entry and its maximum distance were in place before it
    /// was published, and neither is taken back before it is removed. Its entry may come nearer to its home
    /// behind the back of the search; the version of the home tells, and the search starts over.
    #[cold]
    pub(crate) fn probe<T>(
        &self,
        key: &KeyRef<'_>,
        mut visit: impl FnMut(u32, u64, usize) -> Option<T>,
    ) -> Option<T> {
        if let Some(number) = key.slot {
            return visit(number, 0, 0);
        }
        let home = self.home(key.hash);
        let mut control = self.control(home);
        // Each pass is another change of the home; only who writes damage makes so many.
        for _ in 0..Self::SEARCHES {
            let mut distances = 0..=control.max_distance().min(self.farthest());
            let found = distances.find_map(|distance| {
                let bucket = self.bucket(home, distance);
                bucket.matches(Entry::label(key.hash, distance)).find_map(|index| {
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
        Self::none_found()
    }

    /// How often a search that finds nothing starts over because entries of the home were moved.
    const SEARCHES: usize = if cfg!(loom) { 3 } else { 1 << 10 };

    /// Returns the control word of `home`.
    pub(crate) fn control(&self, home: usize) -> Control {
        Control(load_acquire(&self.bucket(home, 0).control))
    }

    /// Says that there is none. The caller then sees all that was done before it was taken away: the
    /// exchange that frees an entry, and the store that lowers a reach, are releases.
    #[inline(always)]
    fn none_found<T>() -> Option<T> {
        fence(Acquire);
        None
    }
}
