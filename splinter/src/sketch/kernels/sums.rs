//! Sums in 64-bit floats, in sixteen lanes that are added up in one order. Products of 32-bit floats are exact in them,
//! so a fused multiplication would not change a bit.

pub(super) const LANES: usize = 16;

/// Returns the sum of `term` over the components of a vector.
#[inline(always)]
pub(super) fn sum(x: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum += term(f64::from(*x));
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += term(f64::from(*x));
    }
    total(sums)
}

/// Returns the sums of `terms` over the components of two vectors.
#[inline(always)]
pub(super) fn sums<const N: usize>(x: &[f32], q: &[f32], terms: impl Fn(f64, f64) -> [f64; N]) -> [f64; N] {
    let ((blocks, rest), (q_blocks, q_rest)) = (x.as_chunks::<LANES>(), q.as_chunks::<LANES>());
    let mut sums = [[0.0; LANES]; N];
    for (block, q_block) in blocks.iter().zip(q_blocks) {
        for lane in 0..LANES {
            let terms = terms(f64::from(block[lane]), f64::from(q_block[lane]));
            for (sums, term) in sums.iter_mut().zip(terms) {
                sums[lane] += term;
            }
        }
    }
    for (lane, (x, q)) in rest.iter().zip(q_rest).enumerate() {
        for (sums, term) in sums.iter_mut().zip(terms(f64::from(*x), f64::from(*q))) {
            sums[lane] += term;
        }
    }
    sums.map(total)
}

/// Adds up the lanes: each of the lower half and its like in the upper, until one is left.
#[inline(always)]
pub(super) fn total(mut sums: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// Returns the sum of the squares of a vector's components.
#[inline(always)]
pub(super) fn square_sum(x: &[f32]) -> f64 {
    sum(x, |x| x * x)
}

/// Returns the sum of a vector's components without their signs.
#[inline(always)]
pub(super) fn absolute_sum(x: &[f32]) -> f64 {
    sum(x, f64::abs)
}

/// Returns `x·q` and `x·x`.
#[inline(always)]
pub(super) fn products(x: &[f32], q: &[f32]) -> (f64, f64) {
    let [dot, square] = sums(x, q, |x, q| [x * q, x * x]);
    (dot, square)
}

/// Returns the square of the distance between two vectors.
#[inline(always)]
pub(super) fn square_distance(x: &[f32], q: &[f32]) -> f64 {
    let [square] = sums(x, q, |x, q| [(x - q) * (x - q)]);
    square
}
