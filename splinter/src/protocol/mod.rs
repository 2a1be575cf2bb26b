//! The lock-free protocol over a borrowed arena. It makes no system call, and a read or write of one key allocates
//! nothing.
//!
//! Each slot is a sequence lock over two value buffers (double buffering), so readers see the old value until a writer
//! publishes. They store nothing, except in a cache the byte that marks a visit, if it changes. Writers claim a slot by one
//! exchange of its state word. Other writers finish or undo the claim of a writer that died, as with a robust futex.
//! Tandems commit by two-phase commit.
//!
//! The protocol knows nothing of files, mappings or processes. It asks [`Os`] whether a writer lives, and to wake
//! sleepers. `arena` has the meaning of the words. Every atomic comes from `sync`, so that `models` runs this very code
//! under loom. `docs/protocol.md` has the argument why it is right. The folder stays below 2,200 lines of code, which
//! CI counts.

mod claim;
mod consistent;
mod evict;
mod expiry;
mod index;
mod integer;
#[cfg(all(test, loom))]
pub(crate) mod models;
mod notify;
mod read;
mod scrub;
mod transaction;
mod write;

use crate::arena::Arena;
use crate::arena::os::Os;
use crate::arena::records::{EVERY_SLOT, Slot, WriterEntry};
use crate::arena::sketches::SketchBuffer;
use crate::arena::state::State;
use crate::signals::Wakes;
use crate::sync::{Acquire, Relaxed, Release, Word, spin_loop};
use crate::tuning;
use std::sync::Arc;

pub(crate) use self::read::OptimisticRead;
pub(crate) use self::transaction::{Part, Parts};

/// How many freed slots a writer of a cache knows of: those of a transaction, all of whose keys are new.
const MAX_FREED: usize = 256;

/// What became of a claim that stood in the way.
enum ClaimStatus {
    /// Its owner released it.
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
    /// The writer table entry of `writer_id`.
    record: &'a WriterEntry,
    os: Arc<dyn Os>,
    /// The word of the map where this writer last found a free slot.
    hint: usize,
    /// While this writer claims slots for a tandem: the groups that it has signalled. Each is signalled once.
    notified: Option<u64>,
    /// The sleepers to wake for what was signalled so far.
    pub(crate) wakes: Wakes,
    /// Buckets that [`Self::compact_deferred`] looks after. The flag tells that the bucket has room, so that entries
    /// displaced past it may come back.
    to_compact: Vec<(usize, bool)>,
    /// Slots of a cache that this writer has freed, for its next insertions: a few, so that it allocates nothing.
    freed: Vec<u32>,
    /// The word of the map at which the next search for a free slot of a full cache begins.
    search: usize,
    /// What samples of keys are drawn by.
    random: u64,
    sketch_buffer: SketchBuffer,
}

impl<'a> Claimant<'a> {
    /// How often an operation starts over when the arena changes under it.
    const ROUNDS: usize = if cfg!(loom) { 3 } else { 64 };

    /// Takes `writer_id`, which the caller owns, and finishes or undoes what a dead owner left.
    pub(crate) fn new(arena: Arena<'a>, writer_id: u32, os: Arc<dyn Os>) -> Self {
        let record = &arena.writer_table[writer_id as usize];
        let (hint, notified, wakes) = (0, None, Wakes::default());
        // Removing a key allocates only in a store whose keys were chosen to collide.
        let to_compact = Vec::with_capacity(8);
        let random = (u64::from(writer_id) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let freed = Vec::with_capacity(if arena.cache.is_some() { MAX_FREED } else { 0 });
        let sketch_buffer = SketchBuffer::new(&arena);
        let mut claimant = Self {
            arena,
            writer_id,
            record,
            os,
            hint,
            notified,
            wakes,
            to_compact,
            freed,
            search: 0,
            random,
            sketch_buffer,
        };
        if !record.has_no_intents() {
            claimant.recover_writer();
        }
        claimant
    }

    /// Notes which slot this writer is about to claim, so that the writer id's next owner finds a dead claim.
    #[inline(always)]
    fn note_intent(&self, slot: u32) {
        mutant!("intent-unnoted", return);
        if self.notified.is_none() {
            self.record.slot_intent.store(u64::from(slot) + 1, Relaxed);
        }
    }

    pub(crate) fn is_alive(&self, writer_id: u32) -> bool {
        self.death_of(writer_id).is_none()
    }

    /// Returns the generation of the last owner of a writer id if that owner is dead.
    fn death_of(&self, writer_id: u32) -> Option<u32> {
        mutant!("living-recovered", return (writer_id != self.writer_id).then_some(0));
        if writer_id == self.writer_id { None } else { self.os.death_of(writer_id) }
    }

    /// Whether the owner of the claim in `state`, which the slot still has, is dead.
    ///
    /// The writer id may have a new owner by the time of the second look at the state, and that owner's claim may look
    /// the same. So the dead owner must be the last one before and after it.
    pub(crate) fn is_dead(&self, slot: &Slot, state: State) -> bool {
        let Some(death) = self.death_of(state.writer_id()) else { return false };
        mutant!("death-outdated", return true);
        slot.state_integer.first_acquire() == state.0 && self.death_of(state.writer_id()) == Some(death)
    }

    /// Waits a moment for the owner to release the claim in `word`, then asks whether the owner `is_dead`. That costs
    /// one load, so there is no reason to ask seldom.
    #[cold]
    fn wait_or_recover(
        &self,
        word: u64,
        reload: impl Fn() -> u64,
        is_dead: impl Fn() -> bool,
    ) -> ClaimStatus {
        for _ in 0..=tuning::claim_patience() {
            if reload() != word {
                return ClaimStatus::Released;
            }
            spin_loop();
        }
        if is_dead() { ClaimStatus::Dead } else { ClaimStatus::Alive }
    }

    /// Finishes or undoes the claims that this writer id's former owner held when it died. Slots come first, so that
    /// the bucket's entries can be judged by them. Signals again what the dead owner may not have signalled.
    fn recover_writer(&mut self) {
        let record = self.record;
        let last = |intent: &Word| (intent.load(Acquire) as u32).wrapping_sub(1);
        self.recover_slot(last(&record.recovery_intent));
        if record.slot_intent.load(Acquire) == EVERY_SLOT {
            for slot in self.arena.marked(|word| word.touched.load(Relaxed)) {
                self.recover_claim_if(slot, Self::is_own);
            }
        } else {
            self.recover_slot(last(&record.slot_intent));
        }
        self.recover_bucket(last(&record.bucket_intent) as usize);
        // The prepared words must stay current until no tandem claim of this writer id is left.
        if record.committed.load(Relaxed) != 0 {
            // If it died before it published its first change, its next tandem would have the same commit word.
            record.count_write();
            mutant!("commit-repeated", record.writes.store(record.writes.load(Relaxed) - 1, Relaxed));
            record.committed.store(0, Release);
        }
        self.arena.wake_all_groups(&*self.os);
        self.compact_deferred();
        record.clear_intents();
    }

    /// Recovers the claim on slot `number` if this writer id's former owner died with it. Signals a change that the
    /// owner may not have signalled.
    fn recover_slot(&mut self, number: u32) {
        let Some(slot) = self.arena.slot(number) else { return };
        self.recover_claim_if(number, Self::is_own);
        self.notify(number, slot, true);
    }

    /// Whether a claim is this writer id's: its former owner's, since the caller holds none.
    pub(crate) fn is_own(&self, _: &Slot, state: State) -> bool {
        state.writer_id() == self.writer_id
    }

    /// Recovers the claim on slot `number`, if there is one and its owner `is_dead`.
    pub(crate) fn recover_claim_if(&mut self, number: u32, is_dead: impl Fn(&Self, &Slot, State) -> bool) {
        let Some(slot) = self.arena.slot(number) else { return };
        let state = State(slot.state_integer.first_acquire());
        if state.is_claimed() && is_dead(self, slot, state) {
            self.recover_claim(number, state);
        }
    }
}
