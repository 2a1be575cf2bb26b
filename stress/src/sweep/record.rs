//! The record of a sweep, and its readable summary.

use super::code_location::CodeLocation;
use super::ops::Op;
use super::scenario::{Interruption, KeyLayout, Scenario};
use serde::{Deserialize, Serialize};
use splinter_harness::environment::Environment;
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One pair of operations in one scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Pair {
    /// Operations, interruption, scrub level, bytes of values.
    pub first: Op,
    pub second: Op,
    pub how: Interruption,
    pub scrub: String,
    pub value_len: usize,
    /// `same`: one key, one index bucket; `other`: another key of it; `apart`: a key of another bucket; `spill`,
    /// `crowd`: the same key, or another, of a full bucket.
    #[serde(rename = "ground")]
    pub layout: KeyLayout,
    /// Whether keys are in a group and the store is watched.
    pub heard: bool,
    /// Of the first's operation; one in `stride` was tried.
    pub instructions: usize,
    pub stride: usize,
    /// As above; three violations end a pair.
    pub points: u64,
    pub missed: u64,
    pub violations: u64,
}

/// A pause point at which an invariant broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Violation {
    /// Setup, point, broken invariants, command to retry.
    #[serde(rename = "scene")]
    pub scenario: String,
    pub point: usize,
    pub what: String,
    #[serde(flatten)]
    pub location: CodeLocation,
    /// Setup, point, broken invariants, command to retry.
    pub replay: String,
}

/// A worker's report of one scenario.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ScenarioReport {
    pub(super) pair: Option<Pair>,
    pub(super) violations: Vec<Violation>,
    pub(super) failure: Option<String>,
}

/// The record of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct SweepRecord {
    pub schema_version: u32,
    pub kind: String,
    /// `"fail"`: a violation; `"inconclusive"`: unfinished, or over 2 % missed.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// Seed of sampled points; whether few; duration.
    pub seed: u64,
    pub quick: bool,
    /// Pause points tried, not reached, with a violation.
    pub points: u64,
    pub missed: u64,
    pub violations: u64,
    pub pairs: Vec<Pair>,
    pub found: Vec<Violation>,
    /// Seed of sampled points; whether few; duration.
    pub seconds: f64,
    pub environment: Environment,
}

impl Pair {
    pub(super) fn of(scenario: &Scenario) -> Self {
        Self {
            first: scenario.first,
            second: scenario.second,
            how: scenario.how,
            scrub: scenario.scrub.level().to_string(),
            value_len: scenario.value_len,
            layout: scenario.layout,
            heard: scenario.heard,
            instructions: 0,
            stride: 1,
            points: 0,
            missed: 0,
            violations: 0,
        }
    }
}

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) pairs: Vec<Pair>,
    pub(super) violations: Vec<Violation>,
    pub(super) reasons: Vec<String>,
}

/// The share of points that may be missed before the sweep is inconclusive, in percent.
const MISSED_PERCENT: u64 = 2;

impl Results {
    pub(super) fn add(&mut self, report: ScenarioReport) {
        self.pairs.extend(report.pair);
        self.violations.extend(report.violations);
        self.reasons.extend(report.failure);
    }

    pub(super) fn into_record(mut self, seed: u64, quick: bool, seconds: f64) -> SweepRecord {
        self.pairs.sort_by_key(|pair| (pair.first, pair.second, pair.how, pair.layout, pair.value_len));
        let sum = |count: fn(&Pair) -> u64| self.pairs.iter().map(count).sum::<u64>();
        let points = sum(|pair| pair.points);
        let (missed, violations) = (sum(|pair| pair.missed), sum(|pair| pair.violations));
        if points == 0 && self.reasons.is_empty() {
            self.reasons.push("no pause point was tried".to_owned());
        }
        let all = points + missed;
        if missed * 100 > all * MISSED_PERCENT {
            self.reasons.push(format!(
                "{missed} of {all} points were missed: the first process did not take the same path again"
            ));
        }
        for pair in self.pairs.iter().filter(|pair| pair.points == 0) {
            let (first, second) = (pair.first, pair.second);
            self.reasons.push(format!("no point of {first},{second},{} was tried", pair.how));
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
        "{} pause points in {} scenarios, seed {}, {:.0} s; {} missed\n\n",
        record.points,
        record.pairs.len(),
        record.seed,
        record.seconds,
        record.missed
    );
    let mut rows: BTreeMap<Op, (usize, [u64; 3], u64)> = BTreeMap::new();
    for pair in &record.pairs {
        let row = rows.entry(pair.first).or_default();
        row.0 = row.0.max(pair.instructions);
        row.1[Interruption::ALL.iter().position(|how| *how == pair.how).unwrap_or(0)] += pair.points;
        row.2 += pair.violations;
    }
    let _ = writeln!(
        text,
        "  {:<13} {:>12} {:>10} {:>10} {:>10} {:>10}",
        "first", "instructions", "resume", "kill", "stop", "violations"
    );
    for (op, (instructions, points, violations)) in rows {
        let [resume, kill, stop] = points;
        let _ = writeln!(
            text,
            "  {op:<13} {instructions:>12} {resume:>10} {kill:>10} {stop:>10} {violations:>10}"
        );
    }
    for violation in &record.found {
        let location = &violation.location;
        let _ = write!(
            text,
            "\n{} at point {}: {}\n  before {} {} {}\n",
            violation.scenario,
            violation.point,
            violation.what,
            location.address,
            location.symbol,
            location.line
        );
        for outer in &location.within {
            let _ = writeln!(text, "    in {outer}");
        }
        let _ = writeln!(text, "  again: {}", violation.replay);
    }
    for reason in &record.reasons {
        let _ = writeln!(text, "  - {reason}");
    }
    let _ = write!(text, "\n{}: {} violations", record.verdict.word(), record.violations);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_the_keys_that_they_always_had() {
        let scenario: Scenario = "update,append,kill,full,64,spill".parse().unwrap();
        let pair = serde_json::to_value(Pair::of(&scenario)).unwrap();
        assert_eq!(pair["ground"], "spill");
        let read: Pair = serde_json::from_value(pair).unwrap();
        assert_eq!(read, Pair::of(&scenario));
        let old = r#"{"scene":"a","point":1,"what":"b","address":"0x1","symbol":"c","line":"d:2","within":[],"replay":"e"}"#;
        let violation: Violation = serde_json::from_str(old).unwrap();
        let written = serde_json::to_value(&violation).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(old).unwrap());
    }
}
