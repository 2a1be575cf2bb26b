//! Which keys of the whole store a watcher returns: those with a prefix, or one key, present or missing.

use crate::arena::key::Key;
use std::collections::HashMap;

/// The keys whose changes a watcher of the whole store returns.
#[derive(Clone)]
pub(crate) struct Filter {
    prefix: Box<[u8]>,
    /// Whether the prefix is the whole name.
    is_name: bool,
    /// The wanted keys by their slots, as they were last found. A removal names the slot only.
    keys: HashMap<u32, Key>,
    /// In how many slots each of them is.
    slots: HashMap<Key, u32>,
}

impl Filter {
    pub(crate) fn new(prefix: &[u8], is_name: bool) -> Self {
        Self { prefix: prefix.into(), is_name, keys: HashMap::new(), slots: HashMap::new() }
    }

    /// Returns the only key that is wanted, unless there are several or none.
    pub(super) fn name(&self) -> Option<Key> {
        self.is_name.then(|| Key::new(&self.prefix).ok())?
    }

    fn is_wanted(&self, key: &Key) -> bool {
        let key = key.as_ref();
        key.starts_with(&self.prefix) && !(self.is_name && key.len() > self.prefix.len())
    }

    /// Notes the key that is found in a slot after a change. Returns it if it is wanted, and the wanted key that is gone
    /// from there, unless that has come back in another slot, of which the watcher may hear earlier.
    pub(super) fn note(&mut self, slot: u32, found: Option<Key>) -> [Option<Key>; 2] {
        let key = found.filter(|key| self.is_wanted(key));
        let before = match key {
            Some(key) => self.keys.insert(slot, key),
            None => self.keys.remove(&slot),
        };
        if key == before {
            return [key, None];
        }
        if let Some(key) = key {
            *self.slots.entry(key).or_default() += 1;
        }
        [key, before.filter(|before| self.leave(before))]
    }

    /// Notes that a slot that held a key does so no more. Returns whether no other slot holds it.
    fn leave(&mut self, key: &Key) -> bool {
        let Some(slots) = self.slots.get_mut(key) else { return true };
        *slots -= 1;
        let is_last = *slots == 0;
        if is_last {
            self.slots.remove(key);
        }
        mutant!("return-overlooked", return true);
        is_last
    }

    pub(super) fn forget_keys(&mut self) {
        self.keys.clear();
        self.slots.clear();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_heard_of_in_another_slot_first_is_not_gone() {
        let [back, other, unwanted] =
            ["a key", "another", "b"].map(|name| Key::new(name.as_bytes()).unwrap());
        for next in [Some(other), Some(unwanted), None] {
            let mut filter = Filter::new(b"a", false);
            let wanted = next.filter(|next| *next == other);
            assert_eq!(filter.note(1, Some(back)), [Some(back), None]);
            assert_eq!(filter.note(1, Some(back)), [Some(back), None]);
            assert_eq!(filter.note(2, Some(back)), [Some(back), None]);
            assert_eq!(filter.note(1, next), [wanted, None]);
            assert_eq!(filter.note(2, None), [None, Some(back)]);
            assert_eq!(filter.note(1, None), [None, wanted]);
        }
    }
}
