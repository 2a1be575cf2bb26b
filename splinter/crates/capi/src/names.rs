//! The key names that `splinter_list` and `splinter_enumerate_matches` return to C. A name keeps its address until the
//! store is closed, whatever any thread lists or removes meanwhile. A key has one name, however often it is listed.
//!
//! The names of removed keys are reused for new keys, so that a program can list new keys for years without filling its
//! memory. After a key was found removed, as many new keys as the store can hold are listed before its name is reused.

use crate::shapes::{KeyBuffer, SPLINTER_KEY_MAX};
use splinter::{Error, Key, Store};
use std::collections::BTreeMap;

/// The number of keys that [`Names::reclaim`] assumes for a store with fewer slots.
const MIN_SLOTS: usize = 1024;

/// A name, in a box, so that it keeps its address when the collections move it.
type Name = Box<KeyBuffer>;

/// The names of one open store.
#[derive(Default)]
pub(crate) struct Names {
    /// The names of keys that were in the store at the last check, or were listed since.
    known: BTreeMap<Key, Name>,
    /// The names of keys that the last check found removed, and those of earlier checks, which may be reused.
    removed: [Vec<Name>; 2],
}

impl Names {
    /// Returns the address of a key's name. The address is valid as long as these `Names` exist.
    pub(crate) fn get(&mut self, key: &Key) -> *mut u8 {
        let name = self.known.entry(*key).or_insert_with(|| {
            let mut name = self.removed[1].pop().unwrap_or_else(|| Box::new([0; SPLINTER_KEY_MAX]));
            *name = key_buffer(key.as_ref());
            name
        });
        name.as_mut_ptr()
    }

    /// Finds the names of removed keys, if there are more names than twice the keys that the store can hold.
    pub(crate) fn reclaim(&mut self, store: &Store) {
        let limit = 2 * (store.geometry().slots as usize).max(MIN_SLOTS);
        if self.known.len() <= limit {
            return;
        }
        // Looking at a key's record is no use of it: a cache keeps no key longer for it.
        let is_removed = |key: &&Key| matches!(store.snapshot(key), Err(Error::NotFound));
        let removed: Vec<_> = self.known.keys().filter(is_removed).copied().collect();
        let removed = removed.iter().filter_map(|key| self.known.remove(key)).collect();
        let earlier = std::mem::replace(&mut self.removed[0], removed);
        self.removed[1].extend(earlier);
    }
}

/// Copies a key to a buffer that ends in NUL, as C has it.
pub(crate) fn key_buffer(key: &[u8]) -> KeyBuffer {
    let mut buffer: KeyBuffer = [0; SPLINTER_KEY_MAX];
    buffer[..key.len()].copy_from_slice(key);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter::{Config, Geometry};

    #[test]
    fn a_name_stays_and_names_of_keys_long_gone_are_used_again() {
        let geometry = Geometry { slots: 4, ..Geometry::default() };
        let store = Store::anonymous(&Config { geometry, ..Config::default() }).unwrap();
        let mut writer = store.writer().unwrap();
        let mut names = Names::default();
        writer.set("stays", b"").unwrap();
        let stays = names.get(&store.keys().next().unwrap());
        let mut addresses = std::collections::HashSet::new();
        for number in 0..20 * MIN_SLOTS {
            let key = format!("key{number}");
            writer.set(&key, b"").unwrap();
            names.reclaim(&store);
            for key in store.keys() {
                addresses.insert(names.get(&key));
            }
            assert_eq!(names.get(&store.keys().next().unwrap()), stays);
            writer.unset(&key).unwrap();
        }
        assert!(names.known.len() <= 2 * MIN_SLOTS + 2);
        assert!(addresses.len() <= 6 * MIN_SLOTS, "{} names", addresses.len());
    }
}
