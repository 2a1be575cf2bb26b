//! What the processes of a kill test share beside the store: what each writer has begun and what was acknowledged to it,
//! kept where its death cannot reach, and the faults that any process found. A writer's state outlives its processes: the
//! next one goes on where the killed one stopped.

use super::ops::{OWN_KEYS, Op, OwnKey};
use splinter_harness::shared::{Layout, SharedState};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// What can be wrong. The order is that of the invariants in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Fault {
    /// A value that no single write wrote, or another key's; a tandem of two generations.
    Torn,
    /// A key holds neither what was acknowledged last nor what was under way.
    Lost,
    /// A key that is there was reported missing.
    Missing,
    /// A slot's epoch, or what one reader saw of one writer, went back.
    Backwards,
    /// A dead writer's lock or claim stayed, or a key took no write.
    Stuck,
    /// Two slots for one key, a key that the index does not lead to, a lost slot or entry.
    Astray,
    /// Bytes that the scrub level promises to be zero.
    Stale,
    /// An error that the operation may not have.
    Unexpected,
    /// A process that panicked, or ended otherwise than killed.
    Ended,
}

/// How many kinds of fault there are.
pub(crate) const FAULTS: usize = 9;

/// The state that the coordinator, the writers and the readers share. Processes are numbered: first the writers, then the
/// readers, then the coordinator.
#[derive(Debug)]
pub(crate) struct KillState {
    /// The stop flag, the counters of faults, and a cell and a message of each process.
    pub shared: SharedState,
    writers: usize,
    readers: usize,
}

impl KillState {
    /// Makes the state of so many writers and readers.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn new(writers: u32, readers: u32) -> std::io::Result<Self> {
        let (writers, readers) = (writers as usize, readers as usize);
        let shared = SharedState::create(Layout {
            global_words: FAULTS,
            workers: writers + readers + 1,
            cell_words: OPS + 2 * Op::ALL.len(),
            message_bytes: 500,
        })?;
        Ok(Self { shared, writers, readers })
    }

    /// Counts a fault, and keeps the words of the first that this process found.
    pub(crate) fn fault(&self, process: usize, fault: Fault, text: &str) {
        self.shared.global()[fault as usize].fetch_add(1, AcqRel);
        if self.shared.message(process).is_empty() {
            self.shared.publish(process, text.as_bytes());
        }
    }

    /// Returns how often each kind of fault was found.
    pub(crate) fn faults(&self) -> [u64; FAULTS] {
        std::array::from_fn(|fault| self.shared.global()[fault].load(Acquire))
    }

    /// Returns, in words, the first fault that each process found.
    pub(crate) fn fault_texts(&self) -> Vec<String> {
        let texts = (0..=self.coordinator()).map(|process| self.shared.message(process));
        let texts = texts.filter(|text| !text.is_empty());
        texts.map(|text| String::from_utf8_lossy(&text).into_owned()).collect()
    }

    /// Returns the number of the process that kills.
    pub(crate) fn coordinator(&self) -> usize {
        self.writers + self.readers
    }

    pub(crate) fn writer(&self, number: usize) -> WriterState<'_> {
        WriterState { number, words: self.shared.cell(number) }
    }

    pub(crate) fn writers(&self) -> impl Iterator<Item = WriterState<'_>> {
        (0..self.writers).map(|number| self.writer(number))
    }

    /// Returns a reader's counters: reads that answered, and those that were given up.
    pub(crate) fn reads(&self, reader: usize) -> [&AtomicU64; 2] {
        let cell = self.shared.cell(self.writers + reader);
        [&cell[0], &cell[1]]
    }

    /// Returns the counters of all readers together.
    pub(crate) fn all_reads(&self) -> [u64; 2] {
        [0, 1].map(|which| (0..self.readers).map(|reader| self.reads(reader)[which].load(Relaxed)).sum())
    }
}

/// One writer's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriterState<'s> {
    /// The writer's number.
    pub number: usize,
    words: &'s [AtomicU64],
}

/// A writer's words: its writer id plus one, how many processes there were, the last stamp, additions to the sum that are begun
/// and acknowledged, the number of the last key that was used once, additions to the tally; then what is begun and acknowledged
/// of each of its own keys; then the counters of its operations.
const WRITER_ID: usize = 0;
const PROCESSES: usize = 1;
const STAMP: usize = 2;
const SUM: usize = 3;
const ONCE: usize = 5;
const TALLY: usize = 6;
const STEPS: usize = 8;
const OPS: usize = STEPS + 2 * OWN_KEYS;

impl<'s> WriterState<'s> {
    /// Notes the writer id of the present process, or none.
    pub(crate) fn set_writer_id(self, id: Option<u32>) {
        self.words[WRITER_ID].store(id.map_or(0, |id| u64::from(id) + 1), Release);
    }

    pub(crate) fn writer_id(self) -> Option<u32> {
        (self.words[WRITER_ID].load(Acquire) as u32).checked_sub(1)
    }

    /// Counts a new process of the writer, from 1.
    pub(crate) fn next_process(self) -> u64 {
        self.words[PROCESSES].fetch_add(1, AcqRel) + 1
    }

    /// Draws the number of the writer's next write to a key that it shares.
    pub(crate) fn next_stamp(self) -> u64 {
        self.words[STAMP].fetch_add(1, AcqRel) + 1
    }

    /// Returns the number of the last key that was used once, whether or not it is still there.
    pub(crate) fn once(self) -> &'s AtomicU64 {
        &self.words[ONCE]
    }

    /// Returns how many additions to the sum the writer began, and how many were acknowledged.
    pub(crate) fn sum(self) -> [&'s AtomicU64; 2] {
        self.pair(SUM)
    }

    /// Returns how many additions to the tally the writer began, and how many were acknowledged.
    pub(crate) fn tally(self) -> [&'s AtomicU64; 2] {
        self.pair(TALLY)
    }

    /// Returns the last step that was begun on one of the writer's own keys, and the last that was acknowledged.
    pub(crate) fn steps(self, own: OwnKey) -> [&'s AtomicU64; 2] {
        self.pair(STEPS + 2 * own as usize)
    }

    /// Returns the counters of an operation: done, again.
    pub(crate) fn count(self, op: Op) -> [&'s AtomicU64; 2] {
        self.pair(OPS + 2 * op as usize)
    }

    fn pair(self, at: usize) -> [&'s AtomicU64; 2] {
        [&self.words[at], &self.words[at + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_overlap_and_the_first_fault_of_each_process_is_kept() {
        let state = KillState::new(3, 2).unwrap();
        assert_eq!(state.coordinator(), 5);
        for process in 0..=state.coordinator() {
            state.fault(process, Fault::Lost, &format!("first of {process} ä"));
            state.fault(process, Fault::Torn, "a later one");
        }
        state.writer(2).steps(OwnKey::Comes)[1].store(7, Relaxed);
        state.writer(2).count(Op::Purge)[1].store(8, Relaxed);
        state.reads(1)[1].store(9, Relaxed);
        assert_eq!(state.all_reads(), [0, 9]);
        assert_eq!(state.faults()[Fault::Lost as usize], 6);
        assert_eq!(state.faults()[Fault::Torn as usize], 6);
        let texts: Vec<_> = (0..6).map(|process| format!("first of {process} ä")).collect();
        assert_eq!(state.fault_texts(), texts);
    }
}
