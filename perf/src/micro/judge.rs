//! From samples to judgements: puts each claim beside the series of its rounds. Pure: the tests feed it samples.

use super::goal::{Against, Claim, Term};
use crate::limits::Limit;
use splinter_harness::counters::PerOperation;
use splinter_harness::environment::{Environment, settle};
use splinter_harness::sampler::Series;
use splinter_harness::stats::paired::Judgement;
use splinter_harness::stats::{Middle, Summary};
use splinter_harness::verdict::Verdict;

/// One row of the table, measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The claim.
    pub claim: Claim,
    /// The measured value, if there is one.
    pub value: Option<Summary>,
    /// What it is held against: the sum of the medians of the goal's terms.
    pub limit: Option<f64>,
    /// The median value over that limit.
    pub ratio: Option<f64>,
    /// The middle half of the ratios taken round by round, value and limits from the same round.
    pub ratio_quartiles: Option<Middle>,
    /// Whether the goal is met; `None` where that cannot be told on this machine.
    pub met: Option<bool>,
    /// The kernel's counters of one operation; empty where it lets none be read.
    pub per_operation: PerOperation,
    /// Why there is no value, no limit or no judgement.
    pub problem: Option<String>,
}

/// Judges a table by its rows: it fails where a goal is missed, and passes where all are met, clear of the spread of the
/// samples. Otherwise a row could not be judged, or its ratios lie on both sides of the target.
#[must_use]
pub fn verdict(rows: &[Row]) -> Verdict {
    let clear = |row: &Row, met| row.judgement() == Some(Judgement { met, clear: true });
    if rows.iter().any(|row| clear(row, false)) {
        Verdict::Fail
    } else if rows.iter().all(|row| clear(row, true)) {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    }
}

/// Judges a table and whether it was disturbed: then only an operation that failed is a verdict.
#[must_use]
pub fn settled(rows: &[Row], environment: &Environment) -> (Verdict, Vec<String>) {
    let (mut judged, mut reasons) = (verdict(rows), Vec::new());
    let failed = |row: &Row| row.met == Some(false) && row.problem.is_some();
    if !environment.disturbances.is_empty() && !rows.iter().any(failed) {
        judged = Verdict::Inconclusive;
    }
    settle(&mut judged, &mut reasons, environment);
    (judged, reasons)
}

impl Row {
    /// Judges one claim by the series of the rounds. An operation that failed misses its goal; one that was never
    /// sampled, or whose limit is missing, is not judged.
    #[must_use]
    pub fn judge(claim: Claim, series: &[Series]) -> Self {
        let find = |name: &str| series.iter().find(|series| series.name == name);
        let own = find(&claim.name);
        let value = own.and_then(Series::summary);
        let failed = own.and_then(|own| own.error.clone());
        let limit = limit(&claim.goal.against, |name| find(name)?.bound());
        let ratio = value.zip(limit.as_ref().ok().copied()).map(|(value, limit)| value.median / limit);
        let limits = (0..).map(|round| {
            let sample = |name: &str| *find(name)?.samples.get(round)?;
            self::limit(&claim.goal.against, sample).ok()
        });
        let values = own.into_iter().flat_map(|own| own.samples.iter().copied());
        // A difference may be less than nothing in some rounds.
        let ratios = values.zip(limits).filter_map(|(value, limit)| Some(value? / limit?));
        let ratio_quartiles =
            Summary::of(ratios.filter(|ratio| ratio.is_finite())).map(Middle::from).filter(|_| limit.is_ok());
        let too_fast = value
            .zip(dearest_limit(&claim, |name| find(name)?.bound()))
            .filter(|(value, limit)| claim.goal.bound.is_beyond_limit(value.median / limit))
            .map(|(_, limit)| {
                let limit = claim.unit.show(limit);
                format!("faster than the machine can: {limit} is the limit")
            });
        let problem = match (&failed, &limit) {
            (Some(error), _) => Some(error.clone()),
            _ if claim.not_comparable.is_some() => claim.not_comparable.clone(),
            _ if value.is_none() => Some("not measured".to_owned()),
            (None, Err(missing)) => Some(match find(missing).and_then(|it| it.error.as_deref()) {
                Some(why) => format!("no limit to compare with: {missing} is {why}"),
                None => format!("no limit to compare with: {missing} is missing"),
            }),
            (None, Ok(_)) => too_fast.clone(),
        };
        let open = claim.not_comparable.is_some() || too_fast.is_some();
        let met = match (&failed, open, ratio) {
            (Some(_), _, _) => Some(false),
            (None, false, Some(ratio)) => Some(claim.goal.bound.holds(ratio, claim.goal.target)),
            (None, _, _) => None,
        };
        Self {
            claim,
            value,
            limit: limit.ok(),
            ratio,
            ratio_quartiles,
            met,
            per_operation: PerOperation::new(),
            problem,
        }
    }

    /// Says whether the goal is met, and how sure that is: an operation that failed misses it for sure.
    #[must_use]
    pub fn judgement(&self) -> Option<Judgement> {
        let (met, goal) = (self.met?, &self.claim.goal);
        match self.ratio.filter(|_| self.problem.is_none()) {
            Some(ratio) => Some(goal.bound.judge(ratio, self.ratio_quartiles, goal.target)),
            None => Some(Judgement { met, clear: true }),
        }
    }
}

/// Returns what an operation costs at least: the dearest of the machine's limits that it is held against, once.
fn dearest_limit(claim: &Claim, value: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let Against::Measured(terms) = &claim.goal.against else {
        return None;
    };
    let is_limit = |term: &&Term| Limit::ALL.iter().any(|limit| limit.name() == term.series);
    let values = terms.iter().filter(is_limit);
    values.filter_map(|term| value(&term.series)).reduce(f64::max)
}

/// Adds the terms up; the name of the first one missing otherwise.
fn limit(against: &Against, value: impl Fn(&str) -> Option<f64>) -> Result<f64, String> {
    match against {
        Against::Figure(figure) => Ok(*figure),
        Against::Measured(terms) => terms
            .iter()
            .map(|term| {
                value(&term.series).map(|value| term.factor * value).ok_or_else(|| term.series.clone())
            })
            .sum(),
    }
}

/// Judged rows for the tests of what is made of them.
#[cfg(test)]
pub(super) mod samples {
    use super::super::goal::{Claim, Goal};
    use super::{Row, Series};
    use crate::limits::Limit;
    use crate::unit::Unit;
    use splinter_harness::stats::paired::Bound;

    /// Returns a row that is met, one that was not measured, and one with a note.
    pub(in super::super) fn rows() -> Vec<Row> {
        let all = [
            Series::of("get 64 B", [9.0, 10.0]),
            Series::of("L2 chase", [4.0, 4.0]),
            Series::of("writers", [30e6]),
        ];
        let get = Claim::new("get 64 B", Unit::Nanoseconds, Goal::at_most(3.0, Limit::L2Chase));
        let set = Claim::new("set 64 B", Unit::Nanoseconds, Goal::at_most(3.0, Limit::Cmpxchg));
        let writers =
            Claim::new("writers", Unit::PerSecond, Goal::figure(Bound::AtLeast, 25e6)).note("per two");
        [get, set, writers].map(|claim| Row::judge(claim, &all)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::super::goal::{Claim, Goal};
    use super::{Environment, Middle, Row, Series, Verdict, settled, verdict};
    use crate::limits::Limit;
    use crate::unit::Unit;
    use splinter_harness::disturbance::{Cause, Disturbance};
    use splinter_harness::stats::paired::Bound;

    fn get(goal: Goal) -> Claim {
        Claim::new("get", Unit::Nanoseconds, goal)
    }

    #[test]
    fn the_ratio_is_the_median_over_the_median_limit() {
        let all = [Series::of("get", [9.0, 10.0, 30.0]), Series::of("L2 chase", [4.0, 4.0, 5.0])];
        let row = Row::judge(get(Goal::at_most(3.0, Limit::L2Chase)), &all);
        assert_eq!((row.value.unwrap().median, row.limit, row.ratio), (10.0, Some(4.0), Some(2.5)));
        assert_eq!((row.met, row.problem.as_deref()), (Some(true), None));
    }

    #[test]
    fn quartiles_pair_the_samples_of_one_round() {
        let all = [Series::of("get", [2.0, 4.0, 8.0]), Series::of("L2 chase", [1.0, 2.0, 4.0])];
        let row = Row::judge(get(Goal::at_most(3.0, Limit::L2Chase)), &all);
        assert_eq!(
            row.ratio_quartiles,
            Some(Middle { q1: 2.0, median: 2.0, q3: 2.0 }),
            "a machine that slows down moves both alike"
        );
    }

    #[test]
    fn quartiles_have_the_rounds_in_which_a_difference_is_negative_or_nothing() {
        let row = Row::judge(get(Goal::figure(Bound::AtMost, 2.0)), &[Series::of("get", [-2.0, 0.0, 1.0])]);
        let middle = Middle { q1: -0.5, median: 0.0, q3: 0.25 };
        assert_eq!((row.ratio, row.ratio_quartiles, row.met), (Some(0.0), Some(middle), Some(true)));
    }

    #[test]
    fn a_composite_limit_is_the_sum_of_its_terms() {
        let all =
            [Series::of("get", [30.0]), Series::of("L2 chase", [4.0]), Series::of("memcpy 1 KiB", [10.0])];
        let goal = Goal::within(&[(3.0, Limit::L2Chase), (3.0, Limit::Memcpy1Kib)]);
        let row = Row::judge(get(goal), &all);
        assert_eq!((row.limit, row.met), (Some(42.0), Some(true)));
    }

    #[test]
    fn a_rate_must_reach_its_share_of_the_limit() {
        let all = [Series::of("get", [40.0]), Series::of("base", [100.0])];
        let row = Row::judge(get(Goal::of_series(Bound::AtLeast, 0.5, "base")), &all);
        assert_eq!((row.ratio, row.met), (Some(0.4), Some(false)));
        let row = Row::judge(get(Goal::figure(Bound::AtLeast, 25.0)), &all);
        assert_eq!((row.ratio, row.met), (Some(1.6), Some(true)));
    }

    #[test]
    fn a_failed_row_misses_and_an_unmeasured_row_is_not_judged() {
        let mut failed = Series::of("get", [1.0]);
        failed.error = Some("the store is full".to_owned());
        let chase = Series::of("L2 chase", [4.0]);
        let goal = || Goal::at_most(3.0, Limit::L2Chase);
        let row = Row::judge(get(goal()), &[failed, chase.clone()]);
        assert_eq!((row.met, row.problem.as_deref()), (Some(false), Some("the store is full")));
        assert_eq!(verdict(&[row]), Verdict::Fail);
        let row = Row::judge(get(goal()), &[chase]);
        assert_eq!((row.met, row.problem.as_deref()), (None, Some("not measured")));
        let row = Row::judge(get(goal()), &[Series::of("get", [1.0])]);
        assert_eq!(row.met, None);
        assert!(row.problem.as_deref().unwrap().contains("L2 chase is missing"));
        assert_eq!(verdict(&[row]), Verdict::Inconclusive);
    }

    #[test]
    fn nothing_is_judged_against_an_implausible_limit() {
        let mut chase = Series::of("L2 chase", [40.0]);
        chase.error = Some("implausible: 40.0 ns a load, L3 chase takes 30.0 ns".to_owned());
        let all = [Series::of("get", [50.0]), chase];
        let row = Row::judge(get(Goal::at_most(3.0, Limit::L2Chase)), &all);
        assert_eq!((row.met, row.limit, row.ratio), (None, None, None));
        assert_eq!(row.ratio_quartiles, None);
        let why = row.problem.as_deref().unwrap();
        assert!(why.contains("implausible: 40.0 ns a load"), "{why}");
        assert_eq!(verdict(&[row]), Verdict::Inconclusive);
    }

    #[test]
    fn a_value_below_its_limit_is_faster_than_the_machine_can_and_not_judged() {
        let judge = |get_ns: [f64; 3]| {
            let all = [
                Series::of("get", get_ns),
                Series::of("L2 chase", [4.0; 3]),
                Series::of("memcpy 1 KiB", [10.0; 3]),
            ];
            let sum = Goal::within(&[(3.0, Limit::L2Chase), (3.0, Limit::Memcpy1Kib)]);
            [Goal::at_most(3.0, Limit::L2Chase), sum].map(|goal| Row::judge(get(goal), &all).met)
        };
        assert_eq!(judge([2.0; 3]), [None, None]);
        // No faster than the dearest of what it cannot do without, though far within the sum's target.
        assert_eq!(judge([11.0; 3]), [Some(true), Some(true)]);
        assert_eq!(judge([9.0; 3]), [Some(true), None]);
        // Within the spread of equal figures.
        assert_eq!(judge([3.9; 3])[0], Some(true));
    }

    #[test]
    fn a_rate_above_its_limit_is_not_judged() {
        let all = [Series::of("inc", [120.0]), Series::of("xadd, 32 threads on one line", [100.0])];
        let goal = Goal::at_least(0.5, Limit::XaddCrowd);
        let row = Row::judge(Claim::new("inc", Unit::PerSecond, goal), &all);
        assert_eq!(row.met, None);
        assert!(row.problem.unwrap().contains("faster than the machine can"));
    }

    #[test]
    fn a_disturbed_table_is_no_pass_and_no_miss_but_a_failure_stays_one() {
        let mut environment = Environment::read();
        let mut failed = Series::of("get", [1.0]);
        failed.error = Some("the store is full".to_owned());
        let tables = [Series::of("get", [5.0]), Series::of("get", [50.0]), failed].map(|get| {
            let all = [get, Series::of("L2 chase", [4.0])];
            [Row::judge(super::tests::get(Goal::at_most(3.0, Limit::L2Chase)), &all)]
        });
        let verdicts = |environment: &Environment| tables.each_ref().map(|rows| settled(rows, environment).0);
        let (pass, fail, open) = (Verdict::Pass, Verdict::Fail, Verdict::Inconclusive);
        assert_eq!(verdicts(&environment), [pass, fail, fail]);
        environment.disturbances = vec![Disturbance { cause: Cause::OtherLoad, ms: 900, share: 0.45 }];
        assert_eq!(verdicts(&environment), [open, open, fail]);
        assert!(settled(&tables[0], &environment).1[0].starts_with("DISTURBED because"));
    }

    #[test]
    fn an_incomparable_row_has_a_ratio_and_no_judgement() {
        let all = [Series::of("get", [10.0]), Series::of("L2 chase", [4.0])];
        let claim = get(Goal::at_most(3.0, Limit::L2Chase)).not_comparable("one processor");
        let row = Row::judge(claim, &all);
        assert_eq!((row.ratio, row.met, row.problem.as_deref()), (Some(2.5), None, Some("one processor")));
    }

    #[test]
    fn a_spread_across_the_target_is_no_pass_and_no_fail() {
        let chase = Series::of("L2 chase", [1.0; 5]);
        let judge = |samples: [f64; 5]| {
            let row = Row::judge(
                get(Goal::at_most(3.0, Limit::L2Chase)),
                &[Series::of("get", samples), chase.clone()],
            );
            (row.met, verdict(&[row]))
        };
        assert_eq!(judge([2.0, 2.1, 2.2, 2.3, 9.0]), (Some(true), Verdict::Pass));
        assert_eq!(judge([2.0, 2.1, 2.2, 4.0, 9.0]), (Some(true), Verdict::Inconclusive));
        assert_eq!(judge([2.0, 2.1, 3.2, 4.0, 9.0]), (Some(false), Verdict::Inconclusive));
        assert_eq!(judge([2.0, 3.1, 3.2, 4.0, 9.0]), (Some(false), Verdict::Fail));
    }
}
