//! Signalling changes to watchers and pollers, and the subscriptions that lead from a key to its groups.
//!
//! A writer signals while it still holds the slot, so a writer that recovers the claim can signal in its place. It
//! wakes sleepers after it has released the slot. An integer operation has no claim: it signals afterwards, and the
//! slot intent makes the writer id's next owner repeat that. Subscriptions change under the slot's claim.

use super::{Claimant, claim::Claim};
use crate::arena::key::KeyRef;
use crate::arena::records::{FLAG_LASTING, Slot};
use crate::arena::version::Expect;
use crate::error::Error;
use crate::sync::{Relaxed, SeqCst, fence};

impl<'a> Claimant<'a> {
    /// Signals a change to all groups that the claim and the slot name, then releases the claim.
    #[cold]
    #[inline(never)]
    pub(super) fn release_and_notify(&mut self, claim: Claim<'a>) {
        mutant!("signal-early", return self.release(claim));
        self.publish_event(&claim);
        self.release(claim);
    }

    /// Releases the claim, and wakes the sleepers that it concerns.
    #[inline]
    pub(super) fn release(&mut self, mut claim: Claim<'a>) {
        let (slot, polled) = (claim.slot, claim.state.is_polled());
        if polled {
            // If this writer is killed before it wakes them, the writer id's next owner does.
            self.record.recovery_intent.store(u64::from(claim.number) + 1, Relaxed);
            // Nothing but the store that releases the slot uses the claim's state from here on.
            claim.state = claim.state.unpolled();
        }
        claim.finish();
        mutant!("poller-unwoken", let polled = false);
        self.wake(slot, polled);
    }

    /// Signals a change that was made without a claim, or by a writer that died, and wakes the sleepers.
    #[cold]
    pub(super) fn notify(&mut self, number: u32, slot: &Slot, polled: bool) {
        self.arena.signal(number, self.arena.groups_of(number, slot), &mut self.wakes);
        self.wake(slot, polled);
    }

    /// Signals a change of the slot to the claim's groups and to the slot's. For a tandem, skips the groups that it has
    /// signalled.
    #[inline]
    pub(super) fn publish_event(&mut self, claim: &Claim<'a>) {
        let mut groups = claim.groups | self.arena.groups_of(claim.number, claim.slot);
        if let (Some(notified), true) = (&mut self.notified, claim.state.is_tandem()) {
            groups &= !*notified;
            *notified |= groups;
        }
        self.arena.signal(claim.number, groups, &mut self.wakes);
    }

    /// Wakes the sleepers on the slot, if it was `polled`, and those of every group that was signalled. A tandem wakes
    /// the groups at its end.
    fn wake(&mut self, slot: &Slot, polled: bool) {
        if polled {
            self.os.wake_slot(slot);
        }
        self.wake_groups();
    }

    /// Wakes the sleepers of every group that was signalled, but for those of a tandem.
    pub(super) fn wake_groups(&mut self) {
        if self.notified.is_none() {
            self.arena.wake_groups(&mut self.wakes, &*self.os);
        }
    }

    /// Subscribes `groups` to changes of `key`, or unsubscribes them. Neither changes the key itself.
    pub(crate) fn subscribe(&mut self, key: &KeyRef<'_>, groups: u64, on: bool) -> Result<(), Error> {
        self.change_subscriptions(key, |old| if on { old | groups } else { old & !groups })
    }

    /// Changes the groups that are subscribed to `key` by `change`, which runs under the slot's claim.
    fn change_subscriptions(
        &mut self,
        key: &KeyRef<'_>,
        change: impl FnOnce(u64) -> u64,
    ) -> Result<(), Error> {
        let (arena, claim) = (self.arena, self.claim(key, Expect::Any)?);
        let subscription = &arena.metadata[claim.number as usize].subscriptions;
        subscription.store(change(subscription.load(Relaxed)), Relaxed);
        arena.update_notify_flags(claim.number, claim.slot, true);
        arena.count_change(claim.number);
        drop(claim);
        self.compact_for(key);
        Ok(())
    }

    /// Subscribes `group` to `key`, and to every key that is inserted under that name.
    ///
    /// An insertion adds its entry to the index, and then looks into the table of lasting subscriptions. This adds to the
    /// table, and then looks into the index. Each has a fence in between, so at least one sees the other.
    pub(crate) fn subscribe_lasting(&mut self, key: &KeyRef<'_>, group: u8) -> Result<(), Error> {
        mutant!("lasting-late", self.subscribe_as_listed(key, group)?);
        if !self.arena.add_lasting(key.hash, group) {
            return Err(Error::TooManySubscriptions);
        }
        mutant!("lasting-late", return Ok(()));
        self.subscribe_as_listed(key, group)
    }

    /// Ends what [`Self::subscribe_lasting`] began, in the same order.
    pub(crate) fn unsubscribe_lasting(&mut self, key: &KeyRef<'_>, group: u8) -> Result<(), Error> {
        self.arena.remove_lasting(key.hash, group);
        self.subscribe_as_listed(key, group)
    }

    /// Subscribes `group` to `key`, or unsubscribes it, as the table says, if the key is there. A change of the table comes
    /// before. Two opposite calls may change table and slot in different orders: whichever claims the slot last sees what
    /// both did to the table.
    fn subscribe_as_listed(&mut self, key: &KeyRef<'_>, group: u8) -> Result<(), Error> {
        fence(SeqCst);
        let (arena, bit) = (self.arena, 1 << group);
        let listed = |old| old & !bit | arena.lasting_groups(key.hash) & bit;
        let subscribed = self.change_subscriptions(key, listed);
        if subscribed == Err(Error::NotFound) { Ok(()) } else { subscribed }
    }

    /// Registers a new key, to which an entry of the index leads, with the groups that are subscribed to its name. The flag
    /// and the table are loaded behind the fence that follows the entry.
    pub(super) fn subscribe_new(&self, claim: Claim<'a>, hash: u64) -> Claim<'a> {
        let (arena, number) = (&self.arena, claim.number);
        if arena.header.flags.load(Relaxed) & FLAG_LASTING != 0 {
            arena.metadata[number as usize].subscriptions.store(arena.lasting_groups(hash), Relaxed);
            arena.update_notify_flags(number, claim.slot, true);
        }
        claim
    }
}
