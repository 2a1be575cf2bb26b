//! Memory that processes share: a memfd, which every process that has its descriptor maps as atomic words, and on top of
//! it the state that a coordinator shares with its workers. The kernel frees it when the last process that maps it ends,
//! however that happens. What the words mean is not this module's business.
#![allow(unsafe_code)] // Interprets a mapping as atomic words.

use crate::futex::{sleep_on, wake_sleepers};
use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// Words of two cache lines: the hardware prefetches lines in pairs, so workers that share none of these do not disturb
/// each other.
const LINE_PAIR: usize = 16;
/// How long a waiter sleeps before it asks again whether to give up.
const NAP: Duration = Duration::from_millis(500);

/// A mapping of a memfd as 64-bit atomic words.
#[derive(Debug)]
pub struct SharedWords {
    map: MmapRaw,
    fd: OwnedFd,
}

impl SharedWords {
    /// Makes `count` words of zero.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn create(count: usize) -> io::Result<Self> {
        let fd = memfd_create(c"splinter-stress", MFdFlags::MFD_CLOEXEC)?;
        File::from(fd.try_clone()?).set_len(count as u64 * 8)?;
        Self::from_fd(fd, count)
    }

    /// Maps the words that another process made.
    ///
    /// # Errors
    /// What the kernel says, and `InvalidData` if there are not `count` words.
    pub fn from_fd(fd: OwnedFd, count: usize) -> io::Result<Self> {
        let file = File::from(fd.try_clone()?);
        if file.metadata()?.len() != count as u64 * 8 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "control block of another run"));
        }
        let map = MmapOptions::new().len(count * 8).map_raw(&file)?;
        Ok(Self { map, fd })
    }

    /// Lends the descriptor, for handing it to another process.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Returns the words.
    #[inline]
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        let start: *const AtomicU64 = self.map.as_ptr().cast();
        // SAFETY: the mapping is page-aligned, readable and writable, `len` bytes long (a multiple
        // of 8) and lives as long as `self`; the memfd is never shrunk; every process accesses it
        // through this function only, so all accesses are atomic.
        unsafe { std::slice::from_raw_parts(start, self.map.len() / 8) }
    }
}

/// The sizes of a [`SharedState`].
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Words that all workers use.
    pub global_words: usize,
    /// Number of workers.
    pub workers: usize,
    /// Words of each worker's cell.
    pub cell_words: usize,
    /// Length of the longest message that a worker can publish.
    pub message_bytes: usize,
}

impl Layout {
    /// Returns the layout with each part rounded up to whole pairs of cache lines.
    fn aligned(self) -> Self {
        let message_words = match self.message_bytes {
            0 => 0,
            bytes => (1 + bytes.div_ceil(8)).next_multiple_of(LINE_PAIR),
        };
        Self {
            global_words: (1 + self.global_words).next_multiple_of(LINE_PAIR),
            cell_words: self.cell_words.next_multiple_of(LINE_PAIR),
            message_bytes: message_words * 8,
            ..self
        }
    }
}

/// What a coordinator shares with its workers: a stop flag, words of all, and for each worker a cell of words and one
/// message. No two workers share a cache line, or a pair of them.
#[derive(Debug)]
pub struct SharedState {
    words: SharedWords,
    layout: Layout,
}

impl SharedState {
    /// Makes a state in which all words are zero and no message is published.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn create(layout: Layout) -> io::Result<Self> {
        let layout = layout.aligned();
        let each = layout.cell_words + layout.message_bytes / 8;
        let words = SharedWords::create(layout.global_words + layout.workers * each)?;
        Ok(Self { words, layout })
    }

    /// Tells all workers to end.
    pub fn stop(&self) {
        store_and_wake(&self.words.words()[0], 1);
    }

    /// Tells whether the workers are to end.
    pub fn is_stopped(&self) -> bool {
        self.words.words()[0].load(Acquire) != 0
    }

    /// Returns the words of all.
    pub fn global(&self) -> &[AtomicU64] {
        &self.words.words()[1..self.layout.global_words]
    }

    /// Returns a worker's cell.
    pub fn cell(&self, worker: usize) -> &[AtomicU64] {
        let Layout { global_words, cell_words, .. } = self.layout;
        &self.words.words()[global_words + worker * cell_words..][..cell_words]
    }

    /// Returns the cells of all workers.
    pub fn cells(&self) -> impl Iterator<Item = &[AtomicU64]> {
        (0..self.layout.workers).map(|worker| self.cell(worker))
    }

    /// Publishes a worker's message, cut down to what there is room for. Only the worker itself may call this.
    pub fn publish(&self, worker: usize, message: &[u8]) {
        let (len, bytes) = self.message_words(worker);
        let message = &message[..message.len().min(bytes.len() * 8)];
        for (word, chunk) in bytes.iter().zip(message.chunks(8)) {
            let mut whole = [0; 8];
            whole[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(whole), Relaxed);
        }
        len.store(message.len() as u64, Release);
    }

    /// Returns a worker's message, empty if it published none.
    pub fn message(&self, worker: usize) -> Vec<u8> {
        let (len, bytes) = self.message_words(worker);
        let len = len.load(Acquire) as usize;
        let words = bytes.iter().take(len.div_ceil(8));
        let bytes = words.flat_map(|word| word.load(Relaxed).to_le_bytes());
        bytes.take(len).collect()
    }

    /// Returns the word with the length of a worker's message, and the words with its bytes.
    fn message_words(&self, worker: usize) -> (&AtomicU64, &[AtomicU64]) {
        let each = self.layout.message_bytes / 8;
        let first = self.layout.global_words + self.layout.workers * self.layout.cell_words;
        let words = &self.words.words()[first + worker * each..][..each];
        (&words[0], &words[1..])
    }
}

/// Changes a word and wakes all that sleep on it.
pub fn store_and_wake(word: &AtomicU64, value: u64) {
    word.store(value, Release);
    wake_sleepers(word, i32::MAX);
}

/// Sleeps until a word reads otherwise than `seen`, and returns what it reads; `None` once `give_up` says so.
pub fn wait_while(word: &AtomicU64, seen: u64, give_up: impl Fn() -> bool) -> Option<u64> {
    loop {
        let now = word.load(Acquire);
        if now != seen {
            return Some(now);
        }
        if give_up() {
            return None;
        }
        sleep_on(word, seen, Some(NAP));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_mapping_sees_the_words_and_wakes_who_sleeps_on_them() {
        let words = SharedWords::create(3).unwrap();
        let fd = words.fd().try_clone_to_owned().unwrap();
        let other = SharedWords::from_fd(fd, 3).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(wait_while(&words.words()[2], 0, || false), Some(7)));
            store_and_wake(&other.words()[2], 7);
        });
        assert_eq!(wait_while(&words.words()[2], 7, || true), None);
        let fd = words.fd().try_clone_to_owned().unwrap();
        assert!(SharedWords::from_fd(fd, 4).is_err());
    }

    #[test]
    fn the_parts_of_a_state_do_not_overlap_and_no_two_workers_share_a_line_pair() {
        let state =
            SharedState::create(Layout { global_words: 16, workers: 3, cell_words: 17, message_bytes: 20 })
                .unwrap();
        assert_eq!((state.global().len(), state.cell(0).len()), (31, 32));
        let address = |word: &AtomicU64| std::ptr::from_ref(word).addr();
        for worker in 0..3 {
            state.publish(worker, format!("worker {worker}").as_bytes());
            assert_eq!(address(&state.cell(worker)[0]) % (LINE_PAIR * 8), 0);
        }
        for word in state.global().iter().chain(state.cells().flatten()) {
            assert_eq!(word.swap(u64::MAX, Relaxed), 0);
        }
        assert!(!state.is_stopped());
        state.stop();
        assert!(state.is_stopped());
        for worker in 0..3 {
            assert_eq!(state.message(worker), format!("worker {worker}").as_bytes());
        }
        let (long, room) = ([7; 1000], 15 * 8);
        state.publish(2, &long);
        assert_eq!(state.message(2), long[..room]);
    }
}
