//! Keys that a cache evicted: removed before the change that they made room for, and heard of as any removal is.

use super::Run;
use splinter_testkit::Op;
use splinter_testkit::op::Answer;

impl Run {
    /// Notes which keys the store evicted for an operation. Returns how many.
    pub(super) fn note_evictions(&mut self, op: &Op, answer: &Answer) -> usize {
        let evicted = self.model.note_evictions(&self.store, op, answer);
        for (key, entry) in &evicted {
            let groups = self.model.groups_of(entry);
            let slot = self.slots.remove(key).expect("a key that was there");
            self.bases.remove(key);
            self.vacated.insert(slot, self.model.level);
            self.listeners.iter_mut().for_each(|one| one.expect(slot, groups, true));
        }
        // Each is a write.
        self.store_epoch += evicted.len() as u64;
        evicted.len()
    }
}
