//! Gets of keys that are not there, on stores with three pasts.

use super::fixture::{self, Buffer, KEYS, Key};
use splinter::{Error, Store};
use splinter_harness::rng::Rng;

/// Slots of a store that misses are measured on.
const SLOTS: u64 = 4096;

/// Bytes of its values.
const VALUE_LEN: usize = 64;

/// Set/unset cycles of a store that has seen many.
const CYCLES: usize = 1_000_000;

/// The history of a store before the first miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// Nothing: it is empty.
    New,
    /// Nine of ten slots are in use.
    NinetyPercentFull,
    /// Half of its slots are in use, and a million keys came and went.
    Churned,
}

/// A store and keys that are not in it.
pub struct Miss {
    store: Store,
    absent: Vec<Key>,
    buffer: Box<Buffer>,
}

impl Miss {
    /// Operations of one lap.
    pub const OPS: u64 = KEYS as u64;

    /// Prepares a store with a past.
    ///
    /// # Errors
    /// The store's error, in one line.
    pub fn new(past: Past, seed: u64) -> Result<Self, String> {
        let cycles = if past == Past::Churned { CYCLES } else { 0 };
        Self::after(past, cycles, seed)
    }

    fn after(past: Past, cycles: usize, seed: u64) -> Result<Self, String> {
        let store = fixture::store(SLOTS, VALUE_LEN)?;
        let mut writer = fixture::writer(&store)?;
        let value = fixture::value(VALUE_LEN);
        let used = match past {
            Past::New => 0,
            Past::NinetyPercentFull => SLOTS as usize * 9 / 10,
            Past::Churned => SLOTS as usize / 2,
        };
        let mut present = Key::shuffled('k', used, seed);
        fixture::fill(&mut writer, &present, &value)?;
        let mut rng = Rng::new(seed, 0);
        for cycle in 0..cycles {
            let leaving = rng.index(present.len());
            writer.unset(present[leaving]).map_err(fixture::say)?;
            present[leaving] = Key::new('k', used + cycle);
            writer.set(present[leaving], &value).map_err(fixture::say)?;
        }
        Ok(Self { store, absent: Key::shuffled('m', KEYS, seed), buffer: Buffer::new() })
    }

    /// Looks for every absent key.
    ///
    /// # Errors
    /// The first answer of the store that is not "not found", in one line.
    pub fn get(&mut self) -> Result<(), String> {
        let buffer = self.buffer.first(VALUE_LEN);
        for key in &self.absent {
            match self.store.get(key, buffer) {
                Err(Error::NotFound) => (),
                Err(error) => return Err(fixture::say(error)),
                Ok(_) => return Err("a key that was never set was found".to_owned()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Miss, Past, SLOTS};

    #[test]
    fn every_past_misses_every_absent_key() {
        for (past, keys) in [(Past::New, 0), (Past::NinetyPercentFull, 3686), (Past::Churned, SLOTS / 2)] {
            let mut miss = Miss::after(past, 2000 * u64::from(past == Past::Churned) as usize, 1).unwrap();
            miss.get().unwrap();
            assert_eq!(miss.store.len(), keys, "{past:?}");
        }
    }
}
