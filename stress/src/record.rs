//! The result of a run, as it is written to JSON. `results/schema.md` documents every field; names
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // Documented in results/schema.md, field by field.
pub struct Record {
    pub schema_version: u32,
    pub kind: String,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub labels: Vec<String>,
    pub config: Workload,
    pub collision_rate: f64,
    pub window: Window,
    pub operations: BTreeMap<String, Operation>,
    pub totals: Totals,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_operation: BTreeMap<String, f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<OpenLoop>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Notifications>,
    pub invariants: Invariants,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryRecord>,
    pub placement: Placement,
    pub store: StoreFacts,
    pub observer: Observer,
    pub environment: Environment,
    pub hdr_log: String,
}

/// When what was counted happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Window {
    pub started_unix_s: f64,
    pub warmup_s: f64,
    pub warmup_ended: String,
    #[serde(default)]
    pub steadiness: Option<Steadiness>,
    pub measured_s: f64,
    pub processor_share: Option<f64>,
    pub interrupted: bool,
}

/// One operation's counts and latencies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Operation {
    #[serde(flatten)]
    pub counts: Counts,
    pub goodput_per_s: f64,
    pub attempts_per_s: f64,
    pub latency_ns: Percentiles,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_from_planned_ns: Option<Percentiles>,
}

/// All operations together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Totals {
    #[serde(flatten)]
    pub counts: Counts,
    pub goodput_per_s: f64,
    pub attempts_per_s: f64,
    pub writes_per_s: f64,
    pub reads_per_s: f64,
}

/// What all watchers together took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Notifications {
    #[serde(flatten)]
    pub notices: Notices,
    pub goodput_per_s: f64,
    pub latency_ns: Percentiles,
    pub wake_latency_ns: Percentiles,
}

/// What must be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Invariants {
    pub torn_reads: u64,
    pub stale_leaks: u64,
    pub lost_updates: u64,
    pub duplicate_keys: u64,
    pub spurious_misses: u64,
    #[serde(default)]
    pub lost_notifications: u64,
    pub epoch_regressions: u64,
    pub stuck_claims: u64,
    pub unreachable_keys: u64,
    pub leaked_slots: u64,
    pub unexpected_errors: u64,
    pub lost_workers: u64,
    pub miscounted_operations: u64,
    #[serde(default)]
    pub linearizability_violations: u64,
}

impl Invariants {
    /// Returns all of them with their names.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 14] {
        [
            ("torn reads", self.torn_reads),
            ("stale leaks", self.stale_leaks),
            ("lost updates", self.lost_updates),
            ("duplicate keys", self.duplicate_keys),
            ("spurious misses", self.spurious_misses),
            ("lost notifications", self.lost_notifications),
            ("epoch regressions", self.epoch_regressions),
            ("stuck claims", self.stuck_claims),
            ("unreachable keys", self.unreachable_keys),
            ("leaked slots", self.leaked_slots),
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Placement {
    #[serde(default)]
    pub topology: String,
    pub processors: usize,
    pub oversubscribed: bool,
    pub misplaced: Vec<String>,
    pub workers: Vec<WorkerPlacement>,
    pub memory: MemoryPlacement,
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct WorkerPlacement {
    pub worker: u32,
    pub role: Role,
    #[serde(flatten)]
    pub affinity: Affinity,
}

/// The store's pages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MemoryPlacement {
    pub requested: String,
    pub page_bytes: u64,
    pub before: Pages,
    pub after: Pages,
    pub resident_share: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<WriterPages>,
}

/// Pages by node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Pages {
    pub nodes: BTreeMap<u32, u64>,
    pub untouched: u64,
    pub unknown: u64,
}

/// The store that was driven.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct StoreFacts {
    pub slots: u64,
    pub max_value_len: u64,
    pub vector_dim: u32,
    pub lanes: u32,
    pub arena_bytes: u64,
    pub huge_page_bytes: u64,
    pub notes: Vec<String>,
    pub keys_at_end: u64,
    pub live_claims_at_end: u64,
    pub takeovers: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<TuningFacts>,
}

/// The tuning that was in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TuningFacts {
    pub claim_patience: u32,
    pub back_off_pauses: u32,
    pub spin_ns: u64,
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
