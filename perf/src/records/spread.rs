//! A figure that was measured several times: its median, and an interval that holds the median of all measurements
//! that could have been made. It takes no view on how the figure is distributed, and knows nothing of what it is.

use serde::Serialize;
use splinter_harness::stats::{quantile, sorted};

/// The share of intervals that should hold the true median.
const WANTED: f64 = 0.95;

/// The median of some measurements, and an interval for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Spread {
    /// How many measurements there were.
    pub samples: usize,
    /// Their median.
    pub median: f64,
    /// The interval's lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Of such intervals, the share that holds the true median; 0 for one measurement, which tells nothing of it.
    pub coverage: f64,
}

impl Spread {
    /// Describes measurements; `None` where there are none. Those that are not finite are left out.
    ///
    /// The interval lies between two order statistics, as many from the bottom as from the top: the narrowest that
    /// holds the median in 95 % of cases, by the binomial distribution, or from the least to the greatest where no
    /// interval does (fewer than six measurements). After Conover, Practical Nonparametric Statistics, 3rd edition,
    /// section 3.2.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let sorted = sorted(values);
        let samples = sorted.len();
        let last = samples.checked_sub(1)?;
        let (rank, coverage) = interval(samples);
        Some(Self {
            samples,
            median: quantile(&sorted, 0.5),
            low: sorted[rank],
            high: sorted[last - rank],
            coverage,
        })
    }

    /// Tells whether two intervals have nothing in common; `None` unless each holds its median in 95 % of cases. Where
    /// nothing differs, the intervals of three measurements a side are apart one time in ten.
    #[must_use]
    pub fn apart(&self, other: &Self) -> Option<bool> {
        let known = self.coverage >= WANTED && other.coverage >= WANTED;
        known.then_some(self.high < other.low || other.high < self.low)
    }
}

/// Returns how many order statistics lie outside on either side, and the interval's coverage.
fn interval(samples: usize) -> (usize, f64) {
    // P(rank or fewer of n fall below the median), with fair coins.
    let mut term = 0.5_f64.powi(i32::try_from(samples).unwrap_or(i32::MAX));
    let mut tail = term;
    let mut best = (0, (1.0 - 2.0 * tail).max(0.0));
    for rank in 1..samples / 2 {
        term *= (samples - rank + 1) as f64 / rank as f64;
        tail += term;
        let coverage = 1.0 - 2.0 * tail;
        if coverage < WANTED {
            break;
        }
        best = (rank, coverage);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks, counted from 1, and coverages of the sign test's interval as tables of it have them, for example
    /// Hollander and Wolfe, Nonparametric Statistical Methods, table A.2 (binomial, p = 1/2).
    #[test]
    fn intervals_are_those_of_the_published_tables() {
        for (samples, lower_rank, coverage) in [
            (2, 1, 0.5),
            (3, 1, 0.75),
            (5, 1, 0.9375),
            (6, 1, 0.96875),
            (8, 1, 0.9922),
            (9, 2, 0.9609),
            (10, 2, 0.9785),
            (15, 4, 0.9648),
            (20, 6, 0.9586),
            (25, 8, 0.9567),
        ] {
            let (rank, found) = interval(samples);
            assert_eq!(rank + 1, lower_rank, "of {samples}");
            assert!((found - coverage).abs() < 1e-4, "of {samples}: {found}");
        }
    }

    #[test]
    fn the_interval_of_ten_leaves_the_least_and_the_greatest_out() {
        let spread = Spread::of((1..=10).rev().map(f64::from)).unwrap();
        assert_eq!((spread.low, spread.median, spread.high), (2.0, 5.5, 9.0));
    }

    #[test]
    fn one_measurement_has_no_interval() {
        let one = Spread::of([3.0]).unwrap();
        assert_eq!((one.samples, one.median, one.coverage), (1, 3.0, 0.0));
        let three = Spread::of([7.0, 9.0, 8.0, f64::NAN]).unwrap();
        assert_eq!((three.low, three.high, three.samples), (7.0, 9.0, 3));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn nothing_is_called_apart_by_fewer_measurements_than_make_an_interval_of_95_percent() {
        let of = |first: i32, count: i32| Spread::of((first..first + count).map(f64::from)).unwrap();
        let (low, high) = (of(0, 6), of(100, 6));
        assert_eq!((low.apart(&high), high.apart(&low)), (Some(true), Some(true)));
        assert_eq!(low.apart(&of(3, 6)), Some(false));
        assert_eq!((low.apart(&of(100, 5)), of(100, 1).apart(&low)), (None, None));
    }
}
