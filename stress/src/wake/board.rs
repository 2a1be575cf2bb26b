//! What the processes of a measurement share beside the store: commands to the partner and its
//! answers, the words that the bare kinds are made of, and a cell for each member of the crowd. Every
//! word has two cache lines to itself.

use crate::futex::{sleep_on, wake_sleepers};
use crate::shared::SharedWords;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// How long anybody waits for anybody: what takes longer never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Watchers that one write is to wake, and the processes that they are in.
pub(crate) const CROWD: usize = 31;
pub(crate) const CROWD_PROCESSES: usize = 8;

/// Words of a place: two lines, so that no prefetch brings a neighbour's.
const STRIDE: usize = 16;
/// Places before the crowd's.
const PLACES: usize = 24;

/// A word that is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Place {
    /// Number of the last command to the partner.
    Command,
    /// What to play.
    Kind,
    /// The processor to play on.
    Cpu,
    /// Number of the first message.
    First,
    /// Number of the last; all ones until it is known.
    Last,
    /// Cycles for which each message is held back.
    Pause,
    /// The command for which the partner is ready.
    Ready,
    /// The command that the partner is done with.
    Done,
    /// How often the partner slept, and on which processor it ran, plus one.
    Sleeps,
    Observed,
    /// Not zero when nobody is to wait for anything any more.
    Abandoned,
    /// The words of the bare kinds.
    Ping,
    Pong,
    Line,
    /// Number of the last command to the crowd, the kind, and the word of the bare one.
    CrowdCommand,
    CrowdKind,
    CrowdWord,
}

/// What a member of the crowd says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Mark {
    /// Its thread, as the kernel numbers it.
    Thread,
    /// The command that it is about to wait for.
    Waits,
    /// The time-stamp counter when it had been told.
    Stamp,
    /// The command that it was told of.
    Told,
}

/// The board.
#[derive(Debug)]
pub(crate) struct Board(SharedWords);

impl Board {
    const WORDS: usize = STRIDE * (PLACES + CROWD);

    /// Makes an empty board.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn create() -> io::Result<Self> {
        SharedWords::create(Self::WORDS).map(Self)
    }

    /// Maps the board that another process made.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        SharedWords::from_fd(fd, Self::WORDS).map(Self)
    }

    /// Lends the descriptor.
    #[must_use]
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Returns a word.
    #[inline]
    #[must_use]
    pub(crate) fn word(&self, place: Place) -> &AtomicU64 {
        &self.0.words()[STRIDE * place as usize]
    }

    /// Returns a word of a member's.
    #[must_use]
    pub(crate) fn mark(&self, member: usize, mark: Mark) -> &AtomicU64 {
        &self.0.words()[STRIDE * (PLACES + member) + mark as usize]
    }

    /// Reads a word.
    #[inline]
    #[must_use]
    pub(crate) fn get(&self, place: Place) -> u64 {
        self.word(place).load(Acquire)
    }

    /// Changes a word, quietly.
    pub(crate) fn put(&self, place: Place, value: u64) {
        self.word(place).store(value, Release);
    }

    /// Changes a word and wakes those who sleep on it.
    pub(crate) fn tell(&self, place: Place, value: u64) {
        self.put(place, value);
        wake_sleepers(self.word(place), i32::MAX);
    }

    /// Sleeps until a word reads otherwise than `seen`. Returns what it reads; nothing once
    /// everything is abandoned, or `patience` is over.
    #[must_use]
    pub(crate) fn await_other(
        &self,
        place: Place,
        seen: u64,
        patience: Option<Duration>,
    ) -> Option<u64> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        loop {
            let now = self.get(place);
            if now != seen {
                return Some(now);
            }
            if self.is_abandoned() || deadline.is_some_and(|deadline| Instant::now() > deadline) {
                return None;
            }
            sleep_on(self.word(place), seen, Some(Duration::from_secs(1)));
        }
    }

    /// Has everybody give up.
    pub(crate) fn abandon(&self) {
        self.put(Place::Abandoned, 1);
        for place in [
            Place::Command,
            Place::Ready,
            Place::Done,
            Place::Ping,
            Place::Pong,
            Place::CrowdCommand,
            Place::CrowdWord,
        ] {
            wake_sleepers(self.word(place), i32::MAX);
        }
    }

    /// Tells whether everybody is to give up.
    #[inline]
    #[must_use]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.word(Place::Abandoned).load(Relaxed) != 0
    }
}

const _: () = assert!((Place::CrowdWord as usize) < PLACES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_ever() {
        let board = Board::create().unwrap();
        let short = Some(Duration::from_millis(1));
        assert_eq!(board.await_other(Place::Ready, 0, short), None);
        board.put(Place::Ready, 3);
        assert_eq!(board.await_other(Place::Ready, 0, None), Some(3));
        std::thread::scope(|scope| {
            scope.spawn(|| board.abandon());
            assert_eq!(board.await_other(Place::Done, 0, None), None);
        });
    }

    #[test]
    fn members_have_words_of_their_own() {
        let board = Board::create().unwrap();
        board.mark(CROWD - 1, Mark::Told).store(5, Release);
        board.mark(0, Mark::Thread).store(6, Release);
        assert_eq!(board.get(Place::CrowdWord), 0);
        assert_eq!(board.mark(CROWD - 1, Mark::Thread).load(Acquire), 0);
    }
}
