//! The best settings for a machine and a load: a search among [candidates](space), then its winner against the default on
//! fresh runs, then a profile. The pipeline in this file knows no clock, no store and no file: an
//! [`Executor`] runs what it asks for, and the tests hand it one that makes its figures up.

mod final_comparison;
pub mod objective;
pub mod record;
mod search;
pub mod space;
pub mod table;
pub mod this_machine;

pub use final_comparison::Outcome;
pub use search::{Executor, Rung, Step, Stop, runs};

use objective::{Bound, Constraints, Objective};
use record::{Proof, Row, Tried, Tuned};
use search::{Entry, Found, Rules, Runs};
use serde::Serialize;
use space::{Candidate, Space};
use splinter::Scrub;
use splinter_harness::verdict::Verdict;
use splinter_stress::Workload;

/// The plan of a search: its load, and how thorough it is.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Plan {
    /// The load, as it is by default.
    pub workload: Workload,
    /// The objective.
    pub objective: Objective,
    /// The longest 99th percentile.
    pub p99: Bound,
    /// The least share of the default's goodput.
    pub goodput_share: f64,
    /// The scrub level that must be promised at least.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub least_scrub: Scrub,
    /// Most candidates.
    pub candidates: usize,
    /// Length of one run of the search, in milliseconds.
    pub search_ms: u64,
    /// Rounds in which the winner is held against the default.
    pub rounds: usize,
    /// Length of one of their runs, in milliseconds.
    pub run_ms: u64,
    /// Whether it is a first look only.
    pub quick: bool,
    /// Seed of all random choices.
    pub seed: u64,
}

fn as_text<S: serde::Serializer>(level: &Scrub, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(level)
}

impl Plan {
    fn rules(&self) -> Rules {
        Rules {
            objective: self.objective,
            constraints: Constraints { p99: self.p99, goodput_share: self.goodput_share },
            millis: self.search_ms,
            seed: self.seed,
        }
    }
}

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// A candidate is better than the default.
    Winner,
    /// None is, as far as could be shown.
    NothingBeatsTheDefault,
    /// It ended before that could be told.
    Unfinished,
}

/// Tunes a workload.
pub fn tune(plan: &Plan, space: &Space, executor: &mut impl Executor) -> Tuned {
    let rules = plan.rules();
    let candidates = space.draw(plan.candidates, &plan.workload, plan.seed);
    let mut runs = Runs {
        executor,
        done: 0,
        total: search::runs(candidates.len()) + 2 * plan.rounds,
        broken: 0,
        proved: false,
    };
    let mut tuned = Tuned::new(plan, space);
    let found = search::search(candidates, &rules, &mut runs);
    let comparison = found.winner().map(|winner| {
        runs.total = runs.done + 2 * plan.rounds;
        let comparison =
            final_comparison::run(&winner.candidate, plan.rounds, &rules, plan.run_ms, &mut runs);
        (winner.candidate.clone(), comparison)
    });
    tuned.tell_of(&found, plan.objective);
    tuned.reasons.extend(found.stopped.clone());
    let mut best = Candidate::default();
    match comparison {
        Some((candidate, comparison)) => {
            tuned.reasons.extend(comparison.stopped.clone());
            tuned.rows = Row::both(&candidate, &comparison.rounds, plan.objective);
            tuned.outcome = final_comparison::judge(&comparison, &rules);
            let beats = tuned.outcome.as_ref().is_some_and(|outcome| outcome.beats);
            tuned.finding = match () {
                () if comparison.stopped.is_some() => Finding::Unfinished,
                () if beats => Finding::Winner,
                () => Finding::NothingBeatsTheDefault,
            };
            if tuned.finding == Finding::Winner {
                best = candidate;
                if !plan.workload.oracle {
                    tuned.proof = Some(prove(&best, plan, &mut runs));
                }
            }
        }
        None if found.stopped.is_some() => tuned.finding = Finding::Unfinished,
        None => tuned.finding = Finding::NothingBeatsTheDefault,
    }
    tuned.broken = runs.broken;
    tuned.runs = runs.done;
    if let Some(why) = tuned.proof.as_ref().and_then(|proof| proof.error.clone()) {
        tuned.finding = Finding::Unfinished;
        tuned.reasons.push(format!("the winner is not proved: {why}"));
    }
    tuned.verdict = match (tuned.broken, tuned.finding) {
        (1.., _) => Verdict::Fail,
        (_, Finding::Unfinished) => Verdict::Inconclusive,
        _ => Verdict::Pass,
    };
    if tuned.broken > 0 {
        let broken = format!("{} broken invariants", tuned.broken);
        tuned.reasons.insert(0, broken);
    }
    if tuned.verdict == Verdict::Pass {
        tuned.profile = profile(plan, &best);
    }
    tuned
}

/// Runs a winner once more with every value checked: without that, a run shows that nothing was broken only where it
/// can be seen from outside.
fn prove(best: &Candidate, plan: &Plan, runs: &mut Runs<'_, impl Executor>) -> Proof {
    runs.proved = true;
    match runs.run("the winner, proved".to_owned(), best, plan.run_ms) {
        Ok(trial) => {
            Proof { goodput_per_s: Some(trial.goodput_per_s), broken: trial.broken, error: trial.unfit }
        }
        Err(stop) => Proof {
            goodput_per_s: None,
            broken: 0,
            error: Some(match stop {
                Stop::Failed(why) => why,
                Stop::Interrupted => "interrupted".to_owned(),
            }),
        },
    }
}

/// Returns the profile of a candidate: all that it has, not only where it differs from the default.
fn profile(plan: &Plan, best: &Candidate) -> Option<String> {
    let workload = best.over(&plan.workload)?;
    Some(workload.profile(best.slot_factor()).to_string())
}

impl Tuned {
    fn tell_of(&mut self, found: &Found, objective: Objective) {
        self.rungs.clone_from(&found.rungs);
        self.candidates = found.entries.iter().map(|entry| Tried::of(entry, objective)).collect();
    }
}

impl Tried {
    fn of(entry: &Entry, objective: Objective) -> Self {
        let values = |value: fn(Objective, &objective::Trial) -> Option<f64>| {
            let values = entry.trials.iter().filter_map(|trial| value(objective, trial));
            splinter_harness::stats::Summary::of(values).map(|summary| summary.median)
        };
        let gain = entry.gain();
        Self {
            candidate: entry.candidate.to_string(),
            rung: entry.rung,
            runs: entry.trials.len(),
            gain_percent: gain.is_finite().then(|| 100.0 * (gain.exp() - 1.0)),
            goodput_per_s: values(|_, trial| Some(trial.goodput_per_s)),
            p99_ns: values(|_, trial| trial.p99_ns),
            out: entry.out.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
