//! The paired comparison: two things that were sampled in the same rounds, as one ratio a round, so that what disturbs a
//! round disturbs both sides of its ratio. Says how far the ratios spread, whether they keep to a target, and whether they
//! differ from 1 by more than chance. Pure.

use super::bootstrap::bootstrap;
use super::power::minimum_detectable_effect;
use super::wilcoxon::{least_p, signed_rank};
use super::{Middle, Summary, median};

/// Level of the tests.
pub const ALPHA: f64 = 0.05;
/// How often the smallest effect that is called detectable is to be detected.
const POWER: f64 = 0.8;
/// Confidence of the intervals.
const LEVEL: f64 = 0.95;
/// Resamples of an interval.
const RESAMPLES: usize = 2000;

/// How far beyond a limit a median may lie and still count as equal: both are medians of samples with a spread.
const EQUAL: f64 = 0.05;

/// The ratios of one thing to another, one a round. They are greater than 0, as times and rates are: a change is tested on
/// their logarithms. A difference, which may be less than nothing, has no place here; [`Summary`] has its quartiles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Paired {
    ratios: Vec<f64>,
}

impl FromIterator<f64> for Paired {
    /// Collects ratios. Those that are not finite, or are 0, are left out: they have no logarithm, and come of a round in
    /// which one of the two had nothing.
    ///
    /// # Panics
    /// In a debug build, for a ratio below 0: leaving it out would shift the middle of what is left.
    fn from_iter<I: IntoIterator<Item = f64>>(ratios: I) -> Self {
        let has_logarithm = |ratio: &f64| {
            debug_assert!(ratio.is_nan() || *ratio >= 0.0, "{ratio} is a ratio of a difference");
            ratio.is_finite() && *ratio > 0.0
        };
        Self { ratios: ratios.into_iter().filter(has_logarithm).collect() }
    }
}

impl Paired {
    /// Divides values by what was measured beside them, round by round. A round that lacks one of them does not count.
    #[must_use]
    pub fn of(
        values: impl IntoIterator<Item = Option<f64>>,
        against: impl IntoIterator<Item = Option<f64>>,
    ) -> Self {
        let rounds = values.into_iter().zip(against);
        rounds.filter_map(|(value, against)| Some(value? / against?)).collect()
    }

    /// Returns the middle half of the ratios; `None` without any.
    #[must_use]
    pub fn middle(&self) -> Option<Middle> {
        Summary::of(self.ratios.iter().copied()).map(Middle::from)
    }

    /// Tests whether the two differ; `None` without a ratio. Equal seeds give equal intervals.
    #[must_use]
    pub fn change(&self, seed: u64) -> Option<Change> {
        let mut logs: Vec<f64> = self.ratios.iter().map(|ratio| ratio.ln()).collect();
        let interval = bootstrap(&logs, median, LEVEL, RESAMPLES, seed)?;
        Some(Change {
            rounds: logs.len(),
            p: signed_rank(&logs).p,
            median: median(&mut logs),
            low: interval.low,
            high: interval.high,
            standard_error: interval.standard_error,
        })
    }
}

/// By how much one thing differs from another. Differences are logarithms of ratios: 0 is none, and a half is as far from
/// it as the double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Rounds that count.
    pub rounds: usize,
    /// Two-sided p-value of the signed-rank test.
    pub p: f64,
    /// The median over the rounds.
    pub median: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    standard_error: f64,
}

impl Change {
    /// Returns the smallest difference that so many rounds, as different as these, would have shown at a level; `None`
    /// where they are too few to show any.
    #[must_use]
    pub fn detectable(&self, alpha: f64) -> Option<f64> {
        let effect = minimum_detectable_effect(self.standard_error, self.rounds, alpha, POWER);
        (least_p(self.rounds) < alpha && effect.is_finite()).then_some(effect)
    }
}

/// Returns a logarithm of a ratio as a change in percent.
#[must_use]
pub fn percent(log: f64) -> f64 {
    100.0 * (log.exp() - 1.0)
}

/// Whether a ratio must not exceed its target, or must reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The ratio is at most the target.
    AtMost,
    /// The ratio is at least the target.
    AtLeast,
}

impl Bound {
    /// Says whether a ratio keeps to a target.
    #[must_use]
    pub fn holds(self, ratio: f64, target: f64) -> bool {
        match self {
            Self::AtMost => ratio <= target,
            Self::AtLeast => ratio >= target,
        }
    }

    /// Judges a ratio by its target; it is clear where the middle half of the rounds' ratios lies on the same side.
    #[must_use]
    pub fn judge(self, ratio: f64, middle: Option<Middle>, target: f64) -> Judgement {
        let met = self.holds(ratio, target);
        let same_side = |it: Middle| [it.q1, it.q3].iter().all(|&end| self.holds(end, target) == met);
        Judgement { met, clear: middle.is_none_or(same_side) }
    }

    /// Tells whether a value, as a multiple of a limit of the machine, is better than the machine can do.
    #[must_use]
    pub fn is_beyond_limit(self, multiple: f64) -> bool {
        match self {
            Self::AtMost => multiple < 1.0 - EQUAL,
            Self::AtLeast => multiple > 1.0 + EQUAL,
        }
    }

    /// Returns the words used in tables and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AtMost => "at most",
            Self::AtLeast => "at least",
        }
    }
}

/// Whether a target is met, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether it is met.
    pub met: bool,
    /// Whether the spread of the rounds leaves no doubt.
    pub clear: bool,
}

impl Judgement {
    /// Returns the words used in tables and records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match (self.met, self.clear) {
            (true, true) => "met",
            (true, false) => "met, closely",
            (false, false) => "missed, closely",
            (false, true) => "MISSED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let values = [Some(2.0), Some(40.0), None, Some(3.0)];
        let limits = [Some(1.0), Some(20.0), Some(1.0), None];
        let middle = Some(Middle { q1: 2.0, median: 2.0, q3: 2.0 });
        assert_eq!(Paired::of(values, limits).middle(), middle);
        assert_eq!(Paired::of([], limits).middle(), None);
        let nothing = [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)];
        for (value, limit) in nothing {
            assert_eq!(Paired::of([Some(value)], [Some(limit)]), Paired::default());
        }
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "-0.5 is a ratio of a difference")]
    fn a_difference_below_nothing_is_refused() {
        let _ = Paired::of([Some(1.0), Some(-1.0)], [Some(2.0), Some(2.0)]);
    }

    #[test]
    fn a_judgement_is_clear_when_the_middle_half_is_on_one_side() {
        let judge = |bound: Bound, [q1, median, q3]: [f64; 3], target| {
            bound.judge(median, Some(Middle { q1, median, q3 }), target).word()
        };
        let at_most = |middle| judge(Bound::AtMost, middle, 1.15);
        assert_eq!(at_most([1.0, 1.1, 1.14]), "met");
        assert_eq!(at_most([1.0, 1.1, 1.3]), "met, closely");
        assert_eq!(at_most([1.0, 1.2, 1.3]), "missed, closely");
        assert_eq!(at_most([1.2, 1.3, 1.4]), "MISSED");
        let at_least = |middle| judge(Bound::AtLeast, middle, 0.5);
        assert_eq!(at_least([0.5, 0.6, 0.7]), "met");
        assert_eq!(at_least([0.4, 0.6, 0.7]), "met, closely");
        assert_eq!(at_least([0.3, 0.4, 0.6]), "missed, closely");
        assert_eq!(at_least([0.3, 0.4, 0.45]), "MISSED");
        assert!(Bound::AtMost.judge(1.0, None, 2.0).clear);
    }

    #[test]
    fn bounds_include_their_target_and_limits_have_a_spread() {
        assert!(Bound::AtMost.holds(3.0, 3.0) && !Bound::AtMost.holds(3.01, 3.0));
        assert!(Bound::AtLeast.holds(0.5, 0.5) && !Bound::AtLeast.holds(0.49, 0.5));
        assert!(Bound::AtMost.is_beyond_limit(0.94) && !Bound::AtMost.is_beyond_limit(0.96));
        assert!(Bound::AtLeast.is_beyond_limit(1.06) && !Bound::AtLeast.is_beyond_limit(1.04));
    }

    #[test]
    fn a_change_that_all_rounds_agree_on_is_shown_and_a_half_is_as_far_as_a_double() {
        let around = |factor: f64| (0..15).map(move |round| factor * (1.0 + 0.001 * f64::from(round % 5)));
        let [double, half] = [2.0, 0.5].map(|factor| around(factor).collect::<Paired>().change(1).unwrap());
        for change in [double, half] {
            assert_eq!(change.rounds, 15);
            assert!(change.p < 0.001 && change.low <= change.median && change.median <= change.high);
            assert!(change.detectable(ALPHA).unwrap() < 0.01, "{change:?}");
        }
        assert!((double.median + half.median - 2.0 * 1.002_f64.ln()).abs() < 1e-9);
        assert!((percent(double.median) - 100.4).abs() < 1e-9);
    }

    #[test]
    fn where_nothing_differs_nothing_is_shown_and_few_rounds_show_nothing() {
        let alike: Paired = (0..20).map(|round| if round % 2 == 0 { 2.0 } else { 0.5 }).collect();
        let change = alike.change(1).unwrap();
        assert!(change.p > 0.5 && change.low < 0.0 && change.high > 0.0, "{change:?}");
        let few: Paired = [2.0, 2.1, 2.2, 2.3].into_iter().collect();
        assert_eq!(few.change(1).unwrap().detectable(ALPHA), None);
        assert_eq!(Paired::default().change(1), None);
    }
}
