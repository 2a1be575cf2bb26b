//! The index: which slot holds a key. It is an open-addressing hash table of one-cache-line buckets with Swiss-table
//! style tags; a key goes into the first bucket with room from its home bucket onwards.
//!
//! A home bucket's control word records the maximum probe distance of its own keys, so a search ends at the home bucket
//! unless that bucket overflowed. Entries alone suffice to rebuild it after a crash. There are no tombstones: a writer
//! that removes a key moves displaced entries back towards their homes (backward-shift deletion).
//!
//! *An entry leads to a slot that holds its key or is claimed.* Only the holder of the home's claim adds an entry. Only
//! the holder of the slot's claim frees it, once the slot is vacant. The holder of both claims may move it.

use super::{ClaimStatus, Claimant};
use crate::arena::key::KeyRef;
use crate::arena::state::{Control, Entry};
use crate::error::Error;
use crate::sync::{AcqRel, Acquire, Relaxed, SeqCst, Word, fence};

/// How many entries one change moves, and how many homes it compacts, at most: damaged words could make it endless.
const BUDGET: u32 = if cfg!(loom) { 8 } else { 1 << 14 };

/// A claim on a home bucket: the right to add and move entries of its keys, and to change its maximum distance.
/// Dropping it releases the bucket.
pub(super) struct BucketClaim<'a>(&'a Word);

impl Drop for BucketClaim<'_> {
    fn drop(&mut self) {
        // Release: the next claimant's acquiring exchange sees every entry and the maximum distance.
        self.0.fetch_and(!Control::CLAIM, AcqRel);
    }
}

impl<'a> Claimant<'a> {
    /// Claims the bucket `home`, from a dead writer if need be. [`Self::compact_deferred`] does what other writers left
    /// to the claim's holder.
    pub(super) fn claim_bucket(&mut self, home: usize) -> Result<BucketClaim<'a>, Error> {
        let word = &self.arena.buckets[home].control;
        for _ in 0..Self::ROUNDS {
            let seen = Control(word.load(Acquire));
            let is_dead = || !self.is_alive(seen.writer_id());
            let status = || self.wait_or_recover(seen.0, || word.load(Relaxed), is_dead);
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

    /// Recovers the claim on `home` that this writer id's former owner died with, if it did.
    pub(super) fn recover_bucket(&mut self, home: usize) {
        let Some(bucket) = self.arena.buckets.get(home) else { return };
        // Other writers set marks and count moves in the word without holding the claim.
        for _ in 0..BUDGET {
            let seen = Control(bucket.control.load(Acquire));
            if !seen.is_claimed() || seen.writer_id() != self.writer_id {
                return;
            }
            drop(self.win_bucket(home, seen));
            self.to_compact.push((home, false));
        }
    }

    /// Claims `home` if its control word is still `seen`, and repairs what a dead writer left of it. The version
    /// changes even when the dead owner's own writer id, taken again, recovers the claim.
    fn win_bucket(&mut self, home: usize, seen: Control) -> Option<BucketClaim<'a>> {
        mutant!("bucket-abandoned", (!seen.is_claimed()).then_some(())?);
        let word = &self.arena.buckets[home].control;
        self.record.bucket_intent.store(home as u64 + 1, Relaxed);
        mutant!("bucket-unclaimed", return Some(BucketClaim(word)));
        word.compare_exchange(seen.0, seen.claimed(self.writer_id).0, AcqRel, Relaxed).ok()?;
        let claim = BucketClaim(word);
        if seen.is_claimed() {
            self.arena.header.recoveries.fetch_add(1, Relaxed);
            self.arena.mark_home(home, Control::COMPACT);
            for entry in self.arena.entries_of(home) {
                self.recover_claim_if(entry.slot(), Self::is_dead);
            }
        }
        Some(claim)
    }

    /// Frees the entries that lead from keys with `hash` to slot `number`, which the caller has claimed. No other
    /// writer adds one meanwhile, so each is freed as it was found.
    ///
    /// If the slot holds a key (`kept`), its nearest entry stays. A second one is left of a writer that died while it
    /// moved the entry.
    pub(super) fn unindex(&mut self, hash: u64, number: u32, kept: bool) {
        mutant!("entry-kept", return);
        let (arena, home, to_compact) = (&self.arena, self.arena.home(hash), &mut self.to_compact);
        let mut nearest = None;
        arena.probe(&KeyRef::hashed(hash), |found, distance, index| {
            let word = &arena.bucket(home, distance).entries[index];
            let entry = Entry::new(number, Entry::tag(hash, distance));
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

    /// Compacts the homes of this writer's list: moves entries nearer to their homes where there is room now, and
    /// lowers maximum distances. The caller holds no claim but those of a tandem, which does it at its end.
    #[cold]
    pub(super) fn compact_deferred(&mut self) {
        if self.notified.is_some() || self.to_compact.is_empty() {
            return;
        }
        let mut budget = BUDGET;
        while let Some((bucket, is_room)) = self.to_compact.pop() {
            if self.arena.can_overflow() && self.arena.control(bucket).has(Control::MARKS) {
                self.compact(bucket, &mut budget);
            }
            let arena = self.arena;
            while is_room && arena.visit_displaced(bucket, |home| self.compact(home, &mut budget)) {}
        }
    }

    /// Compacts the home of `key` after a change: another writer may have wanted to move its entry while this one held
    /// the slot. Then does what was deferred.
    pub(super) fn compact_for(&mut self, key: &KeyRef<'_>) {
        if key.slot.is_none() && self.arena.control(self.arena.home(key.hash)).max_distance() > 0 {
            fence(SeqCst);
            self.to_compact.push((self.arena.home(key.hash), false));
        }
        if !self.to_compact.is_empty() {
            self.compact_deferred();
        }
    }

    /// Moves the entries of `home` as near to it as there is room, and lowers its maximum distance to the farthest.
    /// Returns whether it moved any.
    fn compact(&mut self, home: usize, budget: &mut u32) -> bool {
        mutant!("distance-unlowered", return false);
        // A writer that runs out of budget leaves the marks for the next claimant of the home.
        *budget = budget.saturating_sub(1);
        let arena = self.arena;
        // Before the claim: if another writer holds the home, it sees the mark after its release.
        arena.mark_home(home, Control::COMPACT);
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
            let mut claim = self.claim_if(entry.slot(), |_| true, |_, _| Ok(()));
            if let Some(Err(_)) = claim {
                // The slot's owner looks for this mark after its release, or has released it by now.
                arena.mark_home(home, Control::AWAITED);
                claim = self.claim_if(entry.slot(), |_| true, |_, _| Ok(()));
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
        // Entries that were moved left room. A writer that added an entry behind it sees the room, or the next look
        // here sees that entry.
        fence(SeqCst);
        if arena.control(home).has(Control::COMPACT) && *budget > 0 {
            self.to_compact.push((home, false));
        }
        moved
    }
}
