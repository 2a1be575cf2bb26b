//! Letting others hear of a change: signalled while the slot is still held, so that whoever takes the claim
//! over from a dead writer does it for that one, and woken once the slot is free. Also the routes by which
//! a key's changes get to its groups, which change under the same claim.

use super::Claimant;
use super::claim::Claim;
use crate::arena::key::KeyRef;
use crate::arena::layout::Slot;
use crate::arena::state::Attention;
use crate::error::Error;
use crate::sync::Relaxed;

impl<'a> Claimant<'a> {
    /// Gives the claim back after a change that was announced, and wakes who waits for it.
    pub(super) fn release(&mut self, claim: Claim<'a>) {
        let slot = claim.slot;
        let before = Attention(slot.attention.load(Relaxed));
        drop(claim);
        self.wake(slot, before);
    }

    /// Signals a change of the slot to the groups in `also` and those that it is routed to. That comes before
    /// its routes and labels go: they tell whoever takes the claim over from a dead writer whom to signal.
    pub(super) fn announce(&mut self, number: u32, slot: &Slot, also: u64) {
        let groups = also | self.arena.groups_of(number, slot);
        self.arena.signal(number, groups, &mut self.wakes);
        if self.grouping {
            self.wakes.told |= groups;
        }
    }

    /// Wakes who sleeps on the slot, or for a group that was signalled. `before` is what the attention word
    /// read before the change took effect: who had set out to sleep by then needs no waking after this.
    pub(super) fn wake(&mut self, slot: &Slot, before: Attention) {
        let now = Attention(slot.attention.load(Relaxed));
        if now.is_polled() {
            self.host.wake_slot(slot);
            if now == before {
                let _ = slot.attention.compare_exchange(now.0, now.departed().0, Relaxed, Relaxed);
            }
        }
        if !self.grouping {
            self.ring_bell();
        }
    }

    /// Wakes who sleeps for a group that was signalled.
    pub(super) fn ring_bell(&mut self) {
        let bell = &self.arena.header.bell;
        self.arena.ring_bell(&mut self.wakes, |bits| self.host.wake_bell(bell, bits));
    }

    /// Adds `groups` to those that hear of changes to `key`, or takes them away. That is no change of the
    /// key itself.
    pub(crate) fn reroute(&mut self, key: &KeyRef<'_>, groups: u64, on: bool) -> Result<(), Error> {
        let (arena, claim) = (self.arena, self.claim(key)?);
        let route = &arena.routes[claim.number as usize];
        let old = route.load(Relaxed);
        route.store(if on { old | groups } else { old & !groups }, Relaxed);
        arena.attend(claim.number, claim.slot, true);
        Ok(())
    }
}
