//! The records of `micro` and `limits`, and how judged rows and measured limits become rows of them. `results/schema.md` is
//! made of these types.

use super::judge::Row;
use crate::doctor::Doctor;
use crate::limits::Limit;
use crate::limits::nodes::Matrices;
use crate::limits::pairs::Matrix;
use crate::unit::Unit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use splinter_harness::environment::Environment;
use splinter_harness::sampler::{Schedule, Series};
use splinter_harness::verdict::Verdict;
use splinter_stress::TuningFacts;
use std::collections::BTreeMap;
use std::time::Duration;

/// The record of `micro`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct MicroRecord {
    pub schema_version: u32,
    pub kind: String,
    /// `"fail"`: a target clearly missed; `"pass"`: all clearly met; else, or of disturbed rounds, `"inconclusive"`.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// `tuning` as in [store](#store); `pinned_to`: processor or null.
    pub config: Method,
    pub rows: Vec<MicroRow>,
    /// Rows as of `limits`.
    pub limits: Vec<LimitRow>,
    pub doctor: Doctor,
    pub environment: Environment,
}

/// How the samples of `micro` and `limits` were taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Method {
    pub rounds: u32,
    pub seed: u64,
    pub sample_ms: f64,
    pub tuning: TuningFacts,
    pub pinned_to: Option<usize>,
}

impl Method {
    /// Length of the samples that `--quick` takes, which records do not name.
    pub const QUICK_SAMPLE_MS: f64 = 4.0;

    /// Returns the rounds, before which all is sampled once and thrown away.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule { rounds: self.rounds, seed: self.seed, warm_up: true }
    }

    /// Returns the length of one sample.
    #[must_use]
    pub fn sample(&self) -> Duration {
        Duration::from_secs_f64(self.sample_ms / 1e3)
    }
}

/// A value in one of these units: null where there is none, and absent in the others.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct InUnit {
    /// ● Median, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_ns: Option<Option<f64>>,
    /// Median, in the unit that the name ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_per_s: Option<Option<f64>>,
    /// Median, in the unit that the name ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_bytes: Option<Option<f64>>,
    /// Median, in the unit that the name ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_bytes_per_s: Option<Option<f64>>,
    /// Median, in the unit that the name ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_share: Option<Option<f64>>,
}

impl InUnit {
    /// Rounds a value to the digits that its unit has in records.
    #[must_use]
    pub fn of(unit: Unit, value: Option<f64>) -> Self {
        let mut all = Self::default();
        let field = match unit {
            Unit::Nanoseconds => &mut all.value_ns,
            Unit::PerSecond => &mut all.value_per_s,
            Unit::Bytes => &mut all.value_bytes,
            Unit::BytesPerSecond => &mut all.value_bytes_per_s,
            Unit::Share => &mut all.value_share,
        };
        *field = Some(value.map(|value| unit.round(value)));
        all
    }
}

/// One operation beside its limit.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct MicroRow {
    /// The operation.
    pub name: String,
    #[serde(flatten)]
    pub value: InUnit,
    /// Maybe a sum: `3 x L2 chase + 3 x memcpy 1 KiB`; `absolute`: a fixed figure.
    pub limit_name: String,
    pub limit: Option<f64>,
    /// Value over limit, of the medians and by round.
    pub ratio: Option<f64>,
    pub ratio_quartiles: Option<[f64; 2]>,
    /// `bound`: `at most` or `at least`; `clear`: the middle half agrees.
    pub target: f64,
    pub bound: String,
    pub met: Option<bool>,
    pub clear: bool,
    /// Of the value.
    pub min: Option<f64>,
    pub quartiles: Option<[f64; 2]>,
    pub samples: usize,
    /// A caution; why there is no value or judgement.
    pub note: Option<String>,
    pub problem: Option<String>,
    /// By name, means of the kernel's counters; only those that it lets be read.
    pub per_operation: BTreeMap<String, f64>,
}

/// The record of `limits`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct LimitsRecord {
    pub schema_version: u32,
    pub kind: String,
    /// `"inconclusive"`: interrupted, disturbed, or a limit was not measured or is implausible.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// As of `micro`.
    pub config: Method,
    pub rows: Vec<LimitRow>,
    pub core_to_core: Matrix,
    pub node_to_node: Matrices,
    pub doctor: Doctor,
    pub environment: Environment,
}

/// One limit of the machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct LimitRow {
    /// ● The limit.
    pub name: String,
    #[serde(flatten)]
    pub value: InUnit,
    /// Of the value.
    pub min: Option<f64>,
    pub quartiles: Option<[f64; 2]>,
    pub samples: usize,
    /// Of a chase: its memory, and which pages that had.
    pub note: Option<String>,
    /// Why there is no value, or why it is implausible.
    pub problem: Option<String>,
}

/// A limit that was measured, or the reason why it was not.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The unit of its samples.
    pub unit: Unit,
    /// Its samples.
    pub series: Series,
}

impl Row {
    /// Returns it as part of a record.
    #[must_use]
    pub fn record(&self) -> MicroRow {
        let (claim, unit) = (&self.claim, self.claim.unit);
        let ratio = |ratio: f64| (ratio * 1e4).round() / 1e4;
        MicroRow {
            name: claim.name.clone(),
            value: InUnit::of(unit, self.value.map(|value| value.median)),
            limit_name: claim.goal.against.name(),
            limit: self.limit.map(|limit| unit.round(limit)),
            ratio: self.ratio.map(ratio),
            ratio_quartiles: self.ratio_quartiles.map(|middle| [ratio(middle.q1), ratio(middle.q3)]),
            target: ratio(claim.goal.target),
            bound: claim.goal.bound.name().to_owned(),
            met: self.met,
            clear: self.judgement().is_none_or(|judged| judged.clear),
            min: self.value.map(|value| unit.round(value.min)),
            quartiles: self.value.map(|value| [unit.round(value.q1), unit.round(value.q3)]),
            samples: self.value.map_or(0, |value| value.samples),
            note: claim.note.clone(),
            problem: self.problem.clone(),
            per_operation: self.per_operation.iter().map(|(&name, &mean)| (name.to_owned(), mean)).collect(),
        }
    }
}

impl Measured {
    /// Finds the series of limits, in the order the limits are given.
    #[must_use]
    pub fn of(limits: &[Limit], series: &[Series]) -> Vec<Self> {
        let find = |limit: &Limit| {
            let series = series.iter().find(|series| series.name == limit.name())?;
            Some(Self { unit: limit.unit(), series: series.clone() })
        };
        limits.iter().filter_map(find).collect()
    }

    /// Returns it as part of a record.
    #[must_use]
    pub fn record(&self) -> LimitRow {
        let (unit, summary) = (self.unit, self.series.summary());
        LimitRow {
            name: self.series.name.clone(),
            value: InUnit::of(unit, summary.map(|summary| summary.median)),
            min: summary.map(|summary| unit.round(summary.min)),
            quartiles: summary.map(|summary| [unit.round(summary.q1), unit.round(summary.q3)]),
            samples: summary.map_or(0, |summary| summary.samples),
            note: self.series.note.clone(),
            problem: self.series.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::samples;
    use super::{Measured, Series};
    use crate::unit::Unit;
    use serde_json::{Value, to_value};

    #[test]
    fn rows_have_the_fields_scripts_rely_on() {
        let rows: Vec<_> = samples::rows().iter().map(|row| to_value(row.record()).unwrap()).collect();
        let get = &rows[0];
        assert_eq!(get["name"], "get 64 B");
        assert_eq!(get["value_ns"], 9.5);
        assert_eq!((&get["limit_name"], &get["limit"]), (&"L2 chase".into(), &4.0.into()));
        assert_eq!((&get["ratio"], &get["target"], &get["met"]), (&2.375.into(), &3.0.into(), &true.into()));
        let missing = &rows[1];
        assert!(missing.get("value_ns").is_some_and(Value::is_null));
        assert!(missing["ratio"].is_null() && missing["met"].is_null());
        assert_eq!(rows[2]["value_per_s"], 30e6);
        assert!(rows[2].get("value_ns").is_none());
        let limit = Measured { unit: Unit::Nanoseconds, series: Series::of("L2 chase", [4.0]) };
        assert_eq!(to_value(limit.record()).unwrap()["value_ns"], 4.0);
    }
}
