//! The index: which slot holds a key. Chunks of one cache line, filled from a key's home chunk onwards.
//!
//! A home chunk's control word records how far its own keys were pushed (`reach`), so a search ends at
//! the home chunk unless that chunk overflowed, and nobody but the holder of a home's claim changes
//! what belongs to it: its reach, and the entries of its keys wherever they lie. After a crash both can
//! be rebuilt from the entries alone. There are no tombstones.
//!
//! An entry is only a hint. The slot says what it holds, so an entry that points to a vacant slot, or
//! to one that was reused, misleads nobody; such entries are dropped by whoever meets them under the
//! home's claim.

use super::arena::Arena;
use super::key::{Key, hash_key};
use super::layout::{CHUNK_ENTRIES, Chunk};
use super::state::{Control, Entry, State};
use super::{Claimant, Contender};
use crate::error::Error;
use crate::sync::{AcqRel, Acquire, Relaxed, Release};

/// Where an entry lies.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    pub(crate) distance: u64,
    pub(crate) index: usize,
}

/// Computes the tag: the bits of the hash that the choice of the home chunk uses least.
#[inline(always)]
const fn tag(hash: u64) -> u16 {
    (hash >> 48) as u16
}

impl<'a> Arena<'a> {
    /// Computes a hash's home chunk; the number of chunks is a power of two.
    #[inline(always)]
    pub(crate) fn home(&self, hash: u64) -> usize {
        hash as usize & (self.chunks.len() - 1)
    }

    /// Borrows the chunk `distance` after `home`; `distance` is at most the number of chunks.
    #[inline(always)]
    pub(crate) fn chunk(&self, home: usize, distance: u64) -> &'a Chunk {
        let at = home + distance as usize;
        &self.chunks[if at >= self.chunks.len() {
            at - self.chunks.len()
        } else {
            at
        }]
    }

    /// Finds the slot that most likely holds the key with `hash`; none when surely none does. When the
    /// guess is wrong, and only then, [`Self::probe`] has to be asked.
    ///
    /// This is the whole of nearly every lookup. It hands out a number and nothing else, so that it
    /// inlines into registers.
    #[inline(always)]
    pub(crate) fn guess(&self, hash: u64) -> Option<u32> {
        let chunk = self.chunks.get(self.home(hash))?;
        match chunk.matches(Entry::label(tag(hash), 0)).next() {
            // Acquire: the key words were written before the entry was.
            Some(index) => Some(Entry(chunk.entries[index].load(Acquire)).slot()),
            None if Control(chunk.control.load(Relaxed)).reach() == 0 => None,
            None => Some(u32::MAX),
        }
    }

    /// Visits the slots that may hold a key with `hash` until `visit` returns something: a home chunk,
    /// and behind it as far as its control word says, though no farther than once round the index.
    ///
    /// A key that is present throughout is visited: its entry and its reach were in place before it
    /// was published, and neither is taken back before it is removed.
    #[cold]
    pub(crate) fn probe<T>(
        &self,
        hash: u64,
        mut visit: impl FnMut(u32, Position) -> Option<T>,
    ) -> Option<T> {
        let home = self.home(hash);
        let reach = Control(self.chunks[home].control.load(Relaxed)).reach();
        (0..=reach.min(self.chunks.len() as u64 - 1)).find_map(|distance| {
            let chunk = self.chunk(home, distance);
            chunk
                .matches(Entry::label(tag(hash), distance))
                .find_map(|index| {
                    let entry = Entry(chunk.entries[index].load(Acquire));
                    visit(entry.slot(), Position { distance, index })
                })
        })
    }
}

/// A claim on a home chunk: the right to change its keys' entries and its reach. Dropping it gives the
/// claim back.
pub(crate) struct ChunkClaim<'a> {
    arena: Arena<'a>,
    home: usize,
    control: Control,
}

impl Drop for ChunkClaim<'_> {
    fn drop(&mut self) {
        // Releases every entry and the reach to the next claimant's acquiring exchange.
        self.arena.chunks[self.home]
            .control
            .store(self.control.released().0, Release);
    }
}

impl<'a> ChunkClaim<'a> {
    fn entry(&self, at: Position) -> &'a crate::sync::Word {
        &self.arena.chunk(self.home, at.distance).entries[at.index]
    }

    /// Frees the entry at `at`, which belongs to this home.
    pub(crate) fn remove(&mut self, at: Position) {
        self.entry(at).store(Entry::FREE.0, Release);
        if at.distance == self.control.reach() && at.distance > 0 {
            self.lower_reach();
        }
    }

    /// Points a free entry at `slot`, as near to home as there is one. Nothing was changed when there
    /// is none within a chunk's reach.
    pub(crate) fn insert(&mut self, hash: u64, slot: u32) -> Result<(), Error> {
        let farthest = (self.arena.chunks.len() as u64 - 1).min(0xffff);
        for distance in 0..=farthest {
            let chunk = self.arena.chunk(self.home, distance);
            for word in &chunk.entries {
                if word.load(Relaxed) != Entry::FREE.0 {
                    continue;
                }
                if distance > self.control.reach() {
                    // Before the entry: whoever sees the key published sees the reach that leads to it.
                    self.control = self.control.with_reach(distance);
                    self.arena.chunks[self.home]
                        .control
                        .store(self.control.0, Release);
                }
                let entry = Entry::new(slot, Entry::label(tag(hash), distance));
                // Other homes fill the same chunk. Release: the key words were written before.
                if word
                    .compare_exchange(Entry::FREE.0, entry.0, AcqRel, Relaxed)
                    .is_ok()
                {
                    return Ok(());
                }
            }
        }
        self.lower_reach();
        Err(Error::Full)
    }

    /// Sets the reach to the distance of the farthest entry that belongs to this home.
    fn lower_reach(&mut self) {
        let belongs = |distance: u64| {
            self.arena
                .chunk(self.home, distance)
                .entries
                .iter()
                .any(|word| {
                    let entry = Entry(word.load(Relaxed));
                    !entry.is_free() && entry.distance() == distance
                })
        };
        let farthest = self.control.reach().min(self.arena.chunks.len() as u64 - 1);
        let reach = (1..=farthest)
            .rev()
            .find(|distance| belongs(*distance))
            .unwrap_or(0);
        self.control = self.control.with_reach(reach);
        self.arena.chunks[self.home]
            .control
            .store(self.control.0, Release);
    }

    /// Frees the entry at `at` if it belongs to this home and leads to no key of it.
    pub(crate) fn remove_if_dangling(&mut self, claimant: &mut Claimant<'a>, at: Position) {
        let entry = Entry(self.entry(at).load(Acquire));
        if !entry.is_free()
            && entry.distance() == at.distance
            && claimant.is_dangling(self.home, entry)
        {
            self.remove(at);
        }
    }

    /// Frees all such entries, and corrects the reach.
    fn repair(&mut self, claimant: &mut Claimant<'a>) {
        let farthest = self.control.reach().min(self.arena.chunks.len() as u64 - 1);
        for distance in 0..=farthest {
            for index in 0..CHUNK_ENTRIES {
                self.remove_if_dangling(claimant, Position { distance, index });
            }
        }
        self.lower_reach();
    }
}

impl<'a> Claimant<'a> {
    /// Claims the home chunk of `hash`, taking the claim over from a dead writer if need be.
    pub(crate) fn claim_chunk(&mut self, hash: u64) -> Result<ChunkClaim<'a>, Error> {
        let arena = self.arena;
        let home = arena.home(hash);
        let word = &arena.chunks[home].control;
        for _ in 0..Self::ROUNDS {
            let seen = Control(word.load(Acquire));
            let dead = seen.is_claimed();
            if dead {
                match self.outwait(seen.0, seen.lane(), || word.load(Relaxed)) {
                    Contender::Gone => continue,
                    Contender::Alive => return Err(Error::Again),
                    Contender::Dead => {}
                }
            }
            self.record.chunk_intent.store(home as u64 + 1, Relaxed);
            // The version moves even when a claim is taken over by the dead writer's own lane, reused.
            let control = seen.claimed(self.lane);
            if word
                .compare_exchange(seen.0, control.0, AcqRel, Relaxed)
                .is_ok()
            {
                let mut claim = ChunkClaim {
                    arena,
                    home,
                    control,
                };
                if dead {
                    self.count_takeover();
                    claim.repair(self);
                }
                return Ok(claim);
            }
        }
        Err(Error::Again)
    }

    /// Takes over the claim on `home` that this lane's former owner died with, if it did.
    pub(super) fn recover_chunk(&mut self, home: usize) {
        let arena = self.arena;
        let Some(chunk) = arena.chunks.get(home) else {
            return;
        };
        let seen = Control(chunk.control.load(Acquire));
        let control = seen.claimed(self.lane);
        if seen.is_claimed()
            && seen.lane() == self.lane
            && chunk
                .control
                .compare_exchange(seen.0, control.0, AcqRel, Relaxed)
                .is_ok()
        {
            self.count_takeover();
            ChunkClaim {
                arena,
                home,
                control,
            }
            .repair(self);
        }
    }

    /// Whether an entry of `home`, whose claim the caller holds, leads to no key of that home. A slot
    /// claimed by a living writer is left alone: it may be a key on its way in.
    fn is_dangling(&mut self, home: usize, entry: Entry) -> bool {
        let Some(slot) = self.arena.slot(entry.slot()) else {
            return true;
        };
        for _ in 0..Self::ROUNDS {
            let state = State(slot.state_number.first_acquire());
            if state.is_claimed() {
                if !self.is_alive(state.lane()) {
                    self.take_over(entry.slot(), state);
                    continue;
                }
                return false;
            }
            let present = super::Meta(slot.meta.load(Relaxed)).is_present();
            let key = Key::read_from(slot);
            crate::sync::fence(Acquire);
            if slot.state_number.first_relaxed() == state.0 {
                return !present || self.arena.home(hash_key(key.as_ref())) != home;
            }
        }
        false
    }
}
