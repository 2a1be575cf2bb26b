//! Repair: stores that are damaged in known ways, and at random, are sound afterwards, lose no key that readers
//! found, and can be filled to their last slot. Invariant 7, for what a dead writer leaves, and 16.

use splinter::{Inspection, Location, Scrub, Store};
use splinter_testkit::process::{Forked, alone};
use splinter_testkit::{
    Folder, Named, Rng, assert_every_slot_usable, assert_sound, assert_sound_but_for_stale_bytes, config,
    geometry, value, wait_until,
};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const KEYS: u64 = 40;

/// A store in a file, and its bytes beside the mapping. The offsets come from the header's own words.
struct DamagedStore {
    _directory: Folder,
    store: Store,
    file: File,
    map: u64,
    buckets: u64,
    bucket_count: u64,
    slots: u64,
}

impl DamagedStore {
    /// Makes a store of three quarters as many keys as slots, at the strictest scrub level.
    fn new() -> Self {
        let directory = Folder::new();
        let path = directory.join("store");
        let config = config(geometry(64, 100, 3, 3), Scrub::Full);
        let store = Store::create(&Location::file(&path), &config).unwrap();
        let mut writer = store.writer().unwrap();
        for n in 0..KEYS {
            writer.set(key(n), &value(&key(n), n, 70)).unwrap();
        }
        drop(writer);
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let word = |number: u64| {
            let mut bytes = [0; 8];
            file.read_exact_at(&mut bytes, number * 8).unwrap();
            u64::from_le_bytes(bytes)
        };
        let [bucket_count, map, buckets, slots] = [6, 10, 14, 15].map(word);
        Self { _directory: directory, store, file, map, buckets, bucket_count, slots }
    }

    fn read(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn write(&self, at: u64, word: u64) {
        self.file.write_all_at(&word.to_le_bytes(), at).unwrap();
    }

    /// Where the record of a key's slot is.
    fn record(&self, wanted: &str) -> u64 {
        let is_it = |at: &u64| {
            let mut bytes = [0; 64];
            self.file.read_exact_at(&mut bytes, at + 32).unwrap();
            bytes.starts_with(wanted.as_bytes()) && bytes[wanted.len()] == 0
        };
        (0..64).map(|slot| self.slots + slot * 128).find(is_it).unwrap()
    }

    /// Where the entries of the index are.
    fn entries(&self) -> impl Iterator<Item = u64> {
        let buckets = (0..self.bucket_count).map(|bucket| self.buckets + bucket * 64);
        buckets.flat_map(|at| (1..8).map(move |entry| at + entry * 8))
    }

    /// Where the entry of a key is.
    fn entry(&self, wanted: &str) -> u64 {
        let slot = (self.record(wanted) - self.slots) / 128;
        self.entries().find(|at| self.read(*at) as u32 == slot as u32 + 1).unwrap()
    }

    /// Asserts that an inspection finds the damage, and that a repair ends it and loses `lost` alone.
    fn assert_repaired(&self, damage: impl Fn(&Inspection) -> u64, removed: usize, lost: &[&str]) {
        let found = self.store.inspect().unwrap();
        assert!(damage(&found) > 0 && !found.is_sound(), "{found:?}");
        let repair = self.store.repair().unwrap();
        assert_eq!((repair.before, repair.others, repair.given_up.len()), (found, 0, removed));
        assert!(repair.after.is_sound(), "{repair:?}");
        assert_sound(&self.store, KEYS - lost.len() as u64);
        for n in 0..KEYS {
            if !lost.contains(&&*key(n)) {
                assert_eq!(self.store.get_vec(key(n)), Ok(value(&key(n), n, 70)), "{n}");
            }
        }
        assert_every_slot_usable(&self.store, "other");
        assert_sound(&self.store, 0);
    }
}

fn key(n: u64) -> String {
    format!("key{n}")
}

const PRESENT: u64 = 1 << 49;

#[test]
fn a_sound_store_is_left_as_it_is() {
    let damaged = DamagedStore::new();
    let before: Vec<_> = damaged.store.keys().map(|key| damaged.store.snapshot(key)).collect();
    let repair = damaged.store.repair().unwrap();
    assert!(repair.before.is_sound() && repair.before == repair.after && repair.given_up.is_empty());
    let after: Vec<_> = damaged.store.keys().map(|key| damaged.store.snapshot(key)).collect();
    assert_eq!(before, after);
}

#[test]
fn a_claim_without_a_trace_of_its_writer_is_recovered() {
    let damaged = DamagedStore::new();
    let record = damaged.record("key7");
    // Odd, and in the name of a writer id whose intents are zero.
    damaged.write(record, (damaged.read(record) + (1 << 13)) | 2);
    damaged.assert_repaired(|found| found.stuck_claims, 0, &[]);
}

#[test]
fn a_claim_without_an_odd_epoch_is_removed() {
    let damaged = DamagedStore::new();
    let record = damaged.record("key7");
    // Committed: readers see the prepared descriptor, which says that there is no key.
    damaged.write(record, damaged.read(record) | 1 << 11);
    assert!(!damaged.store.contains("key7").unwrap());
    damaged.assert_repaired(|found| found.stuck_claims, 0, &[]);
}

#[test]
fn a_stuck_bucket_is_released() {
    let damaged = DamagedStore::new();
    damaged.write(damaged.buckets, damaged.read(damaged.buckets) | 1 << 26 | 1 << 16);
    damaged.assert_repaired(|found| found.stuck_claims, 0, &[]);
}

#[test]
fn keys_that_the_index_lost_are_found_again() {
    let damaged = DamagedStore::new();
    damaged.write(damaged.entry("key3"), 0);
    damaged.write(damaged.entry("key4"), damaged.read(damaged.entry("key4")) ^ 1 << 50);
    damaged.assert_repaired(|found| found.unreachable_keys, 0, &[]);
}

#[test]
fn keys_beyond_a_probe_distance_that_is_too_short_are_found_again() {
    let damaged = DamagedStore::new();
    for bucket in 0..damaged.bucket_count {
        let at = damaged.buckets + bucket * 64;
        damaged.write(at, damaged.read(at) & !0xffff);
    }
    if damaged.store.inspect().unwrap().unreachable_keys == 0 {
        // No bucket overflowed; then a whole index is lost.
        damaged.entries().for_each(|at| damaged.write(at, 0));
    }
    damaged.assert_repaired(|found| found.unreachable_keys, 0, &[]);
}

#[test]
fn entries_that_lead_nowhere_are_freed() {
    let damaged = DamagedStore::new();
    let free = damaged.entries().filter(|at| damaged.read(*at) as u32 == 0);
    for (n, at) in free.collect::<Vec<_>>().into_iter().enumerate() {
        damaged.write(at, [64, 65, u64::from(u32::MAX), 63 | 5 << 32][n % 4]);
    }
    damaged.assert_repaired(|found| found.dangling_entries, 0, &[]);
}

#[test]
fn of_two_slots_of_a_key_the_one_that_readers_find_stays() {
    let damaged = DamagedStore::new();
    let (first, second) = (damaged.record("key1"), damaged.record("key2"));
    (32..96).step_by(8).for_each(|at| damaged.write(second + at, damaged.read(first + at)));
    damaged.assert_repaired(|found| found.duplicate_keys, 1, &["key2"]);
}

#[test]
fn slots_with_impossible_keys_are_given_up() {
    let damaged = DamagedStore::new();
    damaged.write(damaged.record("key9") + 32, 0);
    let record = damaged.record("key8");
    damaged.write(record + 32, u64::from_le_bytes(*b"key\08\0\0\0"));
    // Readers compare whole words: what lies behind its end hides a key.
    damaged.write(damaged.record("key7") + 32, u64::from_le_bytes(*b"key7\0x\0\0"));
    assert_eq!(damaged.store.inspect().unwrap().unreachable_keys, 3);
    damaged.assert_repaired(|found| found.unreachable_keys, 3, &["key9", "key8", "key7"]);
}

#[test]
fn the_map_is_brought_in_line() {
    let damaged = DamagedStore::new();
    damaged.write(damaged.map, !damaged.read(damaged.map));
    damaged.assert_repaired(|found| found.leaked_slots, 0, &[]);
}

#[test]
fn a_key_that_was_removed_is_not_said_to_be_given_up() {
    let damaged = DamagedStore::new();
    damaged.store.set_scrub(Scrub::Hybrid).unwrap();
    // Its name stays in the slot at this level.
    damaged.store.writer().unwrap().unset("key3").unwrap();
    damaged.write(damaged.map, !0);
    let repair = damaged.store.repair().unwrap();
    assert!(repair.before.leaked_slots > 0 && repair.after.is_sound(), "{repair:?}");
    assert_eq!(repair.given_up, []);
}

#[test]
fn a_slot_that_no_longer_says_that_it_holds_a_key_is_free_again_and_its_key_is_named() {
    let damaged = DamagedStore::new();
    let meta = damaged.record("key5") + 16;
    damaged.write(meta, damaged.read(meta) & !PRESENT);
    damaged.assert_repaired(|found| found.leaked_slots.min(found.dangling_entries), 1, &["key5"]);
}

#[test]
fn marks_by_which_changes_are_heard_are_brought_in_line() {
    let damaged = DamagedStore::new();
    let mut writer = damaged.store.writer().unwrap();
    writer.register("key6", 9).unwrap();
    drop(writer);
    damaged.write(damaged.record("key6") + 24, 0);
    damaged.assert_repaired(|found| found.wrong_notify_flags, 0, &[]);
}

#[test]
fn stale_bytes_are_wiped_whatever_the_slot_says_of_them() {
    let damaged = DamagedStore::new();
    let at = damaged.store.snapshot("key2").unwrap().value_offset;
    damaged.write(at + 88, u64::MAX);
    damaged.assert_repaired(|found| found.stale_bytes, 0, &[]);
}

#[test]
fn stores_damaged_at_random_are_sound_afterwards() {
    alone("stores_damaged_at_random_are_sound_afterwards", || {
        let damaged = DamagedStore::new();
        let (directory, mut rng) = (Folder::new(), Rng(77));
        let len = damaged.store.arena_len();
        let mut whole = vec![0; len as usize];
        damaged.file.read_exact_at(&mut whole, 0).unwrap();
        let path = directory.join("damaged");
        // All but the geometry in the header.
        let from = 256;
        for round in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..1 + rng.below(200) {
                let at = (from + rng.below((len - from) / 8 - 1) * 8) as usize;
                let word = [rng.next(), u64::MAX, 0, 1 << rng.below(64)][rng.below(4) as usize];
                bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            }
            std::fs::write(&path, &bytes).unwrap();
            let store = Store::open(&Location::file(&path)).unwrap();
            store.set_scrub(Scrub::ALL[round % 3]).unwrap();
            let repair = store.repair().unwrap();
            assert!(repair.after.is_sound() && repair.others == 0, "{round}: {repair:?}");
            assert_every_slot_usable(&store, "other");
            // Noise in slots that were never used is looked at only once they are.
            assert_sound_but_for_stale_bytes(&store, 0);
        }
    });
}

#[test]
fn beside_a_living_writer_only_claims_of_dead_ones_are_repaired() {
    let damaged = DamagedStore::new();
    let record = damaged.record("key7");
    damaged.write(damaged.entry("key3"), 0);
    let mut writer = damaged.store.writer().unwrap();
    damaged.write(record, (damaged.read(record) + (1 << 13)) | 2);
    let repair = damaged.store.repair().unwrap();
    assert_eq!((repair.others, repair.given_up.len()), (1, 0));
    assert_eq!((repair.before.stuck_claims, repair.after.stuck_claims), (1, 0));
    assert_eq!((repair.before.unreachable_keys, repair.after.unreachable_keys), (1, 1));
    writer.set("key7", b"goes on").unwrap();
    drop(writer);
    assert!(damaged.store.repair().unwrap().after.is_sound());
    assert!(damaged.store.contains("key3").unwrap());
}

#[test]
fn claims_of_a_killed_writer_are_repaired_while_readers_go_on() {
    alone("claims_of_a_killed_writer_are_repaired_while_readers_go_on", || {
        let name = Named::new();
        let config = config(geometry(32, 100, 0, 4), Scrub::Hybrid);
        let store = Store::create(&name.0, &config).unwrap();
        store.writer().unwrap().set("steady", b"value").unwrap();
        for round in 0..20_u64 {
            let child = Forked::new(|| {
                let mut writer = store.writer().unwrap();
                for n in 0.. {
                    let key = format!("k{}", n % 20);
                    let _ = writer.set(&key, &[n as u8; 90]);
                    let _ = writer.unset(&key);
                }
            });
            let epoch = store.header().epoch;
            wait_until("the child writes", || store.header().epoch > epoch + 50 + round);
            child.kill();
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        assert_eq!(store.get_vec("steady"), Ok(b"value".to_vec()));
                    }
                });
                let repair = store.repair();
                done.store(true, Relaxed);
                let repair = repair.unwrap();
                assert!(repair.after.is_sound() && repair.given_up.is_empty(), "{repair:?}");
            });
        }
    });
}

#[test]
fn a_store_opened_for_reading_is_not_repaired() {
    let damaged = DamagedStore::new();
    let read_only = Store::open_read_only(damaged.store.location()).unwrap();
    assert!(read_only.inspect().is_ok());
    assert!(matches!(read_only.repair(), Err(splinter::StoreError::ReadOnly)));
}
