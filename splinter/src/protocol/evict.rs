//! Eviction: an insertion that finds no free slot in a cache removes a key that was not visited lately.
//!
//! [`Cache`] says which, and may be wrong: it is changed without a claim. A key is removed only under the claim of its
//! slot, and only if it was neither pinned nor visited since it was chosen. A set visits its key before it releases the
//! slot, so no key is evicted that was set since then.

use super::Claimant;
use crate::arena::cache::{Cache, Eviction};
use crate::arena::key::{Key, KeyRef};
use crate::arena::records::{BitmapWord, Slot};
use crate::arena::state::{NotifyFlags, State};
use crate::arena::version::Expect;
use crate::error::Error;
use crate::sync::{Relaxed, Word};

/// How many keys are compared for the least recently visited one.
const SAMPLE: u64 = 16;

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
        match found {
            Err(Error::Full) => self.evict_any(&cache, is_kept),
            result => result,
        }
    }

    /// Pins `key`, so that it is not evicted, or unpins it. Neither changes the key itself.
    pub(crate) fn set_pinned(&mut self, key: &KeyRef<'_>, pinned: bool) -> Result<(), Error> {
        let claim = self.claim(key, Expect::Any)?;
        let word = &claim.slot.notify_flags;
        word.store(NotifyFlags(word.load(Relaxed)).with_pinned(pinned).0, Relaxed);
        self.arena.count_change(claim.number);
        drop(claim);
        self.compact_for(key);
        Ok(())
    }

    /// Evicts the oldest key that was not visited since the hand passed it last.
    fn evict_sieve(&mut self, cache: &Cache<'a>, is_kept: &dyn Fn(&Slot) -> bool) -> Result<(), Error> {
        let mut error = Error::Full;
        // Once round clears all marks of visits. More than twice means that keys are visited as fast.
        for _ in 0..2 * self.arena.slots.len() + 1 {
            let Some(hint) = cache.take() else { break };
            let visit = &cache.visits[hint.number as usize];
            let evicted = match visit.load() {
                0 => self.evict(cache, hint.number, 0, is_kept),
                _ => Err(Error::Full),
            };
            match evicted {
                Ok(()) => return Ok(()),
                Err(Error::NotFound) => continue,
                Err(Error::Again) => error = Error::Again,
                Err(_) => visit.store(0),
            }
            cache.put_back(hint);
        }
        Err(error)
    }

    /// Evicts the least recently visited key of a sample.
    fn evict_lru(&mut self, cache: &Cache<'a>, is_kept: &dyn Fn(&Slot) -> bool) -> Result<(), Error> {
        let mut error = Error::Full;
        for _ in 0..Self::ROUNDS {
            let Some((_, number, mark)) = self.oldest_of_sample(cache, is_kept) else { break };
            match self.evict(cache, number, mark, is_kept) {
                Ok(()) => return Ok(()),
                Err(kind) => error = kind,
            }
        }
        Err(if error == Error::NotFound { Error::Again } else { error })
    }

    /// Returns the age, the number and the mark of the least recently visited key of a sample.
    fn oldest_of_sample(
        &mut self,
        cache: &Cache<'a>,
        is_kept: &dyn Fn(&Slot) -> bool,
    ) -> Option<(u8, u32, u8)> {
        let slots = self.arena.slots.len() as u64;
        let is_few = slots <= SAMPLE;
        let numbers =
            (0..slots.min(SAMPLE)).map(|place| if is_few { place } else { self.draw(slots) } as u32);
        let numbers: smallvec::SmallVec<[u32; SAMPLE as usize]> = numbers.collect();
        let candidates = numbers.into_iter().filter(|number| self.may_go(*number, is_kept));
        candidates
            .map(|number| {
                let mark = cache.visits[number as usize].load();
                (cache.age_of(mark), number, mark)
            })
            .max()
    }

    /// Draws a number below `end` (xorshift).
    fn draw(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }

    /// Evicts any key that may go: those that have no hint, because a writer died or stands still that had it.
    fn evict_any(&mut self, cache: &Cache<'a>, is_kept: &dyn Fn(&Slot) -> bool) -> Result<(), Error> {
        let slots = self.arena.slots.len() as u64;
        let mut error = Error::Full;
        for _ in 0..slots {
            let number = (cache.hands.next_slot.fetch_add(1, Relaxed) % slots) as u32;
            if !self.may_go(number, is_kept) {
                // Another writer may be about to insert, or to remove: a slot comes free, or a key that may go.
                let is_touched = word_has(self.arena.bit(number), |word| &word.touched);
                let is_held =
                    || State(self.arena.slots[number as usize].state_integer.first_acquire()).is_claimed();
                error = if is_touched && is_held() { Error::Again } else { error };
                continue;
            }
            match self.evict(cache, number, cache.visits[number as usize].load(), is_kept) {
                Ok(()) => return Ok(()),
                Err(Error::Full) => {}
                Err(_) => error = Error::Again,
            }
        }
        Err(error)
    }

    /// Whether slot `number` seems to hold a key that may be evicted.
    fn may_go(&self, number: u32, is_kept: &dyn Fn(&Slot) -> bool) -> bool {
        word_has(self.arena.bit(number), |word| &word.used)
            && !stays(&self.arena.slots[number as usize], is_kept)
    }

    /// Evicts the key of slot `number`, if it is not pinned, and its last visit left `mark`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the slot holds no key; [`Error::Full`] when the key stays; [`Error::Again`] when another
    /// writer holds the slot.
    fn evict(
        &mut self,
        cache: &Cache<'a>,
        number: u32,
        mark: u8,
        is_kept: &dyn Fn(&Slot) -> bool,
    ) -> Result<(), Error> {
        let arena = self.arena;
        let check = |slot: &Slot| if stays(slot, is_kept) { Err(Error::Full) } else { Ok(()) };
        let claim = self.claim_if(number, |_| true, |read| check(read.slot));
        let claim = claim.unwrap_or(Err(Error::NotFound))?;
        if arena.is_expired(number, claim.descriptor) {
            self.remove_claimed(claim);
            return Ok(());
        }
        // Only under the claim does it count: neither set nor pin can come in between.
        let is_same = cache.visits[number as usize].load() == mark && check(claim.slot).is_ok();
        mutant!("eviction-outdated", let is_same = true);
        if !is_same {
            return Err(Error::Full);
        }
        let hash = arena.hash.of(Key::read_from(claim.slot).as_ref());
        self.remove(claim, hash);
        cache.hands.evicted.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Whether a bit of the map is set.
fn word_has((word, bit): (&BitmapWord, u64), bits: impl Fn(&BitmapWord) -> &Word) -> bool {
    bits(word).load(Relaxed) & bit != 0
}

/// Whether the key of a slot must not be evicted.
fn stays(slot: &Slot, is_kept: &dyn Fn(&Slot) -> bool) -> bool {
    let is_pinned = NotifyFlags(slot.notify_flags.load(Relaxed)).is_pinned();
    mutant!("pin-ignored", let is_pinned = false);
    is_pinned || is_kept(slot)
}
