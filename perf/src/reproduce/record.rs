//! What came of trying the claims, as it is written to JSON. `results/schema.md` is made of these types.

use super::claims::Claim;
use super::judge::{Finding, Judgement, Way};
use super::scaling::Point;
use super::{Costs, Implausible, Plan};
use crate::doctor::Doctor;
use serde::{Deserialize, Serialize};
use splinter_harness::environment::Environment;
use splinter_harness::stats::Summary;
use splinter_harness::verdict::{SCHEMA_VERSION, Verdict};
use splinter_stress::{Record, Workload};

/// The record of one reproduction.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Reproduction {
    pub schema_version: u32,
    pub kind: &'static str,
    /// `"fail"`: broken invariant; `"inconclusive"`: interrupted, or a claim not tried. Unreached figures pass.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// The flags.
    pub config: Plan,
    /// By operation, in ns; `memory copy` in bytes per second.
    pub costs: Costs,
    /// Limits that were refused, and why; absent if none.
    #[serde(skip_serializing_if = "Implausible::is_empty")]
    pub implausible: Implausible,
    pub cells: Vec<Cell>,
    pub doctor: Doctor,
    pub environment: Option<Environment>,
}

/// One claim.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Cell {
    /// ● `throttled`, `writers`, `numa`, `torn`, `latency`, `wake`.
    pub claim: &'static str,
    /// ● `"reproduced"`, `"not_reproduced"`, `"not_comparable"` (not reached, and the machine lacks something
    /// claimed), `"inconclusive"` (disturbed, an implausible limit, or faster than the machine can be).
    pub verdict: Finding,
    /// Why the finding; the claim, its machine, its trial.
    pub reasons: Vec<String>,
    pub published: &'static str,
    pub hardware: &'static str,
    pub configuration: &'static str,
    #[serde(flatten)]
    pub figures: Figures,
    /// Broken invariants of all runs.
    pub broken: u64,
    /// The runs; the run with every value checked.
    pub runs: Vec<Run>,
    /// The runs; the run with every value checked.
    pub proof: Option<Run>,
}

/// The figures of a claim; those that do not apply are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Figures {
    /// How the figures were counted.
    pub definition: String,
    /// ● The published figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figure_per_s: Option<f64>,
    /// ● Median goodput of the runs; of `torn`, the most attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_per_s: Option<f64>,
    /// ● Least and greatest goodput of the runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_range_per_s: Option<[f64; 2]>,
    /// Median of attempts per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_per_s: Option<f64>,
    /// Median of the latency that was claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_ns: Option<f64>,
    /// Median of the limit of `measured_ns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_ns: Option<f64>,
    /// ● `measured_per_s` over the figure; of a latency, over its limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// `attempts_per_s` over the figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_by_attempts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// Share of the bound reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_of_bound: Option<f64>,
    /// Goodput by processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_processor_per_s: Option<f64>,
    /// The last efficiency of `scaling`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling_efficiency: Option<f64>,
    /// For the figure: at efficiency 1, and at each one's goodput here; efficiency above 1 is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processors_needed: Option<[f64; 2]>,
    /// Goodput of a worker on each; of each over one alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<Point>,
    /// Ways of waking, each against the kernel's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
}

/// The most that the processors could do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Bound {
    /// The processors' maximum if operations were only their costliest necessary part.
    pub per_s: f64,
    pub by: String,
}

/// One run of a workload, as far as claims ask.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Run {
    /// As a run's.
    pub config: Workload,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub labels: Vec<String>,
    pub goodput_per_s: f64,
    pub attempts_per_s: f64,
    pub writes_per_s: f64,
    pub reads_per_s: f64,
    pub processors: usize,
    pub processor_share: Option<f64>,
    pub torn_reads: u64,
    /// Broken invariants, all kinds together.
    pub broken: u64,
}

impl Run {
    /// Takes from a record what is needed of it.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self {
            config: record.config.clone(),
            verdict: record.verdict,
            reasons: record.reasons.clone(),
            labels: record.labels.clone(),
            goodput_per_s: record.totals.goodput_per_s,
            attempts_per_s: record.totals.attempts_per_s,
            writes_per_s: record.totals.writes_per_s,
            reads_per_s: record.totals.reads_per_s,
            processors: record.placement.processors,
            processor_share: record.window.processor_share,
            torn_reads: record.invariants.torn_reads,
            broken: record.invariants.broken(),
        }
    }
}

impl Figures {
    /// Sums up runs that are held against a rate.
    #[must_use]
    pub fn of_rate(figure_per_s: f64, runs: &[Run], bound: Option<Bound>) -> Self {
        let goodput = Summary::of(runs.iter().map(|run| run.goodput_per_s));
        let measured = goodput.map(|summary| summary.median);
        let attempts = Summary::of(runs.iter().map(|run| run.attempts_per_s)).map(|summary| summary.median);
        let most = runs.iter().map(|run| run.goodput_per_s).fold(0.0, f64::max);
        Self {
            definition: "goodput, operations per second that did their work".to_owned(),
            figure_per_s: Some(figure_per_s),
            measured_per_s: measured,
            measured_range_per_s: goodput.map(|summary| [summary.min, most]),
            attempts_per_s: attempts,
            ratio: measured.map(|measured| measured / figure_per_s),
            ratio_by_attempts: attempts.map(|attempts| attempts / figure_per_s),
            share_of_bound: measured.zip(bound.as_ref()).map(|(measured, bound)| measured / bound.per_s),
            bound,
            ..Self::default()
        }
    }
}

impl Reproduction {
    /// Begins with nothing tried.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "reproduce",
            verdict: Verdict::Inconclusive,
            reasons: Vec::new(),
            config: plan.clone(),
            costs: Costs::new(),
            implausible: Implausible::new(),
            cells: Vec::new(),
            doctor: Doctor::default(),
            environment: None,
        }
    }
}

impl Cell {
    /// Puts together what is known of a claim.
    #[must_use]
    pub fn new(
        claim: &Claim,
        judgement: Judgement,
        figures: Figures,
        runs: Vec<Run>,
        proof: Option<Run>,
    ) -> Self {
        let all = || runs.iter().chain(&proof);
        let broken = all().map(|run| run.broken).sum();
        let mut reasons = judgement.reasons;
        reasons.extend(all().filter(|run| run.verdict == Verdict::Fail).flat_map(|run| run.reasons.clone()));
        // A rate at which something broke is none that was reached.
        let verdict = if broken > 0 { Finding::NotReproduced } else { judgement.finding };
        Self {
            claim: claim.name,
            verdict,
            reasons,
            published: claim.published,
            hardware: claim.hardware,
            configuration: claim.configuration,
            figures,
            broken,
            runs,
            proof,
        }
    }
}
