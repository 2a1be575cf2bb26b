//! Scores of vectors that were copied out of the arena.

use crate::sketch::{Metric, products, square_distance};

/// Computes scores against one query.
#[derive(Clone)]
pub(super) struct Scorer<'q> {
    query: &'q [f32],
    metric: Metric,
    /// The query's length, as a vector in space.
    norm: f64,
}

impl<'q> Scorer<'q> {
    pub(super) fn new(query: &'q [f32], metric: Metric) -> Self {
        Self { query, metric, norm: products(query, query).square.sqrt() }
    }

    /// Returns the score of `vector`, or none if it has a component that is not finite.
    pub(super) fn score(&self, vector: &[f32]) -> Option<f64> {
        let score = match self.metric {
            Metric::L2 => -square_distance(vector, self.query).sqrt(),
            metric => {
                let found = products(vector, self.query);
                if !found.square.is_finite() {
                    return None;
                }
                match metric {
                    Metric::Dot => found.dot,
                    _ => self.cosine(found.dot, found.square),
                }
            }
        };
        // Zero is added to make -0 the same as 0, which it is to the order of hits.
        score.is_finite().then_some(score + 0.0)
    }

    /// Returns the cosine of two vectors, or 0 if one of them is all zeroes.
    fn cosine(&self, dot: f64, square: f64) -> f64 {
        let norms = square.sqrt() * self.norm;
        if norms > 0.0 { (dot / norms).clamp(-1.0, 1.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_metric() {
        let score = |metric, x: &[f32], q: &[f32]| Scorer::new(q, metric).score(x);
        let (x, q) = ([3.0, 4.0, 0.0], [0.0, 2.0, 0.0]);
        assert_eq!(score(Metric::Cosine, &x, &q), Some(0.8));
        assert_eq!(score(Metric::Dot, &x, &q), Some(8.0));
        assert_eq!(score(Metric::L2, &x, &q), Some(-(13.0_f64.sqrt())));
        assert_eq!(score(Metric::L2, &x, &x).map(f64::to_bits), Some(0.0_f64.to_bits()));
        for zero in [[0.0; 3], [-0.0; 3]] {
            assert_eq!(score(Metric::Cosine, &zero, &q).map(f64::to_bits), Some(0));
            assert_eq!(score(Metric::Cosine, &q, &zero).map(f64::to_bits), Some(0));
            assert_eq!(score(Metric::Dot, &zero, &q).map(f64::to_bits), Some(0));
            assert_eq!(score(Metric::L2, &zero, &q), Some(-2.0));
        }
    }

    #[test]
    fn the_largest_and_the_smallest_components_have_finite_scores_and_others_none() {
        let (huge, tiny) = ([f32::MAX, -f32::MAX, f32::MAX], [f32::from_bits(1); 3]);
        for metric in Metric::ALL {
            for vector in [huge, tiny, [0.0; 3]] {
                for query in [huge, tiny, [0.0; 3], huge.map(|part| -part)] {
                    assert!(
                        Scorer::new(&query, metric).score(&vector).is_some(),
                        "{metric} {vector:?} {query:?}"
                    );
                }
                for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    for at in 0..3 {
                        let mut vector = vector;
                        vector[at] = bad;
                        assert_eq!(Scorer::new(&[0.0, 1.0, 0.0], metric).score(&vector), None, "{metric}");
                    }
                }
            }
        }
        assert_eq!(Scorer::new(&huge, Metric::Cosine).score(&huge), Some(1.0));
        assert_eq!(Scorer::new(&tiny, Metric::Cosine).score(&tiny), Some(1.0));
    }
}
