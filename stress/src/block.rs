//! The control block of a run: one memfd, mapped by the parent and by every worker, thread or
//! process alike. It holds the starting barrier and the stop flag, a padded cell of counters per
//! worker, the writers' ledgers, and room for each worker's report. It is gone when the last of
//! them ends, however that happens.
//!
//! Everything in it is an atomic word. Cells, ledgers and reports have one writer each; the parent
//! reads counters while they move (progress only) and the rest after the worker has said that it is
//! done (release), or has ended.

use crate::futex::{sleep_on, wake_sleepers};
use crate::history::event_log::{self, EventLog};
use crate::mix::Op;
use crate::oracle::acks::{AckTable, words_for};
use crate::pace::Tsc;
use crate::shared::SharedWords;
use crate::workload::Workload;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// Words before the cells; the first one is the phase, the next two are the clock of open loops, and two more say when the
/// measured window began and ended.
const HEADER: usize = 64;
/// Words of a cell: four lines more than it needs, so that no two workers share one or prefetch
/// each other's.
const CELL: usize = 64;
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

/// What is counted per operation: one attempt ends as one of the other three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Calls.
    pub attempts: u64,
    /// Calls that did their work.
    pub successes: u64,
    /// Calls that met a claim.
    pub again: u64,
    /// Calls that ended in anything else.
    pub failures: u64,
}

/// The mapped block.
#[derive(Debug)]
pub(crate) struct Block {
    shared: SharedWords,
    workload: Workload,
    /// First word of each writer's ledger.
    ledgers: Vec<usize>,
    /// First word of the reports.
    reports: usize,
    /// First word of the tapes.
    tapes: usize,
}

impl Block {
    /// Makes the block for a workload.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn create(workload: &Workload) -> io::Result<Self> {
        let (ledgers, reports, tapes, words) = Self::layout(workload);
        Ok(Self {
            shared: SharedWords::create(words)?,
            workload: workload.clone(),
            ledgers,
            reports,
            tapes,
        })
    }

    /// Maps the block that another process made for the same workload.
    ///
    /// # Errors
    /// What the kernel says, and `InvalidData` if the block is not of this workload's size.
    pub(crate) fn from_fd(fd: OwnedFd, workload: &Workload) -> io::Result<Self> {
        let (ledgers, reports, tapes, words) = Self::layout(workload);
        Ok(Self {
            shared: SharedWords::from_fd(fd, words)?,
            workload: workload.clone(),
            ledgers,
            reports,
            tapes,
        })
    }

    fn layout(workload: &Workload) -> (Vec<usize>, usize, usize, usize) {
        let mut end = HEADER + CELL * workload.crew() as usize;
        let mut ledgers = Vec::new();
        if workload.oracle {
            for writer in 0..workload.writers {
                ledgers.push(end);
                end += words_for(&workload.writer_keys(writer));
            }
        }
        let tapes = end + REPORT * workload.crew() as usize;
        let each = workload.history_share().map_or(0, event_log::words_for);
        (
            ledgers,
            end,
            tapes,
            tapes + each * workload.operators() as usize,
        )
    }

    /// Lends the descriptor, for handing it to a worker process.
    #[must_use]
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.shared.fd()
    }

    fn words(&self) -> &[AtomicU64] {
        self.shared.words()
    }

    /// Returns the phase.
    #[inline]
    #[must_use]
    pub(crate) fn phase(&self) -> Phase {
        // Acquire: who sees that the writers have ended sees all that they did.
        match self.words()[0].load(Acquire) {
            0 => Phase::Gather,
            1 => Phase::Warm,
            2 => Phase::Measure,
            3 => Phase::Stop,
            _ => Phase::Leave,
        }
    }

    /// Moves everyone to a phase and wakes those who wait. Returns the moment it was so.
    pub(crate) fn enter(&self, phase: Phase) -> Instant {
        match phase {
            Phase::Measure => self.words()[3].store(splinter::cycles(), Relaxed),
            Phase::Stop => self.words()[4].store(splinter::cycles(), Relaxed),
            _ => {}
        }
        self.words()[0].store(phase as u64, Release);
        let now = Instant::now();
        wake_sleepers(&self.words()[0], i32::MAX);
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
        // Relaxed: who is started later sees it.
        Tsc {
            cycle_ns: f64::from_bits(self.words()[1].load(Relaxed)),
            sleeps: self.words()[2].load(Relaxed) != 0,
        }
    }

    /// Returns the time-stamp counter at the start of the measured window, for those who have seen it begin.
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
        let phase = &self.words()[0];
        while phase.load(Acquire) == Phase::Gather as u64 {
            sleep_on(phase, Phase::Gather as u64, Some(Duration::from_secs(1)));
        }
    }

    /// Returns a worker's cell.
    #[must_use]
    pub(crate) fn cell(&self, worker: u32) -> Cell<'_> {
        let start = HEADER + CELL * worker as usize;
        Cell {
            words: &self.words()[start..start + CELL],
        }
    }

    /// Returns a writer's ledger, if the oracle is on and the worker is a writer.
    #[must_use]
    pub(crate) fn ledger(&self, worker: u32) -> Option<AckTable<'_>> {
        let start = *self.ledgers.get(worker as usize)?;
        let keys = self.workload.writer_keys(worker);
        Some(AckTable::new(
            &self.words()[start..start + words_for(&keys)],
            keys,
        ))
    }

    /// Returns the tape on which a worker records what it does, where there is to be a history. Watchers do nothing.
    #[must_use]
    pub(crate) fn tape(&self, worker: u32) -> Option<EventLog<'_>> {
        let each = event_log::words_for(self.workload.history_share()?);
        let start = self.tapes + each * worker as usize;
        let words = self.words().get(start..start + each)?;
        Some(EventLog::new(words, worker))
    }

    /// Leaves a worker's report.
    ///
    /// # Panics
    /// If it is larger than its place; reports are bounded by far less.
    pub(crate) fn put_report(&self, worker: u32, report: &[u8]) {
        let words = self.report(worker);
        assert!(
            report.len() < (words.len() - 1) * 8,
            "report of {} bytes",
            report.len()
        );
        for (word, chunk) in words[1..].iter().zip(report.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(bytes), Relaxed);
        }
        words[0].store(report.len() as u64, Release);
    }

    /// Takes a worker's report, empty if it left none.
    #[must_use]
    pub(crate) fn take_report(&self, worker: u32) -> Vec<u8> {
        let words = self.report(worker);
        let len = usize::try_from(words[0].load(Acquire))
            .unwrap_or(0)
            .min((words.len() - 1) * 8);
        let mut report = Vec::with_capacity(len.next_multiple_of(8));
        for word in &words[1..=len.div_ceil(8)] {
            report.extend_from_slice(&word.load(Relaxed).to_le_bytes());
        }
        report.truncate(len);
        report
    }

    fn report(&self, worker: u32) -> &[AtomicU64] {
        let start = self.reports + REPORT * worker as usize;
        &self.words()[start..start + REPORT]
    }

    /// Waits until every worker in `workers` has left [`State::Starting`], or `gone` says that
    /// nothing more can come from it. Returns false if `interrupted` did first.
    pub(crate) fn gather(
        &self,
        mut gone: impl FnMut(u32) -> bool,
        interrupted: impl Fn() -> bool,
    ) -> bool {
        for worker in 0..self.workload.crew() {
            while self.cell(worker).state() == State::Starting && !gone(worker) {
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
        let at = 8 + 4 * op as usize;
        for (word, count) in self.words[at..at + 4].iter().zip([
            counts.attempts,
            counts.successes,
            counts.again,
            counts.failures,
        ]) {
            word.store(count, Relaxed);
        }
    }

    /// Returns what the worker last showed.
    #[must_use]
    pub(crate) fn counts(&self, op: Op) -> Counts {
        let at = 8 + 4 * op as usize;
        let count = |index: usize| self.words[at + index].load(Relaxed);
        Counts {
            attempts: count(0),
            successes: count(1),
            again: count(2),
            failures: count(3),
        }
    }

    /// Returns the successes that the worker last showed, all operations together.
    #[must_use]
    pub(crate) fn successes(&self) -> u64 {
        Op::ALL
            .into_iter()
            .map(|op| self.counts(op).successes)
            .sum()
    }
}

const _: () = assert!(8 + 4 * Op::COUNT <= CELL);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Family;

    fn small() -> Workload {
        Workload {
            writers: 2,
            readers: 1,
            keys: 10,
            ..Workload::default()
        }
    }

    #[test]
    fn a_second_mapping_sees_cells_ledgers_and_reports() {
        let block = Block::create(&small()).unwrap();
        let other = Block::from_fd(block.fd().try_clone_to_owned().unwrap(), &small()).unwrap();
        other.cell(2).set_state(State::Ready);
        assert_eq!(block.cell(2).state(), State::Ready);
        let counts = Counts {
            attempts: 4,
            successes: 3,
            again: 1,
            failures: 0,
        };
        other.cell(1).show(Op::Set, &counts);
        assert_eq!(block.cell(1).counts(Op::Set), counts);
        assert_eq!(block.cell(0).successes(), 0);
        other.ledger(1).unwrap().entry(Family::Value, 9).note_set(5);
        assert_eq!(block.ledger(1).unwrap().entry(Family::Value, 9).set(), 5);
        assert!(block.ledger(2).is_none(), "readers keep no ledger");
        other.put_report(2, b"thirteen byte");
        assert_eq!(block.take_report(2), b"thirteen byte");
        assert_eq!(block.take_report(1), b"");
    }

    #[test]
    fn the_barrier_opens_for_all() {
        let block = Block::create(&small()).unwrap();
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let block = &block;
                scope.spawn(move || {
                    block.cell(worker).set_state(State::Ready);
                    block.wait_for_start();
                    assert_eq!(block.phase(), Phase::Warm);
                });
            }
            assert!(block.gather(|_| false, || false));
            block.enter(Phase::Warm);
        });
    }

    #[test]
    fn gathering_gives_up_on_workers_that_are_gone_and_on_interrupt() {
        let block = Block::create(&small()).unwrap();
        assert!(block.gather(|_| true, || false));
        assert!(!block.gather(|_| false, || true));
    }

    #[test]
    fn a_block_of_another_workload_is_refused() {
        let block = Block::create(&small()).unwrap();
        let other = Workload {
            keys: 1000,
            ..small()
        };
        assert!(Block::from_fd(block.fd().try_clone_to_owned().unwrap(), &other).is_err());
    }
}
