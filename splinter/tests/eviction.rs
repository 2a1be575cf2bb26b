//! Caches: insertions into a full one evict, and what must stay stays.

use splinter::{
    Config, Error, Eviction, Expect, Geometry, IntegerOp, Lifetime, Location, OpenOptions, Store,
    Transaction, Writer,
};
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn config(slots: u64, eviction: Eviction) -> Config {
    let geometry = Geometry { slots, max_value_len: 64, vector_dim: 0, max_writers: 16 };
    Config { geometry, eviction, hash_seed: Some(7), ..Config::default() }
}

fn cache(slots: u64, eviction: Eviction) -> (Store, Writer) {
    let store = Store::anonymous(&config(slots, eviction)).unwrap();
    let writer = store.writer().unwrap();
    (store, writer)
}

fn name(number: u64) -> String {
    format!("key {number}")
}

/// Draws numbers (xorshift); small ones are likelier.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn skewed(&mut self, end: u64) -> u64 {
        let first = self.below(end);
        self.below(first + 1)
    }
}

/// SIEVE by its paper: keys in the order in which they came, a bit each, and a hand.
#[derive(Default)]
struct Sieve {
    /// The oldest key first.
    keys: VecDeque<(u64, bool)>,
    /// The place at which the hand looks next.
    hand: usize,
    slots: usize,
}

impl Sieve {
    /// Visits a key, or inserts it. Returns whether it was there, and which key had to go.
    fn access(&mut self, key: u64) -> (bool, Option<u64>) {
        if let Some(found) = self.keys.iter_mut().find(|(other, _)| *other == key) {
            found.1 = true;
            return (true, None);
        }
        let victim = (self.keys.len() == self.slots).then(|| self.evict());
        self.keys.push_back((key, false));
        (false, victim)
    }

    fn evict(&mut self) -> u64 {
        loop {
            if self.hand >= self.keys.len() {
                self.hand = 0;
            }
            if !std::mem::take(&mut self.keys[self.hand].1) {
                return self.keys.remove(self.hand).unwrap().0;
            }
            self.hand += 1;
        }
    }

    fn remove(&mut self, key: u64) {
        let Some(place) = self.keys.iter().position(|(other, _)| *other == key) else { return };
        self.keys.remove(place);
        self.hand -= usize::from(place < self.hand);
    }
}

/// Gets a key, or sets it if it is missing, as users of a cache do. Returns whether it was there.
fn access(writer: &mut Writer, key: u64) -> bool {
    match writer.get_vec(name(key)) {
        Ok(value) => {
            assert_eq!(value, key.to_le_bytes());
            true
        }
        Err(Error::NotFound) => {
            writer.set(name(key), &key.to_le_bytes()).unwrap();
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn sieve_evicts_as_the_paper_says_access_by_access() {
    for slots in [1, 2, 3, 10, 64, 200] {
        let (store, mut writer) = cache(slots, Eviction::Sieve);
        let mut model = Sieve { slots: slots as usize, ..Sieve::default() };
        let mut draw = Draw(slots + 1);
        for round in 0..20_000 {
            let key = draw.skewed(slots * 4);
            let (was_there, victim) = model.access(key);
            assert_eq!(access(&mut writer, key), was_there, "{slots} slots, access {round}");
            if let Some(victim) = victim {
                // Listing is no visit.
                let is_there = store.keys().any(|key| key.as_ref() == name(victim).as_bytes());
                assert!(round % 16 != 0 || !is_there, "{slots} slots, access {round}");
            }
        }
        assert_eq!(store.len(), slots);
        assert!(store.inspect().unwrap().is_sound());
    }
}
