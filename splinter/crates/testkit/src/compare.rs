//! A store against the model: all that can be read of a key, and of the whole store.

use crate::model::{Model, Seen};
use crate::sound::assert_in_order;
use splinter::{Error, Store};
use std::time::Duration;

/// The byte that fills a buffer before a read: behind the bytes that are read it must stay.
const CANARY: u8 = 0xee;

impl Model {
    /// Asserts that each way to read a key gives what the model holds.
    #[track_caller]
    pub fn assert_key(&self, store: &Store, key: &[u8]) {
        let (name, entry) = (key.escape_ascii(), self.get(key));
        let value = entry.map(|entry| &entry.seen.value);
        assert_eq!(Seen::read(store, key), entry.map(|entry| entry.seen.clone()), "{name}");
        assert_eq!(store.get_vec(key), value.cloned(), "{name}");
        assert_eq!(store.value_len(key), value.map(Vec::len), "{name}");
        assert_eq!(store.get_u64(key), self.number(key), "{name}");
        let there = match entry {
            Err(Error::NotFound) => Ok(false),
            other => other.map(|_| true),
        };
        assert_eq!(store.contains(key), there, "{name}");
        let deadline = entry.map(|entry| entry.deadline);
        let earliest = store.time();
        let stays = store.ttl(key);
        let left = |deadline: u64, now| Duration::from_nanos(deadline.saturating_sub(now));
        let is_right = match (stays, deadline) {
            (Ok(Some(stays)), Ok(Some(deadline))) => {
                (left(deadline, store.time())..=left(deadline, earliest)).contains(&stays)
            }
            (Ok(None), Ok(None)) => true,
            (stays, deadline) => stays.is_err() && stays.err() == deadline.err(),
        };
        assert!(is_right, "{name} stays {stays:?}, until {deadline:?}");
        let mut vector = vec![0.0; store.geometry().vector_dim as usize];
        let expected = match entry {
            _ if vector.is_empty() => Err(Error::WrongDimension),
            Ok(entry) => entry.seen.vector.clone().ok_or(Error::NotFound),
            Err(error) => Err(error),
        };
        assert_eq!(store.vector(key, &mut vector).map(|()| vector), expected, "{name}");
        let (view, slot) = (store.view(key), store.snapshot(key));
        let Ok(value) = value else {
            let refused = (view.err(), slot.err(), store.get(key, &mut []).err());
            return assert_eq!(refused, (value.err(), value.err(), value.err()), "{name}");
        };
        let (view, slot, len) = (view.expect("a present key"), slot.expect("a present key"), value.len());
        assert!(view.validate() && view.bytes().eq(value.iter().copied()), "{name}");
        assert_eq!((view.len(), slot.value_len, slot.key.as_ref()), (len, len, key), "{name}");
        let mut buf = vec![CANARY; len + 10];
        assert_eq!(store.get(key, &mut buf[..len]), Ok(len), "{name}");
        assert_eq!(buf[..len], *value, "{name}");
        assert!(buf[len..].iter().all(|byte| *byte == CANARY), "{name}: bytes behind the buffer");
        if len > 0 {
            let short = Err(Error::BufferTooSmall { needed: len });
            assert_eq!(store.get(key, &mut buf[..len - 1]), short, "{name}");
        }
    }

    /// Asserts that the store holds the model's keys and no others, has its flags, level, labels and their groups, and is
    /// sound.
    #[track_caller]
    pub fn assert_store(&self, store: &Store) {
        for key in self.entries.keys() {
            self.assert_key(store, key);
        }
        let present: Vec<_> = self.entries.keys().cloned().collect();
        let mut listed: Vec<_> = store.keys().map(|key| key.as_ref().to_vec()).collect();
        listed.sort_unstable();
        assert_eq!(listed, present);
        assert_eq!((store.len(), store.is_empty()), (present.len() as u64, present.is_empty()));
        for mask in [0, 1 << 5 | 1].into_iter().chain((0..64).map(|label| 1 << label)) {
            let mut found = Vec::new();
            store.for_each_label(mask, |key, _| found.push(key.as_ref().to_vec()));
            found.sort_unstable();
            let carry = self.entries.iter().filter(|(_, entry)| entry.seen.labels & mask == mask);
            assert_eq!(found, carry.map(|(key, _)| key.clone()).collect::<Vec<_>>(), "labels {mask:#x}");
        }
        let header = store.header();
        assert_eq!((header.scrub, store.scrub()), (self.level, self.level));
        assert_eq!((header.user_flags, header.parse_failures), (self.user_flags, self.parse_failures));
        assert_eq!(std::array::from_fn(|label| store.label_groups(label as u8)), self.label_groups);
        // Keys that have expired keep their slots until a writer meets them.
        assert_in_order(store, present.len() as u64, self.expired.len() as u64);
    }
}
