//! Letting others hear of a change. It is signalled while the slot is still held, so that whoever takes the
//! claim over from a dead writer does it for that one, and those who sleep are woken once the slot is free; a
//! change without a claim, of an integer, is signalled afterwards, and the writer id's intent vouches for that.
//! Also the subscriptions by which a key's changes get to its groups, which change under the same claim.

use super::{Claimant, claim::Claim};
use crate::arena::key::KeyRef;
use crate::arena::records::Slot;
use crate::error::Error;
use crate::sync::Relaxed;

impl<'a> Claimant<'a> {
    /// Gives the claim back after a change, of which the claim's groups hear, and whoever else wants to.
    #[cold]
    #[inline(never)]
    pub(super) fn release_and_notify(&mut self, claim: Claim<'a>) {
        mutant!("signal-early", return self.release(claim));
        self.publish_event(&claim);
        self.release(claim);
    }

    /// Gives the claim back, and wakes whom that concerns.
    pub(super) fn release(&mut self, mut claim: Claim<'a>) {
        let (slot, polled) = (claim.slot, claim.state.is_polled());
        if polled {
            // Were this writer killed before it wakes anybody, the writer id's next owner would.
            self.record.recovery_intent.store(u64::from(claim.number) + 1, Relaxed);
            claim.state = claim.state.unpolled();
        }
        drop(claim);
        mutant!("poller-unwoken", let polled = false);
        self.wake(slot, polled);
    }

    /// Lets others hear of a change that was made without a claim, or by somebody who died.
    #[cold]
    pub(super) fn notify(&mut self, number: u32, slot: &Slot, polled: bool) {
        self.arena.signal(number, self.arena.groups_of(number, slot), &mut self.wakes);
        self.wake(slot, polled);
    }

    /// Signals a change of the slot to the claim's groups, and those that the slot is subscribed to; of a
    /// tandem's, only to those that have not heard of the tandem.
    pub(super) fn publish_event(&mut self, claim: &Claim<'a>) {
        let mut groups = claim.groups | self.arena.groups_of(claim.number, claim.slot);
        if let (Some(notified), true) = (&mut self.notified, claim.state.is_tandem()) {
            groups &= !*notified;
            *notified |= groups;
        }
        self.arena.signal(claim.number, groups, &mut self.wakes);
    }

    /// Wakes who sleeps on the slot, if it was `polled`, and for a group that was signalled.
    fn wake(&mut self, slot: &Slot, polled: bool) {
        if polled {
            self.os.wake_slot(slot);
        }
        if self.notified.is_none() {
            self.arena.wake_groups(&mut self.wakes, &*self.os);
        }
    }

    /// Adds `groups` to those that hear of changes to `key`, or takes them away. That is no change of the
    /// key itself.
    pub(crate) fn subscribe(&mut self, key: &KeyRef<'_>, groups: u64, on: bool) -> Result<(), Error> {
        let (arena, claim) = (self.arena, self.claim(key)?);
        let subscription = &arena.subscriptions[claim.number as usize];
        let old = subscription.load(Relaxed);
        subscription.store(if on { old | groups } else { old & !groups }, Relaxed);
        arena.update_notify_flags(claim.number, claim.slot, true);
        self.release(claim);
        Ok(())
    }
}
