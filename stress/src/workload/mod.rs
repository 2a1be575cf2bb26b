//! What a run does, as pure data: parsed from flags or a file, printed, recorded and read back. Knows which
//! geometry it needs; does nothing. [`table`] lists its fields, [`field`] makes flags and texts of them, [`check`] tells
//! whether it makes sense, [`mod@file`] is its form in TOML.

mod check;
pub(crate) mod field;
pub(crate) mod file;
pub(crate) mod table;
pub(crate) mod under_valgrind;

use crate::choice::{KeyChoice, share};
use crate::keys::Family;
use crate::mix::Op;
use crate::options::{Role, Span, Warmup};
use crate::proof::accounts;
use crate::proof::value;
use splinter::{Eviction, Geometry};
use std::ops::Range;
use std::time::Duration;

pub(crate) use table::FIELDS;
pub use table::Workload;

/// Dimension of vectors where none is given.
const DEFAULT_DIM: u32 = 768;
/// Most keys that hold integers or tandem groups: enough to spread, few enough to collide.
const MOST_SPECIAL_KEYS: u64 = 1024;
/// Operations that a history has room for beyond a worker's share, so that it never counts as full.
const SPARE: u64 = 256;

/// Which keys of each family a run has, or one writer takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySets([Range<u64>; Family::ALL.len()]);

impl KeySets {
    /// Makes them of each family's.
    pub(crate) fn new(keys: impl FnMut(Family) -> Range<u64>) -> Self {
        Self(Family::ALL.map(keys))
    }

    /// Returns the keys of a family.
    #[inline]
    #[must_use]
    pub(crate) fn of(&self, family: Family) -> Range<u64> {
        self.0[family as usize].clone()
    }

    /// Returns the keys of `part` when `parts` share the keys of all families.
    #[must_use]
    pub(crate) fn share(&self, part: u32, parts: u32) -> Self {
        Self::new(|family| share(self.of(family).end, part, parts))
    }

    /// Returns how many there are, all families together.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|keys| keys.end - keys.start).sum()
    }

    /// Returns how many keys there are before those of each family.
    #[must_use]
    pub(crate) fn before(&self) -> [u64; Family::ALL.len()] {
        let mut sum = 0;
        self.0.each_ref().map(|keys| {
            let before = sum;
            sum += keys.end - keys.start;
            before
        })
    }
}

impl Workload {
    /// Returns all workers: writers, then readers, then watchers.
    #[must_use]
    pub fn worker_count(&self) -> u32 {
        self.operators() + self.watchers
    }

    /// Returns the workers that do operations, and share the work where its amount is fixed.
    /// Watchers only follow them.
    #[must_use]
    pub fn operators(&self) -> u32 {
        self.writers + self.readers
    }

    /// Returns the role of a worker: writers come first, watchers last.
    #[must_use]
    pub(crate) fn role(&self, worker: u32) -> Role {
        if worker < self.writers {
            Role::Writer
        } else if worker < self.operators() {
            Role::Reader
        } else {
            Role::Watcher
        }
    }

    /// Returns how many of a fixed number of operations a worker does. The shares differ by one at most, and what cannot
    /// be dealt evenly goes to workers of all roles.
    #[must_use]
    pub(crate) fn share_of(&self, ops: u64, worker: u32) -> u64 {
        let workers = u128::from(self.operators().max(1));
        let up_to = |worker: u32| (u128::from(ops) * u128::from(worker)).div_ceil(workers);
        (up_to(worker + 1) - up_to(worker)) as u64
    }

    /// Returns the signal groups that keys are registered with, in which key `index` is the one
    /// with the number `index % groups`.
    #[must_use]
    pub fn signal_groups(&self) -> Range<u8> {
        if self.watchers == 0 || self.watch_all { 0..0 } else { 0..self.watch_groups }
    }

    /// Tells whether values carry the time at which they were written, for watchers to read.
    #[must_use]
    pub fn stamps_time(&self) -> bool {
        self.watchers > 0 && self.oracle && self.histogram
    }

    /// Returns the keys of the store.
    #[must_use]
    pub fn key_sets(&self) -> KeySets {
        let special = self.keys.min(MOST_SPECIAL_KEYS.max(u64::from(self.writers)));
        KeySets::new(|family| match family {
            unused if !self.mix.uses(unused) => 0..0,
            Family::Value => 0..self.keys,
            _ => 0..special,
        })
    }

    /// Returns the keys that one writer writes: its own with [`KeyChoice::Own`], else all.
    #[must_use]
    pub fn writer_keys(&self, writer: u32) -> KeySets {
        let all = self.key_sets();
        if self.key_choice == KeyChoice::Own { all.share(writer, self.writers) } else { all }
    }

    /// Returns how many operations each worker has room for in a history, where there is to be one: no more than it does,
    /// where that is known.
    #[must_use]
    pub fn history_share(&self) -> Option<usize> {
        let operators = u64::from(self.operators()).max(1);
        let each = self.history?.div_ceil(operators);
        let cold = matches!(self.warmup, Warmup::Auto | Warmup::For(Duration::ZERO));
        let done = match self.span {
            Span::Ops(ops) if cold => ops.div_ceil(operators).saturating_add(SPARE),
            _ => u64::MAX,
        };
        usize::try_from(each.min(done)).ok()
    }

    /// Tells whether a key of any family is removed.
    #[must_use]
    pub(crate) fn removes_keys(&self) -> bool {
        self.may_miss() || self.mix.has(Op::SetIf) || self.mix.has(Op::Expire)
    }

    /// Tells whether a key of a value can be missing without anything being wrong.
    #[must_use]
    pub fn may_miss(&self) -> bool {
        self.mix.has(Op::Unset) || self.evicts()
    }

    /// Tells whether the store is a cache: any key may be gone at any time.
    #[must_use]
    pub fn evicts(&self) -> bool {
        self.evict != Eviction::Expired
    }

    /// Returns how long a buffer for any value of the store must be.
    #[must_use]
    pub(crate) fn buffer_len(&self) -> usize {
        usize::try_from(self.longest_value()).unwrap_or(usize::MAX)
    }

    /// Returns the longest value that can be in the store.
    #[must_use]
    pub fn longest_value(&self) -> u64 {
        let written = u64::from(self.value_len.longest()).max(value::HEADER as u64 / 2);
        self.max_value_len.unwrap_or_else(|| {
            // Room for a first piece and three appended ones.
            let pieces = if self.mix.has(Op::Append) { 4 } else { 1 };
            (written * pieces).next_multiple_of(64)
        })
    }

    /// Returns how many slots the keys take.
    #[must_use]
    pub fn slots_needed(&self) -> u64 {
        let keys = self.key_sets();
        let more = |family: Family, each: u64| keys.of(family).end * each.saturating_sub(1);
        keys.count() + more(Family::Group, self.orders.into()) + more(Family::Account, accounts::KEYS as u64)
    }

    /// Returns the geometry that the store is created with.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        let used = self.slots_needed();
        let dim = if self.mix.has(Op::Vector) { DEFAULT_DIM } else { 0 };
        Geometry {
            slots: self.slots.unwrap_or_else(|| match self.evicts() {
                true => used.div_ceil(2),
                false => (used + used / 3 + 64).next_multiple_of(64),
            }),
            max_value_len: self.longest_value(),
            vector_dim: self.dim.unwrap_or(dim),
            // One per writer; the threads that fill the store give theirs back before.
            max_writers: self.writers.max(64),
        }
    }
}

/// Scrub levels and eviction policies in records are the store's own words for them.
mod store_word {
    use super::field::Text;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::fmt::Display;

    pub(super) fn serialize<T: Display, S: Serializer>(word: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(word)
    }

    pub(super) fn deserialize<'de, T: Text, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        Text::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_round_trips_through_its_record() {
        let workload = Workload::default();
        assert_eq!(workload.validate(), Ok(()));
        let text = serde_json::to_string(&workload).unwrap();
        assert_eq!(serde_json::from_str::<Workload>(&text).unwrap(), workload);
    }

    #[test]
    fn shares_of_the_operations_are_all_of_them_and_even() {
        for (writers, readers) in [(1, 0), (1, 1), (8, 8), (3, 4), (32, 32)] {
            let workload = Workload { writers, readers, ..Workload::default() };
            for ops in [1, 2, 10, 63, 64, 4000, u64::MAX] {
                let workers = 0..workload.operators();
                let shares: Vec<u64> = workers.map(|it| workload.share_of(ops, it)).collect();
                assert_eq!(shares.iter().map(|&it| u128::from(it)).sum::<u128>(), ops.into());
                let least = shares.iter().min().unwrap();
                assert!(shares.iter().max().unwrap() - least <= 1, "{shares:?}");
                let (of_writers, of_readers) = shares.split_at(writers as usize);
                let sums = [of_writers, of_readers].map(|of| of.iter().sum::<u64>());
                let both = readers > 0 && ops > 1 && ops < 10_000;
                assert!(!both || sums.iter().all(|&sum| sum > 0), "{shares:?}");
            }
        }
    }

    #[test]
    fn the_store_has_room_for_all_keys() {
        let workload = Workload { mix: "set,int,tandem,append".parse().unwrap(), ..Workload::default() };
        let geometry = workload.geometry();
        assert!(geometry.slots >= 4096 + 1024 + 3 * 1024);
        assert_eq!(geometry.max_value_len, 256);
        assert_eq!(geometry.vector_dim, 0);
        assert!(geometry.max_writers >= workload.writers);
    }

    #[test]
    fn a_cache_has_room_for_half_of_the_keys() {
        let workload = Workload { keys: 101, evict: Eviction::Sieve, ..Workload::default() };
        assert_eq!((workload.validate(), workload.geometry().slots), (Ok(()), 51));
    }

    #[test]
    fn writers_share_keys_unless_each_has_its_own() {
        let own = Workload { mix: "set,int".parse().unwrap(), ..Workload::default() };
        assert_eq!(own.writer_keys(1).of(Family::Value), 128..256);
        assert_eq!(own.writer_keys(1).of(Family::Counter), 32..64);
        let shared = Workload { key_choice: KeyChoice::Uniform, ..own };
        assert_eq!(shared.writer_keys(1), shared.key_sets());
    }
}
