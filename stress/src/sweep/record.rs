//! What a sweep found, as it is written to JSON, and its readable summary.

use super::act::Act;
use super::ground::{Ground, How, Scene};
use super::place::Place;
use crate::environment::Environment;
use crate::record::SCHEMA_VERSION;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One pair of operations in one scene.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // Documented in results/README.md, field by field.
pub struct Pair {
    pub first: Act,
    pub second: Act,
    pub how: How,
    pub scrub: String,
    pub value_len: usize,
    pub ground: Ground,
    pub heard: bool,
    /// Instructions of the first's operation.
    pub instructions: usize,
    /// Of so many instructions one was tried, drawn.
    pub stride: usize,
    /// Pause points that were tried.
    pub points: u64,
    /// Points that the first did not come to.
    pub missed: u64,
    pub violations: u64,
}

/// A pause point at which something broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Violation {
    pub scene: String,
    pub point: usize,
    pub what: String,
    #[serde(flatten)]
    pub place: Place,
    pub replay: String,
}

/// What a worker says of one scene.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) pair: Option<Pair>,
    pub(super) violations: Vec<Violation>,
    pub(super) failure: Option<String>,
}

/// The record of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SweepRecord {
    pub schema_version: u32,
    pub kind: String,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub seed: u64,
    pub quick: bool,
    pub points: u64,
    pub missed: u64,
    pub violations: u64,
    pub pairs: Vec<Pair>,
    pub found: Vec<Violation>,
    pub seconds: f64,
    pub environment: Environment,
}

impl Pair {
    pub(super) fn of(scene: &Scene) -> Self {
        Self {
            first: scene.first,
            second: scene.second,
            how: scene.how,
            scrub: scene.scrub.level().to_string(),
            value_len: scene.value_len,
            ground: scene.ground,
            heard: scene.heard,
            instructions: 0,
            stride: 1,
            points: 0,
            missed: 0,
            violations: 0,
        }
    }
}

/// What is gathered while a sweep goes on.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) pairs: Vec<Pair>,
    pub(super) violations: Vec<Violation>,
    pub(super) reasons: Vec<String>,
}

/// Of a hundred points, how many may be missed before nothing can be told.
const MISSED_PERCENT: u64 = 2;

impl Gathered {
    pub(super) fn add(&mut self, report: Report) {
        self.pairs.extend(report.pair);
        self.violations.extend(report.violations);
        self.reasons.extend(report.failure);
    }

    pub(super) fn into_record(mut self, seed: u64, quick: bool, seconds: f64) -> SweepRecord {
        self.pairs.sort_by_key(|pair| {
            (
                pair.first,
                pair.second,
                pair.how,
                pair.ground,
                pair.value_len,
            )
        });
        let sum = |count: fn(&Pair) -> u64| self.pairs.iter().map(count).sum::<u64>();
        let points = sum(|pair| pair.points);
        let (missed, violations) = (sum(|pair| pair.missed), sum(|pair| pair.violations));
        if points == 0 && self.reasons.is_empty() {
            self.reasons.push("no pause point was tried".to_owned());
        }
        let all = points + missed;
        if missed * 100 > all * MISSED_PERCENT {
            self.reasons.push(format!(
                "{missed} of {all} points were missed: the first did not take the same way again"
            ));
        }
        for pair in self.pairs.iter().filter(|pair| pair.points == 0) {
            let (first, second) = (pair.first, pair.second);
            self.reasons.push(format!(
                "no point of {first},{second},{} was tried",
                pair.how
            ));
        }
        let verdict = match (violations, self.reasons.is_empty()) {
            (1.., _) => Verdict::Fail,
            (0, true) => Verdict::Pass,
            (0, false) => Verdict::Inconclusive,
        };
        SweepRecord {
            schema_version: SCHEMA_VERSION,
            kind: "sweep".to_owned(),
            verdict,
            reasons: self.reasons,
            seed,
            quick,
            points,
            missed,
            violations,
            pairs: self.pairs,
            found: self.violations,
            seconds,
            environment: Environment::read(),
        }
    }
}

/// Summarises a record.
#[must_use]
pub fn sweep_summary(record: &SweepRecord) -> String {
    let mut text = format!(
        "{} pause points in {} scenes, seed {}, {:.0} s; {} missed\n\n",
        record.points,
        record.pairs.len(),
        record.seed,
        record.seconds,
        record.missed
    );
    let mut rows: BTreeMap<Act, (usize, [u64; 3], u64)> = BTreeMap::new();
    for pair in &record.pairs {
        let row = rows.entry(pair.first).or_default();
        row.0 = row.0.max(pair.instructions);
        row.1[How::ALL
            .iter()
            .position(|how| *how == pair.how)
            .unwrap_or(0)] += pair.points;
        row.2 += pair.violations;
    }
    let _ = writeln!(
        text,
        "  {:<13} {:>12} {:>10} {:>10} {:>10} {:>10}",
        "first", "instructions", "resume", "kill", "stop", "violations"
    );
    for (act, (instructions, points, violations)) in rows {
        let [resume, kill, stop] = points;
        let _ = writeln!(
            text,
            "  {act:<13} {instructions:>12} {resume:>10} {kill:>10} {stop:>10} {violations:>10}"
        );
    }
    for violation in &record.found {
        let place = &violation.place;
        let _ = write!(
            text,
            "\n{} at point {}: {}\n  before {} {} {}\n",
            violation.scene,
            violation.point,
            violation.what,
            place.address,
            place.symbol,
            place.line
        );
        for outer in &place.within {
            let _ = writeln!(text, "    in {outer}");
        }
        let _ = writeln!(text, "  again: {}", violation.replay);
    }
    for reason in &record.reasons {
        let _ = writeln!(text, "  - {reason}");
    }
    let _ = write!(
        text,
        "\n{}: {} violations",
        record.verdict.word(),
        record.violations
    );
    text
}
