//! Optimistic reads, the readers' side of the sequence lock: load the state, copy the bytes, then validate that they
//! are one published value. Readers store nothing, except in a cache the byte that marks a visit, if it changes.

use crate::arena::Arena;
use crate::arena::key::KeyRef;
use crate::arena::payload::Payload;
use crate::arena::records::Slot;
use crate::arena::state::{Descriptor, State};
use crate::error::Error;
use crate::sync::{Acquire, Relaxed, fence, load_acquire, spin_loop};

/// An optimistic read of a slot: what it may copy, and the state that [`Self::validate`] compares.
#[derive(Clone, Copy)]
pub(crate) struct OptimisticRead<'a> {
    pub(crate) number: u32,
    pub(crate) slot: &'a Slot,
    pub(super) state: State,
    pub(crate) descriptor: Descriptor,
    /// The descriptor is a committed claim's, and not yet published: it is valid as long as the claim lasts.
    pinned: bool,
}

impl<'a> OptimisticRead<'a> {
    /// Whether everything read since the read began is one published version of the key.
    ///
    /// The fence pairs with the release fence that follows every claim. If a copied byte was written under a later
    /// claim, this second look sees that claim.
    #[inline(always)]
    pub(crate) fn validate(&self) -> bool {
        mutant!("read-unvalidated", return true);
        mutant!("validation-unfenced", return self.slot.state_integer.first_relaxed() == self.state.0);
        fence(Acquire);
        let later = State(self.slot.state_integer.first_relaxed());
        later == self.state || !self.pinned && self.state.is_intact_at(later)
    }

    /// Borrows the value that the descriptor names.
    #[inline(always)]
    pub(crate) fn payload(&self, arena: &Arena<'a>) -> Payload<'a> {
        arena.payload(self.number, self.slot, self.descriptor)
    }

    /// Returns the epoch of the content when the read began.
    pub(crate) fn stable_epoch(&self) -> u64 {
        self.state.content_epoch()
    }
}

impl<'a> Arena<'a> {
    /// How often a read starts over when writers change its slot.
    pub(super) const READ_ROUNDS: usize = if cfg!(loom) { 2 } else { 128 };

    /// Begins a read of slot `number` if the slot holds `key`.
    ///
    /// While a key is present its slot's key words do not change. So words that differ prove that the key is not there.
    /// Words that agree count only after [`OptimisticRead::validate`].
    #[inline(always)]
    pub(crate) fn begin_read(&self, number: u32, key: &KeyRef<'_>) -> Option<OptimisticRead<'a>> {
        let slot = self.slot(number)?;
        mutant!("key-outside-read", let slot = Some(slot).filter(|slot| key.is_in(slot))?);
        mutant!("key-outside-read", return self.begin_any_read(number));
        let state = State(slot.state_integer.first_acquire());
        let descriptor = Descriptor(load_acquire(&slot.descriptor));
        if state.is_of_tandem() | !descriptor.is_lasting() {
            return self.begin_other_read(number, slot, &|slot| key.is_in(slot));
        }
        let read = OptimisticRead { number, slot, state, descriptor, pinned: false };
        key.is_in(slot).then_some(read)
    }

    /// Begins a read of slot `number` if it holds a key, and that key's deadline has not passed.
    #[inline(always)]
    pub(crate) fn begin_any_read(&self, number: u32) -> Option<OptimisticRead<'a>> {
        let slot = self.slot(number)?;
        let read = self.open(number, slot);
        if read.descriptor.is_lasting() { Some(read) } else { self.begin_other_read(number, slot, &|_| true) }
    }

    /// Begins a read of slot `number` if it holds a key that is `wanted`, and that key's deadline has not passed. The slot
    /// may be a tandem's, or its key have a deadline.
    ///
    /// The deadline counts only if key, content and deadline are the same after the look at the clock: then the key was
    /// there, or missing, at that moment.
    #[cold]
    #[inline(never)]
    fn begin_other_read(
        &self,
        number: u32,
        slot: &'a Slot,
        wanted: &dyn Fn(&Slot) -> bool,
    ) -> Option<OptimisticRead<'a>> {
        let changes = &self.metadata[number as usize].changes;
        for round in 0..Self::READ_ROUNDS {
            let before = load_acquire(changes);
            let read = self.open(number, slot);
            if !read.descriptor.is_present() || !wanted(slot) {
                return None;
            }
            if read.descriptor.is_lasting() {
                return Some(read);
            }
            let is_expired = self.is_expired(number, read.descriptor);
            fence(Acquire);
            let now = self.open(number, slot);
            let is_same = now.descriptor == read.descriptor && now.stable_epoch() == read.stable_epoch();
            mutant!("deadline-unvalidated", return (!is_expired).then_some(read));
            if is_same && changes.load(Relaxed) == before {
                return (!is_expired).then_some(read);
            }
            // Deadlines that are moved all the while are those of a key that is there.
            if round + 1 == Self::READ_ROUNDS {
                return Some(read);
            }
            spin_loop();
        }
        None
    }

    /// Begins a read as [`Self::begin_read`] does, if no tandem holds the slot and its value is in a buffer.
    #[inline(always)]
    pub(crate) fn begin_plain_read(&self, number: u32, key: &KeyRef<'_>) -> Option<OptimisticRead<'a>> {
        mutant!("key-outside-read", return None);
        let slot = self.slot(number)?;
        let state = State(slot.state_integer.first_acquire());
        let descriptor = Descriptor(load_acquire(&slot.descriptor));
        let plain = !state.is_of_tandem() & descriptor.is_lasting_in_buffer();
        (plain && key.is_in(slot)).then_some(OptimisticRead {
            number,
            slot,
            state,
            descriptor,
            pinned: false,
        })
    }

    /// Begins a read of a slot, whatever it holds.
    #[inline(always)]
    pub(crate) fn open(&self, number: u32, slot: &'a Slot) -> OptimisticRead<'a> {
        loop {
            let state = State(slot.state_integer.first_acquire());
            // The state before the descriptor: what is current can only get newer in between.
            let commit = if state.is_of_tandem() { self.commit_of(state) } else { 0 };
            let pinned = commit != 0;
            let descriptor = Descriptor(load_acquire(if pinned { &slot.prepared } else { &slot.descriptor }));
            let read = OptimisticRead { number, slot, state, descriptor, pinned };
            mutant!("prepared-believed", return read);
            // The prepared word is this claim's only while the claim lasts. Afterwards it may be anything, and the
            // commit that was seen may be another tandem's. Neither may make a key seem missing. A claim that was undone
            // looks like a later one of the same writer id; the commit words of two tandems differ.
            if !pinned || read.validate() && self.is_commit_of(commit, state) {
                return read;
            }
        }
    }

    /// Returns what makes the prepared word of a claim current: for a tandem's the commit word of its writer id, or all ones
    /// for the claim's own mark. Returns 0 if it is not current.
    #[cold]
    #[inline(never)]
    pub(super) fn commit_of(&self, state: State) -> u64 {
        mutant!("tandem-one-by-one", return 0);
        let entry = self.writer_table.get(state.writer_id() as usize);
        let by_entry = || entry.map_or(0, |entry| load_acquire(&entry.committed));
        match state {
            state if state.is_marked_committed() => u64::MAX,
            state if state.is_tandem() => by_entry(),
            _ => 0,
        }
    }

    /// Whether the claim in `state` is committed by `commit` still. If the slot had this state in between, the claim
    /// was that tandem's.
    #[cold]
    #[inline(never)]
    fn is_commit_of(&self, commit: u64, state: State) -> bool {
        mutant!("commit-unnumbered", return true);
        fence(Acquire);
        self.commit_of(state) == commit
    }

    /// Reads `key` by `body`, which may see torn bytes. Returns only what `body` made of a read that validated.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Again`] when writers changed the key all the while.
    #[inline(always)]
    pub(crate) fn read<R>(
        &self,
        key: &KeyRef<'_>,
        mut body: impl FnMut(&OptimisticRead<'a>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut number = self.find_fast(key).ok_or(Error::NotFound)?;
        for _ in 0..Self::READ_ROUNDS {
            if let Some(read) = self.begin_read(number, key) {
                let result = body(&read);
                if read.validate() {
                    self.note_visit(read.number);
                    return result;
                }
                spin_loop();
            }
            number = self.locate(key).ok_or(Error::NotFound)?;
        }
        Err(Error::Again)
    }

    /// Reads `key` as [`Self::read`] does. Labels, times, flags, deadlines and subscriptions that `body` reads are those
    /// of one moment, too.
    pub(crate) fn read_with_metadata<R>(
        &self,
        key: &KeyRef<'_>,
        mut body: impl FnMut(&OptimisticRead<'a>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        for _ in 0..Self::READ_ROUNDS {
            let number = self.locate(key).ok_or(Error::NotFound)?;
            let changes = &self.metadata[number as usize].changes;
            let before = load_acquire(changes);
            if let Some(read) = self.begin_read(number, key) {
                let result = body(&read);
                if read.validate() && changes.load(Relaxed) == before {
                    return result;
                }
            }
            spin_loop();
        }
        Err(Error::Again)
    }

    /// Reads the key of slot `number` by `body`, whichever it is, as [`Self::read_with_metadata`] reads one.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it holds none; [`Error::Again`] when writers changed the slot all the while.
    pub(crate) fn read_slot<R>(
        &self,
        number: u32,
        mut body: impl FnMut(&OptimisticRead<'a>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        for _ in 0..Self::READ_ROUNDS {
            let changes = &self.metadata[number as usize].changes;
            let before = load_acquire(changes);
            let read = self.begin_any_read(number).ok_or(Error::NotFound)?;
            let result = body(&read);
            if read.validate() && changes.load(Relaxed) == before {
                return result;
            }
            spin_loop();
        }
        Err(Error::Again)
    }

    /// Returns the labels of the key that is read: those of one moment if [`Self::read_with_metadata`] reads them.
    pub(crate) fn labels(&self, read: &OptimisticRead<'_>) -> u64 {
        let prepared = &self.metadata[read.number as usize].prepared_labels;
        let word = if read.descriptor.labels_prepared() != 0 { prepared } else { &read.slot.labels };
        word.load(Relaxed)
    }

    /// Finds the slot that holds `key`, wherever it is.
    #[cold]
    #[inline(never)]
    pub(crate) fn locate(&self, key: &KeyRef<'_>) -> Option<u32> {
        self.probe(key, |number, _, _| self.begin_read(number, key).map(|read| read.number))
    }
}
