//! Monotonic reads (Terry et al., 1994): a reader remembers per key and writer the newest sequence that it has read, and
//! nothing that it reads later may be older. The table has a fixed size, so that it takes little of the caches; a collision
//! drops the older entry, which can hide a regression and never makes one up.

use crate::keys::Family;

/// Entries that one reader keeps at most: 256 KiB.
const MOST: usize = 1 << 14;

/// The newest sequences that one reader has read.
#[derive(Debug)]
pub(crate) struct MonotonicReads {
    entries: Box<[(u64, u64)]>,
}

impl MonotonicReads {
    /// Makes a table for about `pairs` pairs of key and writer.
    #[must_use]
    pub(crate) fn new(pairs: u64) -> Self {
        let size = usize::try_from(pairs).unwrap_or(MOST).clamp(1, MOST).next_power_of_two();
        // Tag 0 belongs to no pair: families are letters.
        Self { entries: vec![(0, 0); size].into_boxed_slice() }
    }

    /// Remembers that `seq` of `writer` was read from a key. Returns false if a newer one was read
    /// before.
    #[inline]
    pub(crate) fn observe(&mut self, family: Family, key: u64, writer: u16, seq: u64) -> bool {
        let tag = u64::from(family.letter()) << 56 | key << 16 | u64::from(writer);
        let at = (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & (self.entries.len() - 1);
        let entry = &mut self.entries[at];
        let forward = entry.0 != tag || seq >= entry.1;
        *entry = (tag, seq);
        forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_that_goes_back_is_noticed() {
        let mut reads = MonotonicReads::new(100);
        assert!(reads.observe(Family::Value, 1, 2, 10));
        assert!(reads.observe(Family::Value, 1, 2, 10), "the same again is fine");
        assert!(reads.observe(Family::Value, 1, 2, 11));
        assert!(!reads.observe(Family::Value, 1, 2, 10));
    }

    #[test]
    fn keys_writers_and_families_have_sequences_of_their_own() {
        let mut reads = MonotonicReads::new(100);
        assert!(reads.observe(Family::Value, 1, 2, 10));
        assert!(reads.observe(Family::Value, 1, 3, 1));
        assert!(reads.observe(Family::Value, 2, 2, 1));
        assert!(reads.observe(Family::Group, 1, 2, 1));
    }

    #[test]
    fn a_table_that_is_too_small_never_makes_a_regression_up() {
        let mut reads = MonotonicReads::new(1);
        for round in 1..50 {
            for key in 0..50 {
                assert!(reads.observe(Family::Value, key, 1, round));
            }
        }
    }
}
