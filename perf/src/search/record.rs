//! The record of `search`, and how judged rows become rows of it. `results/schema.md` is made of these types.

use super::{Outcome, Row};
use crate::doctor::Doctor;
use crate::micro::record::InUnit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use splinter_harness::environment::Environment;
use splinter_harness::verdict::Verdict;
use splinter_stress::TuningFacts;

/// The record of `search`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct SearchRecord {
    pub schema_version: u32,
    pub kind: String,
    /// `"fail"`: a target clearly missed, or a wrong answer; else as of `micro`. Rows without a target do not count.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub config: SearchConfig,
    pub families: Vec<FamilyFacts>,
    pub rows: Vec<SearchRow>,
    pub checked: Checked,
    pub peers: Vec<PeerFamily>,
    pub doctor: Doctor,
    pub environment: Environment,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct SearchConfig {
    pub rounds: u32,
    pub seed: u64,
    pub quick: bool,
    /// Null with `vectors`.
    pub keys: Option<usize>,
    pub dim: Option<usize>,
    pub family: Option<String>,
    pub queries: usize,
    /// Searches under writes, in all.
    pub searches: u64,
    /// Names of files.
    pub vectors: Option<String>,
    pub sample_ms: f64,
    /// As of `micro`.
    pub tuning: TuningFacts,
    pub pinned_to: Option<usize>,
}

/// A set of vectors that was searched.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct FamilyFacts {
    /// The family, or `vectors` of a file.
    pub name: String,
    pub keys: usize,
    pub dim: usize,
    pub queries: usize,
    /// Filling the store; computing the truth.
    pub fill_s: f64,
    pub truth_s: f64,
}

/// One row.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct SearchRow {
    /// What was measured, and on which vectors (null: on none of the families).
    pub name: String,
    pub situation: Option<String>,
    #[serde(flatten)]
    pub value: InUnit,
    /// As of `micro`; null where there is nothing to compare with, or no target.
    pub limit_name: Option<String>,
    pub limit: Option<f64>,
    pub ratio: Option<f64>,
    pub ratio_quartiles: Option<[f64; 2]>,
    pub target: Option<f64>,
    pub bound: Option<String>,
    pub met: Option<bool>,
    pub clear: Option<bool>,
    /// Of the value.
    pub min: Option<f64>,
    pub quartiles: Option<[f64; 2]>,
    pub samples: usize,
    /// Why there is no value or judgement.
    pub problem: Option<String>,
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Checked {
    /// Answers, all of which were checked.
    pub searches: u64,
    pub hits: u64,
    /// Hits whose vector was being published, with the epoch before.
    pub while_published: u64,
    /// Searches under writes that answered `Again`, and were repeated.
    pub again: u64,
}

/// One set of vectors, and every peer that was given it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct PeerFamily {
    /// As in `families`.
    pub family: String,
    pub keys: usize,
    pub dim: usize,
    pub queries: usize,
    pub engines: Vec<Engine>,
}

/// One peer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Engine {
    /// The peer, and its settings; the package's version.
    pub name: String,
    pub version: Option<String>,
    /// Building its index.
    pub build_s: Option<f64>,
    /// Why it took no part.
    pub problem: Option<String>,
    pub points: Vec<Point>,
}

/// One depth of search.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Point {
    /// Its setting, as `ef=100`; then recall of the ten nearest and times of one thread.
    pub depth: String,
    pub recall_at_10: f64,
    pub p50_ns: f64,
    pub p99_ns: f64,
}

impl Row {
    /// Returns it as part of a record.
    #[must_use]
    pub fn record(&self) -> SearchRow {
        let (claim, row) = (&self.row.claim, &self.row);
        let unit = claim.unit;
        let ratio = |ratio: f64| (ratio * 1e4).round() / 1e4;
        let shown = self.has_target || self.is_compared;
        let middle = row.ratio_quartiles.filter(|_| shown);
        let judged = row.judgement().filter(|_| self.has_target || row.met.is_some());
        SearchRow {
            name: claim.name.clone(),
            situation: self.situation.clone(),
            value: InUnit::of(unit, row.value.map(|value| value.median)),
            limit_name: shown.then(|| claim.goal.against.name()),
            limit: row.limit.filter(|_| shown).map(|limit| unit.round(limit)),
            ratio: row.ratio.filter(|_| shown).map(ratio),
            ratio_quartiles: middle.map(|middle| [ratio(middle.q1), ratio(middle.q3)]),
            target: self.has_target.then(|| ratio(claim.goal.target)),
            bound: self.has_target.then(|| claim.goal.bound.name().to_owned()),
            met: row.met,
            clear: judged.map(|judged| judged.clear),
            min: row.value.map(|value| unit.round(value.min)),
            quartiles: row.value.map(|value| [unit.round(value.q1), unit.round(value.q3)]),
            samples: row.value.map_or(0, |value| value.samples),
            problem: row.problem.clone(),
        }
    }
}

impl SearchRecord {
    /// Puts together what was measured; whether others disturbed it, and the verdict, are the caller's to say.
    #[must_use]
    pub fn of(config: SearchConfig, outcome: &Outcome, doctor: Doctor, environment: Environment) -> Self {
        Self {
            schema_version: splinter_harness::verdict::SCHEMA_VERSION,
            kind: "search".to_owned(),
            verdict: Verdict::Pass,
            reasons: Vec::new(),
            config,
            families: outcome.families.clone(),
            rows: outcome.rows.iter().map(Row::record).collect(),
            checked: outcome.checked,
            peers: Vec::new(),
            doctor,
            environment,
        }
    }
}
