//! The entries of the index: where there is room for one, how one is added and moved, and how far a home's entries
//! reach. Who may do what when, `protocol` decides: whoever adds an entry of a home, moves one or changes its maximum distance
//! holds the home's claim, and that of the entry's slot.

use super::Arena;
use super::state::{Control, Entry};
use crate::error::Error;
use crate::sync::{AcqRel, Acquire, Relaxed, Release, Word, fence_after_exchange};

impl<'a> Arena<'a> {
    /// Points a free entry at `slot`, as near to `home` as there is one. Nothing but the maximum distance was changed when there is
    /// none that can be.
    pub(crate) fn add_entry(&self, home: usize, hash: u64, slot: u32) -> Result<(), Error> {
        let entry = Entry::new(slot, Entry::label(hash, 0));
        let Some(mut entry) = self.insert_nearest(home, entry, self.farthest() + 1) else {
            // It may go too far now.
            self.mark(home, Control::COMPACT);
            return Err(Error::Full);
        };
        // Whoever freed a nearer one meanwhile did not see this one, or is seen here.
        fence_after_exchange();
        while let Some(nearer) = self.move_entry(home, entry) {
            self.mark(home, Control::COMPACT);
            entry = nearer;
        }
        Ok(())
    }

    /// Adds `entry` as near to `home` as there is a free one, and nearer than `limit`.
    fn insert_nearest(&self, home: usize, entry: Entry, limit: u64) -> Option<Entry> {
        for distance in 0..limit {
            for word in &self.bucket(home, distance).entries {
                if word.load(Relaxed) != Entry::FREE.0 {
                    continue;
                }
                if distance > self.control(home).max_distance() {
                    // Before the entry: whoever sees the key published sees the maximum distance that leads to it.
                    self.set_max_distance(home, distance);
                }
                let entry = entry.at(distance);
                // Other homes fill the same bucket. Release: the key words were written before.
                if word.compare_exchange(Entry::FREE.0, entry.0, AcqRel, Relaxed).is_ok() {
                    return Some(entry);
                }
            }
        }
        None
    }

    /// Moves an entry nearer to `home`, if there is room. Returns what it is then.
    pub(crate) fn move_entry(&self, home: usize, entry: Entry) -> Option<Entry> {
        let mut entries = self.bucket(home, entry.distance()).entries.iter();
        let word = entries.find(|word| word.load(Relaxed) == entry.0)?;
        let nearer = self.insert_nearest(home, entry, entry.distance())?;
        mutant!("move-unversioned", return Some(nearer).inspect(|_| word.store(0, Release)));
        // In between: a search that was too early for the one and is too late for the other sees another version.
        self.bucket(home, 0).control.fetch_add(Control::MOVED, AcqRel);
        word.store(Entry::FREE.0, Release);
        Some(nearer)
    }

    /// Frees `entry` of `home`, if it is still in `word`. Whoever fills the place next acquires that.
    pub(crate) fn free_entry(&self, home: usize, word: &Word, entry: Entry) -> bool {
        let is_far = entry.distance() > 0;
        if is_far {
            // Of a key that stays it is the farther of two, which a dead writer left amid moving it.
            self.bucket(home, 0).control.fetch_add(Control::MOVED, AcqRel);
        }
        let freed = word.compare_exchange(entry.0, Entry::FREE.0, AcqRel, Relaxed).is_ok();
        // Whoever adds an entry farther on sees the room, or is seen by the caller.
        fence_after_exchange();
        if freed && is_far {
            self.mark(home, Control::COMPACT);
        }
        freed
    }

    /// Sets how far from `home` searches go. Others change other parts of the word meanwhile.
    pub(crate) fn set_max_distance(&self, home: usize, max_distance: u64) {
        mutant!("distance-unraised", let max_distance = 0);
        let by = max_distance.wrapping_sub(self.control(home).max_distance());
        self.bucket(home, 0).control.fetch_add(by, Release);
    }

    /// Leaves it to somebody else to look after the entries and the maximum distance of `home`.
    pub(crate) fn mark(&self, home: usize, mark: u64) {
        mutant!("compact-unmarked", return);
        if !self.can_overflow() {
            return;
        }
        self.bucket(home, 0).control.fetch_or(mark, AcqRel);
        fence_after_exchange();
    }

    /// Whether an entry can lie elsewhere than in its home bucket.
    pub(crate) fn can_overflow(&self) -> bool {
        self.buckets.len() > 1
    }

    /// Returns how far from its home an entry can lie.
    pub(crate) fn farthest(&self) -> u64 {
        (self.buckets.len() as u64 - 1).min(Control::DISTANCE_MAX)
    }

    /// Whether some entry is free nearer to `home` than `limit`.
    pub(crate) fn has_room(&self, home: usize, limit: u64) -> bool {
        (0..limit).any(|distance| self.bucket(home, distance).has_room())
    }

    /// Visits the entries of `home`, as far as its maximum distance goes.
    pub(crate) fn entries_of(&self, home: usize) -> impl Iterator<Item = Entry> + use<'a> {
        let arena = *self;
        (0..=arena.control(home).max_distance().min(arena.farthest())).flat_map(move |distance| {
            let entries = arena.bucket(home, distance).entries.iter();
            let entries = entries.map(|word| Entry(word.load(Acquire)));
            entries.filter(move |entry| !entry.is_free() && entry.distance() == distance)
        })
    }

    /// Finds the entry of `home` that lies farthest from it, behind it and no farther than `limit`.
    pub(crate) fn last_entry(&self, home: usize, limit: u64) -> Option<Entry> {
        (1..=limit.min(self.farthest())).rev().find_map(|distance| {
            let is_own = |entry: &Entry| !entry.is_free() && entry.distance() == distance;
            let mut entries = self.bucket(home, distance).entries.iter();
            entries.find_map(|word| Some(Entry(word.load(Acquire))).filter(is_own))
        })
    }

    /// Visits the homes of entries that passed over the bucket `place` for want of room, if there is room now, until `visit`
    /// returns true, and returns whether it did: from the farthest entry on, which lies at the first bucket behind that is
    /// not full at the latest.
    pub(crate) fn visit_displaced(&self, place: usize, mut visit: impl FnMut(usize) -> bool) -> bool {
        if !self.can_overflow() || !self.bucket(place, 0).has_room() {
            return false;
        }
        let full = |step: &u64| !self.bucket(place, *step).has_room();
        let full = (1..self.farthest()).take_while(full).count() as u64;
        let mut visited = None;
        (1..=full + 1).rev().any(|step| {
            self.bucket(place, step).entries.iter().any(|word| {
                let entry = Entry(word.load(Relaxed));
                let home = (place + step as usize).wrapping_sub(entry.distance() as usize);
                let home = home & (self.buckets.len() - 1);
                let passed = !entry.is_free() && entry.distance() >= step;
                passed && visited.replace(home) != Some(home) && visit(home)
            })
        })
    }
}
