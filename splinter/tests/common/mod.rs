//! What the integration tests share: stores of any geometry, names that vanish afterwards, values
//! that tell by themselves whether they are whole, and a generator of random numbers.

#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod faults;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod told;
pub(crate) mod trace;
pub(crate) mod valgrind;

use splinter::{Config, Error, Geometry, Location, Reserve, Scrub, Store, hash_key};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the file to which tests that cannot be run here add why: nothing that they print is shown.
const SKIPS: &str = "SPLINTER_TEST_SKIPS";

/// Says why a test cannot be run here.
pub(crate) fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
    if let Some(path) = std::env::var_os(SKIPS) {
        let file = File::options().append(true).create(true).open(path);
        let said = file.and_then(|mut file| file.write_all(format!("{why}\n").as_bytes()));
        said.expect("a file for what is skipped");
    }
}

/// Builds a geometry.
pub(crate) fn geometry(slots: u64, max_value_len: u64, vector_dim: u32, max_writers: u32) -> Geometry {
    Geometry { slots, max_value_len, vector_dim, max_writers }
}

/// Builds a configuration. The seed is given, so that each run has its keys in the same places.
pub(crate) fn config(geometry: Geometry, scrub: Scrub) -> Config {
    Config { geometry, scrub, hash_seed: Some(0), reserve: Reserve::Nothing, ..Config::default() }
}

/// Creates an anonymous store at the default scrub level.
pub(crate) fn store(geometry: Geometry) -> Store {
    Store::anonymous(&config(geometry, Scrub::default())).expect("an anonymous store")
}

/// Draws a number that no other process or call draws.
pub(crate) fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("splinter-it-{}-{next}", std::process::id())
}

/// A name in shared memory that nobody else has, removed in the end.
pub(crate) struct Named(pub(crate) Location);

impl Named {
    pub(crate) fn new() -> Self {
        Self(Location::shared(unique()).expect("a good name"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(self.0.to_string())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.0.unlink();
    }
}

/// A directory of its own, removed with all it holds.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(unique());
        std::fs::create_dir(&path).expect("a temporary directory");
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("a directory");
        entries
            .map(|entry| entry.expect("an entry").file_name().into_string())
            .map(|name| name.expect("text"))
            .collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Random numbers: splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
#[derive(Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Draws a number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Makes a value of `len` bytes, at least 8, of which every byte follows from `key`, `sequence` and
/// the length.
pub(crate) fn value(key: &str, sequence: u64, len: usize) -> Vec<u8> {
    let seed = hash_key(key.as_bytes()) ^ mix(sequence) ^ (len as u64).rotate_left(32);
    let words = (0..len.div_ceil(8) as u64).map(|at| match at {
        0 => sequence,
        _ => mix(seed.wrapping_add(at)),
    });
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(len);
    bytes
}

/// Reads the sequence number of a value made by [`value`], or says that it is torn or strange.
pub(crate) fn sequence(key: &str, bytes: &[u8]) -> u64 {
    let head = bytes.get(..8).and_then(|head| head.try_into().ok());
    let sequence = u64::from_le_bytes(head.expect("a value has at least eight bytes"));
    assert!(
        bytes == value(key, sequence, bytes.len()),
        "{key}: a torn or strange value of {} bytes",
        bytes.len()
    );
    sequence
}

/// Repeats what answers [`Error::Again`], for a long time but not for ever.
pub(crate) fn retry<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for round in 0..20_000_000_u64 {
        match attempt() {
            Err(Error::Again) if round % 64 == 63 => std::thread::yield_now(),
            Err(Error::Again) => {}
            result => return result,
        }
    }
    panic!("the key stayed busy");
}

/// Asserts that the store is sound, at rest, and holds `keys` keys. Its scrub level was never raised over what lay
/// there already.
pub(crate) fn assert_sound(store: &Store, keys: u64) {
    assert_sound_but_for_stale_bytes(store, keys);
    let found = store.inspect().expect("an inspection");
    assert_eq!((found.stale_bytes, found.stale_slots), (0, 0), "{found:?}");
}

/// Asserts that of a store whose scrub level was raised: what a lower one left stays until it is written over.
pub(crate) fn assert_sound_but_for_stale_bytes(store: &Store, keys: u64) {
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
    assert_eq!((wrong, found.keys), ([0; 7], keys), "{found:?}");
    assert_eq!((store.len(), store.keys().count() as u64), (keys, keys));
}

/// Asserts that exactly as many keys fit as the store has slots, that one slot more is refused, and
/// that a removed key makes room for exactly one. Leaves the store empty.
pub(crate) fn assert_every_slot_usable(store: &Store, prefix: &str) {
    let mut writer = store.writer().expect("a lane");
    let present: Vec<_> = store.keys().collect();
    for key in present {
        retry(|| writer.unset(key)).expect("a key that was listed");
    }
    let slots = store.geometry().slots;
    for number in 0..slots {
        let key = format!("{prefix}{number}");
        assert_eq!(retry(|| writer.set(&key, b"x")), Ok(()), "key {number} of {slots}");
    }
    assert_eq!(retry(|| writer.set(format!("{prefix}over"), b"x")), Err(Error::Full));
    retry(|| writer.unset(format!("{prefix}0"))).expect("a present key");
    assert_eq!(retry(|| writer.set(format!("{prefix}over"), b"x")), Ok(()));
    assert_eq!(retry(|| writer.set(format!("{prefix}0"), b"x")), Err(Error::Full));
    let present: Vec<_> = store.keys().collect();
    assert_eq!(present.len() as u64, slots);
    for key in present {
        retry(|| writer.unset(key)).expect("a key that was listed");
    }
}
