//! Holds the store against the map: all that can be read of a key and of the store, and how it lies in memory.

use super::Run;
use crate::model::{Entry, names};
use crate::stored::{check_present, check_vacant};
use splinter::{Error, Scrub, Store};
use std::collections::BTreeSet;

impl Run {
    /// Compares all that can be read of a key, through either mapping, and how it lies in memory.
    pub(super) fn compare(&self, key: &[u8]) {
        let entry = self.model.get(key);
        for store in [&self.store, &self.reader] {
            let expected = entry.map(|entry| &entry.value);
            assert_eq!(store.get_vec(key).as_ref(), expected.as_ref().map(|value| *value), "value");
            assert_eq!(store.value_len(key), expected.map(Vec::len));
            assert_eq!(store.get_u64(key), self.model.number(key));
            let there = match entry {
                Err(Error::NotFound) => Ok(false),
                other => other.map(|_| true),
            };
            assert_eq!(store.contains(key), there);
            let view = store.view(key);
            assert_eq!(view.as_ref().err(), entry.as_ref().err());
            let Ok(entry) = entry else {
                assert_eq!(store.snapshot(key).err(), entry.err());
                assert_eq!(
                    store.vector(key, &mut [0.0; 17][..self.model.vector_dim as usize]).err(),
                    if self.model.vector_dim == 0 { Some(Error::WrongDimension) } else { entry.err() }
                );
                continue;
            };
            self.compare_present(store, key, entry);
            let view = view.expect("a present key");
            assert!(view.validate() && view.bytes().eq(entry.value.iter().copied()));
            assert_eq!(view.len(), entry.value.len());
        }
        if let Ok(entry) = entry {
            check_present(&self.raw, &self.store, key, entry);
        }
    }

    fn compare_present(&self, store: &Store, key: &[u8], entry: &Entry) {
        let len = entry.value.len();
        let mut buf = [0xee; 160];
        assert_eq!(store.get(key, &mut buf[..len]), Ok(len));
        assert_eq!(buf[..len], entry.value);
        if len > 0 {
            let short = Err(Error::BufferTooSmall { needed: len });
            assert_eq!(store.get(key, &mut buf[..len - 1]), short);
        }
        assert!(buf[len..].iter().all(|byte| *byte == 0xee), "bytes behind the buffer");
        let seen = store.snapshot(key).expect("a present key");
        assert_eq!(
            (seen.key.as_ref(), seen.kind, seen.user_flags, seen.labels, seen.ctime, seen.atime),
            (key, entry.kind, entry.flags, entry.labels, entry.ctime, entry.atime)
        );
        assert_eq!((seen.value_len, seen.has_vector), (len, entry.vector.is_some()));
        let slot = self.slots[key];
        assert_eq!(seen.epoch, self.epochs[&slot], "the epoch of an unchanged key stays");
        let mut vector = vec![0.0; self.model.vector_dim as usize];
        let answer = store.vector(key, &mut vector);
        match &entry.vector {
            Some(expected) => assert_eq!((answer, &vector), (Ok(()), expected)),
            None if vector.is_empty() => assert_eq!(answer, Err(Error::WrongDimension)),
            None => assert_eq!(answer, Err(Error::NotFound)),
        }
    }

    pub(super) fn read_several(&self, base: &[u8], orders: usize, keys: &[Vec<u8>]) {
        let mut values = vec![Vec::new(); orders];
        let expected = names(base, orders)
            .and_then(|names| names.iter().map(|name| Ok(self.model.get(name)?.value.clone())).collect());
        let answer = self.reader.tandem(base, &mut values);
        assert_eq!(answer.map(|()| values), expected);
        let (mut bufs, mut results) = (vec![0xee; keys.len() * 40], vec![Ok(0); keys.len()]);
        self.store.get_many(keys, &mut bufs, 40, &mut results);
        for ((key, result), buf) in keys.iter().zip(results).zip(bufs.chunks(40)) {
            let expected = self.model.get(key).and_then(|entry| match entry.value.len() {
                needed if needed > 40 => Err(Error::BufferTooSmall { needed }),
                len => Ok(len),
            });
            assert_eq!(result, expected);
            let len = result.unwrap_or(0);
            assert!(len == 0 || buf[..len] == self.model.entries[key].value);
            assert!(buf[len..].iter().all(|byte| *byte == 0xee));
        }
        for handle in &self.handles {
            let key = handle.key();
            let key = key.as_ref();
            let lives = self.slots.get(key) == Some(&handle.slot());
            let expected = if lives { Ok(self.model.entries[key].value.len()) } else { Err(Error::NotFound) };
            assert_eq!(self.store.get(handle, &mut [0; 160]), expected);
        }
    }

    /// Looks at all of the store.
    pub(super) fn look_around(&self) {
        let (store, model) = (&self.store, &self.model);
        for key in model.entries.keys() {
            self.compare(key);
        }
        let keys: Vec<_> = self.reader.keys().map(|key| key.as_ref().to_vec()).collect();
        assert_eq!(keys.len(), model.entries.len());
        let keys: BTreeSet<_> = keys.into_iter().collect();
        assert_eq!(keys, model.entries.keys().cloned().collect());
        assert_eq!((store.len(), store.is_empty()), (keys.len() as u64, keys.is_empty()));
        for mask in [0, 1, 1 << 5 | 1, 1 << 63] {
            let mut found = BTreeSet::new();
            self.reader.for_each_label(mask, |key, epoch| {
                assert_eq!(Some(&epoch), self.epochs.get(&self.slots[key.as_ref()]));
                found.insert(key.as_ref().to_vec());
            });
            let carry = |(_, entry): &(&Vec<u8>, &Entry)| entry.labels & mask == mask;
            let expected = model.entries.iter().filter(carry).map(|(key, _)| key.clone());
            assert_eq!(found, expected.collect());
        }
        let header = self.reader.header();
        assert_eq!((header.scrub, store.scrub()), (model.level, model.level));
        assert_eq!(store.scrub() == Scrub::Full, model.level == Scrub::Full);
        assert_eq!((header.user_flags, header.parse_failures), (model.user_flags, model.parse_failures));
        assert_eq!((header.recoveries, header.epoch), (0, self.store_epoch));
        for (slot, level) in &self.vacated {
            check_vacant(&self.raw, *slot, *level);
        }
        let found = store.inspect().expect("an inspection");
        let wrong = [
            found.duplicate_keys,
            found.unreachable_keys,
            found.stuck_claims,
            found.live_claims,
            found.leaked_slots,
            found.dangling_entries,
            found.misrouted_slots,
        ];
        assert_eq!((found.keys, wrong), (model.entries.len() as u64, [0; 7]), "{found:?}");
    }
}
