//! The lock-free protocol over a borrowed arena: no system call, and no allocation on a hot path.
//!
//! It knows nothing of files, mappings or processes; whether a writer still lives is asked, and who sleeps
//! is woken, through [`Os`]. What the words mean is in `arena`, and every atomic comes from `sync`, so that the
//! models in `models` run this very code. `docs/design.md` has the argument why it holds. The folder
//! stays below 1,000 lines of code, which CI counts.

mod claim;
mod index;
#[cfg(all(test, loom))]
pub(crate) mod models;
mod notify;
mod number;
mod read;
mod scrub;
mod tandem;
mod write;

use crate::arena::Arena;
use crate::arena::os::Os;
use crate::arena::records::{EVERY_SLOT, WriterEntry};
use crate::arena::state::State;
use crate::signals::Wakes;
use crate::sync::{Acquire, Relaxed, Release, Word, spin_loop};
use crate::tuning;
use std::sync::Arc;

pub(crate) use self::read::OptimisticRead;

/// What became of a claim that stood in the way.
enum ClaimStatus {
    /// It was given back.
    Released,
    /// Its owner lives.
    Alive,
    /// Its owner died.
    Dead,
}

/// An arena as the owner of one writer id sees it: everything that changes the arena.
pub(crate) struct Claimant<'a> {
    pub(crate) arena: Arena<'a>,
    pub(crate) writer_id: u32,
    /// This writer id's own record.
    record: &'a WriterEntry,
    os: Arc<dyn Os>,
    /// The word of the map where the last free slot was found.
    hint: usize,
    /// While claims are made for a tandem, the groups that have heard of it: each does so once.
    notified: Option<u64>,
    /// Whom to wake for what was signalled so far.
    pub(crate) wakes: Wakes,
    /// Chunks that [`Self::compact_deferred`] is to look after, and whether entries may come back to the bucket from behind it.
    to_compact: Vec<(usize, bool)>,
}

impl<'a> Claimant<'a> {
    /// How often an operation starts over when the arena changes under it.
    const ROUNDS: usize = if cfg!(loom) { 3 } else { 64 };

    /// Takes `writer_id`, which the caller owns, and finishes or undoes what a dead owner left.
    pub(crate) fn new(arena: Arena<'a>, writer_id: u32, os: Arc<dyn Os>) -> Self {
        let record = &arena.writer_table[writer_id as usize];
        let (hint, notified, wakes) = (0, None, Wakes::default());
        // No removal of a key allocates, but one in a store that somebody chose the keys of.
        let to_compact = Vec::with_capacity(8);
        let mut claimant = Self { arena, writer_id, record, os, hint, notified, wakes, to_compact };
        if !record.is_at_rest() {
            claimant.recover_writer();
        }
        claimant
    }

    /// Notes which slot is about to be claimed, so that the writer id's next owner finds a dead claim.
    #[inline(always)]
    fn note_intent(&self, slot: u32) {
        mutant!("intent-unnoted", return);
        if self.notified.is_none() {
            self.record.slot_intent.store(u64::from(slot) + 1, Relaxed);
        }
    }

    pub(crate) fn is_alive(&self, writer_id: u32) -> bool {
        mutant!("living-recovered", return writer_id == self.writer_id);
        writer_id == self.writer_id || self.os.is_alive(writer_id)
    }

    /// Waits a moment for the claim in `word` to be given back, then finds out whether its owner lives: by a load, so
    /// that there is no reason to ask seldom.
    #[cold]
    fn wait_or_recover(&self, word: u64, writer_id: u32, reload: impl Fn() -> u64) -> ClaimStatus {
        for _ in 0..=tuning::claim_patience() {
            if reload() != word {
                return ClaimStatus::Released;
            }
            spin_loop();
        }
        if self.is_alive(writer_id) { ClaimStatus::Alive } else { ClaimStatus::Dead }
    }

    /// Finishes or undoes the claims that this writer id's former owner held when it died: slots first, so
    /// that the bucket's entries can be judged by them. What it may not have told anybody is told again.
    fn recover_writer(&mut self) {
        let record = self.record;
        let last = |intent: &Word| (intent.load(Acquire) as u32).wrapping_sub(1);
        self.recover_slot(last(&record.recovery_intent));
        if record.slot_intent.load(Acquire) == EVERY_SLOT {
            for slot in self.arena.marked(|word| word.touched.load(Relaxed)) {
                self.recover_claim_if(slot, |this, writer_id| writer_id == this.writer_id);
            }
        } else {
            self.recover_slot(last(&record.slot_intent));
        }
        self.recover_bucket(last(&record.bucket_intent) as usize);
        // Only now that no tandem claim of this writer id is left may its prepared words lose force.
        record.committed.store(0, Release);
        self.arena.wake_all_groups(&*self.os);
        self.compact_deferred();
        record.rest();
    }

    /// Takes over the claim on slot `number` if this writer id's former owner died with it, and tells of a change
    /// that it may have told nobody of.
    fn recover_slot(&mut self, number: u32) {
        let Some(slot) = self.arena.slot(number) else { return };
        self.recover_claim_if(number, |this, writer_id| writer_id == this.writer_id);
        self.notify(number, slot, true);
    }

    /// Takes over the claim on slot `number`, if there is one and its writer id's owner is dead.
    pub(crate) fn recover_claim_if(&mut self, number: u32, is_dead: impl Fn(&Self, u32) -> bool) {
        let Some(slot) = self.arena.slot(number) else { return };
        let state = State(slot.state_number.first_acquire());
        if state.is_claimed() && is_dead(self, state.writer_id()) {
            self.recover_claim(number, state);
        }
    }
}
