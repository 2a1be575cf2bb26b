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
use crate::arena::prefetch;
use crate::arena::records::{EVERY_SLOT, Slot};
use crate::arena::state::{Descriptor, KIND_BIGUINT};
use crate::arena::version::{Outcome, Version};
use crate::error::Error;
use crate::sync::{Relaxed, Release, fence};
use smallvec::SmallVec;

/// A transaction was refused for one of its keys, and changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The place of the key in the transaction.
    pub(crate) place: usize,
    pub(crate) error: Error,
    /// How many free slots it had claimed for its new keys.
    free: usize,
}

impl Refusal {
    fn new(place: usize, error: Error) -> Self {
        Self { place, error, free: 0 }
    }
}

/// A key of a transaction, its slot while the transaction holds that, and the number that it gets.
pub(crate) struct Part<'k, 'a> {
    key: KeyRef<'k>,
    claim: Option<Claim<'a>>,
    number: Option<u64>,
}

/// The keys of a transaction, in its order. A few of them take no memory of their own.
pub(crate) type Parts<'k, 'a> = SmallVec<[Part<'k, 'a>; 4]>;

impl<'k> Part<'k, '_> {
    #[inline(always)]
    pub(crate) fn of(key: KeyRef<'k>) -> Self {
        Self { key, claim: None, number: None }
    }
}

impl<'a> Claimant<'a> {
    /// Sets all `keys` to `values` as one generation, creating those that are missing.
    pub(crate) fn set_tandem(&mut self, keys: &[KeyRef<'_>], values: &[&[u8]]) -> Result<(), Error> {
        let values = values.iter().map(|value| Content::Bytes(value));
        let changes = values.map(|content| KeyChange { content, ..KeyChange::default() });
        self.commit_tandem(keys, &changes.collect::<Vec<_>>()).map(drop)
    }

    /// Removes those of `keys` that are present, all at once. Returns how many were.
    pub(crate) fn unset_tandem(&mut self, keys: &[KeyRef<'_>]) -> Result<usize, Error> {
        let change = KeyChange { content: Content::Remove, ..KeyChange::default() };
        let outcomes = self.commit_tandem(keys, &vec![change; keys.len()])?;
        Ok(outcomes.iter().filter(|outcome| outcome.version.is_some()).count())
    }

    fn commit_tandem(
        &mut self,
        keys: &[KeyRef<'_>],
        changes: &[KeyChange<'_>],
    ) -> Result<Vec<Outcome>, Error> {
        let mut parts: Parts<'_, 'a> = keys.iter().copied().map(Part::of).collect();
        self.commit(&mut parts, changes).map_err(|refusal| refusal.error)
    }

    /// Makes the change of each part, all at once or none. The keys are different ones.
    pub(crate) fn commit(
        &mut self,
        parts: &mut [Part<'_, 'a>],
        changes: &[KeyChange<'_>],
    ) -> Result<Vec<Outcome>, Refusal> {
        for (place, change) in changes.iter().enumerate() {
            self.check_sizes(change).map_err(|error| Refusal::new(place, error))?;
        }
        let is_cache = self.arena.cache.is_some();
        // Without a free slot nobody inserts a key that is missing, unless the store is a cache.
        let mut may_be_missing = !is_cache;
        for _ in 0..Self::ROUNDS {
            let refusal = match self.commit_once(parts, changes, may_be_missing) {
                Err(refusal) => refusal,
                done => return done,
            };
            match self.make_room_for(parts, changes, refusal) {
                Err(refusal) if !may_be_missing && is_unwanted(&changes[refusal.place], &refusal) => {
                    may_be_missing = true;
                }
                result => result?,
            }
        }
        // Other writers took the slots, each time.
        self.commit_once(parts, changes, true).map_err(|refusal| match refusal.error {
            Error::Full if is_cache => Refusal { error: Error::Again, ..refusal },
            _ => refusal,
        })
    }

    /// Frees slots for a transaction that was refused for want of them. None of its own keys goes.
    ///
    /// # Errors
    /// The refusal, if that is no remedy for it.
    fn make_room_for(
        &mut self,
        parts: &[Part<'_, 'a>],
        changes: &[KeyChange<'_>],
        refusal: Refusal,
    ) -> Result<(), Refusal> {
        match (refusal.error, self.arena.cache) {
            (Error::Full, Some(_)) if parts.len() <= self.arena.slots.len() => {
                self.evict_for(parts, changes, refusal.free).map_err(|error| Refusal { error, ..refusal })
            }
            (Error::Again, Some(_)) if parts.iter().any(|part| self.remove_if_expired(&part.key)) => Ok(()),
            (Error::Full | Error::Again, None) if self.remove_some_expired(parts.len()) => Ok(()),
            _ => Err(refusal),
        }
    }

    /// Evicts as many keys as these are new, less the slots that were `free`, and one at least.
    fn evict_for(
        &mut self,
        parts: &[Part<'_, 'a>],
        changes: &[KeyChange<'_>],
        free: usize,
    ) -> Result<(), Error> {
        let is_own = |slot: &Slot| {
            mutant!("own-evicted", return false);
            parts.iter().any(|part| part.key.is_in(slot))
        };
        let is_new = |part: &Part<'_, 'a>| self.arena.locate(&part.key).is_none();
        let new = parts.iter().zip(changes).filter(|(part, change)| change.inserts() && is_new(part)).count();
        let mut evicted = 0;
        let result = (free..new.max(free + 1))
            .try_for_each(|_| self.make_room(Error::Full, &is_own).map(|()| evicted += 1));
        self.compact_deferred();
        // With some room the transaction comes to the key that has none, and is refused for that one.
        if evicted > 0 { Ok(()) } else { result }
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
        parts: &mut [Part<'_, 'a>],
        changes: &[KeyChange<'_>],
        may_be_missing: bool,
    ) -> Result<Vec<Outcome>, Refusal> {
        if self.arena.header.time_seen.load(Relaxed) != 0 {
            for part in &*parts {
                self.remove_if_expired(&part.key);
            }
        }
        // Until the last claim is released, the next owner of this writer id has to look at every slot.
        self.record.slot_intent.store(EVERY_SLOT, Release);
        self.notified = Some(0);
        let result =
            self.claim_all(parts, changes, may_be_missing).map(|()| self.publish_all(parts, changes));
        self.notified = None;
        self.arena.wake_groups(&mut self.wakes, &*self.os);
        self.record.clear_intents();
        if !self.to_compact.is_empty() {
            self.compact_deferred();
        }
        result
    }

    /// Commits and publishes the changes of the parts whose slots are claimed.
    fn publish_all(&mut self, parts: &mut [Part<'_, 'a>], changes: &[KeyChange<'_>]) -> Vec<Outcome> {
        let mut is_change = false;
        for (part, change) in parts.iter_mut().zip(changes) {
            let Some(claim) = &mut part.claim else { continue };
            let descriptor = self.prepare(claim, part.number, change);
            claim.slot.prepared.store(descriptor.0, Relaxed);
            is_change |= match descriptor.is_present() {
                true => !change.is_check(),
                false => claim.descriptor.is_present(),
            };
        }
        // A transaction that only checks needs no commit: it holds all claims now.
        if is_change {
            // No transaction before or after it has this word: each publishes changes, which are counted.
            let commit = self.record.writes.load(Relaxed) | 1 << 63;
            // Release: a reader that sees the commit sees every prepared word, and what these name.
            self.record.committed.store(commit, Release);
        }
        let mut outcomes = Vec::with_capacity(parts.len());
        // In this order, so that a group is signalled for the first key that it is subscribed to.
        for (part, change) in parts.iter_mut().zip(changes) {
            let claim = part.claim.take();
            let version = claim.and_then(|claim| self.publish_prepared(claim, &part.key, change));
            outcomes.push(Outcome { version, number: part.number });
        }
        // All claims are released: nobody reads this word for them any more.
        self.record.committed.store(0, Release);
        outcomes
    }

    /// Claims the slots of all parts in one order for all transactions, so that those that overlap meet at the first key
    /// they share. Inserts missing keys, also those that are to be removed, so that nobody else does before the commit; if
    /// no slot is free, these may be missing. On any failure releases all claims.
    fn claim_all(
        &mut self,
        parts: &mut [Part<'_, 'a>],
        changes: &[KeyChange<'_>],
        may_be_missing: bool,
    ) -> Result<(), Refusal> {
        let places = parts.iter().zip(changes).enumerate().map(|(place, (part, change))| {
            let slot = self.arena.find_fast(&part.key).unwrap_or(u32::MAX);
            // All slots' lines come while the first keys are claimed.
            self.arena.slot(slot).into_iter().for_each(prefetch::<true, _>);
            // What is to be removed and is missing takes no slot that another key of the transaction needs.
            let is_last = u64::from(change.is_removal_of_any());
            u64::from(slot) << 32 | is_last << 31 | part.key.hash >> 41 << 8 | place as u64
        });
        let mut order = SmallVec::<[u64; 16]>::new();
        order.extend(places);
        order.sort_unstable();
        let (mut missing, mut failure) = (vec![], None);
        for &next in &order {
            let place = next as usize & 0xff;
            let (part, change) = (&mut parts[place], &changes[place]);
            match self.claim_part((next >> 32) as u32, part, change) {
                Ok(()) => {}
                Err(Error::NotFound) if change.allows_missing() => missing.push(place),
                // A removal needs no room.
                Err(Error::Full) if may_be_missing && change.is_removal_of_any() => missing.push(place),
                Err(error) => {
                    failure = Some(Refusal::new(place, error));
                    break;
                }
            }
        }
        let moved = || self.find_moved(parts, &missing);
        let failure = failure.or_else(|| moved().map(|place| Refusal::new(place, Error::Again)));
        let Some(mut refusal) = failure else { return Ok(()) };
        for part in &mut *parts {
            if let Some(claim) = part.claim.take() {
                refusal.free += usize::from(!claim.descriptor.is_present());
                self.release_unused(claim, &part.key);
            }
        }
        Err(refusal)
    }

    /// Returns the place of a key that has come or gone while other keys were claimed.
    fn find_moved(&self, parts: &[Part<'_, 'a>], missing: &[usize]) -> Option<usize> {
        let arena = &self.arena;
        // It came with another transaction, and these claims were too late to come before that.
        let come = missing.iter().copied().find(|place| arena.locate(&parts[*place].key).is_some());
        mutant!("deadline-early", return come);
        let is_expired = |claim: &Claim<'_>| arena.is_expired(claim.number, claim.descriptor);
        come.or_else(|| parts.iter().position(|part| part.claim.as_ref().is_some_and(is_expired)))
    }

    /// Ends a claim that comes to nothing. A slot that was claimed for a new key becomes free again.
    pub(super) fn release_unused(&mut self, claim: Claim<'a>, key: &KeyRef<'_>) {
        if claim.descriptor.is_present() {
            drop(claim);
        } else {
            self.remove(claim, key.hash_by(self.arena.hash));
        }
    }

    /// Claims the slot of a part, most likely the one of this number, if the key is as its change expects. Notes the number
    /// that the change makes, too.
    #[inline]
    fn claim_part(
        &mut self,
        slot: u32,
        part: &mut Part<'_, 'a>,
        change: &KeyChange<'_>,
    ) -> Result<(), Error> {
        let key = &part.key;
        let claim = match self.claim_at(slot, key, change.expect) {
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
        part.claim = Some(claim);
        number.map(|number| part.number = number)
    }

    /// Writes what a change makes where nobody reads it yet. Returns the descriptor that makes it current.
    fn prepare(&self, claim: &mut Claim<'a>, number: Option<u64>, change: &KeyChange<'_>) -> Descriptor {
        let arena = &self.arena;
        if let Content::Bytes(value) = change.content
            && change.is_of_value_alone()
            && claim.descriptor.is_lasting()
        {
            return self.write_value::<false>(claim, value);
        }
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
            arena.touch_sketch(claim.number);
            with_vector
        });
        // A number word has no second buffer, so numbers become bytes. An integer operation makes a number of them again.
        let number = number.unwrap_or_default().to_le_bytes();
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
        if descriptor.is_lasting() && change.is_of_content() && descriptor.labels_prepared() == 0 {
            return Some(self.publish(claim, descriptor));
        }
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

/// Whether a transaction was refused because there is no slot for a key that it removes.
fn is_unwanted(change: &KeyChange<'_>, refusal: &Refusal) -> bool {
    refusal.error == Error::Full && change.is_removal_of_any()
}
