//! When the operations of an open loop start: each worker's schedule of planned starts, what it is to do at a given
//! time, and how late it is. A start is planned without regard to how long operations take: a worker that is late
//! starts at once, and what it is late by stays in its latencies. Pure but for [`Tsc`]; knows no store and no run.

pub(crate) mod judge;

use serde::{Deserialize, Serialize};
use splinter_harness::named_enum;
use splinter_harness::rng::Rng;
use std::time::Duration;

/// A worker that has longer than this until its next start looks where the run is, in nanoseconds.
const LOOK_NS: f64 = 2_000.0;
/// Turns of the spin between two looks.
const SPINS: u32 = 32;
/// Where workers outnumber processors, a worker that waits longer than the first sleeps until the second is left.
const SLEEP_FROM_NS: f64 = 200_000.0;
const SLEEP_UNTIL_NS: f64 = 100_000.0;
/// Longest sleep: the run may end meanwhile.
const LONGEST_SLEEP_NS: f64 = 5e6;

named_enum! {
    /// How planned starts follow each other.
    pub enum Arrivals: "kind of arrivals" {
        /// At even distances, the workers' in turn.
        Uniform = "uniform",
        /// At random, independent of each other: gaps are exponentially distributed.
        Poisson = "poisson",
    }
}

/// One worker's planned starts, in cycles of some clock.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Mean distance of two starts.
    gap: f64,
    /// Share of a gap from the origin to the first start.
    offset: f64,
    /// Draws the gaps, where they are random.
    rng: Option<Rng>,
    origin: u64,
    /// From the origin to the next planned start.
    next: f64,
    /// Starts taken since the origin.
    taken: u64,
}

impl Schedule {
    /// Plans the starts of one worker of `workers`, which together start `rate` times in `second` cycles.
    #[must_use]
    pub(crate) fn new(
        arrivals: Arrivals,
        rate: u64,
        second: f64,
        (worker, workers): (u32, u32),
        seed: u64,
    ) -> Self {
        let rng = match arrivals {
            Arrivals::Uniform => None,
            // A stream of its own: keys and operations are drawn as in a closed loop.
            Arrivals::Poisson => Some(Rng::new(seed, (1 << 32) | u64::from(worker))),
        };
        let mut schedule = Self {
            gap: second * f64::from(workers.max(1)) / rate.max(1) as f64,
            offset: f64::from(worker) / f64::from(workers.max(1)),
            rng,
            origin: 0,
            next: 0.0,
            taken: 0,
        };
        schedule.restart(0);
        schedule
    }

    /// Plans anew, from `now` on. What was planned before and not started is forgotten.
    pub(crate) fn restart(&mut self, now: u64) {
        self.origin = now;
        self.taken = 0;
        self.next = match &mut self.rng {
            None => self.offset * self.gap,
            Some(rng) => exponential(rng) * self.gap,
        };
    }

    /// Returns the next planned start.
    #[inline]
    #[must_use]
    pub(crate) fn next(&self) -> u64 {
        self.origin.wrapping_add(self.next as u64)
    }

    /// Takes the next planned start, and plans the one behind it.
    #[inline]
    pub(crate) fn take(&mut self) -> u64 {
        let planned = self.next();
        self.taken += 1;
        self.next = match &mut self.rng {
            // From the number, so that no rounding adds up.
            None => (self.offset + self.taken as f64) * self.gap,
            Some(rng) => self.next + exponential(rng) * self.gap,
        };
        planned
    }

    /// Returns how many planned starts there are that should have been taken by `end` and were not. Of random ones,
    /// those behind the first are not drawn, but taken to be as many as there are on average.
    #[must_use]
    pub(crate) fn overdue(&self, end: u64) -> u64 {
        let behind = end.wrapping_sub(self.origin).cast_signed() as f64 - self.next;
        if behind < 0.0 { 0 } else { 1 + (behind / self.gap) as u64 }
    }
}

/// Draws from the exponential distribution of mean 1.
#[inline]
fn exponential(rng: &mut Rng) -> f64 {
    // The argument is in (0, 1].
    -(1.0 - rng.unit()).ln()
}

/// What tells a pacer the time, and lets it pass.
pub(crate) trait Clock: std::fmt::Debug {
    /// Returns the time in cycles.
    fn now(&mut self) -> u64;
    /// Lets some time pass, less than the cycles that are left.
    fn pass(&mut self, left: u64);
}

/// The time-stamp counter. Time is passed by spinning; where workers outnumber processors, a worker that has long to
/// wait sleeps first, or it would keep others from starting in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tsc {
    /// Length of a cycle.
    pub cycle_ns: f64,
    /// Whether long waits are slept.
    pub sleeps: bool,
}

impl Clock for Tsc {
    #[inline]
    fn now(&mut self) -> u64 {
        splinter::cycles()
    }

    #[inline]
    fn pass(&mut self, left: u64) {
        let left_ns = left as f64 * self.cycle_ns;
        if self.sleeps && left_ns > SLEEP_FROM_NS {
            let span_ns = (left_ns - SLEEP_UNTIL_NS).min(LONGEST_SLEEP_NS);
            std::thread::sleep(Duration::from_nanos(span_ns as u64));
        } else {
            for _ in 0..SPINS {
                std::hint::spin_loop();
            }
        }
    }
}

/// What a worker is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Start an operation.
    Start,
    /// Look where the run is, and ask again: there is time.
    Look,
}

/// One worker's pacer.
#[derive(Debug)]
pub(crate) struct Pacer<C> {
    schedule: Schedule,
    clock: C,
    /// Cycles that a look at the run may take.
    look: u64,
    /// Planned start of the current operation.
    planned: u64,
    /// How late that began, and the latest of all.
    late: u64,
    longest: u64,
    started: u64,
}

/// How a worker kept to its schedule, in cycles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paced {
    /// Starts that were planned in the window.
    pub planned: u64,
    /// Those of them that were made.
    pub started: u64,
    /// How late the worker was at the end of the window.
    pub late_at_end: u64,
    /// How late the latest start was.
    pub longest: u64,
    /// How long the window was for this worker: its share may be done before the end.
    pub span: u64,
}

impl<C: Clock> Pacer<C> {
    /// Paces by a schedule and a clock whose cycles have this length.
    #[must_use]
    pub(crate) fn new(schedule: Schedule, clock: C, cycle_ns: f64) -> Self {
        Self {
            schedule,
            clock,
            look: (LOOK_NS / cycle_ns) as u64,
            planned: 0,
            late: 0,
            longest: 0,
            started: 0,
        }
    }

    /// Plans and counts anew, from a time on; an operation that is `in_flight` counts as planned for now.
    pub(crate) fn restart(&mut self, since: u64, in_flight: bool) {
        self.schedule.restart(since);
        self.planned = self.clock.now();
        self.late = 0;
        self.longest = 0;
        self.started = u64::from(in_flight);
    }

    /// Says what to do. A start that is near is waited for, one that is late is made at once.
    #[inline]
    pub(crate) fn turn(&mut self) -> Turn {
        let planned = self.schedule.next();
        loop {
            let now = self.clock.now();
            // Not before: as a signed number, since counters may have wrapped.
            let late = now.wrapping_sub(planned).cast_signed();
            if late >= 0 {
                self.schedule.take();
                self.planned = planned;
                self.late = late.cast_unsigned();
                self.longest = self.longest.max(self.late);
                self.started += 1;
                return Turn::Start;
            }
            let left = late.unsigned_abs();
            if left > self.look {
                self.clock.pass(left);
                return Turn::Look;
            }
            std::hint::spin_loop();
        }
    }

    /// Returns when the current operation was planned to start.
    #[inline]
    #[must_use]
    pub(crate) fn planned(&self) -> u64 {
        self.planned
    }

    /// Sums up a window that ended at `end`, with `left` operations of the worker's share undone.
    #[must_use]
    pub(crate) fn sum_up(&self, end: u64, left: u64) -> Paced {
        let overdue = self.schedule.overdue(end).min(left);
        let late_at_end = match (left, overdue) {
            // All is done: as late as the last of it began.
            (0, _) => self.late,
            (_, 0) => 0,
            _ => end.wrapping_sub(self.schedule.next()),
        };
        Paced {
            planned: self.started + overdue,
            started: self.started,
            late_at_end,
            longest: self.longest.max(late_at_end),
            span: end.wrapping_sub(self.schedule.origin),
        }
    }
}

#[cfg(test)]
mod tests;
