//! Expiry: keys with deadlines, and the removal of those whose deadline has passed. Readers find them missing from that
//! instant on; a writer that meets one removes it; sweeps remove the rest.

use super::Claimant;
use super::claim::Claim;
use crate::arena::Arena;
use crate::arena::key::{Key, KeyRef};
use crate::arena::state::Descriptor;
use crate::arena::version::{Expect, Lifetime, Version};
use crate::error::Error;
use crate::sync::Relaxed;

/// An insertion into a cache looks for a key whose deadline has passed at the slots of so many words of the map, and at
/// so many deadlines.
const NEAR_WORDS: usize = 16;
const NEAR_LOOKS: u32 = 16;

impl<'a> Claimant<'a> {
    /// Sets the value of `key` as [`Self::set`] does, and how long the key stays.
    pub(crate) fn set_with(
        &mut self,
        key: &KeyRef<'_>,
        value: &[u8],
        expect: Expect,
        lifetime: Lifetime,
    ) -> Result<Version, Error> {
        self.check_len(value.len())?;
        let version = self.claim_or_insert(key, expect).map(|claim| {
            let descriptor = self.write_value::<false>(&claim, value);
            let descriptor = self.with_lifetime(&claim, descriptor, lifetime);
            self.publish(claim, descriptor)
        });
        self.compact_for(key);
        version
    }

    /// Changes how long `key` stays. Its epoch stays as well.
    pub(crate) fn set_lifetime(&mut self, key: &KeyRef<'_>, lifetime: Lifetime) -> Result<(), Error> {
        let claim = self.claim(key, Expect::Any)?;
        let descriptor = self.with_lifetime(&claim, claim.descriptor, lifetime);
        self.publish_unchanged(claim, descriptor);
        self.compact_for(key);
        Ok(())
    }

    /// Returns `descriptor` with the deadline that `lifetime` asks for.
    #[inline]
    pub(super) fn with_lifetime(
        &self,
        claim: &Claim<'a>,
        descriptor: Descriptor,
        lifetime: Lifetime,
    ) -> Descriptor {
        let arena = &self.arena;
        let deadline = match lifetime {
            Lifetime::Unchanged => return descriptor,
            // The expiring bit stays until a sweep clears it: a writer that dies here leaves the old deadline.
            Lifetime::Endless => return descriptor.with_expires(0),
            Lifetime::For(span) => {
                let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
                arena.clock.now().saturating_add(nanos)
            }
            Lifetime::Until(time) => time,
        };
        arena.write_deadline(claim.number, descriptor, deadline)
    }

    /// Removes the key of slot `number` if its deadline has passed. Returns whether it did.
    pub(super) fn remove_expired(&mut self, number: u32) -> bool {
        let expired = |arena: &Arena<'a>, descriptor| arena.is_expired(number, descriptor);
        let check = |is_expired: bool| if is_expired { Ok(()) } else { Err(Error::Again) };
        let claim = self.claim_if(number, |_| true, |arena, read| check(expired(arena, read.descriptor)));
        let Some(Ok(claim)) = claim else { return false };
        // Its deadline may have been moved before it was claimed.
        expired(&self.arena, claim.descriptor) && self.remove_claimed(claim) == Error::NotFound
    }

    /// Removes the key of a claimed slot, whose deadline has passed. Returns the error for the caller that wanted it.
    pub(super) fn remove_claimed(&mut self, claim: Claim<'a>) -> Error {
        let arena = self.arena;
        // Within a tandem a removal cannot be signalled on its own: the tandem does it before it starts over.
        if self.notified.is_some() {
            return Error::Again;
        }
        let hash = arena.hash.of(Key::read_from(claim.slot).as_ref());
        self.remove(claim, hash);
        arena.header.expired.fetch_add(1, Relaxed);
        // After a reboot, store time goes on from there, and the key is missing still.
        arena.note_time();
        Error::NotFound
    }

    /// Removes `key` if its deadline has passed. Returns whether it did.
    pub(super) fn remove_if_expired(&mut self, key: &KeyRef<'_>) -> bool {
        // No key of the store ever had a deadline.
        if self.arena.header.time_seen.load(Relaxed) == 0 {
            return false;
        }
        let arena = self.arena;
        let number = arena.probe(key, |number, _, _| {
            let slot = arena.slot(number)?;
            let descriptor = arena.open(number, slot).descriptor;
            (key.is_in(slot) && arena.is_expired(number, descriptor)).then_some(number)
        });
        let is_removed = number.is_some_and(|number| self.remove_expired(number));
        if is_removed {
            self.compact_deferred();
        }
        is_removed
    }

    /// Removes up to `count` keys whose deadline has passed. Returns whether there was one.
    pub(super) fn remove_some_expired(&mut self, count: usize) -> bool {
        let arena = self.arena;
        let expiring = arena.marked(|word| word.expiring.load(Relaxed));
        expiring.filter(|number| self.remove_expired(*number)).take(count).count() > 0
    }

    /// Removes a key whose deadline has passed, if there is one among a few slots at which the next sweep begins. Returns
    /// whether it did. The next call looks at the next ones.
    pub(super) fn remove_expired_near(&mut self) -> bool {
        let (arena, hand) = (self.arena, &self.arena.header.sweep_hand);
        // No key of the store ever had a deadline.
        if arena.header.time_seen.load(Relaxed) == 0 {
            return false;
        }
        let words = arena.bitmap.len();
        let first = hand.load(Relaxed) % (words as u64 * 64);
        let (mut looks, mut mask) = (0, u64::MAX << (first % 64));
        for index in (0..NEAR_WORDS.min(words)).map(|step| (first as usize / 64 + step) % words) {
            let mut bits =
                arena.bitmap[index].expiring.load(Relaxed) & std::mem::replace(&mut mask, u64::MAX);
            while bits != 0 {
                let number = index as u32 * 64 + bits.trailing_zeros();
                let is_removed = self.remove_expired(number);
                looks += 1;
                if is_removed || looks == NEAR_LOOKS {
                    hand.store(u64::from(number) + 1, Relaxed);
                    return is_removed;
                }
                bits &= bits - 1;
            }
        }
        hand.store((first as usize / 64 + NEAR_WORDS) as u64 % words as u64 * 64, Relaxed);
        false
    }

    /// Looks at up to `budget` keys that may have deadlines, from where the last sweep stopped. Removes those whose
    /// deadline has passed. Returns how many these were.
    pub(crate) fn sweep(&mut self, budget: u32) -> u32 {
        let (arena, hand) = (self.arena, &self.arena.header.sweep_hand);
        arena.note_time();
        let first = (hand.load(Relaxed) as u32).min(arena.shape.slots);
        let from = |first| arena.marked_from(first, |word| word.expiring.load(Relaxed));
        let (mut looked, mut removed, mut next) = (0, 0, 0);
        for number in from(first).chain(from(0).take_while(|number| *number < first)) {
            if looked == budget {
                next = number;
                break;
            }
            looked += 1;
            removed += u32::from(self.remove_expired(number));
            self.unmark_if_lasting(number);
        }
        hand.store(next.into(), Relaxed);
        self.compact_deferred();
        removed
    }

    /// Clears the expiring bit of a slot whose key has no deadline, or that has no key.
    fn unmark_if_lasting(&mut self, number: u32) {
        let Some(slot) = self.arena.slot(number) else { return };
        if self.arena.open(number, slot).descriptor.expires() != 0 {
            return;
        }
        let claim = self.claim_if(number, |_| true, |_, _| Ok(())).and_then(Result::ok);
        if let Some(claim) = claim.or_else(|| self.claim_if_free(number, false))
            && claim.descriptor.expires() == 0
        {
            self.arena.clear_expiring(number);
        }
    }
}
