//! Copies bytes between private memory and arena words that other threads may be reading or writing: the data side of
//! the sequence lock.
//!
//! Rust defines racing accesses only if they are atomic, so no plain copy may touch an arena. Up to 15 bytes, and
//! everything off x86-64 or under loom, go by relaxed atomic words. Larger blocks on x86-64 go by inline assembly, 16
//! bytes at a time. To the compiler that is opaque code that reads or writes the words it is given, as relaxed atomic
//! accesses would. The processor tears a 16-byte access at most into aligned words, and the protocol's validation
//! assumes no more. Measured here, a loop of relaxed words costs 1.5 to 3 times as much.
//!
//! Ordering comes from the callers' fences alone. Reads may cover whole words past `len`; those bytes are never
//! returned.

#![allow(unsafe_code, reason = "racing memory is copied by assembly; see above")]

use crate::sync::{Relaxed, Word};

/// From how many bytes on a copy is worth the test for wider registers.
#[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
const LARGE: usize = 256;

/// Copies the first `out.len()` bytes of `words` out of the arena.
#[inline(always)]
pub(crate) fn copy_out(words: &[Word], out: &mut [u8]) {
    let len = out.len();
    assert!(len <= words.len() * 8, "the buffer holds the value");
    #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
    if len >= 16 {
        let (source, target) = (words.as_ptr().cast(), out.as_mut_ptr());
        let whole = len / 64 * 64;
        if len >= LARGE && is_x86_feature_detected!("avx") {
            // SAFETY: both have `whole` bytes, which is not 0, and the processor has AVX.
            unsafe { block::large(source, target, whole) };
        } else {
            for at in (0..whole).step_by(64) {
                // SAFETY: `at + 64` is at most `len`, which both have.
                unsafe { block::out_64(source, target, at) };
            }
        }
        if whole < len {
            for at in (whole..len - 15).step_by(16) {
                // SAFETY: `at + 16` is at most `len`, which both have.
                unsafe { block::out_16(source, target, at) };
            }
            // SAFETY: `len` is at least 16.
            unsafe { block::out_16(source, target, len - 16) };
        }
        return;
    }
    out_by_words(words, out);
}

/// Copies `bytes` to the beginning of `words`, and zeroes the `tail` bytes behind them.
#[inline(always)]
pub(crate) fn copy_in(words: &[Word], bytes: &[u8], tail: u8) {
    let (len, end) = (bytes.len(), bytes.len() + usize::from(tail));
    assert!(end <= words.len() * 8, "the value fits the buffer");
    #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
    if len >= 16 {
        let (target, source) = (words.as_ptr().cast_mut().cast(), bytes.as_ptr());
        let whole = len / 64 * 64;
        if len >= LARGE && is_x86_feature_detected!("avx") {
            // SAFETY: both have `whole` bytes, which is not 0, and the processor has AVX.
            unsafe { block::large(source, target, whole) };
        } else {
            for at in (0..whole).step_by(64) {
                // SAFETY: `at + 64` is at most `len`, which both have.
                unsafe { block::in_64(target, source, at) };
            }
        }
        if whole < len {
            zero(words, len, end);
            for at in (whole..len - 15).step_by(16) {
                // SAFETY: `at + 16` is at most `len`, which both have.
                unsafe { block::in_16(target, source, at) };
            }
            // SAFETY: `len` is at least 16.
            unsafe { block::in_16(target, source, len - 16) };
        } else if tail > 0 {
            zero(words, len, end);
        }
        return;
    }
    in_by_words(words, 0, bytes);
    zero(words, len, end);
}

/// Copies `bytes` into `words` from byte `at` on, leaving every other byte as it is.
pub(crate) fn copy_in_at(words: &[Word], at: usize, bytes: &[u8]) {
    assert!(at + bytes.len() <= words.len() * 8, "the value fits the buffer");
    let to_boundary = at.next_multiple_of(8) - at;
    if to_boundary >= bytes.len() {
        return in_by_words(words, at, bytes);
    }
    let (head, rest) = bytes.split_at(to_boundary);
    in_by_words(words, at, head);
    copy_in(&words[(at + to_boundary) / 8..], rest, 0);
}

/// Zeroes bytes `from..to` of `words`, leaving every other byte as it is.
#[inline(never)]
pub(crate) fn zero(words: &[Word], from: usize, to: usize) {
    let first = from.next_multiple_of(8).min(to);
    in_by_words(words, from, &[0; 8][..first - from]);
    let whole = to / 8 * 8;
    if first < whole {
        for word in &words[first / 8..whole / 8] {
            word.store(0, Relaxed);
        }
    }
    if whole >= first {
        in_by_words(words, whole, &[0; 8][..to - whole]);
    }
}

/// Counts the non-zero bytes in `from..to` of `words`.
pub(crate) fn count_non_zero(words: &[Word], from: usize, to: usize) -> u64 {
    (from / 8..to.div_ceil(8))
        .map(|index| {
            let bytes = words[index].load(Relaxed).to_le_bytes();
            let wanted = |&(offset, _): &(usize, &u8)| (from..to).contains(&(index * 8 + offset));
            bytes.iter().enumerate().filter(wanted).filter(|(_, byte)| **byte != 0).count() as u64
        })
        .sum()
}

/// Copies a vector into its words, two components to each, the first in the lower half.
pub(crate) fn copy_vector_in(words: &[Word], vector: &[f32]) {
    for (word, pair) in words.iter().zip(vector.chunks(2)) {
        let pack = |word, part: &f32| word << 32 | u64::from(part.to_bits());
        word.store(pair.iter().rev().fold(0, pack), Relaxed);
    }
}

/// Copies a vector out of its words.
#[inline]
pub(crate) fn copy_vector_out(words: &[Word], out: &mut [f32]) {
    #[cfg(target_endian = "little")]
    {
        let len = out.len() * 4;
        // SAFETY: the bytes are those of `out`, which is borrowed meanwhile, and each may have any value.
        let bytes = unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast(), len) };
        copy_out(words, bytes);
    }
    #[cfg(not(target_endian = "little"))]
    for (pair, word) in out.chunks_mut(2).zip(words) {
        let mut word = word.load(Relaxed);
        for part in pair {
            *part = f32::from_bits(word as u32);
            word >>= 32;
        }
    }
}

/// Copies out by relaxed words.
#[inline(never)]
fn out_by_words(words: &[Word], out: &mut [u8]) {
    for (part, word) in out.chunks_mut(8).zip(words) {
        let bytes = word.load(Relaxed).to_le_bytes();
        part.copy_from_slice(&bytes[..part.len()]);
    }
}

/// Copies in by relaxed words from byte `at` on. A word that is written in part keeps its other bytes: the caller's
/// claim makes it the only writer of these words.
#[inline(never)]
fn in_by_words(words: &[Word], at: usize, bytes: &[u8]) {
    let mut done = 0;
    while done < bytes.len() {
        let offset = (at + done) % 8;
        let count = (8 - offset).min(bytes.len() - done);
        let word = &words[(at + done) / 8];
        let mut merged = if count == 8 { [0; 8] } else { word.load(Relaxed).to_le_bytes() };
        merged[offset..offset + count].copy_from_slice(&bytes[done..done + count]);
        word.store(u64::from_le_bytes(merged), Relaxed);
        done += count;
    }
}

/// Block accesses to racing memory. Each is one piece of assembly, whose private side is passed as values. So the
/// compiler sees all memory that it touches except the racing bytes.
#[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
mod block {
    use std::arch::asm;
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};

    /// Copies `len` bytes, a multiple of 64 and not 0, into or out of the arena.
    ///
    /// # Safety
    /// That many bytes lie within both, one of which is private, and the processor has AVX.
    #[inline(always)]
    pub(super) unsafe fn large(source: *const u8, target: *mut u8, len: usize) {
        // SAFETY: the caller guarantees that the bytes are there and the processor knows the instructions.
        unsafe {
            // Aligned, since the loop takes a cycle longer for each turn if it lies in two lines of code.
            asm!(".p2align 5",
                 "2:",
                 "vmovdqu ymm0, [{source} + {at}]",
                 "vmovdqu ymm1, [{source} + {at} + 32]",
                 "vmovdqu [{target} + {at}], ymm0",
                 "vmovdqu [{target} + {at} + 32], ymm1",
                 "add {at}, 64",
                 "jnz 2b",
                 "vzeroupper",
                 source = in(reg) source.wrapping_add(len),
                 target = in(reg) target.wrapping_add(len),
                 at = inout(reg) len.wrapping_neg() => _,
                 out("xmm0") _, out("xmm1") _,
                 out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _,
                 out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                 out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                 options(nostack));
        }
    }

    /// Copies 16 bytes out of the arena.
    ///
    /// # Safety
    /// Bytes `at..at + 16` lie within both; `target` is private.
    #[inline(always)]
    pub(super) unsafe fn out_16(source: *const u8, target: *mut u8, at: usize) {
        let value: __m128i;
        // SAFETY: the caller guarantees that the bytes are readable; nothing else is touched.
        unsafe {
            asm!("movups {v}, [{p}]", v = lateout(xmm_reg) value, p = in(reg) source.wrapping_add(at),
                 options(nostack, preserves_flags, readonly));
        }
        // SAFETY: the caller guarantees that the bytes are writable, and nobody else's.
        unsafe { _mm_storeu_si128(target.wrapping_add(at).cast(), value) };
    }

    /// Copies 64 bytes out of the arena.
    ///
    /// # Safety
    /// Bytes `at..at + 64` lie within both; `target` is private.
    #[inline(always)]
    pub(super) unsafe fn out_64(source: *const u8, target: *mut u8, at: usize) {
        let (a, b, c, d): (__m128i, __m128i, __m128i, __m128i);
        // SAFETY: the caller guarantees that the bytes are readable; nothing else is touched.
        unsafe {
            asm!("movups {a}, [{p}]", "movups {b}, [{p} + 16]",
                 "movups {c}, [{p} + 32]", "movups {d}, [{p} + 48]",
                 a = out(xmm_reg) a, b = out(xmm_reg) b, c = out(xmm_reg) c, d = out(xmm_reg) d,
                 p = in(reg) source.wrapping_add(at),
                 options(nostack, preserves_flags, readonly));
        }
        for (quarter, value) in [a, b, c, d].into_iter().enumerate() {
            // SAFETY: the caller guarantees that the bytes are writable, and nobody else's.
            unsafe { _mm_storeu_si128(target.wrapping_add(at + quarter * 16).cast(), value) };
        }
    }

    /// Copies 16 bytes into the arena.
    ///
    /// # Safety
    /// Bytes `at..at + 16` lie within both; `source` is private.
    #[inline(always)]
    pub(super) unsafe fn in_16(target: *mut u8, source: *const u8, at: usize) {
        // SAFETY: the caller guarantees that the bytes are readable, and nobody else's.
        let value = unsafe { _mm_loadu_si128(source.wrapping_add(at).cast()) };
        // SAFETY: the caller guarantees that the bytes are writable; nothing else is touched.
        unsafe {
            asm!("movups [{p}], {v}", v = in(xmm_reg) value, p = in(reg) target.wrapping_add(at),
                 options(nostack, preserves_flags));
        }
    }

    /// Copies 64 bytes into the arena.
    ///
    /// # Safety
    /// Bytes `at..at + 64` lie within both; `source` is private.
    #[inline(always)]
    pub(super) unsafe fn in_64(target: *mut u8, source: *const u8, at: usize) {
        let [a, b, c, d] = [0, 16, 32, 48].map(|quarter| {
            // SAFETY: the caller guarantees that the bytes are readable, and nobody else's.
            unsafe { _mm_loadu_si128(source.wrapping_add(at + quarter).cast()) }
        });
        // SAFETY: the caller guarantees that the bytes are writable; nothing else is touched.
        unsafe {
            asm!("movups [{p}], {a}", "movups [{p} + 16], {b}",
                 "movups [{p} + 32], {c}", "movups [{p} + 48], {d}",
                 a = in(xmm_reg) a, b = in(xmm_reg) b, c = in(xmm_reg) c, d = in(xmm_reg) d,
                 p = in(reg) target.wrapping_add(at),
                 options(nostack, preserves_flags));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn words(count: usize, fill: u8) -> Vec<Word> {
        (0..count).map(|_| Word::new(u64::from_le_bytes([fill; 8]))).collect()
    }

    fn bytes(words: &[Word]) -> Vec<u8> {
        words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect()
    }

    #[test]
    fn copies_move_exactly_the_bytes_they_name() {
        let source: Vec<u8> = (0..200).map(|n| n as u8 | 1).collect();
        for len in 0..=200_usize {
            for tail in [0, 1, (len.wrapping_neg() % 64) as u8, (256 - len).min(255) as u8] {
                let arena = words(32, 0xee);
                copy_in(&arena, &source[..len], tail);
                let seen = bytes(&arena);
                assert_eq!(seen[..len], source[..len]);
                let (zeroed, kept) = seen[len..].split_at(tail.into());
                assert!(zeroed.iter().all(|byte| *byte == 0), "{len} {tail}");
                assert!(kept.iter().all(|byte| *byte == 0xee), "{len} {tail}");
                let mut out = vec![0; len];
                copy_out(&arena, &mut out);
                assert_eq!(out, source[..len]);
            }
        }
    }

    #[test]
    fn a_copy_into_the_middle_keeps_its_neighbours() {
        let source: Vec<u8> = (0..100).map(|n| n as u8 | 1).collect();
        for at in 0..40 {
            for len in 0..=100 {
                let arena = words(32, 0xee);
                copy_in_at(&arena, at, &source[..len]);
                let seen = bytes(&arena);
                assert!(seen[..at].iter().all(|byte| *byte == 0xee));
                assert_eq!(seen[at..at + len], source[..len]);
                assert!(seen[at + len..].iter().all(|byte| *byte == 0xee), "{at} {len}");
            }
        }
    }

    #[test]
    fn zeroing_and_counting_agree_on_the_range() {
        for from in 0..40 {
            for to in from..=80 {
                let arena = words(16, 0xee);
                zero(&arena, from, to);
                assert_eq!(count_non_zero(&arena, from, to), 0, "{from}..{to}");
                assert_eq!(count_non_zero(&arena, 0, 128), 128 - (to - from) as u64, "{from}..{to}");
            }
        }
    }
}
