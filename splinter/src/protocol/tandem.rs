//! Tandems: several keys written as one generation.
//!
//! All slots are claimed with the tandem flag, each new descriptor is put in its slot's prepared word, and
//! one store to the writer id's commit word puts all of them current at once. Publishing slot by slot
//! afterwards only makes permanent what readers of a claimed slot see already, so a writer that stops
//! or dies anywhere leaves all orders old or all orders new.

use super::Claimant;
use super::claim::Claim;
use crate::arena::key::KeyRef;
use crate::arena::records::EVERY_SLOT;
use crate::arena::state::Descriptor;
use crate::error::Error;
use crate::sync::{Relaxed, Release};

impl<'a> Claimant<'a> {
    /// Sets all `keys` to `values` as one generation, creating those that are missing.
    pub(crate) fn set_tandem(&mut self, keys: &[KeyRef<'_>], values: &[&[u8]]) -> Result<(), Error> {
        for value in values {
            self.check_len(value.len())?;
        }
        // A number word has no second buffer; an integer operation makes a number of it again.
        let write = |this: &Self, at: usize, claim: &_| this.write_value::<false>(claim, values[at]);
        self.publish_together(keys, Self::claim_or_insert, write).map(drop)
    }

    /// Removes those of `keys` that are present, all at once. Returns how many were.
    pub(crate) fn unset_tandem(&mut self, keys: &[KeyRef<'_>]) -> Result<usize, Error> {
        self.publish_together(keys, Self::claim, |this, _, claim| {
            this.mark(claim.number, false);
            claim.descriptor.vacant()
        })
    }

    /// Claims `keys`, has `content` say what is to be current of each, and puts it current.
    fn publish_together(
        &mut self,
        keys: &[KeyRef<'_>],
        claim: impl Fn(&mut Self, &KeyRef<'_>) -> Result<Claim<'a>, Error>,
        content: impl Fn(&Self, usize, &Claim<'a>) -> Descriptor,
    ) -> Result<usize, Error> {
        // From here until the last claim is given back, the next owner of this writer id looks everywhere.
        self.record.slot_intent.store(EVERY_SLOT, Release);
        self.notified = Some(0);
        let result = self.claim_all(keys, claim).map(|mut claims| {
            // Groups of watchers hear of the first order that they have.
            claims.sort_unstable_by_key(|(index, _)| *index);
            for (index, claim) in &claims {
                claim.slot.prepared.store(content(self, *index, claim).0, Relaxed);
            }
            let count = claims.len();
            // Release: whoever sees the commit sees every prepared word and what they point to.
            self.record.committed.store(1, Release);
            for (index, claim) in claims {
                self.make_permanent(claim, keys[index].hash);
            }
            // All claims were given back: nobody reads this word for them any more.
            self.record.committed.store(0, Release);
            count
        });
        self.notified = None;
        self.arena.wake_groups(&mut self.wakes, &*self.os);
        self.record.rest();
        self.compact_deferred();
        result
    }

    /// Claims the slots of `keys`, but for those that are missing throughout, in the order of their
    /// addresses, so that tandems that overlap meet at the first slot they share. On any failure the
    /// claims are given back.
    fn claim_all(
        &mut self,
        keys: &[KeyRef<'_>],
        claim: impl Fn(&mut Self, &KeyRef<'_>) -> Result<Claim<'a>, Error>,
    ) -> Result<Vec<(usize, Claim<'a>)>, Error> {
        let arena = self.arena;
        let slots = keys.iter().map(|key| arena.locate(key).unwrap_or(u32::MAX));
        let mut order: Vec<(u32, usize)> = slots.zip(0..).collect();
        order.sort_unstable();
        let (mut claims, mut missing, mut failure) = (Vec::with_capacity(keys.len()), vec![], None);
        for (_, index) in order {
            match claim(self, &keys[index]) {
                Ok(claim) => claims.push((index, claim)),
                Err(Error::NotFound) => missing.push(&keys[index]),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        // One that has come since came with a tandem of which the others were claimed too late.
        if missing.into_iter().any(|key| arena.locate(key).is_some()) {
            failure = Some(Error::Again);
        }
        let Some(error) = failure else { return Ok(claims) };
        for (index, claim) in claims {
            // A slot that was claimed for a new key is free again.
            if !claim.descriptor.is_present() {
                self.remove(claim, keys[index].hash);
            }
        }
        Err(error)
    }

    /// Publishes what a committed claim has pending.
    fn make_permanent(&mut self, claim: Claim<'a>, hash: u64) {
        let descriptor = Descriptor(claim.slot.prepared.load(Relaxed));
        if descriptor.is_present() {
            self.publish(claim, descriptor);
        } else {
            self.remove(claim, hash);
        }
    }
}
