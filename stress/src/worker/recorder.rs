//! What a worker counts and times with. The measured loop touches nothing but this and the store;
//! everything shared is looked at once a batch.

use super::pacing::{Closed, Pace};
use super::{Assignment, Report};
use crate::event_log::EventLog;
use crate::history::Event;
use crate::latency::Latencies;
use crate::mix::Op;
use crate::open_loop::Turn;
use crate::options::Span;
use crate::oracle::checks::Faults;
use crate::placement::Affinity;
use crate::shared_state::{Cell, Counts, Phase};
use crate::target::Miss;
use splinter_harness::counters;
use splinter_harness::cycles::cycles_after_stores;

/// Attempts between two looks at the stop flag.
const BATCH: u32 = 256;
/// Batches between two looks at the processor.
const LOOKS: u32 = 16;

/// A worker's counters, clock and view of the run. The parts for a pace are compiled only where there is one.
#[derive(Debug)]
pub(crate) struct Recorder<'a, P = Closed> {
    assignment: Assignment<'a>,
    pace: P,
    cell: Cell<'a>,
    counts: [Counts; Op::COUNT],
    ops: Vec<Op>,
    latencies: Latencies,
    affinity: Affinity,
    event_log: Option<EventLog<'a>>,
    /// When the last attempt began and ended, if there is an event log.
    times: (u64, u64),
    /// Attempts until the next look.
    left: u32,
    batches: u32,
    measuring: bool,
    /// Operations until the worker's share is done, which there may be none of.
    share: u64,
    window: (u64, u64),
    /// Processor time at the start of the window; once that has ended, in it.
    worked_ns: Option<u64>,
    ended: bool,
}

impl<'a, P: Pace> Recorder<'a, P> {
    /// Prepares for some operations; touches all its memory.
    pub(super) fn new(
        assignment: &Assignment<'a>,
        pace: P,
        affinity: Affinity,
        ops: impl Iterator<Item = Op>,
    ) -> Self {
        let ops: Vec<Op> = ops.collect();
        let every = if assignment.workload.histogram { assignment.workload.sample } else { 0 };
        let event_log = assignment.shared.event_log(assignment.worker);
        if let Some(event_log) = &event_log {
            event_log.touch();
        }
        Self {
            assignment: *assignment,
            pace,
            event_log,
            times: (0, 0),
            cell: assignment.shared.cell(assignment.worker),
            counts: [Counts::default(); Op::COUNT],
            latencies: Latencies::new(ops.iter().copied(), every),
            ops,
            affinity,
            left: 1,
            batches: 0,
            measuring: false,
            share: u64::MAX,
            window: (0, 0),
            worked_ns: None,
            ended: false,
        }
    }

    /// Waits at the barrier.
    pub(super) fn wait(&mut self) {
        self.assignment.ready(self.affinity.placed());
        self.assignment.shared.wait_for_start();
        self.affinity.start();
        self.pace.restart(splinter::cycles(), false);
    }

    /// Waits until the next operation is to start, where that is planned; to be asked before each. Tells whether to
    /// go on.
    #[inline]
    pub(super) fn turn(&mut self) -> bool {
        if P::OPEN { self.wait_for_turn() } else { true }
    }

    fn wait_for_turn(&mut self) -> bool {
        let mut shown = false;
        loop {
            match self.pace.turn() {
                Turn::Start => return true,
                Turn::Look => {
                    // A worker that rarely starts shows its counts as soon as an operation is done.
                    if !std::mem::replace(&mut shown, true) {
                        self.show();
                    }
                    if self.phase_with(false) >= Phase::Stop || self.share == 0 {
                        return false;
                    }
                }
            }
        }
    }

    /// Tells whether to go on; to be asked before each attempt.
    #[inline]
    pub(super) fn go_on(&mut self) -> bool {
        self.left -= 1;
        if self.left > 0 { true } else { self.look_up() }
    }

    /// Makes one attempt: counts it, and times it when one is due and it succeeds.
    #[inline]
    pub(super) fn attempt<R>(&mut self, op: Op, call: impl FnOnce() -> Result<R, Miss>) -> Result<R, Miss> {
        self.counts[op as usize].attempts += 1;
        let due = self.latencies.due();
        let result = if due | self.event_log.is_some() {
            let start = splinter::cycles_fenced();
            let result = call();
            // What it stored has left this processor before it counts as done.
            let end = match self.event_log {
                Some(_) => cycles_after_stores(),
                None => splinter::cycles_fenced(),
            };
            self.times = (start, end);
            if due && result.is_ok() {
                // Counters of two processors may be a few cycles apart.
                self.latencies.record(op, end.saturating_sub(start));
                if P::OPEN {
                    self.pace.record(op, end);
                }
            }
            result
        } else {
            call()
        };
        self.counts[op as usize].note(&result);
        result
    }

    /// Makes many attempts in one call, which puts what came of each into `results`: counts them, and times the call
    /// when one is due and any of them succeeds.
    #[inline]
    pub(super) fn attempts<R>(
        &mut self,
        op: Op,
        results: &mut [Result<R, Miss>],
        call: impl FnOnce(&mut [Result<R, Miss>]),
    ) {
        let due = self.latencies.due();
        let start = if due { splinter::cycles_fenced() } else { 0 };
        call(results);
        let end = if due { splinter::cycles_fenced() } else { 0 };
        if due && results.iter().any(Result::is_ok) {
            self.latencies.record(op, end.saturating_sub(start));
        }
        let counts = &mut self.counts[op as usize];
        counts.attempts += results.len() as u64;
        for result in results {
            counts.note(result);
        }
    }

    /// Returns how many operations are left of the worker's share: one at least.
    #[inline]
    pub(super) fn left_of_share(&self) -> usize {
        usize::try_from(self.share).unwrap_or(usize::MAX).max(1)
    }

    /// Tells whether there is to be a history.
    #[inline]
    pub(super) fn records(&self) -> bool {
        self.event_log.is_some()
    }

    /// Records what the last attempt did, if there is to be a history.
    #[inline]
    pub(super) fn record(&mut self, what: impl FnOnce() -> Event) {
        if let Some(event_log) = &mut self.event_log {
            let (invoked, returned) = self.times;
            event_log.push(&Event { invoked, returned, ..what() });
        }
    }

    /// Notes that an operation is over, well or not. Returns false when it was the last of the
    /// worker's share.
    #[inline]
    pub(super) fn completed(&mut self) -> bool {
        self.share -= 1;
        self.share > 0
    }

    #[cold]
    fn look_up(&mut self) -> bool {
        self.left = BATCH;
        if let Some(event_log) = &self.event_log {
            // No attempt leaves more than one operation.
            self.left = BATCH.min(u32::try_from(event_log.room()).unwrap_or(BATCH));
        }
        self.show();
        if self.left == 0 {
            self.cell.set_full();
            return false;
        }
        self.phase() < Phase::Stop && self.share > 0
    }

    /// Looks where the run is, and begins to count when it is time to.
    pub(super) fn phase(&mut self) -> Phase {
        self.phase_with(true)
    }

    /// Does as [`Recorder::phase`], with an operation in flight or between two.
    fn phase_with(&mut self, in_flight: bool) -> Phase {
        if self.batches.is_multiple_of(LOOKS) {
            self.affinity.look();
        }
        self.batches = self.batches.wrapping_add(1);
        let phase = self.assignment.shared.phase();
        if phase == Phase::Measure && !self.measuring {
            self.counts = [Counts::default(); Op::COUNT];
            self.latencies.reset();
            if let Span::Ops(ops) = self.assignment.workload.span {
                self.share = self.assignment.workload.share_of(ops, self.assignment.worker);
            }
            // From when it began, not from when this worker came to see it.
            let in_flight = in_flight && self.share > 0;
            self.pace.restart(self.assignment.shared.measured_since(), in_flight);
            self.measuring = true;
            self.worked_ns = processor_time_ns();
            counters::start();
            self.window.0 = splinter::cycles();
        }
        phase
    }

    /// Ends the worker's window, which ends with the report otherwise.
    pub(super) fn end_window(&mut self) {
        self.window.1 = splinter::cycles();
        counters::end(0);
        self.worked_ns = self.worked_ns.and_then(|start| Some(processor_time_ns()? - start));
        self.ended = true;
    }

    fn show(&self) {
        for &op in &self.ops {
            self.cell.show(op, &self.counts[op as usize]);
        }
    }

    /// Ends the worker's window and sums up.
    pub(super) fn report(mut self, faults: Faults) -> Report {
        if !self.ended {
            self.end_window();
        }
        if !self.measuring {
            // Stopped before anything counted.
            self.counts = [Counts::default(); Op::COUNT];
            self.latencies.reset();
            self.pace.restart(self.window.1, false);
            self.window.0 = self.window.1;
        }
        self.show();
        self.affinity.end();
        if let Some(event_log) = &self.event_log {
            event_log.finish();
        }
        let mut histograms = self.latencies.encode();
        histograms.extend(self.pace.encode());
        Report {
            paced: if self.measuring {
                let until = self.assignment.shared.measured_until();
                let end = until.map_or(self.window.1, |until| until.min(self.window.1));
                self.pace.sum_up(end, self.share)
            } else {
                None
            },
            worker: self.assignment.worker,
            role: self.assignment.role(),
            affinity: self.affinity,
            counts: self.ops.iter().map(|&op| (op.name().to_owned(), self.counts[op as usize])).collect(),
            histograms,
            faults,
            window: self.window,
            worked_ns: self.worked_ns,
            events: counters::take().events().map(|(name, count)| (name.to_owned(), count)).collect(),
            notices: None,
        }
    }
}

/// Reads how long the calling thread has run on any processor.
fn processor_time_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}
