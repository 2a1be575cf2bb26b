//! Random numbers, and values that tell by themselves whether they are whole.

use splinter::hash_key;

/// Random numbers: splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    /// Draws a number.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Draws a number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Draws one of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Draws bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
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
pub fn value(key: &str, sequence: u64, len: usize) -> Vec<u8> {
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
pub fn sequence(key: &str, bytes: &[u8]) -> u64 {
    let head = bytes.get(..8).and_then(|head| head.try_into().ok());
    let sequence = u64::from_le_bytes(head.expect("a value has at least eight bytes"));
    assert!(
        bytes == value(key, sequence, bytes.len()),
        "{key}: a torn or strange value of {} bytes",
        bytes.len()
    );
    sequence
}
