//! Claims on slots: the write lock of the sequence lock. A writer claims the slot of a key, a free slot, or one that a
//! dead writer held; it publishes a new descriptor and releases the slot.

use super::{ClaimStatus, Claimant, OptimisticRead};
use crate::arena::Arena;
use crate::arena::cache::Cache;
use crate::arena::key::{Key, KeyRef};
use crate::arena::records::{FLAG_CACHE, FLAG_FULL, FLAG_WATCHED, Slot};
use crate::arena::state::{Descriptor, NotifyFlags, State};
use crate::arena::version::{Expect, Version};
use crate::error::Error;
use crate::sync::{Acquire, Relaxed, Release, fence, fence_after_exchange};
use std::cell::Cell;

/// How many words of the map a search for a free slot looks at in a cache that was full before.
const FEW: usize = 8;

/// A slot held at an odd epoch. Only the owner writes the record, the descriptor, and the buffers that the current
/// descriptor does not name. Dropping a claim leaves the content as it was, and releases the slot at the epoch from
/// before the claim. [`Self::finish`] ends a claim that has changed the content.
pub(super) struct Claim<'a> {
    pub(super) number: u32,
    pub(super) slot: &'a Slot,
    pub(super) state: State,
    /// The descriptor when the claim was won.
    pub(super) descriptor: Descriptor,
    /// Groups to signal in addition to those that the slot is subscribed to when it is released.
    pub(super) groups: u64,
}

impl<'a> Claim<'a> {
    #[inline(always)]
    fn new(number: u32, slot: &'a Slot, state: State, descriptor: Descriptor) -> Self {
        mutant!("claim-unfenced", return Self { number, slot, state, descriptor, groups: 0 });
        // A thread that sees a byte written under the claim must see the claim. This fence pairs with the readers'
        // acquire fence before their second look at the state. A thread that has just begun to watch the whole store
        // also sees the claim, or the claimant sees the flag that the thread set.
        fence_after_exchange();
        Self { number, slot, state, descriptor, groups: 0 }
    }

    /// Makes `descriptor` and the number `new` current in one step, in a slot whose value is a number. The claim is
    /// marked as committed until it ends, as one of a tandem that was recovered: the prepared word is current.
    pub(super) fn commit_integer(&mut self, descriptor: Descriptor, new: u64) {
        mutant!("number-uncommitted", return self.slot.state_integer.store_second(new));
        self.slot.prepared.store(descriptor.0, Relaxed);
        // A number has no second buffer. So no read that began with another descriptor accepts the new one.
        let is_same = descriptor == self.descriptor;
        mutant!("number-unwiped", let is_same = true);
        let state = if is_same { self.state } else { self.state.wiping() };
        let (pair, committed) = (&self.slot.state_integer, state.committed());
        // Releases the prepared word. Nobody else changes a claimed slot's state.
        pair.exchange((self.state.0, pair.second()), (committed.0, new), self.state.0);
        self.state = committed;
    }

    /// Releases the slot at the next even epoch: its content has changed.
    #[inline(always)]
    pub(super) fn finish(self) {
        self.slot.state_integer.store_first(self.state.released().0);
        std::mem::forget(self);
    }
}

/// Marks a claim as one that wipes, so that no reader accepts what was current before its change.
fn begin_wiping(slot: &Slot, claimed: State) -> State {
    mutant!("epoch-unraised", return claimed);
    let state = claimed.wiping();
    slot.state_integer.store_first(state.0);
    fence(Release);
    state
}

impl Drop for Claim<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let released = self.state.released_unchanged();
        mutant!("undo-unmarked", let released = released.unwiped());
        self.slot.state_integer.store_first(released.0);
    }
}

impl<'a> Claimant<'a> {
    /// Claims the likeliest slot of `key` if it holds the key and nobody is in the way: the fast path of nearly every
    /// write. It returns a claim built in registers. If it returns none, call [`Self::claim`].
    ///
    /// The exchange succeeds only if the state is what it was before the key was compared. No two contents of a slot
    /// have the same even epoch, so the slot still holds that key.
    #[inline(always)]
    pub(super) fn claim_fast(&self, key: &KeyRef<'_>, expect: Expect) -> Option<Claim<'a>> {
        self.claim_at(self.arena.find_fast(key)?, key, expect)
    }

    /// Claims slot `number` as [`Self::claim_fast`] does.
    #[inline(always)]
    pub(super) fn claim_at(&self, number: u32, key: &KeyRef<'_>, expect: Expect) -> Option<Claim<'a>> {
        let slot = self.arena.slot(number)?;
        let state = State(slot.state_integer.first_acquire());
        if state.is_claimed() || !key.is_in(slot) {
            return None;
        }
        expect.check(state.epoch()).ok()?;
        let claim = self.win(number, slot, state, 0)?;
        mutant!("deadline-outdated", return Some(claim));
        // Only now: a deadline is no part of the state. A removed key may have left its words behind.
        if claim.descriptor.is_lasting() { Some(claim) } else { None }
    }

    /// Claims the slot of `key`, which must be present and as the caller expects it.
    pub(super) fn claim(&mut self, key: &KeyRef<'_>, expect: Expect) -> Result<Claim<'a>, Error> {
        self.claim_checked(key, |_, read| expect.check(read.stable_epoch()))
    }

    /// Claims the slot of `key` if `check` allows what it holds. The content is what `check` saw.
    pub(super) fn claim_checked(
        &mut self,
        key: &KeyRef<'_>,
        check: impl Fn(&Arena<'a>, &OptimisticRead<'a>) -> Result<(), Error>,
    ) -> Result<Claim<'a>, Error> {
        if let Some(claim) = self.claim_likeliest(key, &check) {
            return Ok(claim);
        }
        let claim = self.claim_unexpired(key, check);
        if matches!(claim, Err(Error::NotFound)) {
            self.compact_deferred();
        }
        claim
    }

    /// Claims the likeliest slot of `key` as [`Self::claim_fast`] does, if `check` allows what it holds.
    #[inline]
    fn claim_likeliest(
        &self,
        key: &KeyRef<'_>,
        check: impl Fn(&Arena<'a>, &OptimisticRead<'a>) -> Result<(), Error>,
    ) -> Option<Claim<'a>> {
        let number = self.arena.find_fast(key)?;
        let slot = self.arena.slot(number)?;
        let read = self.arena.open(number, slot);
        if read.state.is_claimed() || !read.descriptor.is_lasting() || !key.is_in(slot) {
            return None;
        }
        check(&self.arena, &read).ok()?;
        let claim = self.win(number, slot, read.state, 0)?;
        if claim.descriptor.is_lasting() { Some(claim) } else { None }
    }

    /// Does what [`Self::claim_checked`] does. Removes the key if its deadline has passed, which may leave work to
    /// [`Self::compact_deferred`].
    #[cold]
    #[inline(never)]
    fn claim_unexpired(
        &mut self,
        key: &KeyRef<'_>,
        check: impl Fn(&Arena<'a>, &OptimisticRead<'a>) -> Result<(), Error>,
    ) -> Result<Claim<'a>, Error> {
        let unchecked = Cell::new(false);
        let wanted = |slot: &Slot| key.is_in(slot);
        // A key that has expired is missing, whatever else the caller would not allow of it.
        let check = |arena: &Arena<'a>, read: &OptimisticRead<'a>| {
            unchecked.set(arena.is_expired(read.number, read.descriptor));
            if unchecked.get() { Ok(()) } else { check(arena, read) }
        };
        for _ in 0..Self::ROUNDS {
            let index = self.arena.index();
            let found = index.probe(key, |number, _, _| self.claim_if(number, wanted, check));
            let claim = found.unwrap_or(Err(Error::NotFound))?;
            // The deadline may have been moved since the check, which leaves the state as it was. It stays now.
            if self.arena.is_expired(claim.number, claim.descriptor) {
                return Err(self.remove_claimed(claim));
            }
            mutant!("check-skipped", unchecked.set(false));
            if !unchecked.get() {
                return Ok(claim);
            }
        }
        Err(Error::Again)
    }

    /// Claims the slot of `key`, or inserts the key: claims a free slot and adds an entry that leads there.
    pub(super) fn claim_or_insert(&mut self, key: &KeyRef<'_>, expect: Expect) -> Result<Claim<'a>, Error> {
        self.claim_fast(key, expect).map_or_else(|| self.search_or_insert(key, expect), Ok)
    }

    /// Does what [`Self::claim_or_insert`] does, after [`Self::claim_fast`] did not.
    pub(super) fn search_or_insert(&mut self, key: &KeyRef<'_>, expect: Expect) -> Result<Claim<'a>, Error> {
        match self.claim_unexpired(key, |_, read| expect.check(read.stable_epoch())) {
            Err(Error::NotFound) if key.slot.is_none() && expect.allows_absent() => self.insert(key, expect),
            result => result,
        }
    }

    /// Claims slot `number` if it holds a key, is the one that is `wanted`, and passes the `check`.
    pub(super) fn claim_if(
        &mut self,
        number: u32,
        wanted: impl Fn(&Slot) -> bool,
        check: impl Fn(&Arena<'a>, &OptimisticRead<'a>) -> Result<(), Error>,
    ) -> Option<Result<Claim<'a>, Error>> {
        let slot = self.arena.slot(number)?;
        for _ in 0..Self::ROUNDS {
            let read = self.arena.open(number, slot);
            if !wanted(slot) {
                return None;
            }
            if read.state.is_claimed() {
                if self.is_held(number, slot, read.state) {
                    mutant!("busy-diverted", return None);
                    return Some(Err(Error::Again));
                }
                continue;
            }
            if !read.descriptor.is_present() {
                return None;
            }
            if let Err(error) = check(&self.arena, &read)
                && read.validate()
            {
                return Some(Err(error));
            }
            if let Some(claim) = self.win(number, slot, read.state, 0) {
                return Some(Ok(claim));
            }
        }
        Some(Err(Error::Again))
    }

    /// Claims the slot if its state is still `state`: its key and content are what they were then. Its labels, times,
    /// flags, deadline and subscriptions may have changed in between, so the descriptor is read under the claim.
    /// The epoch is raised to `floor`.
    #[inline(always)]
    fn win(&self, number: u32, slot: &'a Slot, state: State, floor: u64) -> Option<Claim<'a>> {
        self.note_intent(number);
        #[cfg(splinter_mutants)]
        let early = Descriptor(slot.descriptor.load(Relaxed));
        let claimed = state.raised_to(floor).claimed(self.writer_id, self.notified.is_some());
        if !slot.state_integer.exchange_first(state.0, claimed.0) {
            return None;
        }
        let descriptor = Descriptor(slot.descriptor.load(Relaxed));
        mutant!("descriptor-early", let descriptor = early);
        Some(Claim::new(number, slot, claimed, descriptor))
    }

    /// Whether a living writer holds the claim in `state`. Recovers the claim if its owner is dead.
    #[cold]
    pub(super) fn is_held(&mut self, number: u32, slot: &Slot, state: State) -> bool {
        let reload = || slot.state_integer.first_relaxed();
        let status = self.wait_or_recover(state.0, reload, || self.is_dead(slot, state));
        if matches!(status, ClaimStatus::Dead) {
            self.recover_claim(number, state);
        }
        matches!(status, ClaimStatus::Alive)
    }

    /// Claims a free slot for a key that is not in the index, writes the key and adds its entry. Until the claim is
    /// published, the key is still missing.
    fn insert(&mut self, key: &KeyRef<'_>, expect: Expect) -> Result<Claim<'a>, Error> {
        let home = self.arena.home(key.hash);
        let bucket = self.claim_bucket(home)?;
        self.to_compact.push((home, false));
        // Nobody else inserts this key now, but another writer may have before this one claimed the bucket.
        match self.claim_unexpired(key, |_, read| expect.check(read.stable_epoch())) {
            Err(Error::NotFound) => {}
            result => return result,
        }
        let claim = self.claim_free()?;
        key.write_to(claim.slot);
        for word in [&claim.slot.labels, &claim.slot.ctime, &claim.slot.atime] {
            word.store(0, Relaxed);
        }
        match self.arena.add_entry(home, key.hash, claim.number) {
            Ok(()) => Ok(self.subscribe_new(claim, key.hash)),
            Err(error) => {
                drop(bucket);
                self.remove(claim, key.hash);
                Err(error)
            }
        }
    }

    /// Claims a free slot. If there is none, frees that of a key whose deadline has passed, or of one that a cache evicts.
    ///
    /// # Errors
    /// Those of [`Self::find_free`] and [`Self::make_room`]; [`Error::Again`] when others took every slot that came free.
    fn claim_free(&mut self) -> Result<Claim<'a>, Error> {
        for _ in 0..Self::ROUNDS {
            match self.find_free() {
                // A removal within a tandem cannot be signalled on its own: the tandem does it before it starts over.
                Err(error) if self.notified.is_none() => self.make_room(error, &|_| false)?,
                // Not busy: another writer that inserts has taken the slot.
                Err(Error::Again) if self.arena.cache.is_some() => return Err(Error::Full),
                result => return result,
            }
        }
        Err(Error::Again)
    }

    /// Claims a free slot, first among those near the last one found. Recovers slots of dead writers only when there is
    /// no other.
    ///
    /// # Errors
    /// [`Error::Full`] when every slot that it looks at holds a key or a new one of this very tandem; [`Error::Again`] when other
    /// writers hold one that may come free.
    fn find_free(&mut self) -> Result<Claim<'a>, Error> {
        while let Some(number) = self.freed.pop() {
            if let Some(claim) = self.claim_if_free(number, false) {
                return Ok(claim);
            }
        }
        let (bitmap, mut error) = (self.arena.bitmap, Error::Full);
        let (first, words) = self.words_to_search();
        for recover_dead in [false, true] {
            for step in 0..words {
                let index = (first + step) % bitmap.len();
                let mut unused = !bitmap[index].used.load(Relaxed);
                while unused != 0 {
                    let number = index as u32 * 64 + unused.trailing_zeros();
                    unused &= unused - 1;
                    if let Some(claim) = self.claim_if_free(number, recover_dead) {
                        (self.hint, self.search) = (index, index);
                        return Ok(claim);
                    }
                    let Some(slot) = self.arena.slot(number) else { continue };
                    let state = State(slot.state_integer.first_acquire());
                    let vacant = !Descriptor(slot.descriptor.load(Relaxed)).is_present();
                    // It is free by now, or may be soon: its owner may release it without a key.
                    let free = if state.is_claimed() { state.writer_id() != self.writer_id } else { vacant };
                    error = if recover_dead && free { Error::Again } else { error };
                }
            }
        }
        if let Some(cache) = self.arena.cache
            && cache.hands.is_filled.load(Relaxed) == 0
        {
            cache.hands.is_filled.store(1, Relaxed);
        }
        Err(error)
    }

    /// Returns the first word of the map at which a search for a free slot looks, and how many it looks at: all of them, or
    /// a few in a cache that was full before, where eviction makes room. The next search there looks at the next ones.
    fn words_to_search(&mut self) -> (usize, usize) {
        let is_filled = |cache: Cache<'_>| cache.hands.is_filled.load(Relaxed) != 0;
        let words = self.arena.bitmap.len();
        if !self.arena.cache.is_some_and(is_filled) {
            return (self.hint, words);
        }
        let first = self.search;
        self.search = (first + FEW) % words;
        (first, FEW.min(words))
    }

    /// Claims slot `number` if it holds no key and no living writer. Asks whether an owner lives only if
    /// `recover_dead`.
    pub(super) fn claim_if_free(&mut self, number: u32, recover_dead: bool) -> Option<Claim<'a>> {
        let slot = self.arena.slot(number)?;
        let mut state = State(slot.state_integer.first_acquire());
        if state.is_claimed() && recover_dead {
            self.recover_claim_if(number, Self::is_dead);
            state = State(slot.state_integer.first_acquire());
        }
        let descriptor = Descriptor(slot.descriptor.load(Relaxed));
        if state.is_claimed() || descriptor.is_present() {
            return None;
        }
        let (word, bit) = self.arena.bit(number);
        if word.touched.load(Relaxed) & bit == 0 {
            // Touches the memory of the subscription, because a writer that recovers the claim reads it.
            self.arena.metadata[number as usize].subscriptions.load(Relaxed);
            self.arena.touch_hints(number);
            word.touched.fetch_or(bit, Relaxed);
        }
        self.win(number, slot, state, self.arena.header.epoch_floor.load(Relaxed))
    }

    /// Sets or clears the slot's used bit. [`Self::claim_free`] finds every slot whose bit is clear, also the
    /// claim of a writer that died before it set a new key's bit, or after it cleared a removed key's.
    pub(super) fn set_used(&self, number: u32, used: bool) {
        self.mark_used(number, used);
        if !self.arena.visits.is_empty() {
            self.arena.note_presence(number, used);
        }
    }

    /// Sets or clears the slot's used bit alone.
    fn mark_used(&self, number: u32, used: bool) {
        let (word, bit) = self.arena.bit(number);
        if used {
            word.used.fetch_or(bit, Relaxed)
        } else {
            word.used.fetch_and(!bit, Relaxed)
        };
    }

    /// Publishes `descriptor` as the slot's new content and releases the claim.
    #[inline(always)]
    pub(super) fn publish(&mut self, mut claim: Claim<'a>, descriptor: Descriptor) -> Version {
        mutant!("publish-relaxed", claim.slot.descriptor.store(descriptor.0, Relaxed));
        mutant!("signal-early", self.publish_event(&claim));
        if claim.descriptor.has_vector() | descriptor.has_vector() != 0 {
            self.renew_sketch(claim.number, claim.descriptor, descriptor);
        }
        // Release: a reader that sees this word sees the buffer that it names.
        claim.slot.descriptor.store(descriptor.0, Release);
        self.record.count_write();
        let flags = self.arena.header.flags.load(Relaxed);
        let notify_flags = NotifyFlags(claim.slot.notify_flags.load(Relaxed));
        let is_heard = notify_flags.is_subscribed() | (claim.groups != 0) | claim.state.is_polled();
        let is_plain = flags & (FLAG_FULL | FLAG_CACHE | FLAG_WATCHED) == 0;
        if is_heard | !is_plain | !claim.descriptor.is_present() {
            if flags & (FLAG_FULL | FLAG_CACHE) != 0 || !claim.descriptor.is_present() {
                let Claim { number, slot, state, descriptor: old, .. } = claim;
                claim.state = self.settle_content(number, slot, state, [old, descriptor]);
            }
            let version = Version::of(claim.number, claim.state);
            self.release_and_notify(claim);
            return version;
        }
        let version = Version::of(claim.number, claim.state);
        claim.finish();
        version
    }

    /// Does what a published change of the content needs in the rare cases: marks a new key's slot as used, notes a visit,
    /// wipes what the change has retired. Returns the claim's state then. Nothing is passed by address, so that claims
    /// stay in registers.
    #[cold]
    #[inline(never)]
    fn settle_content(&self, number: u32, slot: &Slot, state: State, [old, new]: [Descriptor; 2]) -> State {
        let flags = self.arena.header.flags.load(Relaxed);
        if !old.is_present() {
            self.set_used(number, true);
        } else if flags & FLAG_CACHE != 0 {
            self.arena.note_visit(number);
        }
        mutant!("retired-unscrubbed", let flags = flags & !FLAG_FULL);
        if flags & FLAG_FULL == 0 || !self.arena.retires(old, new) {
            return state;
        }
        // Once no reader can still accept what is not needed.
        let state = begin_wiping(slot, state);
        let wiped = self.arena.wipe(number, slot, new);
        slot.descriptor.store(wiped.0, Release);
        state
    }

    /// Writes the sketch of a claimed slot anew if `new` names another vector than `old`.
    #[cold]
    #[inline(never)]
    fn renew_sketch(&mut self, number: u32, old: Descriptor, new: Descriptor) {
        mutant!("sketch-unwritten", let old = if new.vector().is_some() { new } else { old });
        mutant!("sketch-kept", let old = if new.vector().is_none() { new } else { old });
        if old.vector() != new.vector() {
            self.arena.write_sketch(number, new, &mut self.sketch_buffer);
        }
    }

    /// Publishes a change of what is about the content, such as labels and flags, with the descriptor that goes with
    /// it. Signals it, and leaves the epoch and those who poll it alone.
    pub(super) fn publish_unchanged(&mut self, claim: Claim<'a>, descriptor: Descriptor) {
        claim.slot.descriptor.store(descriptor.0, Release);
        // After the descriptor: a read that sees the count of this change sees its descriptor as well.
        self.arena.count_change(claim.number);
        self.record.count_write();
        self.publish_event(&claim);
        drop(claim);
        self.wake_groups();
    }

    /// Removes the key of a claimed slot: makes the slot vacant, frees the entries that lead to it, and scrubs its
    /// bytes. [`Self::compact_deferred`] does the remaining work in the index once no claim is held.
    pub(super) fn remove(&mut self, mut claim: Claim<'a>, hash: u64) -> Version {
        self.set_used(claim.number, false);
        // The next new key finds this slot at once, and its lines in cache.
        self.hint = claim.number as usize / 64;
        self.note_freed(claim.number);
        let vacant = claim.descriptor.vacant();
        if claim.descriptor.is_present() {
            self.arena.raise_epoch_floor(claim.state.released().epoch());
        }
        if claim.descriptor.has_vector() != 0 {
            self.renew_sketch(claim.number, claim.descriptor, vacant);
        }
        claim.slot.descriptor.store(vacant.0, Release);
        // Only from now on there is no deadline.
        self.arena.clear_expiring(claim.number);
        if claim.descriptor.is_present() {
            self.record.count_write();
            // While the slot still knows its groups, so that a writer that recovers the claim can do it as well.
            self.publish_event(&claim);
        }
        self.unindex(hash, claim.number, false);
        claim.state = begin_wiping(claim.slot, claim.state);
        claim.slot.descriptor.store(self.arena.wipe_freed(claim.number, claim.slot, vacant).0, Release);
        self.arena.update_notify_flags(claim.number, claim.slot, false);
        mutant!("epoch-restarted", claim.state = State(0).claimed(self.writer_id, false));
        let version = Version::of(claim.number, claim.state);
        self.release(claim);
        version
    }

    /// Recovers the claim in `seen` from its dead owner: makes current what the owner had committed and undoes the
    /// rest. Does nothing if the slot has moved on.
    #[cold]
    pub(super) fn recover_claim(&mut self, number: u32, seen: State) {
        let arena = self.arena;
        let Some(slot) = arena.slot(number) else { return };
        let committed = arena.commit_of(seen) != 0;
        mutant!("tandem-undone", let committed = false);
        self.record.recovery_intent.store(u64::from(number) + 1, Relaxed);
        let state = seen.recovered(self.writer_id, committed);
        mutant!("recovery-unraised", let state = state.unraised());
        if !slot.state_integer.exchange_first(seen.0, state.0) {
            return;
        }
        let descriptor = Descriptor(if committed { &slot.prepared } else { &slot.descriptor }.load(Acquire));
        let mut claim = Claim::new(number, slot, state, descriptor);
        mutant!("recovery-idle", return self.release(claim));
        claim.groups = arena.groups_before(number, slot, seen, descriptor);
        let descriptor = self.settle_labels(&claim, descriptor);
        if !descriptor.is_present() {
            let epoch = claim.state.released().epoch();
            mutant!("recovery-floorless", let epoch = 0);
            arena.raise_epoch_floor(epoch);
        }
        slot.descriptor.store(descriptor.0, Release);
        if !descriptor.is_present() {
            arena.clear_expiring(number);
        }
        // The dead writer may have published without signalling; or changed labels without updating the notify flags.
        arena.update_notify_flags(number, slot, true);
        // A quiet writer signals the dead writer's change all the same: nobody knows whether that writer was quiet.
        let quiet = std::mem::take(&mut self.wakes.quiet);
        self.publish_event(&claim);
        self.wakes.quiet = quiet;
        // A key gets no hint here, which might take memory. An eviction mends that.
        match descriptor.is_present() {
            true => self.mark_used(number, true),
            false => self.set_used(number, false),
        }
        // A key is complete before an entry leads to it, and is wiped after the last entry is freed. So no entry
        // belongs to a half-written key, and its hash may be any.
        let hash = arena.hash.of(Key::read_from(slot).as_ref());
        let home = &arena.buckets[arena.home(hash)];
        if descriptor.is_present() || arena.is_used(home, &*self.os) {
            self.unindex(hash, number, descriptor.is_present());
        }
        let wiped = arena.wipe_recovered(number, slot, descriptor, &*self.os);
        arena.recover_sketch(number, descriptor, &mut self.sketch_buffer, &*self.os);
        slot.descriptor.store(wiped.0, Release);
        arena.header.recoveries.fetch_add(1, Relaxed);
        arena.update_notify_flags(number, slot, descriptor.is_present());
        self.release(claim);
    }
}
