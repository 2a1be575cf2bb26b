//! Comparisons with other stores, as `splinter-perf peers` records them: loads, and what each store did under each.

use super::record::Record;
use super::spread::Spread;
use serde::Deserialize;
use splinter_stress::Percentiles;
use std::collections::BTreeMap;

/// One load with the stores that bore it.
#[derive(Clone, Debug, Deserialize)]
pub struct Load {
    /// Its name.
    pub load: String,
    /// The stores.
    #[serde(default)]
    pub entrants: Vec<Entrant>,
}

/// One store under one load.
#[derive(Clone, Debug, Deserialize)]
pub struct Entrant {
    /// The store's name.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What else a reader must know to compare it.
    #[serde(default)]
    pub note: Option<String>,
    /// Why it took no part, or stopped.
    #[serde(default)]
    pub problem: Option<String>,
    /// Median goodput.
    #[serde(default)]
    pub goodput_per_s: Option<f64>,
    /// How many times its goodput Splinter's is.
    #[serde(default)]
    pub ratio: Option<Ratio>,
    /// Goodput, by round.
    #[serde(default)]
    pub rounds: Vec<f64>,
    /// Latencies by operation.
    #[serde(default)]
    pub latency_ns: BTreeMap<String, Percentiles>,
}

/// Splinter's goodput over another's: the median over the rounds with its 95 % interval.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Ratio {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Entrant {
    /// Tells whether it is Splinter.
    #[must_use]
    pub fn is_splinter(&self) -> bool {
        self.name.starts_with("splinter")
    }

    /// Returns an interval that holds the median goodput; `None` with fewer than two rounds.
    #[must_use]
    pub fn interval(&self) -> Option<(f64, f64)> {
        let spread = Spread::of(self.rounds.iter().copied())?;
        (spread.samples > 1).then_some((spread.low, spread.high))
    }
}

impl Record {
    /// Returns the loads of a comparison with other stores; empty for other kinds.
    #[must_use]
    pub fn loads(&self) -> Vec<Load> {
        if self.kind != "peers" {
            return Vec::new();
        }
        self.list("cells")
    }
}
