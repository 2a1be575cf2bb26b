//! The shared state of a run: one memfd, mapped by the parent and by every worker, thread or
//! process alike. It holds the starting barrier and the stop flag, a padded cell of counters per
//! worker, the writers' ledgers, and room for each worker's report. It is gone when the last of
//! them ends, however that happens.
//!
//! Everything in it is an atomic word. Cells, ledgers and reports have one writer each; the parent
//! reads counters while they move (progress only) and the rest after the worker has said that it is
//! done (release), or has ended.

use crate::event_log::{self, EventLog};
use crate::mix::Op;
use crate::open_loop::Tsc;
use crate::oracle::acks::{AckTable, words_for};
use crate::target::Miss;
use crate::workload::Workload;
use splinter_harness::futex::{store_and_wake, wait_for_change};
use splinter_harness::shared::SharedWords;
use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// Words before the cells; the first one is the phase, the next two are the clock of open loops, and two more say when the
/// measured window began and ended.
const HEADER: usize = 64;
/// Words of a cell: four lines more than it needs, so that no two workers share one or prefetch
/// each other's.
const CELL: usize = 160;
/// Words of an operation's counts.
const COUNTS: usize = 6;
/// Words for a worker's report; untouched ones take no memory.
const REPORT: usize = (4 << 20) / 8;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub(crate) enum Phase {
    /// Workers get ready and wait.
    Gather,
    /// Workers work, nothing counts.
    Warm,
    /// Workers work, everything counts.
    Measure,
    /// Writers and readers end.
    Stop,
    /// They have ended. Watchers take what is left, and end.
    Leave,
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub(crate) enum State {
    /// It gets ready.
    Starting,
    /// It waits at the barrier, where it was asked to be.
    Ready,
    /// It waits at the barrier, elsewhere: its processor could not be had.
    Misplaced,
    /// It has done its share and left its report.
    Done,
}

/// What is counted per operation: one attempt ends as one of the others.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default)] // Older records lack some.
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Counts {
    /// ● In the measured window.
    pub attempts: u64,
    pub successes: u64,
    pub again: u64,
    pub failures: u64,
    /// Refusals, since a key was not as expected.
    #[serde(skip_serializing_if = "is_zero")]
    pub changed: u64,
    /// Updates whose own function failed or panicked, as planned.
    #[serde(skip_serializing_if = "is_zero")]
    pub given_up: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// Adds others.
    pub(crate) fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.successes += other.successes;
        self.again += other.again;
        self.failures += other.failures;
        self.changed += other.changed;
        self.given_up += other.given_up;
    }

    /// Counts what came of one attempt.
    #[inline]
    pub(crate) fn note<T>(&mut self, result: &Result<T, Miss>) {
        match result {
            Ok(_) => self.successes += 1,
            Err(Miss::Again) => self.again += 1,
            Err(Miss::Changed { .. }) => self.changed += 1,
            Err(Miss::GivenUp) => self.given_up += 1,
            Err(_) => self.failures += 1,
        }
    }
}

/// The mapped words, and where in them what lies.
#[derive(Debug)]
pub(crate) struct SharedState {
    words: SharedWords,
    workload: Workload,
    layout: Layout,
}

/// Where in the words what lies.
#[derive(Debug)]
struct Layout {
    /// First word of each writer's ledger.
    ledgers: Vec<usize>,
    /// First word of the reports.
    reports: usize,
    /// First word of the histories.
    histories: usize,
    /// Number of all words.
    end: usize,
}

impl Layout {
    fn new(workload: &Workload) -> Self {
        let mut reports = HEADER + CELL * workload.worker_count() as usize;
        let mut ledgers = Vec::new();
        for writer in 0..if workload.oracle { workload.writers } else { 0 } {
            ledgers.push(reports);
            reports += words_for(&workload.writer_keys(writer));
        }
        let histories = reports + REPORT * workload.worker_count() as usize;
        let each = workload.history_share().map_or(0, event_log::words_for);
        Self { ledgers, reports, histories, end: histories + each * workload.operators() as usize }
    }
}

impl Deref for SharedState {
    type Target = SharedWords;

    fn deref(&self) -> &SharedWords {
        &self.words
    }
}

impl SharedState {
    /// Makes it for a workload.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn create(workload: &Workload) -> io::Result<Self> {
        Self::new(workload, SharedWords::create)
    }

    /// Maps what another process made for the same workload.
    ///
    /// # Errors
    /// What the kernel says, and `InvalidData` if it is not of this workload's size.
    pub(crate) fn from_fd(fd: OwnedFd, workload: &Workload) -> io::Result<Self> {
        Self::new(workload, |count| SharedWords::from_fd(fd, count))
    }

    fn new(workload: &Workload, words: impl FnOnce(usize) -> io::Result<SharedWords>) -> io::Result<Self> {
        let layout = Layout::new(workload);
        Ok(Self { words: words(layout.end)?, workload: workload.clone(), layout })
    }

    /// Returns the phase.
    #[inline]
    #[must_use]
    pub(crate) fn phase(&self) -> Phase {
        // Acquire: a worker that sees the end of the writers sees all that they did.
        match self.words()[0].load(Acquire) {
            0 => Phase::Gather,
            1 => Phase::Warm,
            2 => Phase::Measure,
            3 => Phase::Stop,
            _ => Phase::Leave,
        }
    }

    /// Moves all workers to a phase and wakes those that wait. Returns the moment just before.
    pub(crate) fn enter(&self, phase: Phase) -> Instant {
        match phase {
            Phase::Measure => self.words()[3].store(splinter::cycles(), Relaxed),
            Phase::Stop => self.words()[4].store(splinter::cycles(), Relaxed),
            _ => {}
        }
        let now = Instant::now();
        store_and_wake(&self.words()[0], phase as u64);
        now
    }

    /// Tells the workers of an open loop the clock that they are paced by; before they are started.
    pub(crate) fn set_clock(&self, clock: Tsc) {
        self.words()[1].store(clock.cycle_ns.to_bits(), Relaxed);
        self.words()[2].store(u64::from(clock.sleeps), Relaxed);
    }

    /// Returns the clock of an open loop.
    #[must_use]
    pub(crate) fn clock(&self) -> Tsc {
        // Relaxed: a worker that is started later sees it.
        Tsc {
            cycle_ns: f64::from_bits(self.words()[1].load(Relaxed)),
            sleeps: self.words()[2].load(Relaxed) != 0,
        }
    }

    /// Returns the time-stamp counter at the start of the measured window, for workers that have seen it begin.
    #[must_use]
    pub(crate) fn measured_since(&self) -> u64 {
        self.words()[3].load(Relaxed)
    }

    /// Returns the time-stamp counter at its end, if it has ended.
    #[must_use]
    pub(crate) fn measured_until(&self) -> Option<u64> {
        Some(self.words()[4].load(Relaxed)).filter(|&end| end > 0)
    }

    /// Waits at the barrier: returns when the phase is no longer [`Phase::Gather`].
    pub(crate) fn wait_for_start(&self) {
        let _ = wait_for_change(&self.words()[0], Phase::Gather as u64, || false);
    }

    /// Returns a worker's cell.
    #[must_use]
    pub(crate) fn cell(&self, worker: u32) -> Cell<'_> {
        let start = HEADER + CELL * worker as usize;
        Cell { words: &self.words()[start..start + CELL] }
    }

    /// Returns a writer's ledger, if the oracle is on and the worker is a writer.
    #[must_use]
    pub(crate) fn ledger(&self, worker: u32) -> Option<AckTable<'_>> {
        let start = *self.layout.ledgers.get(worker as usize)?;
        let keys = self.workload.writer_keys(worker);
        Some(AckTable::new(&self.words()[start..start + words_for(&keys)], keys))
    }

    /// Returns the event log in which a worker records what it does, where there is to be a history. Watchers do nothing.
    #[must_use]
    pub(crate) fn event_log(&self, worker: u32) -> Option<EventLog<'_>> {
        let each = event_log::words_for(self.workload.history_share()?);
        let start = self.layout.histories + each * worker as usize;
        let words = self.words().get(start..start + each)?;
        Some(EventLog::new(words, worker))
    }

    /// Leaves a worker's report.
    ///
    /// # Panics
    /// If it is larger than its place; reports are bounded by far less.
    pub(crate) fn put_report(&self, worker: u32, report: &[u8]) {
        let words = self.report(worker);
        assert!(report.len() < (words.len() - 1) * 8, "report of {} bytes", report.len());
        for (word, part) in words[1..].iter().zip(report.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..part.len()].copy_from_slice(part);
            word.store(u64::from_le_bytes(bytes), Relaxed);
        }
        words[0].store(report.len() as u64, Release);
    }

    /// Takes a worker's report, empty if it left none.
    #[must_use]
    pub(crate) fn take_report(&self, worker: u32) -> Vec<u8> {
        let words = self.report(worker);
        let len = usize::try_from(words[0].load(Acquire)).unwrap_or(0).min((words.len() - 1) * 8);
        let mut report = Vec::with_capacity(len.next_multiple_of(8));
        for word in &words[1..=len.div_ceil(8)] {
            report.extend_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        report.truncate(len);
        report
    }

    fn report(&self, worker: u32) -> &[AtomicU64] {
        let start = self.layout.reports + REPORT * worker as usize;
        &self.words()[start..start + REPORT]
    }

    /// Waits until every worker in `workers` has left [`State::Starting`], or `has_ended` says that
    /// nothing more can come from it. Returns false if `interrupted` did first.
    pub(crate) fn gather(
        &self,
        mut has_ended: impl FnMut(u32) -> bool,
        interrupted: impl Fn() -> bool,
    ) -> bool {
        for worker in 0..self.workload.worker_count() {
            while self.cell(worker).state() == State::Starting && !has_ended(worker) {
                if interrupted() {
                    return false;
                }
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        true
    }
}

/// One worker's cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    words: &'a [AtomicU64],
}

impl Cell<'_> {
    /// Returns how far the worker is.
    #[must_use]
    pub(crate) fn state(&self) -> State {
        match self.words[0].load(Acquire) {
            0 => State::Starting,
            1 => State::Ready,
            2 => State::Misplaced,
            _ => State::Done,
        }
    }

    /// Tells whether the worker has no more room for a history.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.words[1].load(Relaxed) != 0
    }

    /// Says that the worker has no more room for a history.
    pub(crate) fn set_full(&self) {
        self.words[1].store(1, Relaxed);
    }

    /// Says how far the worker is.
    pub(crate) fn set_state(&self, state: State) {
        self.words[0].store(state as u64, Release);
    }

    /// Shows the worker's counters.
    #[inline]
    pub(crate) fn show(&self, op: Op, counts: &Counts) {
        let at = 8 + COUNTS * op as usize;
        for (word, count) in self.words[at..at + COUNTS].iter().zip([
            counts.attempts,
            counts.successes,
            counts.again,
            counts.failures,
            counts.changed,
            counts.given_up,
        ]) {
            word.store(count, Relaxed);
        }
    }

    /// Returns what the worker last showed.
    #[must_use]
    pub(crate) fn counts(&self, op: Op) -> Counts {
        let at = 8 + COUNTS * op as usize;
        let count = |index: usize| self.words[at + index].load(Relaxed);
        Counts {
            attempts: count(0),
            successes: count(1),
            again: count(2),
            failures: count(3),
            changed: count(4),
            given_up: count(5),
        }
    }

    /// Returns the successes that the worker last showed, all operations together.
    #[must_use]
    pub(crate) fn successes(&self) -> u64 {
        Op::ALL.into_iter().map(|op| self.counts(op).successes).sum()
    }
}

const _: () = assert!(8 + COUNTS * Op::COUNT <= CELL - 32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Family;

    fn small() -> Workload {
        Workload { writers: 2, readers: 1, keys: 10, ..Workload::default() }
    }

    #[test]
    fn a_second_mapping_sees_cells_ledgers_and_reports() {
        let state = SharedState::create(&small()).unwrap();
        let other = SharedState::from_fd(state.fd().try_clone_to_owned().unwrap(), &small()).unwrap();
        other.cell(2).set_state(State::Ready);
        assert_eq!(state.cell(2).state(), State::Ready);
        let counts = Counts { attempts: 15, successes: 3, again: 1, failures: 0, changed: 5, given_up: 6 };
        other.cell(1).show(Op::Set, &counts);
        assert_eq!(state.cell(1).counts(Op::Set), counts);
        assert_eq!(state.cell(0).successes(), 0);
        other.ledger(1).unwrap().entry(Family::Value, 9).note_set(5);
        assert_eq!(state.ledger(1).unwrap().entry(Family::Value, 9).set(), 5);
        assert!(state.ledger(2).is_none(), "readers keep no ledger");
        other.put_report(2, b"thirteen byte");
        assert_eq!(state.take_report(2), b"thirteen byte");
        assert_eq!(state.take_report(1), b"");
    }

    #[test]
    fn the_barrier_opens_for_all() {
        let state = SharedState::create(&small()).unwrap();
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let state = &state;
                scope.spawn(move || {
                    state.cell(worker).set_state(State::Ready);
                    state.wait_for_start();
                    assert_eq!(state.phase(), Phase::Warm);
                });
            }
            assert!(state.gather(|_| false, || false));
            state.enter(Phase::Warm);
        });
    }

    #[test]
    fn gathering_gives_up_on_workers_that_are_gone_and_on_interrupt() {
        let state = SharedState::create(&small()).unwrap();
        assert!(state.gather(|_| true, || false));
        assert!(!state.gather(|_| false, || true));
    }

    #[test]
    fn older_records_have_fewer_counts() {
        let old: Counts =
            serde_json::from_str(r#"{"attempts":4,"successes":2,"again":1,"failures":1}"#).unwrap();
        let counts = Counts { attempts: 4, successes: 2, again: 1, failures: 1, ..Counts::default() };
        assert_eq!(old, counts);
        let text = serde_json::to_string(&Counts { changed: 3, ..counts }).unwrap();
        assert!(text.contains(r#""changed":3"#) && !text.contains("given_up"), "{text}");
    }

    #[test]
    fn a_block_of_another_workload_is_refused() {
        let state = SharedState::create(&small()).unwrap();
        let other = Workload { keys: 1000, ..small() };
        assert!(SharedState::from_fd(state.fd().try_clone_to_owned().unwrap(), &other).is_err());
    }
}
