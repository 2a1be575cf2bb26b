//! What the processes of a measurement share beside the store: commands to the responder and its
//! answers, the words of the mechanisms that need no store, and a cell for each waiter. Every
//! word has two cache lines to itself.

use splinter_harness::futex::{store_and_wake, wait_for_change, wake_sleepers};
use splinter_harness::shared::SharedWords;
use std::io;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// How long one process waits for another; a message that takes longer counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Watchers that one write is to wake, and the processes that they are in.
pub(crate) const WAITERS: usize = 31;
pub(crate) const WAITER_PROCESSES: usize = 8;

/// Distance of two words: two lines, so that no prefetch brings a neighbour's.
const STRIDE: usize = 16;
/// Words before those of the waiters.
const WORDS_BEFORE_WAITERS: usize = 24;

/// A word that is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Word {
    /// Number of the last command to the responder.
    Command,
    /// What to run.
    Mechanism,
    /// The processor to run on.
    Cpu,
    /// Number of the first message.
    First,
    /// Number of the last; all ones until it is known.
    Last,
    /// Cycles for which each message is held back.
    Pause,
    /// The command for which the responder is ready.
    Ready,
    /// The command that the responder is done with.
    Done,
    /// How often the responder slept, and on which processor it ran, plus one.
    Sleeps,
    Observed,
    /// Not zero once all waits are to end.
    Abandoned,
    /// The words of the mechanisms without a store.
    Ping,
    Pong,
    Line,
    /// Number of the last command to the waiters, the mechanism, and the word of the one without a store.
    WaitersCommand,
    WaitersMechanism,
    WaitersFutex,
}

/// What a waiter says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum WaiterWord {
    /// Its thread, as the kernel numbers it.
    Thread,
    /// The command that it is about to wait for.
    Waits,
    /// The time-stamp counter when it had been notified.
    Stamp,
    /// The command that it was notified of.
    Notified,
}

/// The mapped words.
#[derive(Debug)]
pub(crate) struct SharedState(SharedWords);

impl Deref for SharedState {
    type Target = SharedWords;

    fn deref(&self) -> &SharedWords {
        &self.0
    }
}

impl SharedState {
    const WORDS: usize = STRIDE * (WORDS_BEFORE_WAITERS + WAITERS);

    /// Makes it, with words of zero.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn create() -> io::Result<Self> {
        SharedWords::create(Self::WORDS).map(Self)
    }

    /// Maps what another process made.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        SharedWords::from_fd(fd, Self::WORDS).map(Self)
    }

    /// Returns a word.
    #[inline]
    #[must_use]
    pub(crate) fn word(&self, word: Word) -> &AtomicU64 {
        &self.0.words()[STRIDE * word as usize]
    }

    /// Returns a word of a waiter.
    #[must_use]
    pub(crate) fn waiter_word(&self, waiter: usize, waiter_word: WaiterWord) -> &AtomicU64 {
        &self.0.words()[STRIDE * (WORDS_BEFORE_WAITERS + waiter) + waiter_word as usize]
    }

    /// Reads a word.
    #[inline]
    #[must_use]
    pub(crate) fn get(&self, word: Word) -> u64 {
        self.word(word).load(Acquire)
    }

    /// Changes a word, quietly.
    pub(crate) fn set(&self, word: Word, value: u64) {
        self.word(word).store(value, Release);
    }

    /// Changes a word and wakes the threads that sleep on it.
    pub(crate) fn set_and_wake(&self, word: Word, value: u64) {
        store_and_wake(self.word(word), value);
    }

    /// Sleeps until a word reads otherwise than `seen`. Returns what it reads; nothing once
    /// everything is abandoned, or `patience` is over.
    #[must_use]
    pub(crate) fn wait_for_change(&self, word: Word, seen: u64, patience: Option<Duration>) -> Option<u64> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let late = || deadline.is_some_and(|deadline| Instant::now() > deadline);
        wait_for_change(self.word(word), seen, || self.is_abandoned() || late())
    }

    /// Makes all processes give up.
    pub(crate) fn abandon(&self) {
        self.set(Word::Abandoned, 1);
        for word in [
            Word::Command,
            Word::Ready,
            Word::Done,
            Word::Ping,
            Word::Pong,
            Word::WaitersCommand,
            Word::WaitersFutex,
        ] {
            wake_sleepers(self.word(word), i32::MAX);
        }
    }

    /// Tells whether all processes are to give up.
    #[inline]
    #[must_use]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.word(Word::Abandoned).load(Relaxed) != 0
    }
}

const _: () = assert!((Word::WaitersFutex as usize) < WORDS_BEFORE_WAITERS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_ever() {
        let shared = SharedState::create().unwrap();
        let short = Some(Duration::from_millis(1));
        assert_eq!(shared.wait_for_change(Word::Ready, 0, short), None);
        shared.set(Word::Ready, 3);
        assert_eq!(shared.wait_for_change(Word::Ready, 0, None), Some(3));
        std::thread::scope(|scope| {
            scope.spawn(|| shared.abandon());
            assert_eq!(shared.wait_for_change(Word::Done, 0, None), None);
        });
    }

    #[test]
    fn waiters_have_words_of_their_own() {
        let shared = SharedState::create().unwrap();
        shared.waiter_word(WAITERS - 1, WaiterWord::Notified).store(5, Release);
        shared.waiter_word(0, WaiterWord::Thread).store(6, Release);
        assert_eq!(shared.get(Word::WaitersFutex), 0);
        assert_eq!(shared.waiter_word(WAITERS - 1, WaiterWord::Thread).load(Acquire), 0);
    }
}
