//! What scores are made of: sums in 64-bit floats, with the same bits on every processor.

use super::kernels::{self, Kernel};
use crate::sync::Word;

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

/// A query against which vectors in the arena are summed up where they lie.
#[derive(Clone, Debug)]
pub(crate) struct WideQuery {
    kernel: Kernel,
    components: Box<[f64]>,
}

/// A vector in the arena, which writers may be changing, and the one that is summed up next: it is fetched meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InArena<'a> {
    pub(crate) vector: &'a [Word],
    pub(crate) next: Option<&'a [Word]>,
}

impl WideQuery {
    pub(crate) fn new(query: &[f32]) -> Self {
        Self::with(Kernel::best(), query)
    }

    pub(super) fn with(kernel: Kernel, query: &[f32]) -> Self {
        Self { kernel, components: query.iter().copied().map(f64::from).collect() }
    }

    /// Returns what [`products`] returns of a copy of the vector, or none where only copies can be summed up.
    #[inline]
    pub(crate) fn products(&self, x: InArena<'_>) -> Option<Products> {
        let sums = kernels::racing_products(self.kernel, x.vector, &self.components, x.next());
        sums.map(|(dot, square)| Products { dot, square })
    }

    /// Returns what [`square_distance`] returns of a copy of the vector, or none where only copies can be summed up.
    #[inline]
    pub(crate) fn square_distance(&self, x: InArena<'_>) -> Option<f64> {
        kernels::racing_square_distance(self.kernel, x.vector, &self.components, x.next())
    }
}

impl InArena<'_> {
    /// Returns the address of the next vector, or of this one, if there is none.
    fn next(&self) -> *const Word {
        self.next.unwrap_or(self.vector).as_ptr()
    }
}
