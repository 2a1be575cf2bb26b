//! Comparisons with other stores, as `splinter-perf peers` records them: loads, and what each store did under each.

use super::record::Record;
use super::spread::Spread;
use crate::doctor::Doctor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use splinter_harness::clock_cost::ClockCost;
use splinter_harness::environment::{Environment, settle};
use splinter_harness::verdict::Verdict;
use splinter_stress::{Percentiles, Workload};
use std::collections::BTreeMap;

/// How stores are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Rounds; each takes one sample of each store.
    pub rounds: u32,
    /// Length of a sample.
    pub sample_ms: u64,
    /// What is not counted before it.
    pub warmup_ms: u64,
    /// Keys.
    pub keys: u64,
    /// The length of their values.
    pub value_len: u32,
    /// Seed of all random choices.
    pub seed: u64,
    /// Whether it is a first look only.
    pub quick: bool,
}

/// The record of one comparison.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Comparison {
    pub schema_version: u32,
    pub kind: &'static str,
    /// `"fail"`: reads of Splinter were torn or failed; `"inconclusive"`: interrupted or disturbed. Speed does not
    /// count.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// The flags.
    pub config: Plan,
    /// What the clock adds to each latency, and its error.
    pub clock: ClockCost,
    pub cells: Vec<Load>,
    pub doctor: Doctor,
    pub environment: Environment,
}

/// One load with the stores that bore it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Load {
    /// ● Its name.
    pub load: String,
    /// ● Its workload, as in a run.
    // Not read back: a workload refuses the fields of newer builds, and the whole load would be lost with it.
    #[serde(skip_deserializing)]
    pub config: Workload,
    #[serde(default)]
    pub entrants: Vec<Entrant>,
}

/// One store under one load.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Entrant {
    /// ● The store.
    pub name: String,
    /// ● Its version.
    pub version: String,
    /// ● A caution for readers of its figures.
    pub note: Option<String>,
    /// ● Why it is absent or stopped.
    pub problem: Option<String>,
    /// ● Median goodput.
    pub goodput_per_s: Option<f64>,
    /// ● Goodput by round.
    pub rounds: Vec<f64>,
    pub ratio: Option<Ratio>,
    /// By operation: last round, one attempt of 64.
    pub latency_ns: BTreeMap<String, Percentiles>,
    /// Values that no single write made, in a checked run before; null for pipelined clients.
    pub torn_reads: Option<u64>,
}

/// Splinter's goodput over another's: the median over the rounds with its 95 % interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Ratio {
    /// ● Splinter's goodput over its own; `of`: Splinter by key or by handle.
    pub of: String,
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Entrant {
    /// Makes the entry of a store that takes no part.
    #[must_use]
    pub fn absent(name: &str, why: String) -> Self {
        Self { name: name.to_owned(), problem: Some(why), ..Self::default() }
    }

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

impl Comparison {
    /// Decides the verdict: torn reads or errors of Splinter fail; an interrupted or disturbed comparison is inconclusive.
    pub fn conclude(&mut self, interrupted: bool) {
        let ours = self.cells.iter().flat_map(|cell| &cell.entrants);
        let ours = ours.filter(|entrant| entrant.is_splinter());
        let mut broken = false;
        for entrant in ours {
            let torn = entrant.torn_reads.unwrap_or(0);
            let words = entrant.problem.clone().or_else(|| (torn > 0).then(|| format!("{torn} torn reads")));
            if let Some(words) = words {
                broken = true;
                self.reasons.push(format!("{}: {words}", entrant.name));
            }
        }
        if interrupted {
            self.reasons.push("interrupted".to_owned());
        }
        self.verdict = match (broken, self.reasons.is_empty()) {
            (true, _) => Verdict::Fail,
            (false, true) => Verdict::Pass,
            (false, false) => Verdict::Inconclusive,
        };
        settle(&mut self.verdict, &mut self.reasons, &self.environment);
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

#[cfg(test)]
mod tests {
    use crate::records::file::tests::record;
    use serde_json::json;

    #[test]
    fn a_load_of_a_newer_build_is_read_whatever_its_workload_has() {
        let entrant = json!({"name": "splinter", "rounds": [1.0]});
        let load = json!({"load": "one gets", "config": {"writers": 1, "novel": 2}, "entrants": [entrant]});
        let loads = record(json!({"schema_version": 1, "kind": "peers", "cells": [load]})).loads();
        assert_eq!(loads.len(), 1);
        assert_eq!((loads[0].load.as_str(), loads[0].entrants[0].name.as_str()), ("one gets", "splinter"));
    }
}
