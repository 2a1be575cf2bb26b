//! Scores of vectors, of copies and of those in the arena.

use super::filter::Filter;
use super::look::Look;
use crate::arena::Arena;
use crate::arena::copy::copy_vector_out;
use crate::sketch::{InArena, Metric, Products, RoughProducts, WideQuery, products, square_distance};
use crate::sync::Word;

/// Computes scores against one query.
#[derive(Clone)]
pub(super) struct Scorer<'q> {
    query: &'q [f32],
    wide: WideQuery<'q>,
    metric: Metric,
    /// The query's length, as a vector in space.
    norm: f64,
}

impl<'q> Scorer<'q> {
    pub(super) fn new(query: &'q [f32], metric: Metric) -> Self {
        Self { query, wide: WideQuery::new(query), metric, norm: products(query, query).square.sqrt() }
    }

    /// Returns the score of `vector`, or none if it has a component that is not finite.
    pub(super) fn score(&self, vector: &[f32]) -> Option<f64> {
        match self.metric {
            Metric::L2 => Self::of_distance(square_distance(vector, self.query)),
            _ => self.of_products(products(vector, self.query)),
        }
    }

    /// Returns what [`Self::score`] returns of a copy of the vector. `copy` has room for one.
    #[inline]
    fn score_in_arena(&self, x: InArena<'_>, copy: &mut [f32]) -> Option<f64> {
        let score = match self.metric {
            Metric::L2 => self.wide.square_distance(x).map(Self::of_distance),
            _ => self.wide.products(x).map(|found| self.of_products(found)),
        };
        score.unwrap_or_else(|| {
            copy_vector_out(x.vector, copy);
            self.score(copy)
        })
    }

    /// Whether the vector's score may be `bound` or higher, by sums that take less time.
    #[inline]
    fn may_reach(&self, bound: f64, x: InArena<'_>) -> bool {
        let rough = self.wide.rough_products(self.norm * self.norm, x);
        rough.is_none_or(|rough| self.highest(rough) >= bound)
    }

    /// Returns a score that no vector with such sums exceeds.
    fn highest(&self, rough: RoughProducts) -> f64 {
        let RoughProducts { dot, square, error } = rough;
        // Both factors are known to within half the error, and there is an error of the dot product.
        let norms = square.sqrt() * self.norm;
        match self.metric {
            Metric::Cosine => dot / norms + 3.0 * error,
            Metric::Dot => dot + 2.0 * error * norms,
            Metric::L2 => {
                let squares = square + self.norm * self.norm;
                -(squares - 2.0 * dot - 3.0 * error * squares).max(0.0).sqrt()
            }
        }
    }

    fn of_distance(square: f64) -> Option<f64> {
        finite(-square.sqrt())
    }

    fn of_products(&self, found: Products) -> Option<f64> {
        if !found.square.is_finite() {
            return None;
        }
        finite(match self.metric {
            Metric::Dot => found.dot,
            _ => self.cosine(found.dot, found.square),
        })
    }

    /// Returns the cosine of two vectors, or 0 if one of them is all zeroes.
    fn cosine(&self, dot: f64, square: f64) -> f64 {
        let norms = square.sqrt() * self.norm;
        if norms > 0.0 { (dot / norms).clamp(-1.0, 1.0) } else { 0.0 }
    }
}

/// Returns a score that is finite. Zero is added to make -0 the same as 0, which it is to the order of hits.
fn finite(score: f64) -> Option<f64> {
    score.is_finite().then_some(score + 0.0)
}

/// Scores the vectors of slots that are looked at.
pub(super) struct SlotScorer<'r, 'a> {
    arena: &'r Arena<'a>,
    filter: &'r Filter,
    scorer: &'r Scorer<'r>,
    copy: Vec<f32>,
}

impl<'r, 'a> SlotScorer<'r, 'a> {
    pub(super) fn new(arena: &'r Arena<'a>, filter: &'r Filter, scorer: &'r Scorer<'r>) -> Self {
        Self { arena, filter, scorer, copy: vec![0.0; arena.shape.vector_dim as usize] }
    }

    /// Returns the score of the vector of the key that is looked at, if the key passes the filter and has one. It returns
    /// none, too, of most vectors whose score is below `bound`. All that counts only if the look holds. The vector that
    /// will be scored `next` is fetched meanwhile.
    #[inline]
    pub(super) fn score(
        &mut self,
        look: &Look<'_>,
        bound: Option<f64>,
        next: Option<&[Word]>,
    ) -> Option<f64> {
        let (read, has_vector) = (&look.read, look.read.descriptor.has_vector() != 0);
        let passes = has_vector && self.filter.passes(self.arena, read);
        mutant!("filter-unrepeated", let passes = has_vector);
        if !passes {
            return None;
        }
        let vector = self.arena.vector(read.number, read.descriptor.vector_current());
        let x = InArena { vector, next };
        let may_reach = bound.is_none_or(|bound| self.scorer.may_reach(bound, x));
        may_reach.then(|| self.scorer.score_in_arena(x, &mut self.copy)).flatten()
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
    fn no_score_exceeds_what_rough_sums_allow() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let (mut known, mut near) = (0, 0);
        for round in 0..4_000_usize {
            let dim = [1, 31, 32, 33, 768, 1_000, 8_192][round % 7];
            let scale = 10_f32.powi((round % 23) as i32 - 11);
            let q: Vec<f32> = (0..dim).map(|_| random() * scale).collect();
            // From the query itself, by way of vectors that are all of one sign, to others.
            let share = [0.0, 1e-6, 0.1, 1.0][round % 4];
            let x: Vec<f32> = q.iter().map(|q| q * (1.0 - share) + random() * scale * share).collect();
            let x: Vec<f32> = if round % 5 == 0 { x.iter().map(|x| x.abs()).collect() } else { x };
            let word =
                |pair: &[f32]| pair.iter().rev().fold(0, |word, x| word << 32 | u64::from(x.to_bits()));
            let words: Vec<_> = x.chunks(2).map(|pair| Word::new(word(pair))).collect();
            for metric in Metric::ALL {
                let scorer = Scorer::new(&q, metric);
                let vector = InArena { vector: &words, next: None };
                let score = scorer.score(&x).unwrap();
                assert_eq!(scorer.score_in_arena(vector, &mut vec![0.0; dim]), Some(score));
                let Some(rough) = scorer.wide.rough_products(scorer.norm * scorer.norm, vector) else {
                    continue;
                };
                let highest = scorer.highest(rough);
                assert!(highest >= score, "{metric} {dim} {scale}: {highest} {score}");
                known += 1;
                near += usize::from(metric == Metric::Cosine && highest - score < 1e-2);
                assert!(
                    scorer.may_reach(score, vector) && !scorer.may_reach(highest.abs() * 2.0 + 1.0, vector)
                );
            }
        }
        // Where nothing is known, all vectors are scored.
        assert!(known == 0 || known > 9_000 && near > 3_000, "{known} {near}");
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
