//! The result of a run, as it is written to JSON. `results/schema.md` is made of these types; names
//! that scripts rely on never change within a schema version.

use crate::history::record::HistoryRecord;
use crate::latency::Percentiles;
use crate::observer::Observer;
use crate::open_loop::judge::OpenLoop;
use crate::options::Role;
use crate::placement::Affinity;
use crate::placement::writer_memory::WriterPages;
use crate::shared_state::Counts;
use crate::steady::Steadiness;
use crate::worker::watcher::Notices;
use crate::workload::Workload;
use serde::{Deserialize, Serialize};
use splinter::Tuning;
use splinter_harness::environment::Environment;
use splinter_harness::verdict::{SCHEMA_VERSION, Verdict};
use std::collections::BTreeMap;

/// The record of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Record {
    pub schema_version: u32,
    pub kind: String,
    pub verdict: Verdict,
    /// Broken invariants with counts; the first faults with key, writer and sequence.
    pub reasons: Vec<String>,
    pub labels: Vec<String>,
    pub config: Workload,
    /// Probability that draws of two writers take the same key.
    pub collision_rate: f64,
    /// Its section below lists the fields.
    pub window: Window,
    /// ● Its section below lists the fields.
    pub operations: BTreeMap<String, Operation>,
    /// All operations; of writes and reads, goodput.
    pub totals: Totals,
    /// Events of the kernel's counters per operation that did its work, over all writers and readers that reported; absent
    /// where none could be read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_operation: BTreeMap<String, f64>,
    /// Its section below lists the fields; present only with `--rate`, watchers, `--history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<OpenLoop>,
    /// Its section below lists the fields; present only with `--rate`, watchers, `--history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Notifications>,
    /// ● Its section below lists the fields.
    pub invariants: Invariants,
    /// Its section below lists the fields; present only with `--rate`, watchers, `--history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryRecord>,
    /// ● Its section below lists the fields.
    pub placement: Placement,
    /// Its section below lists the fields.
    pub store: StoreFacts,
    /// Its section below lists the fields.
    pub observer: Observer,
    pub environment: Environment,
    /// Tags: operations, `set-planned` (from planned starts), watchers' `notification`, `wake`.
    pub hdr_log: String,
}

/// When what was counted happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Window {
    /// Start, lengths of warm-up and window, whether the user ended it.
    pub started_unix_s: f64,
    pub warmup_s: f64,
    /// `steady`, `not steady in time`, `fixed`, `none`, `interrupted`.
    pub warmup_ended: String,
    #[serde(default)]
    pub steadiness: Option<Steadiness>,
    /// Start, lengths of warm-up and window, whether the user ended it.
    pub measured_s: f64,
    /// Share of available processor time that workers got; null if they sleep.
    pub processor_share: Option<f64>,
    /// Start, lengths of warm-up and window, whether the user ended it.
    pub interrupted: bool,
}

/// One operation's counts and latencies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)] // Older records lack some.
#[allow(missing_docs)]
pub struct Operation {
    #[serde(flatten)]
    pub counts: Counts,
    /// ● Successes per second.
    pub goodput_per_s: f64,
    /// Attempts per second.
    pub attempts_per_s: f64,
    /// ● Of successful attempts, with the clock's cost, without time in `again`; `samples`: those timed.
    pub latency_ns: Percentiles,
    /// Open loop: the same from the planned start, with lateness and time in `again`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_from_planned_ns: Option<Percentiles>,
}

/// All operations together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Totals {
    #[serde(flatten)]
    pub counts: Counts,
    /// Successes and attempts per second; of writes and reads, successes.
    pub goodput_per_s: f64,
    pub attempts_per_s: f64,
    pub writes_per_s: f64,
    pub reads_per_s: f64,
}

/// What all watchers together took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Notifications {
    #[serde(flatten)]
    pub notices: Notices,
    /// Those in the measured window.
    pub goodput_per_s: f64,
    /// From the writer's clock before its first attempt until the watcher has read the value.
    pub latency_ns: Percentiles,
    /// The same, of `wakes`.
    pub wake_latency_ns: Percentiles,
}

/// What must be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Invariants {
    /// ● Values, vectors, groups that no single write published for the key.
    pub torn_reads: u64,
    /// ● Nonzero bytes where the scrub level promises zeroes, at the end.
    pub stale_leaks: u64,
    /// ● Acknowledged writes missing when the key's only writer read it, or at the end.
    pub lost_updates: u64,
    /// ● Slots beyond a key's first.
    pub duplicate_keys: u64,
    /// ● Existing keys reported missing.
    pub spurious_misses: u64,
    /// Values read from their deadline on.
    #[serde(default)]
    pub expired_reads: u64,
    /// Signals neither taken nor reported missed; false ones; keys whose last epoch a watcher lacks.
    #[serde(default)]
    pub lost_notifications: u64,
    /// ● Reads older than the reader's earlier one, by key and writer.
    pub epoch_regressions: u64,
    /// ● Claims on slots or index buckets after the last writer.
    pub stuck_claims: u64,
    /// Keys in the arena that lookups miss.
    pub unreachable_keys: u64,
    /// Slots or index entries neither used nor free.
    pub leaked_slots: u64,
    /// Sketches that are not those of their vectors.
    #[serde(default)]
    pub wrong_sketches: u64,
    /// Errors that no sound store returns here.
    pub unexpected_errors: u64,
    /// Workers without a report.
    pub lost_workers: u64,
    /// Counts that do not add up.
    pub miscounted_operations: u64,
    /// Keys whose answers no order explains; 0 without `--history`.
    #[serde(default)]
    pub linearizability_violations: u64,
}

impl Invariants {
    /// Returns all of them with their names.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 16] {
        [
            ("torn reads", self.torn_reads),
            ("stale leaks", self.stale_leaks),
            ("lost updates", self.lost_updates),
            ("duplicate keys", self.duplicate_keys),
            ("spurious misses", self.spurious_misses),
            ("expired reads", self.expired_reads),
            ("lost notifications", self.lost_notifications),
            ("epoch regressions", self.epoch_regressions),
            ("stuck claims", self.stuck_claims),
            ("unreachable keys", self.unreachable_keys),
            ("leaked slots", self.leaked_slots),
            ("wrong sketches", self.wrong_sketches),
            ("unexpected errors", self.unexpected_errors),
            ("lost workers", self.lost_workers),
            ("miscounted operations", self.miscounted_operations),
            ("linearizability violations", self.linearizability_violations),
        ]
    }

    /// Returns how often any of them was broken.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }

    /// Tells whether all of them held.
    #[must_use]
    pub fn held(&self) -> bool {
        self.broken() == 0
    }
}

/// Where workers and memory were asked to be, and were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Placement {
    /// Source: `hwloc`, or `/sys` (a build with hwloc adds the reason).
    #[serde(default)]
    pub topology: String,
    /// Processors for workers; whether there are more workers.
    pub processors: usize,
    pub oversubscribed: bool,
    /// Faults in words; any fails the run without `--allow-misplacement`.
    pub misplaced: Vec<String>,
    pub workers: Vec<WorkerPlacement>,
    pub memory: MemoryPlacement,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct WorkerPlacement {
    /// `writer`, `reader`, `watcher`.
    pub worker: u32,
    pub role: Role,
    #[serde(flatten)]
    pub affinity: Affinity,
}

/// The store's pages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct MemoryPlacement {
    /// Policy, page size.
    pub requested: String,
    pub page_bytes: u64,
    /// Pages before and after the run, `nodes` by node.
    pub before: Pages,
    /// Pages before and after the run, `nodes` by node.
    pub after: Pages,
    /// Touched pages on the right node; `interleave`: the emptiest; `local`: null.
    pub resident_share: Option<f64>,
    #[serde(default, alias = "lanes", skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<WriterPages>,
}

/// Pages by node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Pages {
    /// Pages by node; pages not yet touched; pages of which the kernel says nothing.
    pub nodes: BTreeMap<u32, u64>,
    pub untouched: u64,
    pub unknown: u64,
}

/// The store that was driven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct StoreFacts {
    /// Geometry; `max_writers`: writer table entries.
    pub slots: u64,
    pub max_value_len: u64,
    pub vector_dim: u32,
    #[serde(alias = "lanes")]
    pub max_writers: u32,
    /// Size; part on huge pages.
    pub arena_bytes: u64,
    pub huge_page_bytes: u64,
    /// Fallbacks used, in words.
    pub notes: Vec<String>,
    /// Keys and claims at the end.
    pub keys_at_end: u64,
    pub live_claims_at_end: u64,
    /// Recovered claims of dead writers.
    #[serde(alias = "takeovers")]
    pub recoveries: u64,
    /// Keys that a cache evicted.
    #[serde(default)]
    pub evicted: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<TuningFacts>,
}

/// The tuning that was in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct TuningFacts {
    /// Looks at a claim before a liveness check.
    pub claim_patience: u32,
    /// Most pauses between integer retries.
    pub back_off_pauses: u32,
    /// A watcher's spin before sleep.
    pub spin_ns: u64,
    /// Keys of a batch fetched together.
    pub prefetch_depth: u32,
}

impl From<Tuning> for TuningFacts {
    fn from(tuning: Tuning) -> Self {
        Self {
            claim_patience: tuning.claim_patience,
            back_off_pauses: tuning.back_off_pauses,
            spin_ns: u64::try_from(tuning.spin.as_nanos()).unwrap_or(u64::MAX),
            prefetch_depth: tuning.prefetch_depth,
        }
    }
}

/// The records of a command that ran several workloads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Cells {
    pub schema_version: u32,
    pub kind: String,
    pub verdict: Verdict,
    pub cells: Vec<Record>,
}

/// What a command prints: one record, or several as cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Output {
    /// Several.
    Cells(Cells),
    /// One.
    One(Box<Record>),
}

impl Output {
    /// Wraps records, at least one. The verdict is the gravest.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(mut records: Vec<Record>) -> Self {
        if records.len() == 1 {
            return Self::One(Box::new(records.remove(0)));
        }
        let verdict = records.iter().map(|record| record.verdict).max().expect("at least one record");
        Self::Cells(Cells { schema_version: SCHEMA_VERSION, kind: "run".to_owned(), verdict, cells: records })
    }

    /// Returns the gravest verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Cells(cells) => cells.verdict,
            Self::One(record) => record.verdict,
        }
    }

    /// Returns the records.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        match self {
            Self::Cells(cells) => &cells.cells,
            Self::One(record) => std::slice::from_ref(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_verdict_counts() {
        assert!(Verdict::Fail > Verdict::Inconclusive && Verdict::Inconclusive > Verdict::Pass);
    }

    #[test]
    fn one_broken_invariant_is_enough() {
        assert!(Invariants::default().held());
        assert!(!Invariants { torn_reads: 1, ..Invariants::default() }.held());
        assert!(!Invariants { miscounted_operations: 1, ..Invariants::default() }.held());
    }
}
