//! The names that `splinter_list` and `splinter_enumerate_matches` hand out: each stays where it is until the store is
//! closed, whatever is listed or removed meanwhile, in whichever thread. A key has one name, however often it is listed.
//!
//! So that a program that lists new keys for years does not fill its memory, the names of keys that are gone are used
//! again for others: never before as many new keys as the store can hold were listed since the key was found gone.

use crate::shapes::{KeyRoom, SPLINTER_KEY_MAX};
use splinter::{Error, Key, Store};
use std::collections::BTreeMap;

/// How many names are kept before it is looked which of them are of keys that are gone, if the store holds fewer keys.
const FEW: usize = 1024;

/// A name, which stays where it is while what leads to it is moved about.
type Name = Box<KeyRoom>;

/// The names of one open store.
#[derive(Default)]
pub(crate) struct Names {
    /// Those of keys that were in the store when this was last looked at.
    known: BTreeMap<Key, Name>,
    /// Those of keys that were found gone the last time, and those that were before, which may be used again.
    gone: [Vec<Name>; 2],
}

impl Names {
    /// Returns where the name of a key is, for as long as this is there.
    pub(crate) fn of(&mut self, key: &Key) -> *mut u8 {
        let name = self.known.entry(*key).or_insert_with(|| {
            let mut name = self.gone[1].pop().unwrap_or_else(|| Box::new([0; SPLINTER_KEY_MAX]));
            *name = key_room(key.as_ref());
            name
        });
        name.as_mut_ptr()
    }

    /// Looks which keys are gone, if there are names of so many that some must be.
    pub(crate) fn tidy(&mut self, store: &Store) {
        let most = 2 * (store.geometry().slots as usize).max(FEW);
        if self.known.len() <= most {
            return;
        }
        let is_gone = |key: &&Key| store.value_len(key) == Err(Error::NotFound);
        let gone: Vec<_> = self.known.keys().filter(is_gone).copied().collect();
        let gone = gone.iter().filter_map(|key| self.known.remove(key)).collect();
        let before = std::mem::replace(&mut self.gone[0], gone);
        self.gone[1].extend(before);
    }
}

/// Copies a key as C has it.
pub(crate) fn key_room(key: &[u8]) -> KeyRoom {
    let mut room: KeyRoom = [0; SPLINTER_KEY_MAX];
    room[..key.len()].copy_from_slice(key);
    room
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
        let stays = names.of(&store.keys().next().unwrap());
        let mut places = std::collections::HashSet::new();
        for number in 0..20 * FEW {
            let key = format!("key{number}");
            writer.set(&key, b"").unwrap();
            names.tidy(&store);
            for key in store.keys() {
                places.insert(names.of(&key));
            }
            assert_eq!(names.of(&store.keys().next().unwrap()), stays);
            writer.unset(&key).unwrap();
        }
        assert!(names.known.len() <= 2 * FEW + 2);
        assert!(places.len() <= 6 * FEW, "{} names", places.len());
    }
}
