//! Drives a splinter store with contending writers and readers, and proves it correct under load:
//! one [`Workload`], one [`run()`], one [`Record`].
//!
//! The whole of a run is in the `run` module, in order. Throughput always means goodput: operations
//! per second that did their work; attempts are beside it. Every value proves itself, every reader
//! checks what it reads, and at the end every key is compared with what its writers were
//! acknowledged.

pub mod affinity;
mod aggregate;
mod child;
mod choice;
pub mod cli;
mod clock_cost;
pub mod console;
mod cpu_quota;
mod cpulist;
mod cycles;
mod disturbance;
mod environment;
mod error;
mod event_log;
pub mod files;
mod forked;
pub mod futex;
mod history;
mod hostile;
pub mod input;
pub mod interrupt;
mod keys;
mod kill;
mod latency;
mod length;
mod matrix;
mod mix;
mod named;
mod numa;
mod observer;
mod open_loop;
mod options;
mod oracle;
pub mod peer;
mod placement;
mod profile;
mod progress;
mod proof;
mod raw;
mod record;
mod report;
pub mod rng;
mod run;
mod setup;
mod shared;
mod shared_state;
pub mod stats;
mod steady;
mod sweep;
pub mod table;
mod target;
mod task;
mod text;
mod valgrind;
mod verdict;
mod wake;
mod worker;
mod workers;
mod workload;

#[cfg(test)]
mod testing;

pub use choice::KeyChoice;
pub use clock_cost::ClockCost;
pub use cpu_quota::CpuQuota;
pub use disturbance::{Cause, Disturbance, RoundWatch, disturbed};
pub use environment::{
    Build, Cache, Environment, Node, Taken, available_memory, caches, load_average, require_proc,
    resident_memory, settle,
};
pub use error::RunError;
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
pub use placement::kernel::nodes_of as page_nodes;
pub use placement::machine::{Machine, MachineCache, MachineNode, Processor};
pub use placement::source::{MachineSource, this_machine};
pub use placement::topology::{PlannedPlacement, PlannedWorker, TopologyPlan, TopologyRecord, topology};
pub use placement::writer_memory::WriterPages;
pub use progress::{Line, Progress, Silent, left_in_words};
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
pub use verdict::{SCHEMA_VERSION, USAGE, Verdict};
pub use wake::{FanOut, Middle, Row, Situation, WakePlan, WakeRecord, wake, wake_summary};
pub use worker::watcher::Notices;
pub use workload::Workload;
