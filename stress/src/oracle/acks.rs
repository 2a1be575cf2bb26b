//! The acknowledgements that each writer got, per key, so that the store's final content can be compared with them exactly.
//! A table lies in the run's shared block, so it outlives its writer. Only that writer changes it, and others read it only
//! after the writer has ended, so relaxed accesses suffice everywhere.
//!
//! Per key four words: sequence of the last value operation (bit 63: it was an unset), sequence of
//! the last set, sequence of the last vector (bit 63: no value operation since), labels. For
//! integers, tallies and chains: number of additions, their sum. For groups of accounts: number of transactions, and what they added to each account. For
//! keys that are set for a time: the sequence of the last set, twice, the deadline, inverted, and whether it was set for ever.

use crate::keys::Family;
use crate::proof::value::ENDLESS;
use crate::workload::KeySets;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Words per key.
const KEY_WORDS: usize = 4;
const LAST: usize = 0;
const SET: usize = 1;
const VECTOR: usize = 2;
const LABELS: usize = 3;
/// Of a key that is set for a time.
const DEADLINE: usize = 2;
const FOR_EVER: usize = 3;
// The journal of a group, and then each account, has a word.
const _: () = assert!(crate::proof::accounts::KEYS == KEY_WORDS);
/// The sign bit: "was an unset" in the last operation, "still current" in the vector.
const FLAG: u64 = 1 << 63;

/// Returns how many words the table of a writer with these keys needs: whole cache lines.
#[must_use]
pub(crate) fn words_for(keys: &KeySets) -> usize {
    (usize::try_from(keys.count()).unwrap_or(usize::MAX / 16) * KEY_WORDS).next_multiple_of(8)
}

/// One writer's acknowledgements.
#[derive(Clone, Debug)]
pub(crate) struct AckTable<'a> {
    words: &'a [AtomicU64],
    keys: KeySets,
    /// Keys before those of each family.
    before: [u64; Family::ALL.len()],
}

impl<'a> AckTable<'a> {
    /// Interprets zeroed words, [`words_for`] `keys`, as a table.
    #[must_use]
    pub(crate) fn new(words: &'a [AtomicU64], keys: KeySets) -> Self {
        assert!(words.len() >= words_for(&keys), "{} words for {keys:?}", words.len());
        Self { words, before: keys.before(), keys }
    }

    /// Tells whether this writer may have written a key.
    #[must_use]
    pub(crate) fn covers(&self, family: Family, key: u64) -> bool {
        self.keys.of(family).contains(&key)
    }

    /// Returns the entry of a key that the table covers.
    #[inline]
    #[must_use]
    pub(crate) fn entry(&self, family: Family, key: u64) -> KeyAcks<'a> {
        let at = self.before[family as usize] + key - self.keys.of(family).start;
        let at = at as usize * KEY_WORDS;
        KeyAcks { words: &self.words[at..at + KEY_WORDS] }
    }
}

/// The acknowledgements of one writer for one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyAcks<'a> {
    words: &'a [AtomicU64],
}

impl KeyAcks<'_> {
    /// Returns the sequence of the last acknowledged set, append or unset; 0 if there was none.
    #[inline]
    #[must_use]
    pub(crate) fn last(&self) -> u64 {
        self.load(LAST) & !FLAG
    }

    /// Tells whether the last one was an unset.
    #[inline]
    #[must_use]
    pub(crate) fn was_unset(&self) -> bool {
        self.load(LAST) & FLAG != 0
    }

    /// Returns the sequence of the last acknowledged set; 0 if there was none.
    #[must_use]
    pub(crate) fn set(&self) -> u64 {
        self.load(SET)
    }

    /// Returns the sequence of the last acknowledged vector, 0 if there was none, and whether no
    /// value operation came after it.
    #[must_use]
    pub(crate) fn vector(&self) -> (u64, bool) {
        let word = self.load(VECTOR);
        (word & !FLAG, word & FLAG != 0)
    }

    /// Returns the labels acknowledged since the last unset.
    #[must_use]
    pub(crate) fn labels(&self) -> u64 {
        self.load(LABELS)
    }

    /// Returns the sum of what was added to an integer.
    #[must_use]
    pub(crate) fn sum(&self) -> u64 {
        self.load(SET)
    }

    /// Notes a set, or the write of a tandem group.
    #[inline]
    pub(crate) fn note_set(&self, seq: u64) {
        self.store(LAST, seq);
        self.store(SET, seq);
        self.vector_is_old();
    }

    /// Notes an append.
    #[inline]
    pub(crate) fn note_append(&self, seq: u64) {
        self.store(LAST, seq);
        self.vector_is_old();
    }

    /// Notes an unset.
    #[inline]
    pub(crate) fn note_unset(&self, seq: u64) {
        self.store(LAST, seq | FLAG);
        self.store(LABELS, 0);
        self.vector_is_old();
    }

    /// Notes a vector.
    pub(crate) fn note_vector(&self, seq: u64) {
        self.store(VECTOR, seq | FLAG);
    }

    /// Notes labels.
    pub(crate) fn note_labels(&self, mask: u64) {
        self.store(LABELS, self.load(LABELS) | mask);
    }

    /// Notes an addition.
    #[inline]
    pub(crate) fn note_addition(&self, amount: u64) {
        self.store(LAST, self.load(LAST) + 1);
        self.store(SET, self.load(SET).wrapping_add(amount));
    }

    /// Notes a transaction that moved an amount between the accounts at two places.
    pub(crate) fn note_transfer(&self, (from, to): (usize, usize), amount: u64) {
        self.store(LAST, self.load(LAST) + 1);
        self.store(from, self.load(from).wrapping_sub(amount));
        self.store(to, self.load(to).wrapping_add(amount));
    }

    /// Returns what was added to the account at a place.
    #[must_use]
    pub(crate) fn added(&self, place: usize) -> u64 {
        assert_ne!(place, LAST);
        self.load(place)
    }

    /// Notes a set of a key that stays until a deadline.
    pub(crate) fn note_lease(&self, seq: u64, deadline: u64) {
        self.store(LAST, seq);
        self.store(SET, seq);
        self.store(FOR_EVER, u64::from(deadline == ENDLESS));
        self.note_deadline(deadline);
    }

    /// Notes that the deadline of a key was moved.
    pub(crate) fn note_deadline(&self, deadline: u64) {
        // Any key that was not set stays for ever.
        self.store(DEADLINE, !deadline);
    }

    /// Returns the deadline of a key.
    #[must_use]
    pub(crate) fn deadline(&self) -> u64 {
        !self.load(DEADLINE)
    }

    /// Tells whether the key was last set for ever.
    #[must_use]
    pub(crate) fn set_for_ever(&self) -> bool {
        self.last() == 0 || self.load(FOR_EVER) != 0
    }

    #[inline]
    fn vector_is_old(&self) {
        let vector = self.load(VECTOR);
        if vector & FLAG != 0 {
            self.store(VECTOR, vector & !FLAG);
        }
    }

    #[inline]
    fn load(&self, word: usize) -> u64 {
        self.words[word].load(Relaxed)
    }

    #[inline]
    fn store(&self, word: usize, value: u64) {
        self.words[word].store(value, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_remember_what_was_acknowledged_each_for_itself() {
        let keys = KeySets::new(|family| match family {
            Family::Value => 10..20,
            Family::Counter => 0..4,
            Family::Group => 5..7,
            _ => 0..0,
        });
        let words: Vec<AtomicU64> = (0..words_for(&keys)).map(|_| AtomicU64::new(0)).collect();
        let acks = AckTable::new(&words, keys);
        let value = acks.entry(Family::Value, 19);
        value.note_set(1);
        value.note_append(2);
        value.note_vector(1);
        value.note_labels(4);
        assert_eq!((value.last(), value.set(), value.vector(), value.labels()), (2, 1, (1, true), 4));
        value.note_unset(3);
        assert_eq!(
            (value.last(), value.was_unset(), value.vector(), value.labels()),
            (3, true, (1, false), 0)
        );
        let counter = acks.entry(Family::Counter, 0);
        counter.note_addition(5);
        counter.note_addition(6);
        assert_eq!((counter.last(), counter.sum()), (2, 11));
        assert_eq!((counter.deadline(), counter.set_for_ever()), (ENDLESS, false));
        counter.note_lease(9, 5);
        counter.note_deadline(4);
        assert_eq!((counter.last(), counter.deadline(), counter.set_for_ever()), (9, 4, false));
        acks.entry(Family::Group, 6).note_set(9);
        assert_eq!(acks.entry(Family::Group, 5).last(), 0);
        assert!(acks.covers(Family::Value, 10) && !acks.covers(Family::Value, 9));
    }
}
