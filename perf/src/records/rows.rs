//! Rows of costs and limits, and claims that were tried, as `micro`, `limits`, `wake`, `tune` and `reproduce` write them.

use super::record::Record;
use crate::micro::record::InUnit;
use crate::reproduce::record::Figures;
use crate::unit::Unit;
use serde::Deserialize;
use serde_json::Value;

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
