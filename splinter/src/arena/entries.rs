//! Entries of the index's hash table: adds an entry in the first bucket with room, moves it nearer to its home
//! (backward-shift deletion), and keeps each home's maximum probe distance.
//!
//! `protocol` decides which writer may do so: the holder of a home's claim adds and moves its entries and changes its
//! maximum distance. It also holds the claim of the entry's slot.

use super::Arena;
use super::state::{Control, Entry};
use crate::error::Error;
use crate::sync::{AcqRel, Acquire, Relaxed, Release, Word, fence_after_exchange};

impl<'a> Arena<'a> {
    /// Makes a free entry lead to `slot`, as near to `home` as possible. If there is none, changes nothing but the
    /// maximum distance.
    pub(crate) fn add_entry(&self, home: usize, hash: u64, slot: u32) -> Result<(), Error> {
        let entry = Entry::new(slot, Entry::tag(hash, 0));
        let Some(mut entry) = self.insert_nearest(home, entry, self.farthest() + 1) else {
            // The maximum distance may be too large now.
            self.mark_home(home, Control::COMPACT);
            return Err(Error::Full);
        };
        // A writer that freed a nearer entry meanwhile sees this entry, or this writer sees the freed one.
        fence_after_exchange();
        while let Some(nearer) = self.move_entry(home, entry) {
            self.mark_home(home, Control::COMPACT);
            entry = nearer;
        }
        Ok(())
    }

    /// Writes `entry` to the free place nearest to `home`, and nearer than `limit`.
    fn insert_nearest(&self, home: usize, entry: Entry, limit: u64) -> Option<Entry> {
        for distance in 0..limit {
            for word in &self.bucket(home, distance).entries {
                if word.load(Relaxed) != Entry::FREE.0 {
                    continue;
                }
                if distance > self.control(home).max_distance() {
                    // Before the entry: a reader that sees the key published sees the maximum distance that leads to
                    // it.
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

    /// Moves an entry nearer to `home`, if there is room. Returns the entry in its new place.
    pub(crate) fn move_entry(&self, home: usize, entry: Entry) -> Option<Entry> {
        let mut entries = self.bucket(home, entry.distance()).entries.iter();
        let word = entries.find(|word| word.load(Relaxed) == entry.0)?;
        let nearer = self.insert_nearest(home, entry, entry.distance())?;
        mutant!("move-unversioned", return Some(nearer).inspect(|_| word.store(0, Release)));
        // Between the two stores: a search that looked too early for the new entry and too late for the old one sees
        // another version.
        self.bucket(home, 0).control.fetch_add(Control::MOVED, AcqRel);
        word.store(Entry::FREE.0, Release);
        Some(nearer)
    }

    /// Frees `entry` of `home`, if it is still in `word`. The next writer that fills the place acquires that.
    pub(crate) fn free_entry(&self, home: usize, word: &Word, entry: Entry) -> bool {
        let is_far = entry.distance() > 0;
        if is_far {
            // If the key stays, this is the farther of two entries: a writer died while it moved one.
            self.bucket(home, 0).control.fetch_add(Control::MOVED, AcqRel);
        }
        let freed = word.compare_exchange(entry.0, Entry::FREE.0, AcqRel, Relaxed).is_ok();
        // A writer that adds an entry farther on sees the room, or the caller sees that entry.
        fence_after_exchange();
        if freed && is_far {
            self.mark_home(home, Control::COMPACT);
        }
        freed
    }

    /// Sets how far from `home` searches go. By an addition, because other writers change other parts of the word.
    pub(crate) fn set_max_distance(&self, home: usize, max_distance: u64) {
        mutant!("distance-unraised", let max_distance = 0);
        let by = max_distance.wrapping_sub(self.control(home).max_distance());
        self.bucket(home, 0).control.fetch_add(by, Release);
    }

    /// Marks `home` for another writer, which then moves its entries nearer and lowers its maximum distance.
    pub(crate) fn mark_home(&self, home: usize, mark: u64) {
        mutant!("compact-unmarked", return);
        if !self.can_overflow() {
            return;
        }
        self.bucket(home, 0).control.fetch_or(mark, AcqRel);
        fence_after_exchange();
    }

    /// Whether an entry can lie outside its home bucket.
    pub(crate) fn can_overflow(&self) -> bool {
        self.buckets.len() > 1
    }

    /// Returns how far from its home an entry can lie.
    pub(crate) fn farthest(&self) -> u64 {
        self.index().farthest()
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

    /// Finds the farthest entry of `home` that lies outside the home bucket and no farther than `limit`.
    pub(crate) fn last_entry(&self, home: usize, limit: u64) -> Option<Entry> {
        (1..=limit.min(self.farthest())).rev().find_map(|distance| {
            let is_own = |entry: &Entry| !entry.is_free() && entry.distance() == distance;
            let mut entries = self.bucket(home, distance).entries.iter();
            entries.find_map(|word| Some(Entry(word.load(Acquire))).filter(is_own))
        })
    }

    /// Visits the homes of entries that were displaced past the bucket `place`, if that has room now, until `visit`
    /// returns true. Returns whether it did.
    ///
    /// Begins with the farthest entry, which lies in the first bucket with room behind `place` at the latest.
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
