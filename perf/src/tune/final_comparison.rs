//! The last word: the candidate that was left and the default, on fresh runs. The search kept what looked best, so what it
//! saw of the winner is too good on average; only runs that had no part in the choice say what it is worth. Each round runs
//! both, in an order drawn by lot, and is one ratio.

use super::objective::Trial;
use super::search::{Executor, Rules, Runs};
use super::space::Candidate;
use splinter_harness::sampler::{Schedule, Step, Stop, Subject, sample};
use splinter_harness::stats::median;
use splinter_harness::stats::paired::{ALPHA, Paired, percent};

/// What the rounds were.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FinalComparison {
    /// The runs of the default and of the candidate, by round.
    pub(super) rounds: Vec<[Trial; 2]>,
    /// Why it ended before its end, if it did.
    pub(super) stopped: Option<String>,
}

/// What they say.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
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
    let sides = [Candidate::default(), candidate.clone()];
    let subjects = sides.each_ref().map(|side| Subject::new(side.to_string()));
    let schedule =
        Schedule { rounds: u32::try_from(rounds).unwrap_or(u32::MAX), seed: rules.seed, warm_up: false };
    let mut stopped = None;
    let take = &mut |step: Step<'_>| {
        let what = format!("winner against default, round {} of {rounds}", step.round);
        runs.run(what, &sides[step.subject], millis).map_err(|stop| {
            stopped = Some(match stop {
                Stop::Interrupted => "interrupted".to_owned(),
                Stop::Failed(why) => format!("{}: {why}", step.name),
            });
            // One side alone compares with nothing.
            Stop::Interrupted
        })
    };
    let sampled = sample(&subjects, &schedule, take, &mut |_| true);
    let mut sides = sampled.series.into_iter().map(|series| series.samples.into_iter().flatten());
    let both = sides.next().into_iter().flatten().zip(sides.next().into_iter().flatten());
    FinalComparison { rounds: both.map(|(default, other)| [default, other]).collect(), stopped }
}

/// Judges the rounds; `None` when there is none to judge.
#[must_use]
pub(super) fn judge(comparison: &FinalComparison, rules: &Rules) -> Option<Outcome> {
    let rounds = &comparison.rounds;
    let gains = rounds.iter().filter_map(|[default, other]| rules.objective.gain(other, default));
    let gain = gains.map(f64::exp).collect::<Paired>().change(rules.seed)?;
    let mut tails: Vec<f64> =
        rounds.iter().filter_map(|[default, other]| Some((other.p99_ns? / default.p99_ns?).ln())).collect();
    let tail = (!tails.is_empty()).then(|| median(&mut tails));
    let detectable = gain.detectable(ALPHA);
    let reason = not_kept(rounds, rules).or_else(|| {
        if detectable.is_none() {
            return Some(format!("{} rounds are too few to show anything", gain.rounds));
        }
        let why = match () {
            () if gain.median <= 0.0 => "not ahead on fresh runs",
            () if gain.low <= 0.0 || gain.p >= ALPHA => "its gain could be chance",
            () => return None,
        };
        Some(why.to_owned())
    });
    Some(Outcome {
        rounds: gain.rounds,
        gain_percent: percent(gain.median),
        low_percent: percent(gain.low),
        high_percent: percent(gain.high),
        p: gain.p,
        detectable_percent: detectable.map(percent),
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
