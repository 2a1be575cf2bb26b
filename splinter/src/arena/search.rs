//! Searching the index: which slots an entry for a key leads to. Whether one of them holds the key, the
//! slot is asked, within a window.

use super::Arena;
use super::key::KeyRef;
use super::state::{Control, Entry};
use crate::sync::{Acquire, FENCED, fence};

impl Arena<'_> {
    /// Finds the slot that most likely holds `key`; none when surely none does. When the guess is wrong,
    /// and only then, [`Self::probe`] has to be asked.
    ///
    /// This is the whole of nearly every lookup. It hands out a number and nothing else, so that it
    /// inlines into registers.
    #[inline(always)]
    pub(crate) fn guess(&self, key: &KeyRef<'_>) -> Option<u32> {
        if key.slot.is_some() {
            return key.slot;
        }
        let chunk = self.chunk(self.home(key.hash), 0);
        match chunk.matches(Entry::label(key.hash, 0)).next() {
            // Acquire: the key words were written before the entry was.
            Some(index) => Some(Entry(chunk.entries[index].load(Acquire)).slot()),
            None if Control(chunk.control.load(FENCED)).reach() == 0 => Self::surely_none(),
            None => Some(u32::MAX),
        }
    }

    /// Visits the slots that may hold `key`, with the place of the entry that leads there, until `visit`
    /// returns something: those that its home chunk leads to, and behind it as far as its control word says, though no farther than once round.
    ///
    /// A key that is present throughout is visited: its entry and its reach were in place before it
    /// was published, and neither is taken back before it is removed.
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
        let reach = Control(self.chunk(home, 0).control.load(FENCED)).reach();
        let mut distances = 0..=reach.min(self.chunks.len() as u64 - 1);
        let found = distances.find_map(|distance| {
            let chunk = self.chunk(home, distance);
            chunk.matches(Entry::label(key.hash, distance)).find_map(|index| {
                let entry = Entry(chunk.entries[index].load(Acquire));
                visit(entry.slot(), distance, index)
            })
        });
        found.or_else(Self::surely_none)
    }

    /// Says that there is none, to somebody who thereby sees all that was done before it was taken away: the
    /// exchange that frees an entry, and the store that lowers a reach, are releases.
    #[inline(always)]
    fn surely_none<T>() -> Option<T> {
        fence(Acquire);
        None
    }
}
