//! What came of tuning, as it is written to JSON. `results/schema.md` is made of these types.

use super::objective::{Objective, Trial};
use super::space::{Candidate, Choices, Space};
use super::{Finding, Outcome, Plan, Rung};
use crate::doctor::Doctor;
use serde::Serialize;
use splinter_harness::environment::Environment;
use splinter_harness::stats::Summary;
use splinter_harness::verdict::{SCHEMA_VERSION, Verdict};

/// The record of one search.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Tuned {
    pub schema_version: u32,
    pub kind: &'static str,
    /// `"fail"`: broken invariant; `"inconclusive"`: the finding is `"unfinished"`.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// The flags; `workload` as a run's `config`; `p99`: `1.2x`, `5000ns`, `none`.
    pub config: Plan,
    /// ● `"winner"`, `"nothing_beats_the_default"` as far as shown, `"unfinished"`.
    pub finding: Finding,
    pub rows: Vec<Row>,
    pub outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Text of the winner's or the default's profile; null unless `"pass"`.
    pub profile: Option<String>,
    /// The choices.
    pub space: Vec<Choices>,
    /// Steps: runs of each candidate, candidates, survivors.
    pub rungs: Vec<Rung>,
    pub candidates: Vec<Tried>,
    /// Runs in all; their broken invariants; start.
    pub runs: usize,
    pub broken: u64,
    pub started_unix_s: f64,
    pub took_s: f64,
    pub doctor: Doctor,
    pub environment: Option<Environment>,
}

/// One side of the last comparison: medians over its rounds.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Row {
    /// Default and last candidate on fresh runs; empty if none was ahead.
    pub name: String,
    /// Default and last candidate on fresh runs; empty if none was ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_per_s: Option<f64>,
    /// Default and last candidate on fresh runs; empty if none was ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_ns: Option<f64>,
    /// Goodput; p99 of the slowest operation; the objective by round.
    pub goodput_per_s: Option<f64>,
    pub p99_ns: Option<f64>,
    pub samples: Vec<f64>,
}

/// A run in which every value proves itself.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Proof {
    /// A run of the winner with the oracle; only with `--no-oracle`.
    pub goodput_per_s: Option<f64>,
    pub broken: u64,
    pub error: Option<String>,
}

/// A candidate, as the search saw it: medians over its runs.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Tried {
    /// Last rung, its runs, why dropped (null: the last).
    pub candidate: String,
    pub rung: usize,
    pub runs: usize,
    /// Medians over its runs.
    pub gain_percent: Option<f64>,
    pub goodput_per_s: Option<f64>,
    pub p99_ns: Option<f64>,
    /// Last rung, its runs, why dropped (null: the last).
    pub out: Option<String>,
}

impl Row {
    pub(super) fn both(candidate: &Candidate, rounds: &[[Trial; 2]], objective: Objective) -> Vec<Self> {
        let row = |name: String, side: usize| {
            let trials = || rounds.iter().map(move |round| &round[side]);
            let of = |value: fn(&Trial) -> Option<f64>| {
                Summary::of(trials().filter_map(value)).map(|summary| summary.median)
            };
            let samples: Vec<f64> = trials().filter_map(|it| objective.value(it)).collect();
            let value = Summary::of(samples.iter().copied()).map(|summary| summary.median);
            Self {
                name,
                value_per_s: value.filter(|_| !objective.is_time()),
                value_ns: value.filter(|_| objective.is_time()),
                goodput_per_s: of(|trial| Some(trial.goodput_per_s)),
                p99_ns: of(|trial| trial.p99_ns),
                samples,
            }
        };
        if rounds.is_empty() {
            return Vec::new();
        }
        vec![row("default".to_owned(), 0), row(candidate.to_string(), 1)]
    }
}

impl Tuned {
    /// Begins with nothing found.
    #[must_use]
    pub fn new(plan: &Plan, space: &Space) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "tune",
            verdict: Verdict::Inconclusive,
            reasons: Vec::new(),
            config: plan.clone(),
            finding: Finding::Unfinished,
            rows: Vec::new(),
            outcome: None,
            proof: None,
            profile: None,
            space: space.axes.clone(),
            rungs: Vec::new(),
            candidates: Vec::new(),
            runs: 0,
            broken: 0,
            started_unix_s: 0.0,
            took_s: 0.0,
            doctor: Doctor::default(),
            environment: None,
        }
    }
}
