//! The data that measured operations work on: keys, values and stores filled with them. Shared by the rows of `micro`
//! and the criterion benches, so that both measure the same thing.

use splinter::{Config, Eviction, Geometry, Store, Writer};
use splinter_harness::rng::Rng;
use std::fmt::Display;
use std::hint::black_box;

/// Keys of the working set, unless a row says otherwise.
pub const KEYS: usize = 4096;

/// Slots of the working set's stores: half of them stay free.
pub const SLOTS: u64 = 8192;

/// Bytes of a key.
pub const KEY_LEN: usize = 9;

/// A key in a list: its length lies beside it, so that neither it nor the work it takes is known to the compiler,
/// and keys that are walked in order cost no cache miss of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    len: u8,
    bytes: [u8; 15],
}

impl Key {
    /// Returns the key of a number: a letter that names the family, and eight digits.
    ///
    /// # Panics
    /// When the number has more than eight digits.
    #[must_use]
    pub fn new(family: char, number: usize) -> Self {
        let text = format!("{family}{number:08}");
        assert_eq!(text.len(), KEY_LEN, "a key is a letter and eight digits");
        let mut bytes = [0; 15];
        bytes[..KEY_LEN].copy_from_slice(text.as_bytes());
        Self { len: KEY_LEN as u8, bytes }
    }

    /// Returns the keys of the numbers below `count` in random order.
    #[must_use]
    pub fn shuffled(family: char, count: usize, seed: u64) -> Vec<Self> {
        let mut keys: Vec<Self> = (0..count).map(|number| Self::new(family, number)).collect();
        Rng::new(seed, 0).shuffle(&mut keys);
        keys
    }
}

impl AsRef<[u8]> for Key {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A buffer that values are read into, aligned to a cache line.
#[repr(align(64))]
#[derive(Debug)]
pub struct Buffer([u8; Self::LEN]);

impl Buffer {
    /// Bytes of a buffer.
    pub const LEN: usize = 4096;

    /// Creates a zeroed buffer.
    #[must_use]
    pub fn new() -> Box<Self> {
        Box::new(Self([0; Self::LEN]))
    }

    /// Returns its first `len` bytes.
    ///
    /// # Panics
    /// When it has fewer.
    pub fn first(&mut self, len: usize) -> &mut [u8] {
        &mut self.0[..len]
    }
}

/// Reads every byte of a value, as a program that wanted it would; returns their sum as 64-bit words. Goes by
/// whole lines first, which the compiler makes a few vector additions of.
#[inline(always)]
#[must_use]
pub fn consume(value: &[u8]) -> u64 {
    let (lines, rest) = value.as_chunks::<64>();
    let (words, tail) = rest.as_chunks::<8>();
    let add = |sum: u64, word: &[u8; 8]| sum.wrapping_add(u64::from_le_bytes(*word));
    let line = |sum: u64, line: &[u8; 64]| line.as_chunks().0.iter().fold(sum, add);
    let sum = words.iter().fold(lines.iter().fold(0, line), add);
    tail.iter().fold(sum, |sum, &byte| sum.wrapping_add(u64::from(byte)))
}

/// Creates an anonymous store made for values of `value_len` bytes, without vectors, everything else by default.
///
/// # Errors
/// The store's error, in one line.
pub fn store(slots: u64, value_len: usize) -> Result<Store, String> {
    evicting(slots, value_len, Eviction::default())
}

/// Creates a store as [`store`] does that evicts by SIEVE.
///
/// # Errors
/// The store's error, in one line.
pub fn cache(slots: u64, value_len: usize) -> Result<Store, String> {
    evicting(slots, value_len, Eviction::Sieve)
}

fn evicting(slots: u64, value_len: usize, eviction: Eviction) -> Result<Store, String> {
    let geometry = Geometry { slots, max_value_len: value_len as u64, vector_dim: 0, ..Geometry::default() };
    Store::anonymous(&Config { geometry, eviction, hash_seed: Some(0), ..Config::default() }).map_err(say)
}

/// Takes a writer of a store.
///
/// # Errors
/// The store's error, in one line.
pub fn writer(store: &Store) -> Result<Writer, String> {
    store.writer().map_err(say)
}

/// Writes one value under each key.
///
/// # Errors
/// The store's error, in one line.
pub fn fill(writer: &mut Writer, keys: &[Key], value: &[u8]) -> Result<(), String> {
    keys.iter().try_for_each(|key| writer.set(key, value)).map_err(say)
}

/// Returns a value of a length; no two of its neighbouring words are alike.
#[must_use]
pub fn value(len: usize) -> Vec<u8> {
    (0..len).map(|index| black_box((index % 251) as u8)).collect()
}

/// Puts an error into words.
pub fn say(error: impl Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::{KEY_LEN, KEYS, Key, consume, fill, store, value, writer};
    use std::collections::HashSet;

    #[test]
    fn keys_are_distinct_nine_bytes_long_and_out_of_order() {
        let keys = Key::shuffled('k', KEYS, 1);
        let distinct: HashSet<&[u8]> = keys.iter().map(AsRef::as_ref).collect();
        assert_eq!(distinct.len(), KEYS);
        assert!(distinct.iter().all(|key| key.len() == KEY_LEN));
        assert!(!keys.is_sorted_by_key(|key| key.as_ref().to_vec()));
    }

    #[test]
    fn consuming_reads_every_byte() {
        let mut bytes = vec![0; 75];
        assert_eq!(consume(&bytes), 0);
        for at in 0..bytes.len() {
            bytes[at] = 1;
            assert_ne!(consume(&bytes), 0, "byte {at}");
            bytes[at] = 0;
        }
    }

    #[test]
    fn a_filled_store_answers_for_every_key() {
        let store = store(64, 100).unwrap();
        let keys = Key::shuffled('k', 48, 1);
        fill(&mut writer(&store).unwrap(), &keys, &value(100)).unwrap();
        assert!(keys.iter().all(|key| store.get_vec(key).unwrap() == value(100)));
    }
}
