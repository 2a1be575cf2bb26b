//! Drives a splinter store with contending writers and readers, and proves it correct under load:
//! one [`Workload`], one [`run()`], one [`Record`].
//!
//! The whole of a run is in the `run` module, in order. Throughput always means goodput: operations
//! per second that did their work; attempts are beside it. Every value proves itself, every reader
//! checks what it reads, and at the end every key is compared with what its writers were
//! acknowledged.

mod aggregate;
mod cache;
mod child;
mod choice;
pub mod cli;
mod event_log;
mod history;
mod hostile;
mod keys;
mod kill;
mod latency;
mod length;
mod matrix;
mod mix;
mod numa;
mod observer;
mod open_loop;
mod options;
mod oracle;
pub mod peer;
mod placement;
mod profile;
mod proof;
mod queue;
mod raw;
mod record;
mod report;
mod run;
mod setup;
mod shared_state;
mod steady;
mod sweep;
mod target;
mod threads;
mod wake;
mod worker;
mod workers;
mod workload;

#[cfg(test)]
mod testing;

pub use cache::{CacheInvariants, CachePlan, CacheRecord, CacheRow, Pattern as CachePattern};
pub use choice::KeyChoice;
pub use history::record::{HistoryRecord, Shown};
pub use history::{ObjectKind as HistoryObject, OpKind as HistoryOp};
pub use hostile::{HostilePlan, HostileRecord, Target, hostile};
pub use kill::{KillInvariants, KillLevel, KillPlan, KillRecord, Kills, kill};
pub use latency::Percentiles;
pub use length::ValueLen;
pub use matrix::{Axis, AxisSettings, MatrixRecord, NotRun, matrix_summary};
pub use mix::{Mix, Op};
pub use numa::{Expected, NumaPlan, NumaRecord, NumaRow, Plant, numa, numa_summary};
pub use observer::Observer;
pub use open_loop::Arrivals;
pub use open_loop::judge::OpenLoop;
pub use options::Role;
pub use options::{Backing, Huge, Memory, Pin, Span, Warmup, Workers};
pub use placement::Affinity;
pub use placement::diagram::topology_summary;
pub use placement::topology::{PlannedPlacement, PlannedWorker, TopologyPlan, TopologyRecord, topology};
pub use placement::writer_memory::WriterPages;
pub use queue::{QueueInvariants, QueueKills, QueuePlan, QueuePlant, QueueRecord, Waking, queue};
pub use record::{
    Cells, Invariants, MemoryPlacement, Notifications, Operation, Output, Pages, Placement, Record,
    StoreFacts, Totals, TuningFacts, Window, WorkerPlacement,
};
pub use report::{comparison, summary};
pub use run::run;
pub use shared_state::Counts;
pub use steady::Steadiness;
pub use sweep::{
    CodeLocation, Interruption, KeyLayout, Op as SweepOp, Pair, Scenario, ScrubLevel, SweepPlan, SweepRecord,
    Violation, sweep, sweep_summary,
};
pub use wake::{FanOut, Middle, Row, Situation, WakePlan, WakeRecord, wake, wake_summary};
pub use worker::watcher::Notices;
pub use workload::Workload;
