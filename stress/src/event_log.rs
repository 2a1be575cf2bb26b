//! The event log: a worker's record of its own operations in preallocated shared words, six for each operation. Only the worker
//! writes it. This module does not know what the operations mean.
//!
//! | word | what |
//! |---|---|
//! | 0 | invoked |
//! | 1 | returned |
//! | 2 | key in bits 0–31, kind in 32–39, size in 40–63 |
//! | 3 | id |
//! | 4 | epoch |
//! | 5 | slot in bits 0–31, length in 32–63 |

use splinter_harness::named_enum;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

named_enum! {
    /// What an operation did, as its caller knows.
    #[derive(Default)]
    #[repr(u8)]
    pub enum OpKind: "operation" {
        /// It set the value.
        Set = "set",
        /// It appended to the value.
        Append = "append",
        /// It removed the key.
        Unset = "unset",
        /// It read the value.
        #[default]
        Get = "get",
        /// It was answered that there is no such key.
        NotFound = "not_found",
        /// It added to the number.
        Add = "add",
        /// It read the number.
        GetNumber = "get_number",
        /// It wrote a register: a tandem group or a vector.
        Write = "write",
        /// It read a register.
        Read = "read",
    }
}

impl OpKind {
    /// Tells whether it made a version of a value.
    pub(crate) fn makes_version(self) -> bool {
        matches!(self, Self::Set | Self::Append | Self::Unset)
    }
}

/// Worker number of what was in the store before the first operation.
pub(crate) const BEFORE: u32 = u16::MAX as u32;
/// Worker number of what was read after the last.
pub(crate) const AFTER: u32 = BEFORE - 1;

/// An operation that was called and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Clock before the call, in cycles.
    pub invoked: u64,
    /// Clock after it.
    pub returned: u64,
    /// The worker that called.
    pub worker: u32,
    /// The number of the object in the history.
    pub key: u32,
    /// What it did.
    pub op: OpKind,
    /// The identity of the write that was done or read; of a counter, the number.
    pub id: u64,
    /// The slot of the version that it made.
    pub slot: u32,
    /// The epoch of that version. Of a read, the epoch that the store returned, if any.
    pub epoch: u64,
    /// The value's length after the operation; of an unset, before it.
    pub len: u32,
    /// What was added: bytes, or to the number.
    pub size: u32,
}

/// Words of an operation.
const WORDS: usize = 6;
/// Words before the operations; the first counts them once the worker has ended.
const HEADER: usize = 8;
/// Words of a page.
const PAGE: usize = 512;
/// The largest size that has room.
pub(crate) const MAX_SIZE: u64 = (1 << 24) - 1;

/// Returns how many words a log of so many operations takes.
pub(crate) const fn words_for(operations: usize) -> usize {
    HEADER + operations * WORDS
}

/// The event log of one worker.
#[derive(Debug)]
pub(crate) struct EventLog<'a> {
    words: &'a [AtomicU64],
    worker: u32,
    next: usize,
}

impl<'a> EventLog<'a> {
    /// Interprets [`words_for`] so many operations as a log.
    pub(crate) fn new(words: &'a [AtomicU64], worker: u32) -> Self {
        Self { words, worker, next: 0 }
    }

    /// Touches all its memory, so that no page fault happens later.
    pub(crate) fn touch(&self) {
        for word in self.words.iter().step_by(PAGE) {
            word.store(0, Relaxed);
        }
    }

    /// Returns how many more operations there is room for.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        (self.words.len() - HEADER) / WORDS - self.next
    }

    /// Records an operation, if there is room. The log's own worker stands for that of the event.
    #[inline]
    pub(crate) fn push(&mut self, event: &Event) {
        let start = HEADER + self.next * WORDS;
        let Some(words) = self.words.get(start..start + WORDS) else {
            return;
        };
        let what = u64::from(event.key) | (event.op as u64) << 32 | (u64::from(event.size) & MAX_SIZE) << 40;
        for (word, value) in words.iter().zip([
            event.invoked,
            event.returned,
            what,
            event.id,
            event.epoch,
            u64::from(event.slot) | u64::from(event.len) << 32,
        ]) {
            word.store(value, Relaxed);
        }
        self.next += 1;
    }

    /// Publishes the log to its readers.
    pub(crate) fn finish(&self) {
        self.words[0].store(self.next as u64, Release);
    }

    /// Reads a log that its worker has finished.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> + Clone + 'a {
        let most = (self.words.len() - HEADER) / WORDS;
        let count = usize::try_from(self.words[0].load(Acquire)).map_or(0, |count| count.min(most));
        let worker = self.worker;
        self.words[HEADER..HEADER + count * WORDS].chunks_exact(WORDS).map(move |words| {
            let word = |at: usize| words[at].load(Relaxed);
            let what = word(2);
            Event {
                invoked: word(0),
                returned: word(1),
                worker,
                key: what as u32,
                op: OpKind::ALL[(what >> 32) as usize % 256 % OpKind::ALL.len()],
                id: word(3),
                slot: word(5) as u32,
                epoch: word(4),
                len: (word(5) >> 32) as u32,
                size: (what >> 40) as u32,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_back_and_no_more_are_kept_than_fit() {
        let words: Vec<AtomicU64> = (0..words_for(2)).map(|_| AtomicU64::new(0)).collect();
        let mut log = EventLog::new(&words, 7);
        log.touch();
        let event = |at: u64| Event {
            invoked: at,
            returned: u64::MAX - at,
            worker: 7,
            key: u32::MAX - at as u32,
            op: OpKind::ALL[8 - at as usize],
            id: 1 << 63 | at,
            slot: u32::MAX,
            epoch: (1 << 51) - 1 - at,
            len: u32::MAX - 1,
            size: MAX_SIZE as u32,
        };
        for at in 0..3 {
            assert_eq!(log.room(), 2_usize.saturating_sub(at as usize));
            log.push(&event(at));
        }
        assert_eq!(log.events().count(), 0, "not finished yet");
        log.finish();
        let read: Vec<Event> = EventLog::new(&words, 7).events().collect();
        assert_eq!(read, [event(0), event(1)]);
    }
}
