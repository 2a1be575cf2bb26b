//! Tandems: atomic writes of several keys as one generation, by two-phase commit.
//!
//! A writer claims all slots with the tandem flag and puts each new descriptor into its slot's prepared word. One store
//! to the commit word of its writer table entry makes all of them current at once. Publishing slot by slot afterwards
//! only makes permanent what readers of a claimed slot already see. So a writer that stops or dies anywhere leaves all
//! orders old or all orders new.

use super::Claimant;
use super::claim::Claim;
use crate::arena::key::KeyRef;
use crate::arena::records::EVERY_SLOT;
use crate::arena::state::Descriptor;
use crate::arena::version::Expect;
use crate::error::Error;
use crate::sync::{Relaxed, Release};

impl<'a> Claimant<'a> {
    /// Sets all `keys` to `values` as one generation, creating those that are missing.
    pub(crate) fn set_tandem(&mut self, keys: &[KeyRef<'_>], values: &[&[u8]]) -> Result<(), Error> {
        for value in values {
            self.check_len(value.len())?;
        }
        // A number word has no second buffer, so numbers become bytes; an integer operation makes a number of them
        // again.
        let write =
            |this: &Self, at: usize, claim: &_| this.write_value::<false>(claim, values[at]).with_expires(0);
        for _ in 0..Self::ROUNDS {
            match self.publish_together(keys, |this, key| this.claim_or_insert(key, Expect::Any), write) {
                Err(Error::Full) if self.remove_any_expired() => {}
                result => return result.map(drop),
            }
        }
        Err(Error::Again)
    }

    /// Removes those of `keys` that are present, all at once. Returns how many were.
    pub(crate) fn unset_tandem(&mut self, keys: &[KeyRef<'_>]) -> Result<usize, Error> {
        self.publish_together(
            keys,
            |this, key| this.claim(key, Expect::Any),
            |this, _, claim| {
                this.set_used(claim.number, false);
                claim.descriptor.vacant()
            },
        )
    }

    /// Claims `keys`, lets `content` prepare the new descriptor of each, commits and publishes them.
    fn publish_together(
        &mut self,
        keys: &[KeyRef<'_>],
        claim: impl Fn(&mut Self, &KeyRef<'_>) -> Result<Claim<'a>, Error>,
        content: impl Fn(&Self, usize, &Claim<'a>) -> Descriptor,
    ) -> Result<usize, Error> {
        for key in keys {
            self.remove_if_expired(key);
        }
        // Until the last claim is released, the next owner of this writer id has to look at every slot.
        self.record.slot_intent.store(EVERY_SLOT, Release);
        self.notified = Some(0);
        let result = self.claim_all(keys, claim).map(|mut claims| {
            // A group is signalled for the first order that it is subscribed to.
            claims.sort_unstable_by_key(|(index, _)| *index);
            for (index, claim) in &claims {
                claim.slot.prepared.store(content(self, *index, claim).0, Relaxed);
            }
            let count = claims.len();
            // No tandem before or after it has this word: each publishes changes, which are counted.
            let commit = self.record.writes.load(Relaxed) | 1 << 63;
            if count == 0 {
                return 0;
            }
            // Release: a reader that sees the commit sees every prepared word, and the buffers that these name.
            self.record.committed.store(commit, Release);
            for (index, claim) in claims {
                self.publish_prepared(claim, keys[index].hash);
            }
            // All claims are released: nobody reads this word for them any more.
            self.record.committed.store(0, Release);
            count
        });
        self.notified = None;
        self.arena.wake_groups(&mut self.wakes, &*self.os);
        self.record.clear_intents();
        self.compact_deferred();
        result
    }

    /// Claims the slots of `keys` in the order of their numbers, so that overlapping tandems meet at the first slot
    /// they share. Passes over keys that are missing throughout. On any failure releases all claims.
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
        // A key that has come since came with a tandem, and the others were claimed too late for that.
        if missing.into_iter().any(|key| arena.locate(key).is_some()) {
            failure = Some(Error::Again);
        }
        let Some(error) = failure else { return Ok(claims) };
        for (index, claim) in claims {
            // A slot that was claimed for a new key becomes free again.
            if !claim.descriptor.is_present() {
                self.remove(claim, keys[index].hash);
            }
        }
        Err(error)
    }

    /// Publishes what a committed claim has prepared.
    fn publish_prepared(&mut self, claim: Claim<'a>, hash: u64) {
        let descriptor = Descriptor(claim.slot.prepared.load(Relaxed));
        if descriptor.is_present() {
            self.publish(claim, descriptor);
        } else {
            self.remove(claim, hash);
        }
    }
}
