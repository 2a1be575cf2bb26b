//! A bounded buffer that keeps the best of what a scan finds.

/// Keeps the `keep` lowest of the entries that are pushed: for a scan, lower is better.
///
/// Entries gather until there are twice as many as are kept; then the better half is selected. So a push costs a few
/// instructions, and memory is taken once, before the scan.
pub(super) struct Best<E> {
    entries: Vec<E>,
    keep: usize,
    /// How many entries gather before they are thinned out.
    room: usize,
    /// Drops entries that others make useless, in place.
    thin: fn(&mut Vec<E>),
    /// The worst of the kept, once that many were found: no worse entry is of use.
    bound: Option<E>,
    /// Entries were dropped because there were too many.
    is_cut: bool,
}

/// More entries than this are not made room for in advance.
const MOST_RESERVED: usize = 1 << 16;

impl<E: Ord + Copy> Best<E> {
    /// Makes a buffer that keeps `keep` of at most `expected` entries.
    pub(super) fn new(keep: usize, expected: usize, thin: fn(&mut Vec<E>)) -> Self {
        let room = keep.saturating_mul(2).saturating_add(64);
        let entries = Vec::with_capacity(room.min(expected).min(MOST_RESERVED));
        Self { entries, keep, room, thin, bound: None, is_cut: false }
    }

    /// Adds an entry if it may be among the best. Returns whether the bound has changed.
    #[inline]
    pub(super) fn push(&mut self, entry: E) -> bool {
        if self.bound.is_some_and(|bound| bound <= entry) {
            return false;
        }
        self.entries.push(entry);
        self.entries.len() >= self.room && self.prune()
    }

    /// Returns the worst entry that is kept, once there are as many as are kept.
    pub(super) fn bound(&self) -> Option<E> {
        self.bound
    }

    /// Keeps the best entries alone. Returns whether the bound has changed.
    #[cold]
    fn prune(&mut self) -> bool {
        (self.thin)(&mut self.entries);
        if self.entries.len() <= self.keep {
            return false;
        }
        self.is_cut = true;
        self.bound = match self.keep.checked_sub(1) {
            Some(last) => Some(*self.entries.select_nth_unstable(last).1),
            None => None,
        };
        self.entries.truncate(self.keep);
        true
    }

    /// Adds what another buffer kept.
    pub(super) fn merge(&mut self, other: Self) {
        self.is_cut |= other.is_cut;
        for entry in other.entries {
            self.push(entry);
        }
    }

    /// Returns the entries that are kept, the best first, and whether others were dropped because there were too many.
    pub(super) fn into_sorted(mut self) -> (Vec<E>, bool) {
        self.prune();
        self.entries.sort_unstable();
        (self.entries, self.is_cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_testkit::Rng;

    #[test]
    fn the_lowest_are_kept_however_they_come_and_are_split() {
        let mut rng = Rng(1);
        for keep in [0, 1, 2, 9, 100, 1_000, usize::MAX] {
            for count in [0, 1, 63, 64, 65, 300, 5_000] {
                let entries: Vec<u64> = (0..count).map(|_| rng.below(count * 3 + 1)).collect();
                let mut parts = [(); 3].map(|()| Best::new(keep, count as usize, |_| ()));
                for entry in &entries {
                    parts[rng.below(3) as usize].push(*entry);
                }
                let [mut best, second, third] = parts;
                best.merge(second);
                best.merge(third);
                let mut wanted = entries;
                wanted.sort_unstable();
                let is_cut = wanted.len() > keep;
                wanted.truncate(keep);
                assert_eq!(best.into_sorted(), (wanted, is_cut), "{keep} of {count}");
            }
        }
    }

    #[test]
    fn memory_is_taken_before_the_first_entry() {
        let mut best = Best::new(10, 1 << 40, |_| ());
        let (at, capacity) = (best.entries.as_ptr(), best.entries.capacity());
        for entry in (0..10_000_u64).rev() {
            best.push(entry);
        }
        assert_eq!((best.entries.as_ptr(), best.entries.capacity()), (at, capacity));
        assert_eq!(best.into_sorted(), ((0..10).collect(), true));
    }
}
