//! The random rotation that spreads a vector's length over all its components.

use super::kernels::{self, Kernel, ROUNDS};

/// A random orthogonal transform of vectors of one dimension, made of a seed.
#[derive(Debug)]
pub(crate) struct Rotation {
    dim: usize,
    pub(super) kernel: Kernel,
    /// The sign bits of each round, one round behind the other.
    signs: Box<[u64]>,
}

impl Rotation {
    /// Makes the rotation of `dim` components that belongs to a seed.
    pub(crate) fn new(seed: u64, dim: u32) -> Self {
        Self::with_kernel(Kernel::best(), seed, dim)
    }

    /// Makes a rotation that, with all that is made by it, uses the given kernel.
    pub(super) fn with_kernel(kernel: Kernel, seed: u64, dim: u32) -> Self {
        let dim = dim as usize;
        let word = |at: usize| mix(seed.wrapping_add((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        Self { dim, kernel, signs: (0..ROUNDS * dim.div_ceil(64)).map(word).collect() }
    }

    /// Rotates a vector in place. If a component is not finite, no component of the result need be.
    pub(crate) fn apply(&self, vector: &mut [f32]) {
        assert_eq!(vector.len(), self.dim, "the vector has the rotation's dimension");
        if self.dim > 0 {
            kernels::rotate(self.kernel, &self.signs, vector);
        }
    }

    /// Rotates a vector whose norm is given and finite, and multiplies it by a power of two, which this returns, if its
    /// components could overflow or lose digits otherwise.
    pub(super) fn apply_scaled(&self, vector: &mut [f32], norm: f64) -> f64 {
        let mut factor = 1.0;
        if norm > 0.0 && !(1e-20..1e30).contains(&norm) {
            // The exponent's bits alone: norm times factor is from 1 to 2.
            factor = 1.0 / f64::from_bits(norm.to_bits() & (0x7ff << 52));
            for component in &mut *vector {
                *component = (f64::from(*component) * factor) as f32;
            }
        }
        self.apply(vector);
        factor
    }
}

/// The output function of SplitMix64.
pub(crate) const fn mix(seed: u64) -> u64 {
    let mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
