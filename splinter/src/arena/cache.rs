//! What a cache knows about its keys: which were visited lately, and in which order they came. An insertion into a full
//! cache evicts by it. All of it is hints: `protocol` evicts a key only under the claim of its slot, so a wrong hint makes
//! it evict a worse victim, but never a key that must stay.
//!
//! SIEVE (Zhang et al., NSDI 2024) keeps the keys in the order in which they came, and moves a hand from the oldest to
//! the newest. Two queues do that without a lock: the hand takes from the queue ahead of it and puts what stays into the
//! one behind it. A new key goes to the end of the queue ahead. Where that is empty, the hand has come to the newest key,
//! and the queues change places.

use super::Arena;
use super::records::CacheHands;
use crate::sync::{AcqRel, Acquire, Byte, Relaxed, Release, Word, fence_after_exchange};

/// Which key a store evicts when it has no free slot for a new one.
///
/// ```
/// use splinter::{Config, Eviction, Geometry, Store};
///
/// let geometry = Geometry { slots: 100, ..Geometry::default() };
/// let store = Store::anonymous(&Config { geometry, eviction: Eviction::Sieve, ..Config::default() })?;
/// let mut writer = store.writer()?;
/// for number in 0..1000 {
///     writer.set(format!("key {number}"), b"value")?;
/// }
/// assert_eq!((store.len(), store.header().evicted), (100, 900));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Eviction {
    /// Only one whose deadline has passed. Without one, the new key is refused.
    #[default]
    Expired,
    /// The one that SIEVE chooses: the oldest that was not visited since the hand passed it last.
    Sieve,
    /// The least recently visited of a sample of sixteen keys.
    Lru,
}

/// A queue of hints has two entries for each slot. So at least half of the hints in a full queue are of no use.
pub(crate) const HINTS_A_SLOT: usize = 2;
/// For how many marks of time the least recently visited keys are told apart.
const MARKS: u64 = 32;

/// The words of a cache.
#[derive(Clone, Copy)]
pub(crate) struct Cache<'a> {
    pub(crate) eviction: Eviction,
    pub(crate) hands: &'a CacheHands,
    /// The mark that a visit leaves.
    pub(crate) mark: &'a Word,
    /// For each slot, the mark of its key's last visit. SIEVE's hand clears it.
    pub(crate) visits: &'a [Byte],
    /// For each slot, where in the queues its key's hint is; 0: nowhere.
    pub(crate) places: &'a [Word],
    /// Slot numbers, plus one. An entry is the slot's hint if the slot's place says so.
    pub(crate) queues: [&'a [Word]; 2],
}

/// The number of a slot that a queue had, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) number: u32,
    place: u64,
}

impl Arena<'_> {
    /// Notes that the key of slot `number` was visited. Does nothing unless the store is a cache and writable here. Stores
    /// only what changes, so that visits of one key share its cache line.
    #[inline(always)]
    pub(crate) fn note_visit(&self, number: u32) {
        if !self.visits.is_empty() {
            self.mark_visit(number);
        }
    }

    /// Touches the memory in which a cache keeps the visit and the hint of slot `number`: readers of the key and a writer
    /// that recovers a claim on it write there, and must find memory.
    pub(crate) fn touch_hints(&self, number: u32) {
        let Some(cache) = self.cache else { return };
        let visit = &cache.visits[number as usize];
        visit.store(visit.load());
        if let Some(place) = cache.places.get(number as usize) {
            // An exchange, since others may change it meanwhile; the compiler may leave out an addition of nothing.
            let old = place.load(Relaxed);
            let _ = place.compare_exchange(old, old, Relaxed, Relaxed);
        }
    }

    /// Notes that slot `number` of a cache holds a key from now on, or holds none.
    #[cold]
    #[inline(never)]
    pub(crate) fn note_presence(&self, number: u32, is_present: bool) {
        match self.cache {
            Some(cache) if is_present => cache.enter(number),
            Some(cache) => cache.forget(number),
            None => {}
        }
    }

    #[cold]
    #[inline(never)]
    fn mark_visit(&self, number: u32) {
        mutant!("visit-unmarked", return);
        let Some(visit) = self.visits.get(number as usize) else { return };
        let mark = self.header.visit_mark.load(Relaxed) as u8;
        if visit.load() != mark {
            visit.store(mark);
        }
    }
}

impl Cache<'_> {
    /// Enters a new key of slot `number`, unless it is entered. The caller holds the slot.
    pub(crate) fn enter(&self, number: u32) {
        let Some(place) = self.places.get(number as usize) else { return self.enter_lru(number) };
        if place.load(Relaxed) != 0 {
            return;
        }
        self.visits[number as usize].store(0);
        let turn = self.hands.turns.load(Relaxed);
        // The hand has come past the newest key, so it goes on with the oldest one, and not with this one.
        if self.is_empty(turn) && !self.is_empty(turn.wrapping_add(1)) {
            self.turn(turn);
        }
        self.push(self.hands.turns.load(Relaxed), number, 0);
    }

    /// Has the queues change places, unless they have since `turn`.
    fn turn(&self, turn: u64) {
        let _ = self.hands.turns.compare_exchange(turn, turn.wrapping_add(1), Relaxed, Relaxed);
    }

    /// Puts a hint for the key of slot `number` if it has none: a writer that took it may have died. If that writer lives
    /// and puts it back, the key has two hints, of which one is of use.
    pub(crate) fn mend(&self, number: u32) {
        let Some(place) = self.places.get(number as usize).map(|place| place.load(Relaxed)) else { return };
        let is_waiting = (place >> 1).wrapping_sub(1) >= self.hands.taken[place as usize & 1].load(Relaxed);
        if place == 0 || !is_waiting {
            self.push(self.hands.turns.load(Relaxed), number, place);
        }
    }

    /// Notes when the key came. Time goes on with the keys that come: a few marks for each time that all are replaced.
    fn enter_lru(&self, number: u32) {
        let came = self.hands.put[0].fetch_add(1, Relaxed);
        if came.is_multiple_of((self.visits.len() as u64 / MARKS).max(1)) {
            self.mark.fetch_add(1, Relaxed);
        }
        self.visits[number as usize].store(self.mark.load(Relaxed) as u8);
    }

    /// Forgets the key of slot `number`. Its hint leads nowhere from now on.
    pub(crate) fn forget(&self, number: u32) {
        if let Some(place) = self.places.get(number as usize) {
            place.store(0, Relaxed);
        }
    }

    /// Takes the next hint from ahead of the hand. Looks at no more hints than the `budget`, and takes them from that.
    pub(crate) fn take(&self, budget: &mut usize) -> Option<Hint> {
        let turns = &self.hands.turns;
        while *budget > 0 {
            *budget -= 1;
            let turn = turns.load(Relaxed);
            match self.take_from(turn) {
                Some(hint) if self.is_of_use(hint) => return Some(hint),
                Some(_) => {}
                None if self.is_empty(turn.wrapping_add(1)) => return None,
                // If this fails, another writer has come to the end of this queue as well, and changed the queues.
                None => self.turn(turn),
            }
        }
        None
    }

    /// Puts a hint that was taken, and whose key stays, behind the hand.
    pub(crate) fn put_back(&self, hint: Hint) {
        self.push(self.hands.turns.load(Relaxed).wrapping_add(1), hint.number, hint.place);
    }

    /// Whether the slot's place is still the one that the hint had.
    pub(crate) fn is_of_use(&self, hint: Hint) -> bool {
        mutant!("hint-outdated", return true);
        self.places.get(hint.number as usize).is_some_and(|place| place.load(Relaxed) == hint.place)
    }

    fn is_empty(&self, turn: u64) -> bool {
        let which = turn as usize & 1;
        self.hands.taken[which].load(Relaxed) >= self.hands.put[which].load(Relaxed)
    }

    /// Takes the oldest hint of the queue that is ahead at `turn`, whether it is of use or not.
    fn take_from(&self, turn: u64) -> Option<Hint> {
        let which = turn as usize & 1;
        let (queue, taken) = (self.queues[which], &self.hands.taken[which]);
        loop {
            let (at, end) = (taken.load(Relaxed), self.hands.put[which].load(Relaxed));
            if at >= end {
                if at > end {
                    // Damage: the queue would be empty for ever.
                    let _ = taken.compare_exchange(at, end, Relaxed, Relaxed);
                }
                return None;
            }
            // Older ones were overwritten.
            let first = at.max(end.saturating_sub(queue.len() as u64));
            if taken.compare_exchange(at, first.wrapping_add(1), AcqRel, Relaxed).is_err() {
                continue;
            }
            // Either the writer that put this hint sees that it was taken, or this thread sees what that writer stored.
            fence_after_exchange();
            let number = (queue[first as usize % queue.len()].load(Acquire) as u32).wrapping_sub(1);
            return Some(Hint { number, place: place_of(which, first) });
        }
    }

    /// Puts a hint for slot `number` at the end of the queue that is ahead at `turn`, if the slot's place is `old`.
    fn push(&self, turn: u64, number: u32, old: u64) {
        self.drop_useless(turn);
        self.put(turn as usize & 1, number, old);
    }

    /// Puts a hint at the end of a queue, if the slot's place is `old`.
    fn put(&self, which: usize, number: u32, mut old: u64) {
        let (queue, place) = (self.queues[which], &self.places[number as usize]);
        // Again only if other writers took this hint before the slot's place said that it counts.
        for _ in 0..8 {
            let at = self.hands.put[which].fetch_add(1, AcqRel);
            queue[at as usize % queue.len()].store(u64::from(number) + 1, Release);
            let new = place_of(which, at);
            if place.compare_exchange(old, new, AcqRel, Relaxed).is_err() {
                return;
            }
            fence_after_exchange();
            if self.hands.taken[which].load(Relaxed) <= at {
                return;
            }
            old = new;
        }
    }

    /// Drops hints of removed keys from the front of a queue that is nearly full. Looks at four for each hint that is put,
    /// and puts those of use at the end, so useless ones go faster than new hints come.
    fn drop_useless(&self, turn: u64) {
        let which = turn as usize & 1;
        let (queue, hands) = (self.queues[which], self.hands);
        for _ in 0..4 {
            let waiting = hands.put[which].load(Relaxed).wrapping_sub(hands.taken[which].load(Relaxed));
            if waiting <= queue.len() as u64 / 4 * 3 {
                return;
            }
            let Some(hint) = self.take_from(turn) else { return };
            if self.is_of_use(hint) {
                self.put(which, hint.number, hint.place);
            }
        }
    }

    /// Tells how long ago a visit left this mark, in marks of time.
    pub(crate) fn age_of(&self, mark: u8) -> u8 {
        (self.mark.load(Relaxed) as u8).wrapping_sub(mark)
    }
}

/// Returns the word for place `at` of a queue.
const fn place_of(which: usize, at: u64) -> u64 {
    (at.wrapping_add(1) << 1) | which as u64
}
