//! Each computation, for the instruction sets that a processor may have. All give the same bits.

#![allow(unsafe_code, reason = "vector instructions, on racing memory; each kernel explains its own")]

#[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
mod avx2;
#[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
mod avx512;
#[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
mod distances;
mod lanes;
mod planes;
#[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
mod racing;
mod scale;
mod sums;
mod transform;

use self::lanes::Plain;
use self::planes::Line;
use crate::sync::Word;

pub(super) use self::{planes::Block, scale::Scale, transform::ROUNDS};

/// An instruction set. One that is not the portable one is only made where the processor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// What every processor has, and sanitizers can follow.
    Portable,
    #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
    Avx2,
    /// AVX2, with population counts by AVX-512.
    #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
    Avx512,
}

impl Kernel {
    /// Returns the fastest that the processor has.
    pub(super) fn best() -> Self {
        #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq");
            return if wide { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Portable
    }

    /// Returns all that the processor has, the fastest last.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        match Self::best() {
            #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
            Self::Avx512 => vec![Self::Portable, Self::Avx2, Self::Avx512],
            #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
            Self::Avx2 => vec![Self::Portable, Self::Avx2],
            Self::Portable => vec![Self::Portable],
        }
    }
}

/// Calls a function in plain Rust, or its like for AVX2.
macro_rules! by_kernel {
    ($kernel:expr, $portable:expr, $function:ident($($argument:expr),*)) => {
        match $kernel {
            Kernel::Portable => $portable($($argument),*),
            // SAFETY: such a kernel is only made where the processor has AVX2.
            #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
            Kernel::Avx2 | Kernel::Avx512 => unsafe { avx2::$function($($argument),*) },
        }
    };
}

/// Rotates a vector, which is not empty, by the sign bits of [`ROUNDS`] rounds.
pub(super) fn rotate(kernel: Kernel, signs: &[u64], vector: &mut [f32]) {
    by_kernel!(kernel, transform::rotate::<Plain>, rotate(signs, vector));
}

/// Writes a bit for each component: 0 if its sign bit is set. The bits behind the last component are zero.
pub(super) fn sign_bits(kernel: Kernel, vector: &[f32], bits: &mut [u64]) {
    by_kernel!(kernel, transform::sign_bits::<Plain>, sign_bits(vector, bits));
}

/// Returns the sum of the squares of a vector's components: finite if and only if all of them are.
pub(super) fn square_sum(kernel: Kernel, x: &[f32]) -> f64 {
    by_kernel!(kernel, sums::square_sum, square_sum(x))
}

/// Returns the sum of a vector's components without their signs.
pub(super) fn absolute_sum(kernel: Kernel, x: &[f32]) -> f64 {
    by_kernel!(kernel, sums::absolute_sum, absolute_sum(x))
}

/// Returns `x·q` and `x·x`.
pub(super) fn products(kernel: Kernel, x: &[f32], q: &[f32]) -> (f64, f64) {
    by_kernel!(kernel, sums::products, products(x, q))
}

/// Returns the square of the distance between two vectors.
pub(super) fn square_distance(kernel: Kernel, x: &[f32], q: &[f32]) -> f64 {
    by_kernel!(kernel, sums::square_distance, square_distance(x, q))
}

/// Calls a function of [`racing`], if the kernel has it.
macro_rules! by_racing_kernel {
    ($kernel:expr, $function:ident($($argument:expr),*)) => {
        match $kernel {
            Kernel::Portable => {
                let _ = ($($argument),*);
                None
            }
            // SAFETY: such a kernel is only made where the processor has AVX2 and FMA.
            #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
            Kernel::Avx2 | Kernel::Avx512 => Some(unsafe { racing::$function($($argument),*) }),
        }
    };
}

/// Returns `x·q` and `x·x` of a vector in racing memory, if the kernel has a way. Meanwhile the vector at `next`, which may
/// be any address, is fetched.
pub(super) fn racing_products(
    kernel: Kernel,
    x: &[Word],
    q: &[f64],
    next: *const Word,
) -> Option<(f64, f64)> {
    by_racing_kernel!(kernel, products(x, q, next))
}

/// Returns the square of the distance to a vector in racing memory, as [`racing_products`] does.
pub(super) fn racing_square_distance(
    kernel: Kernel,
    x: &[Word],
    q: &[f64],
    next: *const Word,
) -> Option<f64> {
    by_racing_kernel!(kernel, square_distance(x, q, next))
}

/// Returns `x·q` and `x·x` of a vector in racing memory, in 32-bit floats and so with errors, as [`racing_products`] does.
pub(super) fn rough_products(kernel: Kernel, x: &[Word], q: &[f32], next: *const Word) -> Option<(f32, f32)> {
    by_racing_kernel!(kernel, rough_products(x, q, next))
}

/// A query's levels, in the order in which a kernel reads them.
#[derive(Debug)]
pub(super) struct Planes(Box<[Line]>);

impl Planes {
    /// Orders the four planes of each word for a kernel.
    pub(super) fn new(kernel: Kernel, words: &[[u64; 4]]) -> Self {
        Self(match kernel {
            Kernel::Portable => planes::by_word(words),
            #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
            Kernel::Avx2 => distances::nibbles(words),
            #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
            Kernel::Avx512 => avx512::by_plane(words),
        })
    }
}

/// Estimates sketches; those that are not wanted, and those of no vector, get −∞.
pub(super) fn estimates(
    kernel: Kernel,
    scale: &Scale,
    planes: &Planes,
    block: Block<'_>,
    out: &mut [f32; 64],
) {
    let planes = &*planes.0;
    match kernel {
        Kernel::Portable => {
            scale.estimates(&block.heads(), &block.map(planes, planes::weighted_distance), out);
        }
        // SAFETY: such a kernel is only made where the processor has AVX2.
        #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
        Kernel::Avx2 => unsafe { avx2::estimates(scale, planes, block, out) },
        #[cfg(all(target_arch = "x86_64", not(any(loom, splinter_sanitize))))]
        Kernel::Avx512 => {
            // SAFETY: such a kernel is only made where the processor has AVX-512.
            let distances = unsafe { avx512::weighted_distances(planes, block) };
            // SAFETY: and such a processor has AVX2.
            unsafe { avx2::scaled(scale, &block.heads(), &distances, out) };
        }
    }
}
