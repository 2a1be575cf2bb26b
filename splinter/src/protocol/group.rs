//! Tandems: several keys written as one generation.
//!
//! All slots are claimed with the tandem flag, each new meta word is put in its slot's pending word, and
//! one store to the lane's commit word puts all of them in force at once. Publishing slot by slot
//! afterwards only makes permanent what readers of a claimed slot see already, so a writer that stops
//! or dies anywhere leaves all orders old or all orders new.

use super::Claimant;
use super::claim::Claim;
use crate::arena::key::KeyRef;
use crate::arena::layout::EVERY_SLOT;
use crate::arena::state::Meta;
use crate::error::Error;
use crate::sync::{Relaxed, Release};

impl<'a> Claimant<'a> {
    /// Sets all `keys` to `values` as one generation, creating those that are missing.
    pub(crate) fn set_group(&mut self, keys: &[KeyRef<'_>], values: &[&[u8]]) -> Result<(), Error> {
        for value in values {
            self.check_len(value.len())?;
        }
        self.group(keys, |this, claims| {
            for (claim, value) in claims.iter().zip(values) {
                // A number word has no second buffer; an integer operation makes a number of it again.
                let meta = this.write_value(claim, value);
                claim.slot.pending.store(meta.0, Relaxed);
            }
        })
        .map(|_| ())
    }

    /// Removes those of `keys` that are present, all at once. Returns how many were.
    pub(crate) fn unset_group(&mut self, keys: &[KeyRef<'_>]) -> Result<usize, Error> {
        let arena = self.arena;
        let is_present = |key: &&KeyRef<'_>| arena.locate(key).is_some();
        let present: Vec<_> = keys.iter().filter(is_present).copied().collect();
        if present.is_empty() {
            return Ok(0);
        }
        self.group(&present, |this, claims| {
            for claim in claims {
                this.mark(claim.number, false);
                claim.slot.pending.store(claim.meta.vacant().0, Relaxed);
            }
        })
    }

    /// Claims all `keys` or none, has `prepare` fill the pending words, and puts them in force.
    fn group(
        &mut self,
        keys: &[KeyRef<'_>],
        prepare: impl FnOnce(&Self, &[Claim<'a>]),
    ) -> Result<usize, Error> {
        // From here until the last claim is given back, the next owner of this lane looks everywhere.
        self.record.slot_intent.store(EVERY_SLOT, Release);
        self.grouping = true;
        let claims = self.claim_all(keys);
        let result = claims.map(|claims| {
            prepare(self, &claims);
            // Release: whoever sees the commit sees every pending word and what they point to.
            self.record.committed.store(1, Release);
            for (claim, key) in claims.into_iter().zip(keys) {
                self.make_permanent(claim, key.hash);
            }
            // All claims were given back: nobody reads this word for them any more.
            self.record.committed.store(0, Release);
            keys.len()
        });
        self.grouping = false;
        result
    }

    /// Claims the slots of all `keys`, in the order of their addresses, so that groups that overlap
    /// meet at the first slot they share. On any failure the claims are given back.
    fn claim_all(&mut self, keys: &[KeyRef<'_>]) -> Result<Vec<Claim<'a>>, Error> {
        let arena = self.arena;
        let slot_of = |key: &KeyRef<'_>| arena.locate(key).unwrap_or(u32::MAX);
        let mut order: Vec<_> = keys.iter().map(slot_of).zip(0..).collect::<Vec<(u32, usize)>>();
        order.sort_unstable();
        let mut claims = Vec::with_capacity(keys.len());
        for (_, index) in order {
            match self.claim_or_insert(&keys[index]) {
                Ok(claim) => claims.push((index, claim)),
                Err(error) => {
                    for (index, claim) in claims {
                        self.give_up(claim, keys[index].hash);
                    }
                    return Err(error);
                }
            }
        }
        claims.sort_unstable_by_key(|(index, _)| *index);
        Ok(claims.into_iter().map(|(_, claim)| claim).collect())
    }

    /// Gives a claim back; a slot that was claimed for a new key is free again.
    fn give_up(&mut self, claim: Claim<'a>, hash: u64) {
        if !claim.meta.is_present() {
            self.vacate(claim, hash);
        }
    }

    /// Publishes what a committed claim has pending.
    fn make_permanent(&mut self, mut claim: Claim<'a>, hash: u64) {
        let meta = Meta(claim.slot.pending.load(Relaxed));
        if meta.is_present() {
            self.publish(claim, meta);
        } else {
            claim.meta = meta;
            self.vacate(claim, hash);
        }
    }
}
