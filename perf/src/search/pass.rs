//! What a search is held against: a bare pass over the same vectors, and the loop of the original, which reads each key's
//! vector by its name.

#![allow(unsafe_code)] // A function that is compiled for wider vectors is called where the processor has them.

use super::npy::Matrix;
use crate::micro::fixture::Key;
use splinter::{Error, Store};

/// Sums that are kept side by side: four vectors of eight.
const LANES: usize = 32;

/// Returns the greatest dot product of a query with any vector, computed in 32-bit floats: as little as a search that
/// looks at every vector can do.
#[must_use]
pub fn bare(members: &Matrix, query: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has both.
        return unsafe { bare_wide(members, query) };
    }
    bare_by(members, query, |x, q, sum| x * q + sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn bare_wide(members: &Matrix, query: &[f32]) -> f32 {
    bare_by(members, query, f32::mul_add)
}

#[inline(always)]
fn bare_by(members: &Matrix, query: &[f32], add: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let (q_lanes, q_rest) = query.as_chunks::<LANES>();
    let mut best = f32::NEG_INFINITY;
    for x in members.values.chunks_exact(members.dim.max(1)) {
        let (lanes, rest) = x.as_chunks::<LANES>();
        let mut sums = [0.0_f32; LANES];
        for (x, q) in lanes.iter().zip(q_lanes) {
            for lane in 0..LANES {
                sums[lane] = add(x[lane], q[lane], sums[lane]);
            }
        }
        let rest: f32 = rest.iter().zip(q_rest).map(|(x, q)| x * q).sum();
        best = best.max(sums.iter().sum::<f32>() + rest);
    }
    best
}

/// Returns the greatest cosine of a query with the vector of any key, as the original computes it: each vector is read by
/// its key, and three sums are made one component after the other.
///
/// # Errors
/// The store's first error.
pub fn original(store: &Store, keys: &[Key], query: &[f32]) -> Result<f32, Error> {
    let mut vector = vec![0.0; query.len()];
    let mut best = f32::NEG_INFINITY;
    for key in keys {
        store.vector(key, &mut vector)?;
        let (mut dot, mut x_square, mut q_square) = (0.0_f32, 0.0_f32, 0.0_f32);
        for (x, q) in vector.iter().zip(query) {
            dot += x * q;
            x_square += x * x;
            q_square += q * q;
        }
        best = best.max(dot / (x_square.sqrt() * q_square.sqrt()));
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::{bare, bare_by};
    use crate::search::family::Family;

    #[test]
    fn the_bare_pass_finds_the_greatest_product() {
        for dim in [1, 31, 32, 100] {
            let [members, queries] = Family::Uniform.draw(50, 1, dim, 1);
            let query = queries.row(0);
            let product = |at: usize| members.row(at).iter().zip(query).map(|(x, q)| x * q).sum::<f32>();
            let best = (0..50).map(product).fold(f32::NEG_INFINITY, f32::max);
            assert!((bare(&members, query) - best).abs() < 1e-5);
            assert!((bare_by(&members, query, |x, q, sum| x * q + sum) - best).abs() < 1e-5);
        }
    }
}
