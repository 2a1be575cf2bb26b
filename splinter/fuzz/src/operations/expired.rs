//! Keys whose deadline has passed: missing for every reader, and in their slots until a writer meets them. Each removal is
//! heard of.

use super::Run;
use splinter_testkit::Entry;

/// A key whose deadline has passed, where it lies, and what it was.
pub(super) struct Expired {
    slot: u32,
    epoch: u64,
    entry: Entry,
}

impl Run {
    /// Notes that the deadline of a key has just passed. Returns its slot.
    pub(super) fn note_expired(&mut self, key: &[u8], entry: Entry) -> u32 {
        let holder = |slot: u32| self.raw.holder(slot).filter(|(name, _)| name == key);
        let slots = 0..self.model.geometry.slots as u32;
        let (slot, epoch) =
            slots.into_iter().find_map(|slot| Some((slot, holder(slot)?.1))).expect("its slot");
        let known = self.slots.remove(key);
        assert!(known.is_none_or(|known| known == slot), "a key moved when its deadline passed");
        self.bases.remove(key);
        self.vacated.remove(&slot);
        self.epochs.insert(slot, epoch);
        self.expired.insert(key.to_vec(), Expired { slot, epoch, entry });
        slot
    }

    /// Notes which expired keys an operation on `keys` has removed: first those of its own, then, if it may, others. Returns
    /// how many.
    pub(super) fn note_removals(&mut self, keys: &[Vec<u8>], may_remove_others: bool) -> usize {
        let is_left = |key: &Vec<u8>, Expired { slot, epoch, .. }: &Expired| {
            self.raw.holder(*slot).is_some_and(|(name, now)| (&name, now) == (key, *epoch))
        };
        let gone = self.expired.iter().filter(|(key, expired)| !is_left(key, expired));
        let place = |key| keys.iter().position(|own| own == key).unwrap_or(usize::MAX);
        let mut gone: Vec<_> = gone.map(|(key, expired)| (place(key), expired.slot, key.clone())).collect();
        gone.sort_unstable();
        for (place, slot, key) in &gone {
            assert!(*place < keys.len() || may_remove_others, "an expired key went though nobody met it");
            let expired = self.expired.remove(key).expect("one of them");
            let groups = self.model.groups_of(&expired.entry);
            self.listeners.iter_mut().for_each(|one| one.expect(*slot, groups, true));
            self.vacated.insert(*slot, self.model.level);
            // Unless the operation has set it again, and its deadline has passed again.
            let slots = 0..self.model.geometry.slots as u32;
            if slots.into_iter().all(|slot| self.raw.holder(slot).is_none_or(|(name, _)| name != *key)) {
                self.model.expired.remove(key);
            }
        }
        // Each is a write.
        self.store_epoch += gone.len() as u64;
        gone.len()
    }
}
