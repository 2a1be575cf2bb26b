//! The record of a search, as it is written to JSON. `results/schema.md` documents every field.

use super::objective::{Objective, Trial};
use super::space::{Candidate, Choices, Space};
use super::{Finding, Outcome, Plan, Rung};
use crate::doctor::Doctor;
use crate::micro::record::SCHEMA_VERSION;
use serde::Serialize;
use splinter_harness::environment::Environment;
use splinter_harness::stats::Summary;
use splinter_harness::verdict::Verdict;

/// The record of one search.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Tuned {
    pub schema_version: u32,
    pub kind: &'static str,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub config: Plan,
    pub finding: Finding,
    /// The default and the candidate that was left, on fresh runs.
    pub rows: Vec<Row>,
    pub outcome: Option<Outcome>,
    /// A winner's run in which every value proves itself; only where no other run's does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The profile's text.
    pub profile: Option<String>,
    pub space: Vec<Choices>,
    pub rungs: Vec<Rung>,
    pub candidates: Vec<Tried>,
    pub runs: usize,
    /// Broken invariants of all runs.
    pub broken: u64,
    pub started_unix_s: f64,
    pub took_s: f64,
    pub doctor: Doctor,
    pub environment: Option<Environment>,
}

/// One side of the last comparison: medians over its rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Row {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_ns: Option<f64>,
    pub goodput_per_s: Option<f64>,
    pub p99_ns: Option<f64>,
    /// The value of the objective in each round.
    pub samples: Vec<f64>,
}

/// A run in which every value proves itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Proof {
    pub goodput_per_s: Option<f64>,
    pub broken: u64,
    /// Why it shows nothing, if it does not.
    pub error: Option<String>,
}

/// A candidate, as the search saw it: medians over its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Tried {
    pub candidate: String,
    pub rung: usize,
    pub runs: usize,
    pub gain_percent: Option<f64>,
    pub goodput_per_s: Option<f64>,
    pub p99_ns: Option<f64>,
    /// Why it was given up; null for the one that was left.
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
