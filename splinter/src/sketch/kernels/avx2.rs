//! AVX2: eight floats in a register.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "all operations of a block need AVX2, and nothing else"
)]

use super::distances::weighted_distances;
use super::lanes::Lanes;
use super::planes::{Block, Line};
use super::scale::Scale;
use super::{sums, transform};
use std::arch::x86_64::*;

/// Eight floats in a register. Made only by the functions below that enable AVX2.
#[derive(Clone, Copy)]
struct Register(__m256);

// SAFETY of every block in these methods: only functions that enable AVX2 call them.
impl Lanes for Register {
    #[inline(always)]
    fn load(from: &[f32; 8]) -> Self {
        // SAFETY: as above; the array has as many bytes as are read.
        Self(unsafe { _mm256_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; 8]) {
        // SAFETY: as above; the array has as many bytes as are written.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) };
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn scale(self, factor: f32) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_mul_ps(self.0, _mm256_set1_ps(factor)) })
    }

    #[inline(always)]
    fn butterfly<const DISTANCE: usize>(self) -> Self {
        // SAFETY: as above.
        unsafe {
            let (other, signs) = match DISTANCE {
                1 => (
                    _mm256_permute_ps::<0b10_11_00_01>(self.0),
                    _mm256_setr_ps(1., -1., 1., -1., 1., -1., 1., -1.),
                ),
                2 => (
                    _mm256_permute_ps::<0b01_00_11_10>(self.0),
                    _mm256_setr_ps(1., 1., -1., -1., 1., 1., -1., -1.),
                ),
                _ => (
                    _mm256_permute2f128_ps::<1>(self.0, self.0),
                    _mm256_setr_ps(1., 1., 1., 1., -1., -1., -1., -1.),
                ),
            };
            // The product is exact, so this rounds as an addition does.
            Self(_mm256_fmadd_ps(self.0, signs, other))
        }
    }

    #[inline(always)]
    fn flip(self, bits: u64, eighth: usize) -> Self {
        // SAFETY: as above.
        unsafe {
            let half = _mm256_set1_epi32((bits >> (eighth / 4 * 32)) as i32);
            let first = _mm256_set1_epi32(31 - (eighth % 4 * 8) as i32);
            let counts = _mm256_sub_epi32(first, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
            let signs = _mm256_and_si256(_mm256_sllv_epi32(half, counts), _mm256_set1_epi32(i32::MIN));
            Self(_mm256_xor_ps(self.0, _mm256_castsi256_ps(signs)))
        }
    }

    #[inline(always)]
    fn signs(self) -> u8 {
        // SAFETY: as above.
        unsafe { _mm256_movemask_ps(self.0) as u8 }
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn rotate(signs: &[u64], vector: &mut [f32]) {
    transform::rotate::<Register>(signs, vector);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn sign_bits(vector: &[f32], bits: &mut [u64]) {
    transform::sign_bits::<Register>(vector, bits);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn square_sum(x: &[f32]) -> f64 {
    sums::square_sum(x)
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn absolute_sum(x: &[f32]) -> f64 {
    sums::absolute_sum(x)
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn products(x: &[f32], q: &[f32]) -> (f64, f64) {
    sums::products(x, q)
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn square_distance(x: &[f32], q: &[f32]) -> f64 {
    sums::square_distance(x, q)
}

/// Estimates sketches.
#[target_feature(enable = "avx2")]
pub(super) fn estimates(scale: &Scale, planes: &[Line], block: Block<'_>, out: &mut [f32; 64]) {
    scale.estimates(&block.heads(), &weighted_distances(planes, block), out);
}

/// Makes estimates of weighted distances.
#[target_feature(enable = "avx2")]
pub(super) fn scaled(scale: &Scale, heads: &[u64; 64], distances: &[u32; 64], out: &mut [f32; 64]) {
    scale.estimates(heads, distances, out);
}
