//! Rows of costs and limits, and claims that were tried, as `micro`, `limits`, `wake`, `tune` and `reproduce` write them.

use super::record::Record;
use crate::doctor::Doctor;
use crate::limits::nodes::Matrices;
use crate::limits::pairs::Matrix;
use crate::reproduce::record::Figures;
use crate::unit::Unit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use splinter_harness::environment::Environment;
use splinter_harness::verdict::Verdict;
use splinter_stress::TuningFacts;
use std::collections::BTreeMap;

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

/// One row: what was measured, maybe beside a limit. Fields that a kind does not have are absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // As in the schema.
pub struct Row {
    #[serde(alias = "check")]
    pub name: String,
    pub situation: Option<String>,
    #[serde(flatten)]
    pub value: InUnit,
    pub limit_name: Option<String>,
    pub limit: Option<f64>,
    pub ratio: Option<f64>,
    pub ratio_quartiles: Option<Quartiles>,
    pub target: Option<f64>,
    /// A word in rows, and an object in claims.
    pub bound: Option<Value>,
    pub met: Option<bool>,
    pub min: Option<f64>,
    pub quartiles: Option<Quartiles>,
    pub samples: Option<Value>,
    pub verdict: Option<String>,
}

/// The middle half of some samples.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Quartiles {
    /// As `micro` and `limits` write it.
    Ends(f64, f64),
    /// As `wake` writes it.
    Named {
        /// The first quartile.
        q1: f64,
        /// The third.
        q3: f64,
    },
}

impl Quartiles {
    /// Returns the first and the third.
    #[must_use]
    pub fn ends(self) -> (f64, f64) {
        match self {
            Self::Ends(low, high) | Self::Named { q1: low, q3: high } => (low, high),
        }
    }
}

impl Row {
    /// Returns its name, with the situation where there is one.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.situation {
            Some(situation) => format!("{} ({situation})", self.name),
            None => self.name.clone(),
        }
    }

    /// Says whether its ratio may be at most or must be at least its target.
    #[must_use]
    pub fn bound(&self) -> Option<&str> {
        self.bound.as_ref()?.as_str()
    }

    /// Returns all values with what they count.
    pub fn values(&self) -> impl Iterator<Item = (Unit, f64)> + use<> {
        let InUnit { value_ns, value_per_s, value_bytes, value_bytes_per_s, value_share } = self.value;
        [
            (Unit::Nanoseconds, value_ns),
            (Unit::PerSecond, value_per_s),
            (Unit::Bytes, value_bytes),
            (Unit::BytesPerSecond, value_bytes_per_s),
            (Unit::Share, value_share),
        ]
        .into_iter()
        .filter_map(|(unit, value)| Some((unit, value??)))
    }

    /// Returns the first value.
    #[must_use]
    pub fn value(&self) -> Option<(Unit, f64)> {
        self.values().next()
    }
}

/// One published claim that was tried.
#[derive(Clone, Debug, Deserialize)]
pub struct Claim {
    /// Its name.
    pub claim: String,
    /// How it was tried.
    #[serde(default)]
    pub configuration: String,
    /// What was measured of it.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Record {
    /// Returns its rows.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.list("rows")
    }

    /// Returns the published claims that it tried.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        self.list("cells")
    }
}
