//! The index: which slot holds a key. Chunks of one cache line, filled from a key's home bucket onwards.
//!
//! A home bucket's control word records how far its own keys were pushed (`max_distance`), so a search ends at
//! the home bucket unless that bucket overflowed. After a crash it can be rebuilt from the entries alone.
//! There are no tombstones.
//!
//! An entry leads to a slot that holds its key or is claimed. Only the holder of the home's claim adds
//! one; only the holder of the slot's claim, once the slot is vacant, takes it away. Who removes a key has
//! entries that were pushed past its place come back (backward shift deletion): an entry is moved by who
//! holds both claims.

use super::{ClaimStatus, Claimant};
use crate::arena::key::KeyRef;
use crate::arena::state::{Control, Entry};
use crate::error::Error;
use crate::sync::{AcqRel, Acquire, Relaxed, SeqCst, Word, fence};

/// How many entries a change has come nearer to their homes at most, and how many homes it looks after: in damage there is
/// no end to it.
const BUDGET: u32 = if cfg!(loom) { 8 } else { 1 << 14 };

/// A claim on a home bucket: the right to add entries for its keys, to move them, and to change its maximum distance. Dropping it
/// gives the claim back.
pub(super) struct BucketClaim<'a>(&'a Word);

impl Drop for BucketClaim<'_> {
    fn drop(&mut self) {
        // Releases every entry and the maximum distance to the next claimant's acquiring exchange.
        self.0.fetch_and(!Control::CLAIM, AcqRel);
    }
}

impl<'a> Claimant<'a> {
    /// Claims the bucket `home`, taking the claim over from a dead writer if need be. What others leave to its holder is
    /// done by [`Self::compact_deferred`].
    pub(super) fn claim_bucket(&mut self, home: usize) -> Result<BucketClaim<'a>, Error> {
        let word = &self.arena.buckets[home].control;
        for _ in 0..Self::ROUNDS {
            let seen = Control(word.load(Acquire));
            let status = || self.wait_or_recover(seen.0, seen.writer_id(), || word.load(Relaxed));
            match seen.is_claimed().then(status) {
                Some(ClaimStatus::Released) => continue,
                Some(ClaimStatus::Alive) => return Err(Error::Again),
                Some(ClaimStatus::Dead) | None => {}
            }
            if let Some(claim) = self.win_bucket(home, seen) {
                return Ok(claim);
            }
        }
        Err(Error::Again)
    }

    /// Takes over the claim on `home` that this writer id's former owner died with, if it did.
    pub(super) fn recover_bucket(&mut self, home: usize) {
        let Some(bucket) = self.arena.buckets.get(home) else { return };
        // Others mark the word, and count moves in it, whoever has the claim.
        for _ in 0..BUDGET {
            let seen = Control(bucket.control.load(Acquire));
            if !seen.is_claimed() || seen.writer_id() != self.writer_id {
                return;
            }
            drop(self.win_bucket(home, seen));
            self.to_compact.push((home, false));
        }
    }

    /// Claims `home` if its control word is still `seen`, and repairs what a dead writer left of it. The
    /// version moves even when a dead writer's own writer id, reused, takes over.
    fn win_bucket(&mut self, home: usize, seen: Control) -> Option<BucketClaim<'a>> {
        mutant!("bucket-abandoned", (!seen.is_claimed()).then_some(())?);
        let word = &self.arena.buckets[home].control;
        self.record.bucket_intent.store(home as u64 + 1, Relaxed);
        mutant!("bucket-unclaimed", return Some(BucketClaim(word)));
        word.compare_exchange(seen.0, seen.claimed(self.writer_id).0, AcqRel, Relaxed).ok()?;
        let claim = BucketClaim(word);
        if seen.is_claimed() {
            self.arena.header.recoveries.fetch_add(1, Relaxed);
            self.arena.mark(home, Control::COMPACT);
            for entry in self.arena.entries_of(home) {
                self.recover_claim_if(entry.slot(), |this, writer_id| !this.is_alive(writer_id));
            }
        }
        Some(claim)
    }

    /// Frees the entries that lead from keys with `hash` to slot `number`, which the caller has claimed
    /// and which holds no key: so nobody adds one meanwhile, and each is freed as it was found. If it holds one, the
    /// nearest entry is `kept`, and a second is what a writer left that died while it moved it.
    pub(super) fn unindex(&mut self, hash: u64, number: u32, kept: bool) {
        mutant!("entry-kept", return);
        let (arena, home, to_compact) = (self.arena, self.arena.home(hash), &mut self.to_compact);
        let mut nearest = None;
        arena.probe(&KeyRef::hashed(hash), |found, distance, index| {
            let word = &arena.bucket(home, distance).entries[index];
            let entry = Entry::new(number, Entry::label(hash, distance));
            if found != number || kept && *nearest.get_or_insert(distance) == distance {
                return None;
            }
            if arena.free_entry(home, word, entry) {
                to_compact.push((arena.place(home, distance), true));
                to_compact.extend((distance > 0).then_some((home, false)));
            }
            None::<()>
        });
    }

    /// Lowers the max distances of homes, and has entries come nearer to them, as far as this writer made room, or was left to
    /// do it. It holds no claim now.
    #[cold]
    pub(super) fn compact_deferred(&mut self) {
        let (arena, mut budget) = (self.arena, BUDGET);
        while let Some((bucket, is_room)) = self.to_compact.pop() {
            if arena.can_overflow() && arena.control(bucket).has(Control::MARKS) {
                self.compact(bucket, &mut budget);
            }
            while is_room && arena.visit_displaced(bucket, |home| self.compact(home, &mut budget)) {}
        }
    }

    /// Settles after a change of `key`, whose entry another may have wanted to move while the slot was held.
    pub(super) fn compact_for(&mut self, key: &KeyRef<'_>) {
        if key.slot.is_none() && self.arena.control(self.arena.home(key.hash)).max_distance() > 0 {
            fence(SeqCst);
            self.to_compact.push((self.arena.home(key.hash), false));
        }
        if !self.to_compact.is_empty() {
            self.compact_deferred();
        }
    }

    /// Has the entries of `home` come as near to it as there is room, and lowers its maximum distance to the farthest. Returns
    /// whether any did.
    fn compact(&mut self, home: usize, budget: &mut u32) -> bool {
        mutant!("distance-unlowered", return false);
        // What is left to do stays marked, for whoever claims the home next.
        *budget = budget.saturating_sub(1);
        let arena = self.arena;
        // First: who holds the home now sees that afterwards.
        arena.mark(home, Control::COMPACT);
        let claim = if *budget == 0 { Err(Error::Again) } else { self.claim_bucket(home) };
        let Ok(bucket) = claim else { return false };
        let (mut limit, mut moved) = (arena.control(home).max_distance(), false);
        arena.buckets[home].control.fetch_and(!Control::MARKS, AcqRel);
        while let Some(entry) = arena.last_entry(home, limit)
            && *budget > 0
            && arena.has_room(home, entry.distance())
        {
            *budget -= 1;
            mutant!("gap-unfilled", break);
            let mut claim = self.claim_if(entry.slot(), |_| true, |_| Ok(()));
            if let Some(Err(_)) = claim {
                // Its writer looks for the mark when it is done, or is done by now.
                arena.mark(home, Control::AWAITED);
                claim = self.claim_if(entry.slot(), |_| true, |_| Ok(()));
            }
            match claim {
                Some(Ok(_)) if arena.move_entry(home, entry).is_some() => {
                    self.to_compact.push((arena.place(home, entry.distance()), true));
                    moved = true;
                }
                _ => limit = entry.distance() - 1,
            }
        }
        let farthest = arena.last_entry(home, arena.control(home).max_distance());
        arena.set_max_distance(home, farthest.map_or(0, Entry::distance));
        drop(bucket);
        // Entries that were moved left room: whoever entered behind it sees that, or is seen by whoever looks there next.
        fence(SeqCst);
        if arena.control(home).has(Control::COMPACT) && *budget > 0 {
            self.to_compact.push((home, false));
        }
        moved
    }
}
