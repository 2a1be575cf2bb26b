//! From distances between bits to estimates.

use crate::sketch::head::Head;
use crate::sketch::metric::Metric;

/// What a query's estimates have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) metric: Metric,
    pub(crate) dim: u32,
    /// The query's norm.
    pub(crate) norm: f64,
    /// Times the sum over a sketch's signs and the query's levels, times the sketch's correction, this is a cosine.
    pub(crate) factor: f64,
}

impl Scale {
    /// Makes estimates of the first words of sketches and their weighted distances: −∞ if there is no vector, and never
    /// otherwise.
    #[inline(always)]
    pub(super) fn estimates(&self, heads: &[u64; 64], distances: &[u32; 64], out: &mut [f32; 64]) {
        match self.metric {
            Metric::Cosine => {
                self.each(heads, distances, out, |norm, cosine| if norm == 0.0 { 0.0 } else { cosine });
            }
            Metric::Dot => self.each(heads, distances, out, |norm, cosine| norm * cosine),
            Metric::L2 => self.each(heads, distances, out, |norm, cosine| {
                let square = norm * norm + self.norm * self.norm - 2.0 * norm * self.norm * cosine;
                // An estimate may be below zero: the further below, the nearer.
                -square.abs().sqrt().copysign(square)
            }),
        }
    }

    #[inline(always)]
    fn each(
        &self,
        heads: &[u64; 64],
        distances: &[u32; 64],
        out: &mut [f32; 64],
        score: impl Fn(f64, f64) -> f64,
    ) {
        let most = 15 * self.dim as i32;
        for ((out, head), distance) in out.iter_mut().zip(heads).zip(distances) {
            let head = Head::from_word(*head);
            let sum = f64::from(most - 2 * *distance as i32);
            let cosine = sum * f64::from(head.correction) * self.factor;
            let score = score(f64::from(head.norm.min(f32::MAX)), cosine) as f32;
            // Damage may make it NaN, which this makes the lowest.
            let score = if score > f32::MIN { score.min(f32::MAX) } else { f32::MIN };
            *out = if head.correction == 0.0 { f32::NEG_INFINITY } else { score };
        }
    }
}
