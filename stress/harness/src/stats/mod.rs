//! Statistics of lists of samples: order statistics here, tests and intervals in a file each, tested against published
//! examples. Pure; none of it knows what the samples are.

pub mod bootstrap;
pub mod holm;
pub mod paired;
pub mod power;
pub mod wilcoxon;

use serde::{Deserialize, Serialize};

/// Returns samples in order. Those that are not finite are left out.
#[must_use]
pub fn sorted(samples: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let finite = samples.into_iter().filter(|sample| sample.is_finite());
    let mut sorted: Vec<f64> = finite.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// Returns the median of samples, which are put in order; `NAN` when there are none.
#[must_use]
pub fn median(samples: &mut [f64]) -> f64 {
    if samples.is_empty() {
        return f64::NAN;
    }
    samples.sort_unstable_by(f64::total_cmp);
    quantile(samples, 0.5)
}

/// Returns a quantile of sorted samples, linear between neighbours (type 7 of Hyndman and Fan, 1996).
///
/// # Panics
/// When there are no samples.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = position.ceil() as usize;
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// What is reported of a series of samples.
#[derive(Clone, Copy, Debug, PartialEq, schemars::JsonSchema)]
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

/// The middle half of some figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Middle {
    /// First quartile.
    pub q1: f64,
    /// Median.
    pub median: f64,
    /// Third quartile.
    pub q3: f64,
}

impl From<Summary> for Middle {
    fn from(Summary { q1, median, q3, .. }: Summary) -> Self {
        Self { q1, median, q3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The NIST/SEMATECH e-Handbook of Statistical Methods, section 7.2.6.2, has these twelve measurements. The
    /// rank of type 7 is 1 + 0.9 (12 - 1) = 10.9.
    #[test]
    fn a_quantile_lies_between_its_neighbours_as_the_handbook_says() {
        let mut gauges = [
            95.1772, 95.1567, 95.1937, 95.1959, 95.1442, 95.0610, 95.1591, 95.1195, 95.1772, 95.0925,
            95.1990, 95.1682,
        ];
        let middle = median(&mut gauges);
        assert!((quantile(&gauges, 0.9) - 95.195_68).abs() < 1e-9);
        assert!((middle - 95.163_65).abs() < 1e-9);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn nonsense_is_left_out() {
        let samples = [3.0, f64::NAN, 1.0, f64::INFINITY];
        assert_eq!(sorted(samples), [1.0, 3.0]);
    }

    #[test]
    fn quartiles_are_those_of_the_sorted_samples() {
        let summary = Summary::of([9.0, 1.0, 5.0, 3.0, 7.0]).unwrap();
        assert_eq!((summary.min, summary.q1, summary.median, summary.q3), (1.0, 3.0, 5.0, 7.0));
        assert_eq!(summary.samples, 5);
    }

    #[test]
    fn an_even_count_takes_the_mean_of_the_middle_two() {
        let summary = Summary::of([4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(Middle::from(summary), Middle { q1: 1.75, median: 2.5, q3: 3.25 });
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
