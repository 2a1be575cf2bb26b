//! Holds the store against the model: all that can be read of a key and of the store, and how it lies in memory.

use super::Run;
use crate::stored::{check_present, check_vacant};
use splinter::Error;
use splinter_testkit::model::names;

impl Run {
    /// Compares all that can be read of a key, through either mapping, and how it lies in memory.
    pub(super) fn compare(&self, key: &[u8]) {
        for store in [&self.store, &self.reader] {
            self.model.assert_key(store, key);
        }
        self.check_place(key);
    }

    /// Checks the epoch of a key, if it is present, and how it lies in memory.
    fn check_place(&self, key: &[u8]) {
        if let Ok(entry) = self.model.get(key) {
            let epoch = self.epochs[&self.slots[key]];
            for store in [&self.store, &self.reader] {
                let seen = store.snapshot(key).map(|slot| slot.epoch);
                assert_eq!(
                    (store.epoch(key), seen),
                    (Ok(epoch), Ok(epoch)),
                    "an unchanged key's epoch stays"
                );
            }
            check_present(&self.raw, &self.store, key, entry);
        }
    }

    pub(super) fn read_several(&self, base: &[u8], orders: usize, keys: &[Vec<u8>]) {
        let value_of = |key: &[u8]| Ok(self.model.get(key)?.seen.value.clone());
        let mut values = vec![Vec::new(); orders];
        let expected =
            names(base, orders).and_then(|names| names.iter().map(|name| value_of(name)).collect());
        let answer = self.reader.tandem(base, &mut values);
        assert_eq!(answer.map(|()| values), expected);
        let (mut bufs, mut results) = (vec![0xee; keys.len() * 40], vec![Ok(0); keys.len()]);
        self.store.get_many(keys, &mut bufs, 40, &mut results);
        for ((key, result), buf) in keys.iter().zip(results).zip(bufs.chunks(40)) {
            let value = value_of(key);
            let expected = value.as_ref().map_err(|error| *error).and_then(|value| match value.len() {
                needed if needed > 40 => Err(Error::BufferTooSmall { needed }),
                len => Ok(len),
            });
            assert_eq!(result, expected);
            let len = result.unwrap_or(0);
            assert!(len == 0 || value.is_ok_and(|value| buf[..len] == value));
            assert!(buf[len..].iter().all(|byte| *byte == 0xee));
        }
        for handle in &self.handles {
            let key = handle.key();
            let lives = self.slots.get(key.as_ref()) == Some(&handle.slot());
            let expected =
                if lives { value_of(key.as_ref()).map(|value| value.len()) } else { Err(Error::NotFound) };
            assert_eq!(self.store.get(handle, &mut [0; 160]), expected);
        }
    }

    /// Looks at all of the store.
    pub(super) fn look_around(&self) {
        self.model.entries.keys().for_each(|key| self.check_place(key));
        for store in [&self.store, &self.reader] {
            self.model.assert_store(store);
            store.for_each_label(0, |key, epoch| {
                assert_eq!(Some(&epoch), self.epochs.get(&self.slots[key.as_ref()]));
            });
        }
        let header = self.reader.header();
        assert_eq!((header.recoveries, header.epoch), (0, self.store_epoch));
        assert_eq!(header.evicted, self.model.evicted);
        for (slot, level) in &self.vacated {
            check_vacant(&self.raw, *slot, *level);
        }
    }
}
