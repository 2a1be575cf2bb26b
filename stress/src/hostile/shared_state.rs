//! What the processes of a hostile run share beside the store under attack: which call each worker is in, how many it began,
//! and how they ended. It lies apart from the store, so that no damage reaches it.

use super::target::Target;
use splinter_harness::shared::{Layout, SharedState};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A worker's words: the number of its present call, how many calls it began, then the counters of each call.
const CALL: usize = 0;
const BEGUN: usize = 1;
const COUNTS: usize = 2;
/// Counters of each call: attempts, errors, answers out of bounds.
const EACH: usize = 3;

/// The state that the parent, the workers and the fault injector share.
#[derive(Debug)]
pub(super) struct HostileState(pub SharedState);

impl HostileState {
    /// Makes the state of so many workers, which make so many different calls.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn new(workers: u32, calls: usize) -> std::io::Result<Self> {
        let layout = Layout {
            global_words: Target::ALL.len(),
            workers: workers as usize,
            cell_words: COUNTS + EACH * calls,
            message_bytes: 0,
        };
        SharedState::create(layout).map(Self)
    }

    /// Returns the counter of damage done to a target.
    pub(super) fn damage(&self, target: Target) -> &AtomicU64 {
        &self.0.global()[target as usize]
    }

    /// Notes that a worker begins a call.
    pub(super) fn begin(&self, worker: usize, call: usize) {
        let cell = self.0.cell(worker);
        cell[CALL].store(call as u64, Relaxed);
        cell[BEGUN].fetch_add(1, Release);
    }

    /// Notes how a call ended.
    pub(super) fn end(&self, worker: usize, call: usize, good: bool) {
        let cell = self.0.cell(worker);
        cell[COUNTS + EACH * call].fetch_add(1, Relaxed);
        cell[COUNTS + EACH * call + 1].fetch_add(u64::from(!good), Relaxed);
    }

    /// Counts an answer that was out of bounds.
    pub(super) fn out_of_bounds(&self, worker: usize, call: usize) {
        self.0.cell(worker)[COUNTS + EACH * call + 2].fetch_add(1, Relaxed);
    }

    /// Returns the number of the call that a worker is in, if it began any, and how many it began.
    pub(super) fn present_call(&self, worker: usize) -> (Option<usize>, u64) {
        let cell = self.0.cell(worker);
        let begun = cell[BEGUN].load(Acquire);
        let call = (begun > 0).then(|| cell[CALL].load(Relaxed) as usize);
        (call, begun)
    }

    /// Returns a call's attempts, errors and answers out of bounds, of all workers together.
    pub(super) fn counts(&self, call: usize) -> [u64; EACH] {
        let at = COUNTS + EACH * call;
        std::array::from_fn(|which| {
            let counts = self.0.cells().map(|cell| cell[at + which].load(Relaxed));
            counts.sum()
        })
    }
}
