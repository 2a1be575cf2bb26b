//! What came of a comparison, as it is written to JSON. `results/schema.md` documents every field.

use crate::contender::Contender;
use serde::{Deserialize, Serialize};
use splinter_harness::clock_cost::ClockCost;
use splinter_harness::environment::Environment;
use splinter_harness::environment::settle;
use splinter_harness::verdict::Verdict;
use splinter_perf::doctor::Doctor;
use splinter_stress::{Percentiles, Workload};
use std::collections::BTreeMap;

/// How contenders are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Rounds; each takes one sample of each contender.
    pub(crate) rounds: u32,
    /// Length of a sample, and of what is not counted before it.
    pub(crate) sample_ms: u64,
    pub(crate) warmup_ms: u64,
    /// Keys, and the length of their values.
    pub(crate) keys: u64,
    pub(crate) value_len: u32,
    /// Seed of all random choices.
    pub(crate) seed: u64,
    /// Whether it is a first look only.
    pub(crate) quick: bool,
}

/// The record of one comparison.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) schema_version: u32,
    pub(crate) kind: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) reasons: Vec<String>,
    pub(crate) config: Plan,
    /// What the clock adds to each latency.
    pub(crate) clock: ClockCost,
    pub(crate) cells: Vec<Cell>,
    pub(crate) doctor: Doctor,
    pub(crate) environment: Environment,
}

/// One load, and how everybody bore it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) load: String,
    pub(crate) config: Workload,
    pub(crate) entrants: Vec<Entrant>,
}

/// One contender under one load.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Entrant {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) note: Option<String>,
    /// Why it took no part, or no further one.
    pub(crate) problem: Option<String>,
    /// The median of the rounds.
    pub(crate) goodput_per_s: Option<f64>,
    pub(crate) ratio: Option<Ratio>,
    /// Goodput, by round.
    pub(crate) rounds: Vec<f64>,
    /// Of the last round, one attempt of 64.
    pub(crate) latency_ns: BTreeMap<String, Percentiles>,
    /// Values read that no single write made, in a run before the rounds; none where it cannot be checked.
    pub(crate) torn_reads: Option<u64>,
}

/// How many times the goodput of a contender ours is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    /// Which of ours.
    pub(crate) of: String,
    /// The median of the rounds' ratios, and its 95 % bootstrap interval.
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Entrant {
    /// Begins with what is known before anything is measured.
    pub(crate) fn of(contender: &Contender) -> Self {
        Self {
            name: contender.name.clone(),
            version: contender.version.clone(),
            note: contender.note.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Says why somebody takes no part.
    pub(crate) fn absent(name: &str, why: String) -> Self {
        Self { name: name.to_owned(), problem: Some(why), ..Self::default() }
    }
}

impl Comparison {
    /// Decides the verdict: torn reads or errors of ours fail, without figures of ours nothing was compared, and of disturbed
    /// rounds nothing follows.
    pub(crate) fn conclude(&mut self, interrupted: bool) {
        let ours = self.cells.iter().flat_map(|cell| &cell.entrants);
        let ours = ours.filter(|entrant| entrant.name.starts_with("splinter"));
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
