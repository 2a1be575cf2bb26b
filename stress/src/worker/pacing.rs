//! What a worker's recorder needs of a pace: nothing in a closed loop, where all of this is compiled away; in an open loop
//! its pacer, and the latencies from the planned starts.

use super::Assignment;
use crate::latency::{Latencies, PLANNED};
use crate::mix::Op;
use crate::open_loop::{Paced, Pacer, Schedule, Tsc, Turn};
use std::fmt;

/// How a worker's operations follow each other.
pub(crate) trait Pace: fmt::Debug {
    /// Whether starts are planned.
    const OPEN: bool;

    /// Says what to do next.
    fn turn(&mut self) -> Turn;
    /// Plans and counts anew, from a time on.
    fn restart(&mut self, since: u64, in_flight: bool);
    /// Records that the current operation succeeded at a time.
    fn record(&mut self, op: Op, end: u64);
    /// Encodes the latencies.
    fn encode(&self) -> Vec<(String, Vec<u8>)>;
    /// Sums up a window.
    fn sum_up(&self, end: u64, left: u64) -> Option<Paced>;
}

/// The next operation starts when the last one returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed;

impl Pace for Closed {
    const OPEN: bool = false;

    fn turn(&mut self) -> Turn {
        Turn::Start
    }

    fn restart(&mut self, _: u64, _: bool) {}

    fn record(&mut self, _: Op, _: u64) {}

    fn encode(&self) -> Vec<(String, Vec<u8>)> {
        Vec::new()
    }

    fn sum_up(&self, _: u64, _: u64) -> Option<Paced> {
        None
    }
}

/// Starts are planned.
#[derive(Debug)]
pub(crate) struct Open {
    pacer: Pacer<Tsc>,
    latencies: Latencies,
}

impl Open {
    /// Makes the pace of a worker, whose workload has a rate.
    pub(super) fn new(assignment: &Assignment<'_>, rate: u64, ops: impl Iterator<Item = Op>) -> Self {
        let workload = assignment.workload;
        let clock = assignment.shared.clock();
        let schedule = Schedule::new(
            workload.arrivals,
            rate,
            1e9 / clock.cycle_ns,
            (assignment.worker, workload.operators()),
            workload.seed,
        );
        Self {
            pacer: Pacer::new(schedule, clock, clock.cycle_ns),
            // Which attempts are timed is decided elsewhere.
            latencies: Latencies::new(ops, u32::from(workload.histogram)),
        }
    }
}

impl Pace for Open {
    const OPEN: bool = true;

    #[inline]
    fn turn(&mut self) -> Turn {
        self.pacer.turn()
    }

    fn restart(&mut self, since: u64, in_flight: bool) {
        self.latencies.reset();
        self.pacer.restart(since, in_flight);
    }

    #[inline]
    fn record(&mut self, op: Op, end: u64) {
        self.latencies.record(op, end.saturating_sub(self.pacer.planned()));
    }

    fn encode(&self) -> Vec<(String, Vec<u8>)> {
        let encoded = self.latencies.encode().into_iter();
        encoded.map(|(name, bytes)| (name + PLANNED, bytes)).collect()
    }

    fn sum_up(&self, end: u64, left: u64) -> Option<Paced> {
        Some(self.pacer.sum_up(end, left))
    }
}
