//! Self-proving vectors: whole numbers below 2^24, which `f32` holds exactly, of which each depends
//! on key, writer and sequence.

use super::value::{Flaw, Stamp};
use splinter_harness::rng::splitmix64;

/// Fewest dimensions that hold writer, sequence and one element to check.
pub(crate) const MIN_DIM: u32 = 4;

/// Bits of an `f32` that whole numbers may use.
const BITS: u32 = 24;
const MASK: u64 = (1 << BITS) - 1;

/// Fills a vector: writer, lower and upper half of the sequence, then a keystream.
///
/// # Panics
/// If it has fewer than [`MIN_DIM`] dimensions.
pub(crate) fn fill(vector: &mut [f32], key_hash: u64, writer: u16, seq: u64) {
    vector[0] = f32::from(writer);
    vector[1] = number(seq & MASK);
    vector[2] = number(seq >> BITS & MASK);
    let mut state = key_hash ^ (u64::from(writer) << 48 | seq).rotate_left(17);
    for element in &mut vector[3..] {
        *element = number(splitmix64(&mut state) & MASK);
    }
}

/// Checks a vector read back from the key with this hash.
///
/// # Errors
/// [`Flaw::Torn`] where no single write wrote it for this key.
pub(crate) fn check(vector: &[f32], key_hash: u64) -> Result<Stamp, Flaw> {
    let whole = |element: f32| {
        (element.fract() == 0.0 && (0.0..=MASK as f32).contains(&element)).then_some(element as u64)
    };
    let (Some(writer), Some(low), Some(high)) = (whole(vector[0]), whole(vector[1]), whole(vector[2])) else {
        return Err(Flaw::Torn);
    };
    let Ok(writer) = u16::try_from(writer) else {
        return Err(Flaw::Torn);
    };
    let seq = low | high << BITS;
    let mut state = key_hash ^ (u64::from(writer) << 48 | seq).rotate_left(17);
    if vector[3..].iter().all(|&element| element == number(splitmix64(&mut state) & MASK)) {
        Ok(Stamp::new(writer, seq))
    } else {
        Err(Flaw::Torn)
    }
}

fn number(bits: u64) -> f32 {
    bits as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(dim: usize, key: u64, writer: u16, seq: u64) -> Vec<f32> {
        let mut vector = vec![0.0; dim];
        fill(&mut vector, key, writer, seq);
        vector
    }

    #[test]
    fn whole_vectors_pass() {
        for dim in [4, 5, 768] {
            for (writer, seq) in [(0, 1), (65_535, (1 << 48) - 1), (31, 1 << 24)] {
                assert_eq!(check(&vector(dim, 5, writer, seq), 5), Ok(Stamp::new(writer, seq)));
            }
        }
    }

    #[test]
    fn torn_foreign_and_zeroed_vectors_are_caught() {
        let (old, new) = (vector(64, 5, 2, 10), vector(64, 5, 2, 11));
        for cut in 2..64 {
            assert!(check(&[&old[..cut], &new[cut..]].concat(), 5).is_err(), "cut at {cut}");
        }
        assert!(check(&old, 6).is_err());
        assert!(check(&[0.0; 64], 5).is_err());
        assert!(check(&[f32::NAN; 64], 5).is_err());
    }
}
