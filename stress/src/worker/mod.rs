//! A worker: gets ready, waits at the barrier, does its share, reports. The same code runs in a
//! thread of the run and in a process of its own. [`writer`], [`reader`] and [`watcher`] hold the
//! measured loops, [`recorder`] what they count and time with, [`pacing`] when they start,
//! [`checks`](crate::oracle::checks) what they judge answers with.

mod batch;
mod conditional;
mod lease;
pub(crate) mod pacing;
pub(crate) mod reader;
pub(crate) mod recorder;
mod transfer;
mod update;
pub(crate) mod watcher;
pub(crate) mod writer;

use crate::keys::{self, Family};
use crate::mix::{Draw, Op};
use crate::open_loop::Paced;
use crate::options::{Role, Workers};
use crate::oracle::checks::Faults;
use crate::placement::Affinity;
use crate::shared_state::{Counts, SharedState, State};
use crate::target::{Reads, Watches, Writes};
use crate::workload::Workload;
use pacing::{Closed, Open, Pace};
use serde::{Deserialize, Serialize};
use splinter_harness::counters;
use std::collections::BTreeMap;
use watcher::Notices;

/// Keys that a worker reads before the start, so that its page tables and translation caches know
/// them.
const TOUCHED_KEYS: u64 = 1 << 14;

/// One worker's part in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assignment<'a> {
    /// What is run.
    pub workload: &'a Workload,
    /// Where it is counted.
    pub shared: &'a SharedState,
    /// The worker's number: writers come first, watchers last.
    pub worker: u32,
    /// Processor it is to run on.
    pub cpu: Option<usize>,
}

/// What a worker found, and how it ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The worker's number.
    pub worker: u32,
    /// What it was there for.
    pub role: Role,
    /// Where it ran.
    pub affinity: Affinity,
    /// What it counted in the measured window, by operation.
    pub counts: BTreeMap<String, Counts>,
    /// Latencies by operation, or of notifications, in cycles, HdrHistogram V2.
    pub histograms: Vec<(String, Vec<u8>)>,
    /// What was wrong.
    pub faults: Faults,
    /// Time-stamp counter at the start and at the end of its measured window.
    pub window: (u64, u64),
    /// Processor time it got in it, where the kernel tells.
    pub worked_ns: Option<u64>,
    /// What the kernel's counters counted in it, by name.
    pub events: BTreeMap<String, u64>,
    /// What a watcher took.
    pub notices: Option<Notices>,
    /// How an open loop's worker kept to its schedule.
    pub paced: Option<Paced>,
}

impl Assignment<'_> {
    /// Returns the worker's role.
    #[must_use]
    pub(crate) fn role(&self) -> Role {
        self.workload.role(self.worker)
    }

    /// Runs a writer to its end.
    pub(crate) fn write(&self, target: &mut impl Writes) -> Report {
        let draw = self.workload.mix.for_writer();
        match self.workload.rate {
            None => self.write_at(|| Closed, &draw, target),
            Some(rate) => self.write_at(|| Open::new(self, rate, draw.ops()), &draw, target),
        }
    }

    fn write_at<P: Pace>(&self, pace: impl FnOnce() -> P, draw: &Draw, target: &mut impl Writes) -> Report {
        let mut recorder = self.recorder(pace, target, draw.ops());
        let mut writer = writer::WriterLoop::new(self);
        recorder.wait();
        writer.run(&mut recorder, target);
        recorder.report(writer.into_faults())
    }

    /// Runs a reader to its end.
    pub(crate) fn read(&self, target: &impl Reads) -> Report {
        let draw = self.workload.mix.for_reader();
        match self.workload.rate {
            None => self.read_at(|| Closed, &draw, target),
            Some(rate) => self.read_at(|| Open::new(self, rate, draw.ops()), &draw, target),
        }
    }

    fn read_at<P: Pace>(&self, pace: impl FnOnce() -> P, draw: &Draw, target: &impl Reads) -> Report {
        let mut recorder = self.recorder(pace, target, draw.ops());
        let mut reader = reader::ReaderLoop::new(self);
        recorder.wait();
        reader.run(&mut recorder, target);
        recorder.report(reader.into_faults())
    }

    /// Runs a watcher to its end.
    pub(crate) fn watch(&self, target: &impl Reads, changes: &mut impl Watches) -> Report {
        let mut recorder = self.recorder(|| Closed, target, std::iter::empty());
        let mut watcher = watcher::WatcherLoop::new(self, changes);
        recorder.wait();
        watcher.run(&mut recorder, target, changes);
        watcher.report(recorder)
    }

    /// Takes the worker to its processor and touches the memory it will use.
    fn recorder<P: Pace>(
        &self,
        pace: impl FnOnce() -> P,
        target: &impl Reads,
        ops: impl Iterator<Item = Op>,
    ) -> recorder::Recorder<'_, P> {
        let affinity = Affinity::take(self.cpu);
        counters::open_one_of(match self.workload.workers {
            Workers::Threads => self.workload.worker_count(),
            Workers::Processes => 1,
        });
        let recorder = recorder::Recorder::new(self, pace(), affinity, ops);
        let mut buf = vec![0; self.workload.buffer_len()];
        let values = self.workload.key_sets().of(Family::Value);
        for key in values.start..values.end.min(TOUCHED_KEYS) {
            // Only the touch counts; whether the key is there is asked once the run has begun.
            let _ = target.get(&keys::name(Family::Value, key), &mut buf);
        }
        recorder
    }

    /// Says that the worker is ready, where it was asked to be or elsewhere.
    fn ready(&self, placed: bool) {
        self.shared.cell(self.worker).set_state(if placed { State::Ready } else { State::Misplaced });
    }
}

#[cfg(test)]
mod tests;
