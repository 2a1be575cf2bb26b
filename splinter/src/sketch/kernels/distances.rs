//! Weighted distances by AVX2: by tables of sixteen entries in a register.
//!
//! Few sketches go two at a time: a table has the population counts of half bytes. Many go 32 at a time, transposed, so
//! that a register has one byte of each: then a table has what each value of a half byte adds for the query at hand.
//!
//! Sketches are racing memory, so inline assembly loads them, as `arena::copy` explains.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "all operations of a block need AVX2, and nothing else"
)]

use super::planes::{Block, Line, lines, next};
use crate::sync::Word;
use std::arch::{asm, x86_64::*};

/// Up to how many words of bits sketches go 32 at a time: sums of 16 bits hold the distances, and the cache the tables.
const MOST_WORDS: usize = 64;

/// How many wanted sketches of 32 are worth a look at all of them.
const MANY: u32 = 16;

/// The lower half of each byte.
const NIBBLES: u64 = 0x0f0f_0f0f_0f0f_0f0f;

/// Orders planes: for each four words, each plane's lower halves of bytes, then its upper. Behind them are the tables for
/// each half byte of sketches that go 32 at a time, up to a multiple of sixteen bytes.
pub(super) fn nibbles(words: &[[u64; 4]]) -> Box<[Line]> {
    let mut ordered = Vec::new();
    for words in words.chunks(4) {
        for plane in 0..4 {
            let of_plane: [u64; 4] =
                std::array::from_fn(|word| words.get(word).map_or(0, |planes| planes[plane]));
            ordered.extend(of_plane.map(|word| word & NIBBLES));
            ordered.extend(of_plane.map(|word| word >> 4 & NIBBLES));
        }
    }
    if words.len() <= MOST_WORDS {
        for word in 0..words.len().next_multiple_of(2) {
            let planes = words.get(word);
            for first in (0..64).step_by(4) {
                // What a sketch's half byte adds: of each component the level, or 15 less the level if its bit is set.
                let mut table = [0_u8; 16];
                if let Some(planes) = planes {
                    let bit = |plane: usize, at: usize| (planes[plane] >> (first + at) & 1) << plane;
                    let levels: [u8; 4] =
                        std::array::from_fn(|at| (0..4).map(|plane| bit(plane, at)).sum::<u64>() as u8);
                    table[0] = levels.iter().sum();
                    for bits in 1..16 {
                        table[bits] =
                            table[bits & (bits - 1)] + 15 - 2 * levels[bits.trailing_zeros() as usize];
                    }
                }
                ordered.extend(table.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)));
            }
        }
    }
    lines(&ordered)
}

/// Returns the weighted distances of sketches.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn weighted_distances(planes: &[Line], block: Block<'_>) -> [u32; 64] {
    let words = block.len - 1;
    let (planes, tables) = planes.split_at(words.div_ceil(4) * 4);
    let (mut distances, mut left) = ([0; 64], block.wanted);
    for half in 0..2 {
        let wanted = left & 0xffff_ffff << (32 * half);
        if words <= MOST_WORDS
            && wanted.count_ones() >= MANY
            && block.sketches.len() >= (half + 1) * 32 * block.len
        {
            weighted_32(
                tables,
                &block.sketches[half * 32 * block.len..],
                block.len,
                &mut distances.as_chunks_mut::<32>().0[half],
            );
            left &= !wanted;
        }
    }
    while left != 0 {
        let first = next(&mut left);
        let second = if left == 0 { first } else { next(&mut left) };
        (distances[first], distances[second]) = weighted_pair(planes, block.bits(first), block.bits(second));
    }
    distances
}

/// Fills in the weighted distances of the first 32 of `sketches`.
#[target_feature(enable = "avx2")]
#[inline]
fn weighted_32(tables: &[Line], sketches: &[Word], len: usize, out: &mut [u32; 32]) {
    assert!(sketches.len() >= 32 * len, "there are 32 sketches");
    let (tables, _) = tables.as_chunks::<8>();
    let nibbles = _mm256_set1_epi8(0x0f);
    // In 16 bits each: the sums of all bytes, as if each two were one number, and of every second one alone.
    let (mut all, mut odd) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for (at, tables) in (1..len).step_by(2).zip(tables) {
        // Row `i` has sixteen bytes of sketch `i`, and of `i + 16` in the upper half.
        let mut rows = [_mm256_setzero_si256(); 16];
        for (row, bytes) in rows.iter_mut().enumerate() {
            let (lower, upper) = (row * len + at, (row + 16) * len + at);
            *bytes = if at + 1 < len {
                // SAFETY: both words are of a sketch, and there are 32 sketches.
                let (lower, upper) = unsafe {
                    (sketches.get_unchecked(lower..lower + 2), sketches.get_unchecked(upper..upper + 2))
                };
                load_two(lower, upper)
            } else {
                load_two_short(&sketches[lower], &sketches[upper])
            };
        }
        // Each step moves the highest bit of a byte's row to the lowest of its column, and the highest of its column to
        // the lowest of its row.
        for _ in 0..4 {
            let mut mixed = rows;
            for pair in 0..8 {
                mixed[2 * pair] = _mm256_unpacklo_epi8(rows[pair], rows[pair + 8]);
                mixed[2 * pair + 1] = _mm256_unpackhi_epi8(rows[pair], rows[pair + 8]);
            }
            rows = mixed;
        }
        for (columns, tables) in rows.as_chunks::<2>().0.iter().zip(tables) {
            let mut sums = [_mm256_setzero_si256(); 2];
            for (column, (sum, tables)) in sums.iter_mut().zip(tables.0.as_chunks::<4>().0).enumerate() {
                // SAFETY: these are 16 bytes.
                let lower_table = unsafe { _mm_loadu_si128(tables.as_ptr().cast()) };
                // SAFETY: these are 16 bytes.
                let upper_table = unsafe { _mm_loadu_si128(tables[2..].as_ptr().cast()) };
                let lower = _mm256_and_si256(columns[column], nibbles);
                let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(columns[column]), nibbles);
                *sum = _mm256_add_epi8(
                    _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(lower_table), lower),
                    _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(upper_table), upper),
                );
            }
            // At most 240.
            let sum = _mm256_add_epi8(sums[0], sums[1]);
            all = _mm256_add_epi16(all, sum);
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16::<8>(sum));
        }
    }
    let even = _mm256_sub_epi16(all, _mm256_slli_epi16::<8>(odd));
    let (first, second) = (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
    let eights = [
        _mm256_castsi256_si128(first),
        _mm256_castsi256_si128(second),
        _mm256_extracti128_si256::<1>(first),
        _mm256_extracti128_si256::<1>(second),
    ];
    for (out, eight) in out.as_chunks_mut::<8>().0.iter_mut().zip(eights) {
        // SAFETY: these are 32 bytes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_cvtepu16_epi32(eight)) };
    }
}

/// Returns the weighted distances of two sketches, given their bits.
#[target_feature(enable = "avx2")]
#[inline]
fn weighted_pair(planes: &[Line], first: &[Word], second: &[Word]) -> (u32, u32) {
    let (planes, _) = planes.as_chunks::<4>();
    // The population counts of the halves of a byte, times a plane's weight.
    let ones = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let twos = _mm256_add_epi8(ones, ones);
    let fours = _mm256_add_epi8(twos, twos);
    let counts = [ones, twos, fours, _mm256_add_epi8(fours, fours)];
    let (nibbles, zero) = (_mm256_set1_epi8(0x0f), _mm256_setzero_si256());
    let mut totals = [zero; 2];
    for ((first, second), planes) in first.chunks(4).zip(second.chunks(4)).zip(planes) {
        let bits = if let (Ok(first), Ok(second)) = (first.try_into(), second.try_into()) {
            [load(first), load(second)]
        } else {
            [load_short(first), load_short(second)]
        };
        let halves = [
            [_mm256_and_si256(bits[0], nibbles), _mm256_and_si256(_mm256_srli_epi16::<4>(bits[0]), nibbles)],
            [_mm256_and_si256(bits[1], nibbles), _mm256_and_si256(_mm256_srli_epi16::<4>(bits[1]), nibbles)],
        ];
        // At most 120 in each byte.
        let mut sums = [zero; 2];
        for (planes, counts) in planes.iter().zip(counts) {
            let (lower, upper) = planes.0.split_at(4);
            // SAFETY: both halves of a line have 32 bytes.
            let lower = unsafe { _mm256_loadu_si256(lower.as_ptr().cast()) };
            // SAFETY: as above.
            let upper = unsafe { _mm256_loadu_si256(upper.as_ptr().cast()) };
            for (sum, halves) in sums.iter_mut().zip(halves) {
                let lower = _mm256_shuffle_epi8(counts, _mm256_xor_si256(halves[0], lower));
                let upper = _mm256_shuffle_epi8(counts, _mm256_xor_si256(halves[1], upper));
                *sum = _mm256_add_epi8(*sum, _mm256_add_epi8(lower, upper));
            }
        }
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total = _mm256_add_epi64(*total, _mm256_sad_epu8(sum, zero));
        }
    }
    // No total has more than 32 bits.
    let both = _mm256_or_si256(totals[0], _mm256_slli_epi64::<32>(totals[1]));
    let both = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256::<1>(both));
    let both = _mm_cvtsi128_si64(_mm_add_epi32(both, _mm_unpackhi_epi64(both, both))) as u64;
    (both as u32, (both >> 32) as u32)
}

/// Loads four words of racing memory.
#[target_feature(enable = "avx2")]
#[inline]
fn load(words: &[Word; 4]) -> __m256i {
    let value;
    // SAFETY: the words are readable, and the assembly touches nothing else.
    unsafe {
        asm!("vmovdqu {value}, [{words}]", value = lateout(ymm_reg) value, words = in(reg) words.as_ptr(),
             options(nostack, preserves_flags, readonly));
    }
    value
}

/// Loads up to four words of racing memory, and zeroes behind them.
#[target_feature(enable = "avx2")]
#[inline]
fn load_short(words: &[Word]) -> __m256i {
    const MASKS: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];
    let masks = &MASKS[4 - words.len().min(4)..][..4];
    // SAFETY: these are 32 bytes.
    let mask: __m256i = unsafe { _mm256_loadu_si256(masks.as_ptr().cast()) };
    let value: __m256i;
    // SAFETY: the mask has the load touch the words alone, which are readable.
    unsafe {
        asm!("vpmaskmovq {value}, {mask}, [{words}]", value = lateout(ymm_reg) value, mask = in(ymm_reg) mask,
             words = in(reg) words.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    value
}

/// Loads two words each of racing memory.
#[target_feature(enable = "avx2")]
#[inline]
fn load_two(lower: &[Word], upper: &[Word]) -> __m256i {
    let value;
    // SAFETY: the words are readable, and the assembly touches nothing else.
    unsafe {
        asm!("vmovdqu {value:x}, [{lower}]", "vinserti128 {value}, {value}, [{upper}], 1",
             value = out(ymm_reg) value, lower = in(reg) lower.as_ptr(), upper = in(reg) upper.as_ptr(),
             options(nostack, preserves_flags, readonly));
    }
    value
}

/// Loads a word each of racing memory, and zeroes behind it.
#[target_feature(enable = "avx2")]
#[inline]
fn load_two_short(lower: &Word, upper: &Word) -> __m256i {
    let value;
    // SAFETY: the words are readable, and the assembly touches nothing else.
    unsafe {
        asm!("vmovq {value:x}, [{lower}]", "vmovq {other:x}, [{upper}]", "vinserti128 {value}, {value}, {other:x}, 1",
             value = out(ymm_reg) value, other = out(ymm_reg) _, lower = in(reg) lower.as_ptr(),
             upper = in(reg) upper.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    value
}
