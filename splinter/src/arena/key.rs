//! Keys as the arena holds them: padded words, compared and hashed without a loop over bytes.

use super::records::Slot;
use crate::error::Error;
use crate::sync::Relaxed;
use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};
use std::fmt;

/// The longest key in bytes.
pub const KEY_MAX: usize = 63;

/// Hashes bytes, with the same result on every machine: rapidhash, version 3, seed 0
/// (<https://github.com/Nicoshev/rapidhash>). A store places its keys by another hash,
/// [`Store::hash_key`](crate::Store::hash_key), which has a seed.
///
/// ```
/// assert_eq!(splinter::hash_key(b"sensor"), splinter::hash_key(b"sensor"));
/// ```
#[inline(always)]
#[must_use]
pub fn hash_key(key: &[u8]) -> u64 {
    rapidhash::v3::rapidhash_v3(key)
}

/// Hashes a key as a store with `seed` does to place it. For programs that choose keys by their places before the store
/// exists; see [`Config::hash_seed`](crate::Config).
///
/// ```
/// use splinter::{Config, Store, hash_key_seeded};
///
/// let store = Store::anonymous(&Config { hash_seed: Some(7), ..Config::default() })?;
/// assert_eq!(store.hash_key(b"sensor"), hash_key_seeded(7, b"sensor"));
/// # Ok::<(), splinter::StoreError>(())
/// ```
#[must_use]
pub fn hash_key_seeded(seed: u64, key: &[u8]) -> u64 {
    KeyHash::new(seed).of(key)
}

/// The hash by which a store places its keys: rapidhash, version 3, with all secrets made of the store's seed. A seed
/// alone would not suffice: with the well-known secrets, whole families of keys collide whatever the seed. The hash is
/// part of the file format.
#[derive(Clone, Copy)]
pub(crate) struct KeyHash(RapidSecrets);

impl KeyHash {
    pub(crate) fn new(seed: u64) -> Self {
        mutant!("secrets-public", return Self(RapidSecrets::seed_cpp(seed)));
        Self(RapidSecrets::seed(seed))
    }

    #[inline(always)]
    pub(crate) fn of(&self, key: &[u8]) -> u64 {
        rapidhash_v3_seeded(key, &self.0)
    }
}

/// A key of 1 to 63 bytes without a NUL, as a store returns it.
///
/// ```
/// let key = splinter::Key::new(b"sensor.1")?;
/// assert_eq!(key.as_ref(), b"sensor.1");
/// assert_eq!(key.to_string(), "sensor.1");
/// # Ok::<(), splinter::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    bytes: [u8; KEY_MAX + 1],
}

impl Key {
    /// Builds a key, or returns why the bytes cannot be one.
    ///
    /// # Errors
    /// [`Error::KeyEmpty`], [`Error::KeyTooLong`], [`Error::KeyHasNul`].
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        first_words(key)?;
        let mut bytes = [0; KEY_MAX + 1];
        bytes[..key.len()].copy_from_slice(key);
        Ok(Self { bytes })
    }

    /// Reads a slot's key words as they are, perhaps while a writer changes them.
    pub(crate) fn read_from(slot: &Slot) -> Self {
        let mut bytes = [0; KEY_MAX + 1];
        for (part, word) in bytes.chunks_exact_mut(8).zip(&slot.key) {
            part.copy_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        Self { bytes }
    }
}

impl From<KeyRef<'_>> for Key {
    fn from(key: KeyRef<'_>) -> Self {
        let mut bytes = [0; KEY_MAX + 1];
        bytes[..key.bytes.len()].copy_from_slice(key.bytes);
        Self { bytes }
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        let len = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(KEY_MAX);
        &self.bytes[..len.min(KEY_MAX)]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_ref()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_ref()))
    }
}

/// A checked key for the protocol. Its first two words are all of a key of up to 15 bytes; the rest stays in the
/// caller's bytes. Words copied aside would stall on their way back into registers.
#[derive(Clone, Copy)]
pub(crate) struct KeyRef<'k> {
    first: u64,
    second: u64,
    /// The hash in the store that the key is looked up in. Unused for a handle's key.
    pub(crate) hash: u64,
    bytes: &'k [u8],
    /// The only slot to look in, for a handle's key.
    pub(crate) slot: Option<u32>,
}

impl<'k> KeyRef<'k> {
    /// Returns the same key, to be looked up in one slot only.
    pub(crate) fn within(self, slot: u32) -> Self {
        Self { slot: Some(slot), ..self }
    }

    /// Returns a key that has only a hash, which leads to its home.
    pub(crate) const fn hashed(hash: u64) -> Self {
        Self { first: 0, second: 0, hash, bytes: &[], slot: None }
    }

    /// Returns the key's hash. A handle has none of its own, since that would be another in another store.
    #[inline(always)]
    pub(crate) fn hash_by(&self, hash: &KeyHash) -> u64 {
        if self.slot.is_some() { self.hash_again(hash) } else { self.hash }
    }

    #[cold]
    #[inline(never)]
    fn hash_again(&self, hash: &KeyHash) -> u64 {
        hash.of(self.bytes)
    }

    /// Checks and hashes a key for a store that places its keys by `hash`.
    #[inline(always)]
    pub(crate) fn new(bytes: &'k [u8], hash: &KeyHash) -> Result<Self, Error> {
        let [first, second] = first_words(bytes)?;
        Ok(Self { first, second, hash: hash.of(bytes), bytes, slot: None })
    }

    /// Whether the slot's key words read as this key.
    #[inline(always)]
    pub(crate) fn is_in(&self, slot: &Slot) -> bool {
        let [first, second] = [0, 1].map(|index| slot.key[index].load(Relaxed));
        let difference = (first ^ self.first) | (second ^ self.second);
        difference == 0 && (self.bytes.len() < 16 || rest_is_in(self.bytes, slot))
    }

    /// Writes the key into a slot that the caller has claimed.
    pub(crate) fn write_to(&self, slot: &Slot) {
        for (index, word) in slot.key.iter().enumerate() {
            word.store(word_of(self.bytes, index), Relaxed);
        }
    }
}

/// A key with its slot's number, as a handle keeps it. It has no hash, because each store has its own.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Resolved {
    // The fields for an operation on a short key lie together, in half a cache line.
    pub(crate) number: u32,
    len: u32,
    pub(crate) key: Key,
}

impl Resolved {
    pub(crate) fn new(number: u32, key: KeyRef<'_>) -> Self {
        Self { number, len: key.bytes.len() as u32, key: key.into() }
    }

    #[inline(always)]
    pub(crate) fn key_ref(&self) -> KeyRef<'_> {
        let word = |index: usize| word_at(&self.key.bytes, index * 8);
        let bytes = &self.key.bytes[..(self.len as usize).min(KEY_MAX)];
        KeyRef { first: word(0), second: word(1), hash: 0, bytes, slot: Some(self.number) }
    }
}

/// Whether a slot's words behind the second read as this key, up to the one that ends it. It takes no reference to the
/// key, which then stays in registers.
#[inline(never)]
fn rest_is_in(key: &[u8], slot: &Slot) -> bool {
    let words = 2..key.len() / 8 + 1;
    words.into_iter().all(|index| slot.key[index].load(Relaxed) == word_of(key, index))
}

/// Returns one of a key's eight words.
fn word_of(key: &[u8], index: usize) -> u64 {
    let rest = key.get(index * 8..).unwrap_or_default();
    if rest.len() >= 8 { word_at(rest, 0) } else { short_word(rest) }
}

/// Returns the first two words of a key, or why the bytes cannot be one.
#[inline(always)]
fn first_words(bytes: &[u8]) -> Result<[u64; 2], Error> {
    let len = bytes.len();
    let (first, second, zeroes) = match len {
        8..=15 => {
            // The two loads overlap. Together they cover exactly the key.
            let (first, last) = (word_at(bytes, 0), word_at(bytes, len - 8));
            (first, last >> (127 - len * 8) >> 1, zero_bytes(first) | zero_bytes(last))
        }
        1..=7 => {
            let first = short_word(bytes);
            (first, 0, zero_bytes(first | u64::MAX << (len * 8)))
        }
        0 => return Err(Error::KeyEmpty),
        16..=KEY_MAX => {
            let zeroes = (0..len / 8).fold(zero_bytes(word_at(bytes, len - 8)), |zeroes, index| {
                zeroes | zero_bytes(word_at(bytes, index * 8))
            });
            (word_at(bytes, 0), word_at(bytes, 8), zeroes)
        }
        _ => return Err(Error::KeyTooLong),
    };
    if zeroes == 0 { Ok([first, second]) } else { Err(Error::KeyHasNul) }
}

/// Loads eight bytes as a word.
#[inline(always)]
fn word_at(bytes: &[u8], from: usize) -> u64 {
    u64::from_le_bytes(bytes[from..from + 8].try_into().expect("eight bytes"))
}

/// Marks zero bytes (Mycroft's test): non-zero exactly when some byte of `word` is zero.
#[inline(always)]
const fn zero_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    word.wrapping_sub(ONES) & !word & ONES << 7
}

/// Loads up to seven bytes as a word padded with zeroes, by overlapping loads.
#[inline(always)]
fn short_word(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let half =
        |from: usize| u64::from(u32::from_le_bytes(bytes[from..from + 4].try_into().expect("four bytes")));
    let byte = |at: usize| u64::from(bytes[at]) << (at * 8);
    match len {
        0 => 0,
        1..4 => byte(0) | byte(len / 2) | byte(len - 1),
        _ => half(0) | half(len - 4) << ((len - 4) * 8),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_length_keep_their_bytes() {
        let long: Vec<u8> = (1..=63).collect();
        for len in 1..=KEY_MAX {
            let key = Key::new(&long[..len]).unwrap();
            assert_eq!(key.as_ref(), &long[..len]);
        }
    }

    /// Computed by another implementation of the description in `docs/format.md`.
    #[test]
    fn the_hash_is_that_of_the_file_format() {
        for (seed, key, hash) in [
            (0, "a".to_owned(), 0x5075_7f77_4c30_8d7f),
            (0, "key".to_owned(), 0x35b0_0170_e3b1_0cb1),
            (7, "sensor".to_owned(), 0xc5a8_ce38_270d_d01c),
            (7, "eight by".to_owned(), 0x45a9_1179_9ca7_2571),
            (7, "sixteen bytes ok".to_owned(), 0x68a3_6ff5_4f5c_dc96),
            (u64::MAX, "seventeen bytes k".to_owned(), 0x994f_0db7_4075_2a44),
            (7, "x".repeat(33), 0x4b66_c884_28ef_7fd6),
            (7, "y".repeat(63), 0x8a04_2b2d_877d_d38c),
        ] {
            assert_eq!(hash_key_seeded(seed, key.as_bytes()), hash, "seed {seed}, {key}");
        }
    }

    #[test]
    fn bytes_that_cannot_be_a_key_are_refused() {
        assert_eq!(Key::new(b""), Err(Error::KeyEmpty));
        assert_eq!(Key::new(&[b'x'; 64]), Err(Error::KeyTooLong));
        for len in 1..=KEY_MAX {
            for nul in 0..len {
                let mut bytes = vec![b'x'; len];
                bytes[nul] = 0;
                assert_eq!(Key::new(&bytes), Err(Error::KeyHasNul), "NUL at {nul} of {len}");
            }
        }
    }
}
