//! The last word: the candidate that was left and the default, on fresh runs. The search kept what looked best, so what it
//! saw of the winner is too good on average; only runs that had no part in the choice say what it is worth. Each round runs
//! both, in an order drawn by lot, and is one ratio.

use super::objective::Trial;
use super::search::{Executor, Rules, Runs, Stop};
use super::space::Candidate;
use crate::stats::bootstrap::bootstrap;
use crate::stats::median;
use crate::stats::power::minimum_detectable_effect;
use crate::stats::wilcoxon::{least_p, signed_rank};
use splinter_harness::rng::Rng;

/// Level of the test.
const ALPHA: f64 = 0.05;
/// How often the smallest effect that is called detectable is to be detected.
const POWER: f64 = 0.8;
/// Confidence of the intervals.
const LEVEL: f64 = 0.95;
/// Resamples of an interval.
const RESAMPLES: usize = 2000;

/// What the rounds were.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FinalComparison {
    /// The runs of the default and of the candidate, by round.
    pub(super) rounds: Vec<[Trial; 2]>,
    /// Why it ended before its end, if it did.
    pub(super) stopped: Option<String>,
}

/// What they say.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Outcome {
    /// ● Median gain in these rounds, its interval, and p.
    pub rounds: usize,
    pub gain_percent: f64,
    pub low_percent: f64,
    pub high_percent: f64,
    pub p: f64,
    /// ● The least gain that the rounds would show; change of p99.
    pub detectable_percent: Option<f64>,
    pub p99_percent: Option<f64>,
    /// ● Whether the candidate is better; why not.
    pub beats: bool,
    pub reason: Option<String>,
}

/// Runs the rounds.
pub(super) fn run<E: Executor>(
    candidate: &Candidate,
    rounds: usize,
    rules: &Rules,
    millis: u64,
    runs: &mut Runs<'_, E>,
) -> FinalComparison {
    let mut comparison = FinalComparison::default();
    // Another order than that of the search.
    let mut rng = Rng::new(rules.seed, 1);
    let sides = [Candidate::default(), candidate.clone()];
    for round in 1..=rounds {
        let mut order = [0, 1];
        rng.shuffle(&mut order);
        let mut trials = [None, None];
        for side in order {
            let what = format!("winner against default, round {round} of {rounds}");
            match runs.run(what, &sides[side], millis) {
                Ok(trial) => trials[side] = Some(trial),
                Err(Stop::Interrupted) => {
                    comparison.stopped = Some("interrupted".to_owned());
                    return comparison;
                }
                Err(Stop::Failed(why)) => {
                    comparison.stopped = Some(format!("{}: {why}", sides[side]));
                    return comparison;
                }
            }
        }
        if let [Some(default), Some(other)] = trials {
            comparison.rounds.push([default, other]);
        }
    }
    comparison
}

/// Judges the rounds; `None` when there is none to judge.
#[must_use]
pub(super) fn judge(comparison: &FinalComparison, rules: &Rules) -> Option<Outcome> {
    let rounds = &comparison.rounds;
    let gains: Vec<f64> =
        rounds.iter().filter_map(|[default, other]| rules.objective.gain(other, default)).collect();
    let interval = bootstrap(&gains, median, LEVEL, RESAMPLES, rules.seed)?;
    let p = signed_rank(&gains).p;
    let mut tails: Vec<f64> =
        rounds.iter().filter_map(|[default, other]| Some((other.p99_ns? / default.p99_ns?).ln())).collect();
    let tail = (!tails.is_empty()).then(|| median(&mut tails));
    let detectable = minimum_detectable_effect(interval.standard_error, gains.len(), ALPHA, POWER);
    let can_show = least_p(gains.len()) < ALPHA && detectable.is_finite();
    let reason = not_kept(rounds, rules).or_else(|| {
        if !can_show {
            return Some(format!("{} rounds are too few to show anything", gains.len()));
        }
        let gain = median(&mut gains.clone());
        let why = match () {
            () if gain <= 0.0 => "not ahead on fresh runs",
            () if interval.low <= 0.0 || p >= ALPHA => "its gain could be chance",
            () => return None,
        };
        Some(why.to_owned())
    });
    Some(Outcome {
        rounds: gains.len(),
        gain_percent: percent(median(&mut gains.clone())),
        low_percent: percent(interval.low),
        high_percent: percent(interval.high),
        p,
        detectable_percent: can_show.then(|| percent(detectable)),
        p99_percent: tail.map(percent),
        beats: reason.is_none(),
        reason,
    })
}

/// Tells what the candidate did not keep: broken nothing and counted in every run, its bounds in half of them.
fn not_kept(rounds: &[[Trial; 2]], rules: &Rules) -> Option<String> {
    let faults: Vec<String> =
        rounds.iter().filter_map(|[default, other]| rules.constraints.check(other, default).err()).collect();
    let graver = rounds.iter().map(|[_, other]| other);
    let grave = graver
        .filter(|trial| trial.broken > 0 || trial.unfit.is_some())
        .find_map(|trial| rules.constraints.check(trial, trial).err());
    grave.or_else(|| {
        let most = 2 * faults.len() > rounds.len();
        most.then(|| format!("{} in most rounds", faults[0]))
    })
}

fn percent(log: f64) -> f64 {
    100.0 * (log.exp() - 1.0)
}
