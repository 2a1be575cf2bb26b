//! Transactions: atomic changes of several keys, by two-phase commit. Tandems are those that set or remove the keys of
//! a family.
//!
//! A writer claims all slots with the tandem flag and puts each new descriptor into its slot's prepared word. One store
//! to the commit word of its writer table entry makes all of them current at once. Publishing slot by slot afterwards
//! only makes permanent what readers of a claimed slot already see. So a writer that stops or dies anywhere leaves all
//! keys old or all keys new.

use super::Claimant;
use super::claim::Claim;
use crate::arena::change::{Content, KeyChange};
use crate::arena::integer::integer_in_slot;
use crate::arena::key::KeyRef;
use crate::arena::records::EVERY_SLOT;
use crate::arena::state::{Descriptor, KIND_BIGUINT};
use crate::arena::version::{Outcome, Version};
use crate::error::Error;
use crate::sync::{Relaxed, Release, fence};
use smallvec::{SmallVec, smallvec};

/// A transaction was refused for one of its keys, and changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The place of the key in the transaction.
    pub(crate) place: usize,
    pub(crate) error: Error,
}

/// A slot that a transaction holds, with the place of its key and the number that it gets.
struct Part<'a> {
    place: usize,
    claim: Claim<'a>,
    number: Option<u64>,
}

type Parts<'a> = SmallVec<[Part<'a>; FEW]>;

/// Transactions of up to so many keys take no memory but for their outcomes.
const FEW: usize = 4;

impl<'a> Claimant<'a> {
    /// Sets all `keys` to `values` as one generation, creating those that are missing.
    pub(crate) fn set_tandem(&mut self, keys: &[KeyRef<'_>], values: &[&[u8]]) -> Result<(), Error> {
        let values = values.iter().map(|value| Content::Bytes(value));
        let changes = values.map(|content| KeyChange { content, ..KeyChange::default() });
        let changes: SmallVec<[_; FEW]> = changes.collect();
        self.commit(keys, &changes).map_err(|refusal| refusal.error).map(drop)
    }

    /// Removes those of `keys` that are present, all at once. Returns how many were.
    pub(crate) fn unset_tandem(&mut self, keys: &[KeyRef<'_>]) -> Result<usize, Error> {
        let change = KeyChange { content: Content::Remove, ..KeyChange::default() };
        let changes: SmallVec<[_; FEW]> = smallvec![change; keys.len()];
        let outcomes = self.commit(keys, &changes).map_err(|refusal| refusal.error)?;
        Ok(outcomes.iter().filter(|outcome| outcome.version.is_some()).count())
    }

    /// Makes all changes of `keys`, which are different ones, at once, or none.
    pub(crate) fn commit(
        &mut self,
        keys: &[KeyRef<'_>],
        changes: &[KeyChange<'_>],
    ) -> Result<Vec<Outcome>, Refusal> {
        for (place, change) in changes.iter().enumerate() {
            self.check_sizes(change).map_err(|error| Refusal { place, error })?;
        }
        let mut rounds = 0..Self::ROUNDS;
        loop {
            match self.commit_once(keys, changes) {
                Err(Refusal { error: Error::Full | Error::Again, .. })
                    if rounds.next().is_some() && self.remove_some_expired(keys.len()) => {}
                result => return result,
            }
        }
    }

    fn check_sizes(&self, change: &KeyChange<'_>) -> Result<(), Error> {
        let dim = self.arena.shape.vector_dim as usize;
        if change.vector.is_some_and(|vector| dim == 0 || vector.len() != dim) {
            return Err(Error::WrongDimension);
        }
        match change.content {
            Content::Bytes(value) => self.check_len(value.len()),
            Content::Number(_) | Content::Integer(..) => self.check_len(8),
            Content::Keep | Content::Remove => Ok(()),
        }
    }

    /// Claims the slots, prepares their new content, commits and publishes it.
    fn commit_once(
        &mut self,
        keys: &[KeyRef<'_>],
        changes: &[KeyChange<'_>],
    ) -> Result<Vec<Outcome>, Refusal> {
        for key in keys {
            self.remove_if_expired(key);
        }
        // Until the last claim is released, the next owner of this writer id has to look at every slot.
        self.record.slot_intent.store(EVERY_SLOT, Release);
        self.notified = Some(0);
        let mut parts = Parts::with_capacity(keys.len());
        let result = self.claim_all(keys, changes, &mut parts).map(|()| {
            let (mut outcomes, mut is_change) = (vec![Outcome::default(); keys.len()], false);
            // A group is signalled for the first key that it is subscribed to.
            parts.sort_unstable_by_key(|part| part.place);
            for part in &mut parts {
                let descriptor = self.prepare(part, &changes[part.place]);
                part.claim.slot.prepared.store(descriptor.0, Relaxed);
                is_change |= match descriptor.is_present() {
                    true => !changes[part.place].is_check(),
                    false => part.claim.descriptor.is_present(),
                };
            }
            // A transaction that only checks needs no commit: it holds all claims now.
            if is_change {
                // No transaction before or after it has this word: each publishes changes, which are counted.
                let commit = self.record.writes.load(Relaxed) | 1 << 63;
                // Release: a reader that sees the commit sees every prepared word, and what these name.
                self.record.committed.store(commit, Release);
            }
            for Part { place, claim, number } in parts.drain(..) {
                let version = self.publish_prepared(claim, &keys[place], &changes[place]);
                outcomes[place] = Outcome { version, number };
            }
            // All claims are released: nobody reads this word for them any more.
            self.record.committed.store(0, Release);
            outcomes
        });
        self.notified = None;
        self.arena.wake_groups(&mut self.wakes, &*self.os);
        self.record.clear_intents();
        self.compact_deferred();
        result
    }

    /// Claims the slots of `keys` in one order for all transactions, so that those that overlap meet at the first key they
    /// share. Inserts missing keys, also those that are to be removed, so that nobody else does before the commit. On any
    /// failure releases all claims.
    fn claim_all(
        &mut self,
        keys: &[KeyRef<'_>],
        changes: &[KeyChange<'_>],
        parts: &mut Parts<'a>,
    ) -> Result<(), Refusal> {
        let mut order = SmallVec::<[(u32, bool, u64, usize); FEW]>::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            let slot = self.arena.find_fast(key).unwrap_or(u32::MAX);
            // What is to be removed and is missing takes no slot that another key of the transaction needs.
            order.push((slot, changes[place].is_removal_of_any(), key.hash, place));
        }
        order.sort_unstable();
        let (mut missing, mut failure) = (vec![], None);
        for &(slot, _, _, place) in &order {
            match self.claim_part(slot, &keys[place], &changes[place]) {
                Ok((claim, number)) => parts.push(Part { place, claim, number }),
                Err(Error::NotFound) if changes[place].allows_missing() => missing.push(place),
                // A removal needs no room. Without a free slot nobody inserts the key either.
                Err(Error::Full) if changes[place].is_removal_of_any() => missing.push(place),
                Err(error) => {
                    failure = Some(Refusal { place, error });
                    break;
                }
            }
        }
        let moved = || self.find_moved(keys, parts, &missing);
        let failure = failure.or_else(|| moved().map(|place| Refusal { place, error: Error::Again }));
        let Some(refusal) = failure else { return Ok(()) };
        for Part { place, claim, .. } in parts.drain(..) {
            self.release_unused(claim, &keys[place]);
        }
        Err(refusal)
    }

    /// Returns the place of a key that has come or gone while other keys were claimed.
    fn find_moved(&self, keys: &[KeyRef<'_>], parts: &[Part<'a>], missing: &[usize]) -> Option<usize> {
        let arena = &self.arena;
        // It came with another transaction, and these claims were too late to come before that.
        let come = missing.iter().copied().find(|place| arena.locate(&keys[*place]).is_some());
        mutant!("deadline-early", return come);
        let mut expired =
            parts.iter().filter(|part| arena.is_expired(part.claim.number, part.claim.descriptor));
        come.or_else(|| expired.next().map(|part| part.place))
    }

    /// Ends a claim that comes to nothing. A slot that was claimed for a new key becomes free again.
    pub(super) fn release_unused(&mut self, claim: Claim<'a>, key: &KeyRef<'_>) {
        if claim.descriptor.is_present() {
            drop(claim);
        } else {
            self.remove(claim, key.hash_by(self.arena.hash));
        }
    }

    /// Claims the slot of `key`, most likely the one of this number, if the key is as its change expects. Returns the number
    /// that the change makes, too.
    #[inline]
    fn claim_part(
        &mut self,
        slot: u32,
        key: &KeyRef<'_>,
        change: &KeyChange<'_>,
    ) -> Result<(Claim<'a>, Option<u64>), Error> {
        let claim = match self.claim_fast(&key.within(slot), change.expect) {
            Some(claim) => claim,
            None if change.inserts() => self.search_or_insert(key, change.expect)?,
            None => self.claim(key, change.expect)?,
        };
        let number = match change.content {
            Content::Number(number) => Ok(Some(number)),
            Content::Integer(op, initial) => {
                let payload = self.arena.payload(claim.number, claim.slot, claim.descriptor);
                let old = match claim.descriptor {
                    old if !old.is_present() => initial,
                    old if old.kind() == KIND_BIGUINT => payload.integer(integer_in_slot),
                    _ => None,
                };
                old.map(|old| Some(op.apply(old))).ok_or(Error::WrongType)
            }
            _ => Ok(None),
        };
        match number {
            Ok(number) => Ok((claim, number)),
            Err(error) => {
                self.release_unused(claim, key);
                Err(error)
            }
        }
    }

    /// Writes what a change makes where nobody reads it yet. Returns the descriptor that makes it current.
    fn prepare(&self, part: &mut Part<'a>, change: &KeyChange<'_>) -> Descriptor {
        let (arena, claim) = (&self.arena, &mut part.claim);
        if matches!(change.content, Content::Remove)
            || !claim.descriptor.is_present() && !change.is_of_content()
        {
            // The key is missing from the commit on. A writer that needs its slot then finds it, also if this one dies.
            self.set_used(claim.number, false);
            arena.raise_epoch_floor(claim.state.released().epoch());
            return claim.descriptor.vacant();
        }
        let vector = change.vector.map(|vector| {
            let with_vector = arena.write_vector(claim.number, claim.slot, claim.descriptor, vector);
            claim.descriptor = claim.descriptor.with_vector_stale(with_vector.vector_stale());
            with_vector
        });
        // A number word has no second buffer, so numbers become bytes. An integer operation makes a number of them again.
        let number = part.number.unwrap_or_default().to_le_bytes();
        let mut descriptor = match change.content {
            Content::Bytes(value) => self.write_value::<false>(claim, value),
            Content::Number(_) | Content::Integer(..) => {
                self.write_value::<false>(claim, &number).holding_number_bytes()
            }
            Content::Keep | Content::Remove => claim.descriptor,
        };
        if let Some(with_vector) = vector {
            descriptor = descriptor.with_has_vector(1).with_vector_current(with_vector.vector_current());
        }
        let [more, less] = change.labels;
        let old = claim.slot.labels.load(Relaxed);
        let labels = (old | more) & !less;
        if labels != old {
            arena.metadata[claim.number as usize].prepared_labels.store(labels, Relaxed);
            descriptor = descriptor.with_labels_prepared(1);
        }
        self.with_lifetime(claim, descriptor, change.lifetime_asked())
    }

    /// Publishes what a committed claim has prepared. Returns the version, if the content changed.
    fn publish_prepared(
        &mut self,
        mut claim: Claim<'a>,
        key: &KeyRef<'_>,
        change: &KeyChange<'_>,
    ) -> Option<Version> {
        let descriptor = Descriptor(claim.slot.prepared.load(Relaxed));
        if !descriptor.is_present() {
            let was_present = claim.descriptor.is_present();
            let version = self.remove(claim, key.hash_by(self.arena.hash));
            return was_present.then_some(version);
        }
        if change.is_check() {
            drop(claim);
            return None;
        }
        if descriptor.labels_prepared() != 0 {
            // While the slot still has the labels that the transaction takes away. The change is current already.
            claim.groups = self.arena.groups_of(claim.number, claim.slot);
            self.publish_event(&claim);
        }
        let descriptor = self.settle_labels(&claim, descriptor);
        if change.is_of_content() {
            return Some(self.publish(claim, descriptor));
        }
        self.publish_unchanged(claim, descriptor);
        None
    }

    /// Makes the prepared labels those of the slot, if `descriptor` says that they are current. Returns the descriptor
    /// that goes with that.
    pub(super) fn settle_labels(&self, claim: &Claim<'a>, descriptor: Descriptor) -> Descriptor {
        if descriptor.labels_prepared() == 0 {
            return descriptor;
        }
        let (arena, slot) = (&self.arena, claim.slot);
        // While both words differ, readers take the prepared one.
        slot.descriptor.store(descriptor.0, Release);
        // A read that began before, and sees the new labels, sees that they changed.
        arena.count_change(claim.number);
        fence(Release);
        slot.labels.store(arena.metadata[claim.number as usize].prepared_labels.load(Relaxed), Relaxed);
        arena.update_notify_flags(claim.number, slot, true);
        descriptor.with_labels_prepared(0)
    }
}
