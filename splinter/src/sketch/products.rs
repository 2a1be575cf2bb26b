//! What scores are made of: sums in 64-bit floats, with the same bits on every processor.

use super::kernels::{self, Kernel};
use crate::sync::Word;
use std::ops::RangeInclusive;

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
pub(crate) struct WideQuery<'q> {
    kernel: Kernel,
    narrow: &'q [f32],
    components: Box<[f64]>,
}

/// The sums of [`Products`] in 32-bit floats, and how far they may be from the true ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoughProducts {
    pub(crate) dot: f64,
    pub(crate) square: f64,
    /// The true `x·q` is within this times `|x||q|` of `dot`, and the true `x·x` within this times itself of `square`.
    pub(crate) error: f64,
}

/// The least and the greatest `x·x` and `q·q` of which rough sums are of use. None of them overflows, and what is lost to
/// underflow is nothing beside their error.
const ROUGH_SQUARES: RangeInclusive<f64> = 1e-12..=1e30;

/// A vector in the arena, which writers may be changing, and the one that is summed up next: it is fetched meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InArena<'a> {
    pub(crate) vector: &'a [Word],
    pub(crate) next: Option<&'a [Word]>,
}

impl<'q> WideQuery<'q> {
    pub(crate) fn new(query: &'q [f32]) -> Self {
        Self::with(Kernel::best(), query)
    }

    pub(super) fn with(kernel: Kernel, query: &'q [f32]) -> Self {
        Self { kernel, narrow: query, components: query.iter().copied().map(f64::from).collect() }
    }

    /// Returns sums that take less time, or none where their errors are not known. `square` is the query's.
    #[inline]
    pub(crate) fn rough_products(&self, square: f64, x: InArena<'_>) -> Option<RoughProducts> {
        if !ROUGH_SQUARES.contains(&square) {
            return None;
        }
        let (dot, square) = kernels::rough_products(self.kernel, x.vector, self.narrow, x.next())?;
        let [dot, square] = [dot, square].map(f64::from);
        // Each rounding adds half a unit in the last place. Twice as much covers what roundings do to each other.
        let roundings = self.narrow.len() / 32 + 32;
        let error = roundings as f64 * f64::from(f32::EPSILON);
        ROUGH_SQUARES.contains(&square).then_some(RoughProducts { dot, square, error })
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
