//! What a search must find, computed in 64-bit floats by a plain scan of its own, and how much of it was found.

use super::npy::Matrix;
use crate::pinning;
use std::thread::scope;

/// How many of the nearest are known for each query.
pub const NEAREST: usize = 100;

/// By how much scores of the same two vectors may differ, as sums in another order do.
pub const TOLERANCE: f64 = 1e-9;

/// Vectors that are scored for all queries before the next ones are: they stay in the cache.
const BLOCK: usize = 64;

/// Sums that are kept side by side.
const LANES: usize = 8;

/// Returns `x·q`, in 64-bit floats.
#[inline]
fn dot(x: &[f32], q: &[f32]) -> f64 {
    let ((lanes, rest), (q_lanes, q_rest)) = (x.as_chunks::<LANES>(), q.as_chunks::<LANES>());
    let mut sums = [0.0_f64; LANES];
    for (x, q) in lanes.iter().zip(q_lanes) {
        for lane in 0..LANES {
            sums[lane] += f64::from(x[lane]) * f64::from(q[lane]);
        }
    }
    let rest = rest.iter().zip(q_rest).map(|(x, q)| f64::from(*x) * f64::from(*q));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

/// Returns the cosine of two vectors; 0 if one of them is all zeroes.
#[must_use]
pub fn cosine(x: &[f32], q: &[f32]) -> f64 {
    let norms = dot(x, x).sqrt() * dot(q, q).sqrt();
    if norms > 0.0 { dot(x, q) / norms } else { 0.0 }
}

/// Returns for each query the scores of the [`NEAREST`], the highest first.
///
/// # Errors
/// When a thread cannot be started.
pub fn nearest(members: &Matrix, queries: &Matrix, threads: usize) -> Result<Vec<Vec<f64>>, String> {
    let norms: Vec<f64> =
        (0..members.rows()).map(|at| dot(members.row(at), members.row(at)).sqrt()).collect();
    let share = queries.rows().div_ceil(threads.max(1)).max(1);
    let numbers: Vec<usize> = (0..queries.rows()).collect();
    scope(|scope| {
        let parts = numbers.chunks(share);
        let parts = parts.map(|part| pinning::spawn(scope, || part_of(members, &norms, queries, part)));
        let parts: Vec<_> = parts.collect();
        let mut all = Vec::new();
        for part in parts {
            all.extend(part?.join().map_err(|_| "the computation of the truth panicked")?);
        }
        Ok(all)
    })
}

fn part_of(members: &Matrix, norms: &[f64], queries: &Matrix, asked: &[usize]) -> Vec<Vec<f64>> {
    let lengths: Vec<f64> = asked.iter().map(|&at| dot(queries.row(at), queries.row(at)).sqrt()).collect();
    let mut best: Vec<Vec<f64>> = vec![Vec::new(); asked.len()];
    for block in (0..members.rows()).step_by(BLOCK) {
        for ((&at, length), best) in asked.iter().zip(&lengths).zip(&mut best) {
            for (member, norm) in norms.iter().enumerate().skip(block).take(BLOCK) {
                let lengths = norm * length;
                best.push(if lengths > 0.0 {
                    dot(members.row(member), queries.row(at)) / lengths
                } else {
                    0.0
                });
            }
            if best.len() > 8 * NEAREST {
                keep_best(best);
            }
        }
    }
    best.iter_mut().for_each(keep_best);
    best
}

fn keep_best(scores: &mut Vec<f64>) {
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    scores.truncate(NEAREST);
}

/// Returns the share of the `k` nearest that was found. One that is as near as the farthest of them counts as well.
#[must_use]
pub fn recall(found: &[f64], truth: &[f64], k: usize) -> f64 {
    let k = k.min(truth.len());
    let Some(&worst) = truth[..k].last() else { return 1.0 };
    let right = found.iter().take(k).filter(|score| **score >= worst - TOLERANCE).count();
    right as f64 / k as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::family::Family;

    #[test]
    fn the_truth_is_that_of_a_sort() {
        let [members, queries] = Family::Clustered.draw(1_000, 7, 19, 3);
        for threads in [1, 2, 9] {
            let found = nearest(&members, &queries, threads).unwrap();
            for (query, found) in found.iter().enumerate() {
                let score = |at| cosine(members.row(at), queries.row(query));
                let mut all: Vec<f64> = (0..1_000).map(score).collect();
                all.sort_by(|a, b| b.total_cmp(a));
                assert_eq!(found.len(), NEAREST);
                assert!(found.iter().zip(&all).all(|(a, b)| (a - b).abs() < TOLERANCE));
            }
        }
    }

    #[test]
    fn a_cosine_is_that_of_the_definition() {
        assert!((cosine(&[3.0, 4.0], &[0.0, 2.0]) - 0.8).abs() < 1e-15);
        assert_eq!(cosine(&[0.0; 2], &[1.0, 2.0]), 0.0);
    }

    #[test]
    fn recall_counts_what_is_as_near_as_the_farthest() {
        let truth = [0.9, 0.8, 0.8, 0.1];
        assert_eq!(recall(&[0.9, 0.8], &truth, 2), 1.0);
        assert_eq!(recall(&[0.9, 0.7], &truth, 2), 0.5);
        assert_eq!(recall(&[0.9], &truth, 2), 0.5);
        assert_eq!(recall(&[0.9, 0.8, 0.8, 0.1], &truth, 100), 1.0);
        assert_eq!(recall(&[], &[], 10), 1.0);
    }
}
