//! What scores are made of: sums in 64-bit floats, with the same bits on every processor.

use super::kernels::{self, Kernel};

/// Two sums over the components of a vector `x` and a query `q`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Products {
    /// `x·q`.
    pub(crate) dot: f64,
    /// `x·x`.
    pub(crate) square: f64,
}

/// Returns `x·q` and `x·x` of two vectors of the same dimension. A component that is not finite makes `x·x` infinite or
/// NaN; finite ones never do.
pub(crate) fn products(x: &[f32], q: &[f32]) -> Products {
    products_with(Kernel::best(), x, q)
}

pub(super) fn products_with(kernel: Kernel, x: &[f32], q: &[f32]) -> Products {
    assert_eq!(x.len(), q.len(), "both vectors have the same dimension");
    let (dot, square) = kernels::products(kernel, x, q);
    Products { dot, square }
}

/// Returns the square of the Euclidean distance between two vectors of the same dimension.
pub(crate) fn square_distance(x: &[f32], q: &[f32]) -> f64 {
    square_distance_with(Kernel::best(), x, q)
}

pub(super) fn square_distance_with(kernel: Kernel, x: &[f32], q: &[f32]) -> f64 {
    assert_eq!(x.len(), q.len(), "both vectors have the same dimension");
    kernels::square_distance(kernel, x, q)
}
