//! What the processes of a hostile run share beside the store under attack: what each worker is doing,
//! how far it came, and what it was answered. Kept apart from the store, so that no damage reaches it.

use super::calls::CALLS;
use crate::shared::SharedWords;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Words before the workers', and words of a worker before its counters.
const HEAD: usize = 32;
const CALLING: usize = 0;
const BEATS: usize = 1;
const COUNTS: usize = 8;
/// Of each call: attempts, errors, answers beyond their bounds.
const EACH: usize = 3;
const WORKER: usize = COUNTS + EACH * CALLS.len();

/// The words.
#[derive(Debug)]
pub(super) struct Board(SharedWords);

impl Board {
    /// Makes the words for so many workers.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new(workers: u32) -> std::io::Result<Self> {
        SharedWords::create(HEAD + workers as usize * WORKER).map(Self)
    }

    /// Tells everybody to end.
    pub(super) fn stop(&self) {
        self.0.words()[0].store(1, Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.words()[0].load(Acquire) != 0
    }

    /// Returns the counter of damage done to a target.
    pub(super) fn damage(&self, target: usize) -> &AtomicU64 {
        &self.0.words()[1 + target]
    }

    /// Notes that a worker begins a call.
    pub(super) fn begin(&self, worker: usize, call: usize) {
        let words = self.worker(worker);
        words[CALLING].store(call as u64, Relaxed);
        words[BEATS].fetch_add(1, Release);
    }

    /// Notes how a call ended.
    pub(super) fn end(&self, worker: usize, call: usize, good: bool) {
        let words = self.worker(worker);
        words[COUNTS + EACH * call].fetch_add(1, Relaxed);
        words[COUNTS + EACH * call + 1].fetch_add(u64::from(!good), Relaxed);
    }

    /// Counts an answer that went beyond its bounds.
    pub(super) fn beyond(&self, worker: usize, call: usize) {
        self.worker(worker)[COUNTS + EACH * call + 2].fetch_add(1, Relaxed);
    }

    /// Returns the call that a worker is in, by its name, and how many it began.
    pub(super) fn doing(&self, worker: usize) -> (&'static str, u64) {
        let words = self.worker(worker);
        let call = CALLS.get(words[CALLING].load(Relaxed) as usize);
        (
            call.map_or("start", |(name, _)| name),
            words[BEATS].load(Acquire),
        )
    }

    /// Returns a call's attempts, errors and answers beyond their bounds, of all workers.
    pub(super) fn counts(&self, call: usize) -> [u64; EACH] {
        let workers = || self.0.words()[HEAD..].chunks(WORKER);
        let at = COUNTS + EACH * call;
        std::array::from_fn(|which| workers().map(|words| words[at + which].load(Relaxed)).sum())
    }

    fn worker(&self, worker: usize) -> &[AtomicU64] {
        &self.0.words()[HEAD + worker * WORKER..][..WORKER]
    }
}
