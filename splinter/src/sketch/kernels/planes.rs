//! A query's levels, in the order in which each instruction set reads them, and the distances from sketches to them.

use crate::sync::{Relaxed, Word};

/// A cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u64; 8]);

/// Puts words into lines, the last of which may end with zeroes.
pub(super) fn lines(words: &[u64]) -> Box<[Line]> {
    let line = |words: &[u64]| {
        let mut line = Line::default();
        line.0[..words.len()].copy_from_slice(words);
        line
    };
    words.chunks(8).map(line).collect()
}

/// Orders the four planes of each word one behind the other.
pub(super) fn by_word(words: &[[u64; 4]]) -> Box<[Line]> {
    lines(words.as_flattened())
}

/// Returns, in plain Rust, the sum of the distances between a sketch's bits and the planes, each times its plane's weight: 1, 2, 4, 8.
#[inline(always)]
pub(super) fn weighted_distance(bits: &[Word], planes: &[Line]) -> u32 {
    let mut distances = [0; 4];
    for (bits, planes) in bits.chunks(2).zip(planes) {
        for (bits, planes) in bits.iter().zip(planes.0.as_chunks::<4>().0) {
            let bits = bits.load(Relaxed);
            for (distance, plane) in distances.iter_mut().zip(planes) {
                *distance += (bits ^ plane).count_ones();
            }
        }
    }
    let [a, b, c, d] = distances;
    a + 2 * b + 4 * c + 8 * d
}

/// Up to 64 sketches, of `len` words each.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) sketches: &'a [Word],
    pub(crate) len: usize,
    /// A bit for each sketch whose estimate is wanted.
    pub(crate) wanted: u64,
}

impl<'a> Block<'a> {
    /// Returns the sketches' first words, and zeroes for those that are not wanted.
    #[inline(always)]
    pub(super) fn heads(self) -> [u64; 64] {
        let (mut heads, mut left) = ([0; 64], self.wanted);
        while left != 0 {
            let at = next(&mut left);
            heads[at] = self.sketches[at * self.len].load(Relaxed);
        }
        heads
    }

    /// Returns the words of a sketch behind its first.
    #[inline(always)]
    pub(super) fn bits(self, at: usize) -> &'a [Word] {
        &self.sketches[at * self.len + 1..(at + 1) * self.len]
    }

    /// Returns a number for each sketch that is wanted, which is made of its bits and the planes.
    #[inline(always)]
    pub(super) fn map(self, planes: &[Line], distance: impl Fn(&[Word], &[Line]) -> u32) -> [u32; 64] {
        let (mut distances, mut left) = ([0; 64], self.wanted);
        while left != 0 {
            let at = next(&mut left);
            distances[at] = distance(self.bits(at), planes);
        }
        distances
    }
}

/// Returns the lowest bit that is set, and clears it.
#[inline(always)]
pub(super) fn next(bits: &mut u64) -> usize {
    let at = bits.trailing_zeros() as usize;
    *bits &= *bits - 1;
    at
}
