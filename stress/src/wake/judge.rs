//! From samples to rows: percentiles of all messages, and ratios taken round by round, value and limit
//! from the same round, so that what disturbs a round disturbs both. Pure.

use serde::{Deserialize, Serialize};
use splinter_harness::stats::{quantile, sorted};

/// The middle of some figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Middle {
    /// First quartile.
    pub q1: f64,
    /// Median.
    pub median: f64,
    /// Third quartile.
    pub q3: f64,
}

impl Middle {
    /// Returns the middle of figures, if there are any.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let sorted = sorted(figures);
        (!sorted.is_empty()).then(|| Self {
            q1: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            q3: quantile(&sorted, 0.75),
        })
    }
}

/// Returns the middle of the ratios of figures to limits, round by round. A round that lacks one of
/// them does not count.
#[must_use]
pub(crate) fn ratios(values: &[Option<f64>], limits: &[Option<f64>]) -> Option<Middle> {
    let pairs = values.iter().zip(limits);
    Middle::of(pairs.filter_map(|(value, limit)| Some((*value)? / (*limit)?)))
}

/// The least ratio that can be: a limit is the least that the kernel or the processor takes, and both are medians of samples
/// with a spread.
const LEAST: f64 = 0.95;

impl Middle {
    /// Tells whether most rounds were faster than the limit allows, so that their ratio says nothing.
    #[must_use]
    pub fn is_too_fast(&self) -> bool {
        self.q3 < LEAST
    }
}

/// What is to be said of a ratio and its target.
#[must_use]
pub(crate) fn judgement(ratio: Option<Middle>, target: Option<f64>) -> &'static str {
    let (Some(ratio), Some(target)) = (ratio, target) else {
        return "";
    };
    if ratio.is_too_fast() {
        return "inconclusive: faster than its limit";
    }
    match (ratio.median <= target, ratio.q1 <= target, ratio.q3 <= target) {
        (true, _, true) => "met",
        (true, _, false) => "met, closely",
        (false, true, _) => "missed, closely",
        (false, false, _) => "MISSED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn middle(q1: f64, median: f64, q3: f64) -> Option<Middle> {
        Some(Middle { q1, median, q3 })
    }

    #[test]
    fn quartiles_are_those_of_the_sorted_figures() {
        assert_eq!(Middle::of([9.0, 1.0, 5.0, 3.0, 7.0]), middle(3.0, 5.0, 7.0));
        assert_eq!(Middle::of([4.0, 1.0, 2.0, 3.0]), middle(1.75, 2.5, 3.25));
        assert_eq!(Middle::of([f64::NAN, 2.0]), middle(2.0, 2.0, 2.0));
        assert_eq!(Middle::of([]), None);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let values = [Some(2.0), Some(40.0), None, Some(3.0)];
        let limits = [Some(1.0), Some(20.0), Some(1.0), None];
        assert_eq!(ratios(&values, &limits), middle(2.0, 2.0, 2.0));
        assert_eq!(ratios(&[], &limits), None);
    }

    #[test]
    fn a_judgement_is_clear_when_the_middle_half_is_on_one_side() {
        let judge = |ratio, target| judgement(ratio, Some(target));
        assert_eq!(judge(middle(1.0, 1.1, 1.14), 1.15), "met");
        assert_eq!(judge(middle(1.0, 1.1, 1.3), 1.15), "met, closely");
        assert_eq!(judge(middle(1.0, 1.2, 1.3), 1.15), "missed, closely");
        assert_eq!(judge(middle(1.2, 1.3, 1.4), 1.15), "MISSED");
        assert_eq!(judge(middle(0.93, 0.96, 1.01), 1.15), "met");
        assert_eq!(judge(middle(0.4, 0.5, 0.6), 1.15), "inconclusive: faster than its limit");
        assert_eq!(judge(None, 1.15), "");
        assert_eq!(judgement(middle(1.0, 1.0, 1.0), None), "");
    }
}
