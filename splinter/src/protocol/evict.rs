//! Eviction: an insertion that finds no free slot in a cache removes a key that was not visited lately.
//!
//! [`Cache`] says which, and may be wrong: it is changed without a claim. A key is removed only under the claim of its
//! slot, and only if it was neither pinned, changed nor visited since it was chosen.

use super::claim::Claim;
use super::{Claimant, MAX_FREED};
use crate::arena::cache::{Cache, Eviction, HINTS_A_SLOT};
use crate::arena::key::{Key, KeyRef};
use crate::arena::records::Slot;
use crate::arena::state::{Descriptor, NotifyFlags, State};
use crate::arena::version::Expect;
use crate::error::Error;
use crate::sync::Relaxed;
use smallvec::SmallVec;

/// How many keys are compared for the least recently visited one.
const SAMPLE: u64 = 16;
/// One of so many evictions looks whether a key has lost its hint.
const MEND_INTERVAL: u64 = 16;

/// A key that may be evicted, as it was when it was chosen.
#[derive(Clone, Copy)]
struct Choice {
    number: u32,
    epoch: u64,
    /// What its last visit left.
    mark: u8,
}

impl<'a> Claimant<'a> {
    /// Frees a slot for a new key. In a cache it evicts one; elsewhere, only a key goes whose deadline has passed. The
    /// caller holds no slot. Keys that `is_kept` knows stay.
    ///
    /// # Errors
    /// `error`, which the caller met, where the store is no cache; [`Error::Full`] when all keys stay; [`Error::Again`]
    /// when others hold some that need not.
    pub(super) fn make_room(&mut self, error: Error, is_kept: &dyn Fn(&Slot) -> bool) -> Result<(), Error> {
        let Some(cache) = self.arena.cache else {
            return if self.remove_some_expired(1) { Ok(()) } else { Err(error) };
        };
        if self.remove_expired_near() {
            return Ok(());
        }
        let found = match cache.eviction {
            Eviction::Lru => self.evict_lru(&cache, is_kept),
            _ => self.evict_sieve(&cache, is_kept),
        };
        if found.is_ok() {
            return Ok(());
        }
        match self.evict_any(&cache, is_kept) {
            // Of pinned keys, too.
            Err(Error::Full) if self.remove_some_expired(1) => Ok(()),
            result => result,
        }
    }

    /// Pins `key`, so that it is not evicted, or unpins it. Neither changes the key itself.
    pub(crate) fn set_pinned(&mut self, key: &KeyRef<'_>, pinned: bool) -> Result<(), Error> {
        let claim = self.claim(key, Expect::Any)?;
        let word = &claim.slot.notify_flags;
        word.store(NotifyFlags(word.load(Relaxed)).with_pinned(pinned).0, Relaxed);
        self.arena.count_change(claim.number);
        match self.arena.cache {
            // The hand need not come past it.
            Some(cache) if pinned => cache.forget(claim.number),
            Some(cache) => cache.enter(claim.number),
            None => {}
        }
        drop(claim);
        self.compact_for(key);
        Ok(())
    }

    /// Evicts the oldest key that was not visited since the hand passed it last.
    fn evict_sieve(&mut self, cache: &Cache<'a>, is_kept: &dyn Fn(&Slot) -> bool) -> Result<(), Error> {
        if cache.hands.evicted.load(Relaxed).is_multiple_of(MEND_INTERVAL) {
            self.mend_hint(cache);
        }
        // Once round clears all marks of visits. More than twice means that keys are visited as fast, or damage.
        let mut budget = 2 * HINTS_A_SLOT * self.arena.slots.len() + 2;
        while let Some(hint) = cache.take(&mut budget) {
            let choice = self.choose(cache, hint.number);
            match choice.mark {
                0 => match self.evict(cache, choice, is_kept) {
                    Ok(()) => return Ok(()),
                    Err(Error::NotFound) => continue,
                    Err(_) => {}
                },
                _ => cache.visits[hint.number as usize].store(0),
            }
            cache.put_back(hint);
        }
        Err(Error::Again)
    }

    /// Gives a key its hint back, if the next one to be looked at has lost it.
    fn mend_hint(&self, cache: &Cache<'a>) {
        let number = self.next_slot(cache);
        let (word, bit) = self.arena.bit(number);
        if word.used.load(Relaxed) & bit != 0 && !is_pinned(&self.arena.slots[number as usize]) {
            cache.mend(number);
        }
    }

    /// Returns the slots of the store one by one, each to one caller of all writers.
    fn next_slot(&self, cache: &Cache<'a>) -> u32 {
        (cache.hands.next_slot.fetch_add(1, Relaxed) % self.arena.slots.len() as u64) as u32
    }

    /// Evicts the least recently visited key of a sample.
    fn evict_lru(&mut self, cache: &Cache<'a>, is_kept: &dyn Fn(&Slot) -> bool) -> Result<(), Error> {
        for _ in 0..Self::ROUNDS {
            let Some(choice) = self.oldest_of_sample(cache, is_kept) else { break };
            if self.evict(cache, choice, is_kept).is_ok() {
                return Ok(());
            }
        }
        Err(Error::Again)
    }

    /// Chooses the least recently visited key of a sample.
    fn oldest_of_sample(&mut self, cache: &Cache<'a>, is_kept: &dyn Fn(&Slot) -> bool) -> Option<Choice> {
        let slots = self.arena.slots.len() as u64;
        let numbers =
            (0..slots.min(SAMPLE)).map(|place| if slots <= SAMPLE { place } else { self.draw(slots) });
        let numbers: SmallVec<[u64; SAMPLE as usize]> = numbers.collect();
        let may_go = |number: &u32| {
            let ((word, bit), slot) = (self.arena.bit(*number), &self.arena.slots[*number as usize]);
            let is_used = word.used.load(Relaxed) & bit != 0;
            is_used && !stays(slot, is_kept) && !State(slot.state_integer.first_relaxed()).is_claimed()
        };
        let candidates = numbers.into_iter().map(|number| number as u32).filter(may_go);
        candidates.map(|number| self.choose(cache, number)).max_by_key(|choice| cache.age_of(choice.mark))
    }

    /// Draws a number below `end` (xorshift).
    fn draw(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }

    /// Frees any slot whose key may go, or finds one that is free: what the others have missed, because a key has no hint,
    /// or free slots lie elsewhere.
    fn evict_any(&mut self, cache: &Cache<'a>, is_kept: &dyn Fn(&Slot) -> bool) -> Result<(), Error> {
        let (mut error, slots) = (Error::Full, self.arena.slots.len() as u32);
        // Other writers get some of the numbers that come next. So once more over all, before the answer is that all stay.
        for number in (0..slots).map(|_| None).chain((0..slots).map(Some)) {
            if number == Some(0) && error == Error::Again {
                break;
            }
            let number = number.unwrap_or_else(|| self.next_slot(cache));
            let slot = &self.arena.slots[number as usize];
            let (word, bit) = self.arena.bit(number);
            let is_touched = word.touched.load(Relaxed) & bit != 0;
            if is_touched && self.is_busy(number, slot) {
                error = Error::Again;
                continue;
            }
            if !is_touched || !Descriptor(slot.descriptor.load(Relaxed)).is_present() {
                if self.freed.contains(&number) {
                    continue;
                }
                self.note_freed(number);
                return Ok(());
            }
            let choice = self.choose(cache, number);
            match self.evict(cache, choice, is_kept) {
                Ok(()) => return Ok(()),
                Err(Error::Full) => {}
                Err(_) => error = Error::Again,
            }
        }
        Err(error)
    }

    /// Whether another writer holds the slot. Recovers the claim of a dead one, and waits for none.
    fn is_busy(&mut self, number: u32, slot: &Slot) -> bool {
        self.recover_claim_if(number, Self::is_dead);
        State(slot.state_integer.first_acquire()).is_claimed()
    }

    /// Notes that a slot is free, for the next insertion.
    pub(super) fn note_freed(&mut self, number: u32) {
        if self.arena.cache.is_some() && self.freed.len() < MAX_FREED {
            self.freed.push(number);
        }
    }

    fn choose(&self, cache: &Cache<'a>, number: u32) -> Choice {
        let epoch = State(self.arena.slots[number as usize].state_integer.first_acquire()).content_epoch();
        Choice { number, epoch, mark: cache.visits[number as usize].load() }
    }

    /// Evicts a key, if it is as it was when it was chosen, and not pinned.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the slot holds no key; [`Error::Full`] when the key stays; [`Error::Again`] when another
    /// writer holds the slot, or has changed or visited its key.
    fn evict(
        &mut self,
        cache: &Cache<'a>,
        choice: Choice,
        is_kept: &dyn Fn(&Slot) -> bool,
    ) -> Result<(), Error> {
        let arena = self.arena;
        if self.is_busy(choice.number, &arena.slots[choice.number as usize]) {
            return Err(Error::Again);
        }
        let check = |slot: &Slot| if stays(slot, is_kept) { Err(Error::Full) } else { Ok(()) };
        let claim = self.claim_if(choice.number, |_| true, |_, read| check(read.slot));
        let claim = claim.unwrap_or(Err(Error::NotFound))?;
        if arena.is_expired(claim.number, claim.descriptor) {
            self.remove_claimed(claim);
            return Ok(());
        }
        let hash = arena.hash.of(Key::read_from(claim.slot).as_ref());
        // Only under the claim does it count: no set and no pin can come in between.
        let result = check(claim.slot).and_then(|()| check_choice(cache, choice, &claim));
        mutant!("eviction-outdated", let result = Ok(()));
        if result.is_err() {
            // Another writer may have wanted to move the key's entry.
            self.to_compact.push((arena.home(hash), false));
            return result;
        }
        self.remove(claim, hash);
        cache.hands.evicted.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Checks that the key of a claimed slot was neither changed nor visited since it was chosen.
fn check_choice(cache: &Cache<'_>, choice: Choice, claim: &Claim<'_>) -> Result<(), Error> {
    let is_same = claim.state.content_epoch() == choice.epoch;
    let is_unvisited = cache.visits[claim.number as usize].load() == choice.mark;
    if is_same && is_unvisited { Ok(()) } else { Err(Error::Again) }
}

/// Whether the key of a slot must not be evicted.
fn stays(slot: &Slot, is_kept: &dyn Fn(&Slot) -> bool) -> bool {
    is_pinned(slot) || is_kept(slot)
}

fn is_pinned(slot: &Slot) -> bool {
    mutant!("pin-ignored", return false);
    NotifyFlags(slot.notify_flags.load(Relaxed)).is_pinned()
}
