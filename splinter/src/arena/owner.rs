//! Ownership of a writer id: which thread owns it, as one word that threads exchange and in which the kernel marks a
//! thread's end (a robust futex). A second word names the open store of the owner. It tells a present owner from one
//! that a copied file, or a file from before a power cut, only mentions.

use crate::sync::{AcqRel, Acquire, Relaxed, Word};

/// The owner word of a writer id: a thread's id where the kernel's robust futexes have it, and a count of owners.
///
/// | bits | meaning |
/// |---|---|
/// | 0–29 | the id of the owning thread in its own namespace; 0 if nobody owns the writer id |
/// | 30 | set by the kernel, which clears the id, when that thread ended |
/// | 31 | the kernel's, unused |
/// | 32–63 | the generation: every owner raises it, so that no exchange takes a later owner for an earlier one |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(pub(crate) u64);

impl Owner {
    const THREAD: u64 = (1 << 30) - 1;
    const DIED: u64 = 1 << 30;

    /// Whether a living thread owns the writer id.
    pub(crate) const fn is_alive(self) -> bool {
        self.0 & Self::THREAD != 0 && self.0 & Self::DIED == 0
    }

    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Returns the next owner's generation. It is never 0, the generation of a writer id that nobody ever took.
    const fn next_generation(self) -> u32 {
        match self.generation().wrapping_add(1) {
            0 => 1,
            generation => generation,
        }
    }

    /// Returns the word of the next owner.
    const fn taken(self, thread: u32) -> Self {
        Self((self.next_generation() as u64) << 32 | thread as u64 & Self::THREAD)
    }

    /// Returns the word of a writer id that nobody owns any more.
    const fn released(self) -> Self {
        Self((self.generation() as u64) << 32)
    }
}

/// The store-id word of a writer id: the open store through which its owner took it.
///
/// | bits | meaning |
/// |---|---|
/// | 0–31 | the byte that the store keeps locked, see [`OpenStores`] |
/// | 32–63 | the generation that this is about: the owner's, or the next one, which some thread is about to begin |
#[derive(Clone, Copy, PartialEq, Eq)]
struct StoreId(u64);

impl StoreId {
    const fn new(generation: u32, store: u32) -> Self {
        Self((generation as u64) << 32 | store as u64)
    }

    const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    const fn store(self) -> u32 {
        self.0 as u32
    }
}

/// The open stores of a file, as the kernel knows them. Each is known by the number of a byte that it keeps locked.
pub(crate) trait OpenStores {
    /// Returns the number of the store that asks.
    fn own(&self) -> u32;

    /// Whether a store is open, as far as can be known. One that was closed never opens again.
    fn is_open(&self, store: u32) -> bool;
}

/// The two words that tell who owns a writer id.
#[derive(Clone, Copy)]
pub(crate) struct Ownership<'a> {
    /// An [`Owner`].
    pub(crate) owner: &'a Word,
    /// A [`StoreId`]. It changes before the owner does, so that the kernel can be asked about every owner.
    pub(crate) store_id: &'a Word,
}

impl Ownership<'_> {
    pub(crate) fn owner(self) -> Owner {
        Owner(self.owner.load(Acquire))
    }

    /// Takes a writer id for a thread, unless a living thread owns it or is about to. Returns the new owner word.
    pub(crate) fn take(self, thread: u32, stores: &impl OpenStores) -> Option<Owner> {
        let seen = self.owner();
        if seen.is_alive() { None } else { self.begin_generation(seen, thread, stores) }
    }

    /// Passes a writer id, whose owner word was `last`, on to another thread of the same process. The kernel may have
    /// marked that its first thread ended, but nobody may have taken the writer id since.
    pub(crate) fn pass_on(self, last: Owner, thread: u32, stores: &impl OpenStores) -> Option<Owner> {
        // Twice: the kernel may mark the word in between, once.
        for _ in 0..2 {
            let seen = self.owner();
            if seen.generation() != last.generation() {
                break;
            }
            if let Some(taken) = self.begin_generation(seen, thread, stores) {
                return Some(taken);
            }
        }
        None
    }

    fn begin_generation(self, seen: Owner, thread: u32, stores: &impl OpenStores) -> Option<Owner> {
        let store_id = StoreId(self.store_id.load(Acquire));
        // The store id of a later owner is not this thread's to replace: it was read while `seen` was the owner, or not at all.
        let is_outdated = self.owner() != seen;
        mutant!("store-id-outdated", let is_outdated = false);
        if is_outdated {
            return None;
        }
        let wanted = StoreId::new(seen.next_generation(), stores.own());
        if store_id != wanted {
            // A writer of another store that stopped here keeps the writer id; one whose store is closed does not.
            let is_kept = store_id.generation() == wanted.generation() && stores.is_open(store_id.store());
            mutant!("store-id-overruled", let is_kept = false);
            if is_kept {
                return None;
            }
            self.store_id.compare_exchange(store_id.0, wanted.0, AcqRel, Relaxed).ok()?;
        }
        self.exchange(seen, seen.taken(thread))
    }

    /// Gives back a writer id whose owner word was `last`. Does nothing if the kernel has marked it or another thread
    /// has taken it.
    pub(crate) fn give_back(self, last: Owner) {
        self.exchange(last, last.released());
    }

    /// Frees a writer id whose owner's store is not open: the file is a copy, or the machine was switched off, and the
    /// kernel marked nothing. Also frees one whose words are damaged: it was never taken, or they do not fit together.
    pub(crate) fn correct(self, stores: &impl OpenStores) {
        let seen = self.owner();
        if !seen.is_alive() {
            return;
        }
        let store_id = StoreId(self.store_id.load(Acquire));
        let is_for_owner = [seen.generation(), seen.next_generation()].contains(&store_id.generation());
        if seen.generation() == 0 || !is_for_owner || !stores.is_open(store_id.store()) {
            self.exchange(seen, seen.released());
        }
    }

    /// Acquire and release: a thread that takes a writer id sees everything that its last owner did.
    fn exchange(self, from: Owner, to: Owner) -> Option<Owner> {
        self.owner.compare_exchange(from.0, to.0, AcqRel, Relaxed).is_ok().then_some(to)
    }
}
