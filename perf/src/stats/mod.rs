//! Statistics of lists of samples: what is reported of them here, and what the gate decides by, each in a file of its own
//! and tested against published examples. None of it knows what the samples are, and none needs a clock.

pub mod bootstrap;
pub mod holm;
pub mod power;
pub mod wilcoxon;

pub use splinter_harness::stats::{median, quantile, sorted};

use serde::Serialize;

/// What is reported of a series of samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many samples there were.
    pub samples: usize,
    /// The smallest one.
    pub min: f64,
    /// The first quartile.
    pub q1: f64,
    /// The median.
    pub median: f64,
    /// The third quartile.
    pub q3: f64,
}

impl Summary {
    /// Summarises samples; `None` when there are none. Values that are not finite are left out.
    #[must_use]
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let sorted = sorted(samples);
        if sorted.is_empty() {
            return None;
        }
        Some(Self {
            samples: sorted.len(),
            min: sorted[0],
            q1: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            q3: quantile(&sorted, 0.75),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn quartiles_are_those_of_the_sorted_samples() {
        let summary = Summary::of([9.0, 1.0, 5.0, 3.0, 7.0]).unwrap();
        assert_eq!((summary.min, summary.q1, summary.median, summary.q3), (1.0, 3.0, 5.0, 7.0));
        assert_eq!(summary.samples, 5);
    }

    #[test]
    fn an_even_count_takes_the_mean_of_the_middle_two() {
        assert_eq!(Summary::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
    }

    #[test]
    fn one_wild_sample_does_not_move_the_median() {
        assert_eq!(Summary::of([1.0, 1.0, 1.0, 1.0, 1e9]).unwrap().median, 1.0);
    }

    #[test]
    fn no_sample_has_no_summary_and_nonsense_is_left_out() {
        assert_eq!(Summary::of([]), None);
        assert_eq!(Summary::of([f64::NAN, f64::INFINITY]), None);
        assert_eq!(Summary::of([f64::NAN, 2.0]).unwrap().samples, 1);
    }
}
