//! The index: which slot holds a key. Chunks of one cache line, filled from a key's home chunk onwards.
//!
//! A home chunk's control word records how far its own keys were pushed (`reach`), so a search ends at
//! the home chunk unless that chunk overflowed. After a crash it can be rebuilt from the entries alone.
//! There are no tombstones.
//!
//! An entry leads to a slot that holds its key or is claimed. Only the holder of the home's claim adds
//! one; only the holder of the slot's claim, once the slot is vacant, takes it away.

use super::{Claimant, Contender};
use crate::arena::Arena;
use crate::arena::key::KeyRef;
use crate::arena::state::{Control, Entry};
use crate::error::Error;
use crate::sync::{AcqRel, Acquire, Relaxed, Release, Word};

/// A claim on a home chunk: the right to add entries for its keys and to change its reach. Dropping it gives the
/// claim back.
pub(super) struct ChunkClaim<'a> {
    arena: Arena<'a>,
    home: usize,
    control: Control,
}

impl Drop for ChunkClaim<'_> {
    fn drop(&mut self) {
        // Releases every entry and the reach to the next claimant's acquiring exchange.
        self.put(self.control.released());
    }
}

impl<'a> ChunkClaim<'a> {
    fn put(&mut self, control: Control) {
        mutant!("reach-unraised", let control = control.with_reach(0));
        self.control = control;
        self.arena.chunks[self.home].control.store(control.0, Release);
    }

    /// Points a free entry at `slot`, as near to home as there is one. Nothing was changed when there
    /// is none within a chunk's reach.
    pub(super) fn insert(&mut self, hash: u64, slot: u32) -> Result<(), Error> {
        for distance in 0..=(self.arena.chunks.len() as u64 - 1).min(0xffff) {
            for word in &self.arena.chunk(self.home, distance).entries {
                if word.load(Relaxed) != Entry::FREE.0 {
                    continue;
                }
                if distance > self.control.reach() {
                    // Before the entry: whoever sees the key published sees the reach that leads to it.
                    self.put(self.control.with_reach(distance));
                }
                let entry = Entry::new(slot, Entry::label(hash, distance));
                // Other homes fill the same chunk. Release: the key words were written before.
                if word.compare_exchange(Entry::FREE.0, entry.0, AcqRel, Relaxed).is_ok() {
                    return Ok(());
                }
            }
        }
        self.lower_reach();
        Err(Error::Full)
    }

    /// Sets the reach to the distance of the farthest entry that belongs to this home.
    pub(super) fn lower_reach(&mut self) {
        mutant!("reach-unlowered", return);
        let belongs = |distance: u64| {
            let mut entries = self.arena.chunk(self.home, distance).entries.iter();
            let entry = |word: &Word| Entry(word.load(Relaxed));
            entries.any(|word| !entry(word).is_free() && entry(word).distance() == distance)
        };
        let farthest = self.control.reach().min(self.arena.chunks.len() as u64 - 1);
        let reach = (1..=farthest).rev().find(|distance| belongs(*distance)).unwrap_or(0);
        self.put(self.control.with_reach(reach));
    }

    /// Has the slots that dead writers held on to among those of this home's keys taken over, and
    /// corrects the reach.
    fn repair(&mut self, claimant: &mut Claimant<'a>) {
        for distance in 0..=self.control.reach().min(self.arena.chunks.len() as u64 - 1) {
            for word in &self.arena.chunk(self.home, distance).entries {
                let entry = Entry(word.load(Acquire));
                if entry.distance() == distance {
                    claimant.take_over_if(entry.slot(), |this, lane| !this.is_alive(lane));
                }
            }
        }
        self.lower_reach();
    }
}

impl<'a> Claimant<'a> {
    /// Claims the home chunk of `hash`, taking the claim over from a dead writer if need be.
    pub(super) fn claim_chunk(&mut self, hash: u64) -> Result<ChunkClaim<'a>, Error> {
        let home = self.arena.home(hash);
        let word = &self.arena.chunks[home].control;
        for _ in 0..Self::ROUNDS {
            let seen = Control(word.load(Acquire));
            if seen.is_claimed() {
                match self.outwait(seen.0, seen.lane(), || word.load(Relaxed)) {
                    Contender::Gone => continue,
                    Contender::Alive => return Err(Error::Again),
                    Contender::Dead => {}
                }
            }
            if let Some(claim) = self.win_chunk(home, seen) {
                return Ok(claim);
            }
        }
        Err(Error::Again)
    }

    /// Takes over the claim on `home` that this lane's former owner died with, if it did.
    pub(super) fn recover_chunk(&mut self, home: usize) {
        let Some(chunk) = self.arena.chunks.get(home) else { return };
        let seen = Control(chunk.control.load(Acquire));
        if seen.is_claimed() && seen.lane() == self.lane {
            drop(self.win_chunk(home, seen));
        }
    }

    /// Claims `home` if its control word is still `seen`, and repairs what a dead writer left of it. The
    /// version moves even when a dead writer's own lane, reused, takes over.
    fn win_chunk(&mut self, home: usize, seen: Control) -> Option<ChunkClaim<'a>> {
        mutant!("chunk-abandoned", (!seen.is_claimed()).then_some(())?);
        let arena = self.arena;
        self.record.chunk_intent.store(home as u64 + 1, Relaxed);
        let control = seen.claimed(self.lane);
        mutant!("chunk-unclaimed", return Some(ChunkClaim { arena, home, control: seen }));
        let word = &arena.chunks[home].control;
        word.compare_exchange(seen.0, control.0, AcqRel, Relaxed).ok()?;
        let mut claim = ChunkClaim { arena, home, control };
        if seen.is_claimed() {
            self.arena.header.takeovers.fetch_add(1, Relaxed);
            claim.repair(self);
        }
        Some(claim)
    }

    /// Frees the entries that lead from keys with `hash` to slot `number`, which the caller has claimed
    /// and which holds no key: so nobody adds one meanwhile, and each is freed as it was found. Returns
    /// whether any lay behind the home chunk, whose reach may be too far now: that costs only time.
    pub(super) fn forget(&self, hash: u64, number: u32) -> bool {
        mutant!("entry-kept", return false);
        let arena = self.arena;
        let mut beyond_home = false;
        arena.probe(&KeyRef::hashed(hash), |found, distance, index| {
            let word = &arena.chunk(arena.home(hash), distance).entries[index];
            let entry = Entry::new(number, Entry::label(hash, distance));
            // Whoever fills the entry next acquires this.
            let freed = found == number
                && word.compare_exchange(entry.0, Entry::FREE.0, AcqRel, Relaxed).is_ok();
            beyond_home |= freed && distance > 0;
            None::<()>
        });
        beyond_home
    }
}
