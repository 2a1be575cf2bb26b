//! A store's bytes in its memory, by a second mapping that shares no code with the library: the offsets come from the header,
//! as `splinter/docs/format.md` describes it. The kill test reads a dead writer's claims by it, and the hostile run does its
//! damage.

use splinter::Store;
use splinter_harness::shared::SharedWords;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Owner words, which name the thread that owns a writer id: four at the end of each page.
const OWNER_PAGE_WORDS: usize = 512;
const OWNERS_A_PAGE: usize = 4;
/// In an owner word: the thread, and the mark of its end.
const OWNER_THREAD: u64 = (1 << 30) - 1;
const OWNER_DIED: u64 = 1 << 30;
/// Sizes of a slot's record and of a bucket.
pub(crate) const SLOT_BYTES: usize = 128;
const SLOT_WORDS: usize = SLOT_BYTES / 8;
pub(crate) const BUCKET_WORDS: usize = 8;
/// Words of a slot's record: its descriptor, and its key.
const DESCRIPTOR: usize = 2;
const KEY: Range<usize> = 4..12;
/// In the state word: the epoch, and the writer id.
const STATE_EPOCH: u32 = 13;
const STATE_EPOCH_BITS: u32 = 50;
const STATE_WRITER: u64 = 0x3ff;
/// In a bucket's control word: the claim, and the writer id.
pub(crate) const CONTROL_CLAIMED: u64 = 1 << 26;
const CONTROL_WRITER_SHIFT: u32 = 16;
/// Bits of the descriptor: the current value buffer, whether there is a key, whether its value is an integer in place,
/// whether it has a vector, and the current vector buffer.
pub(crate) const CURRENT: u64 = 1 << 48;
pub(crate) const PRESENT: u64 = 1 << 49;
pub(crate) const NUMBER: u64 = 1 << 50;
pub(crate) const HAS_VECTOR: u64 = 1 << 51;
pub(crate) const VECTOR_CURRENT: u64 = 1 << 52;
/// The user's flags and the deadline, which are about the content: they change without the epoch.
pub(crate) const ABOUT: u64 = 0xffff << 32 | 3 << 56;

/// Returns the epoch in a state word.
pub(crate) fn epoch(state: u64) -> u64 {
    state >> STATE_EPOCH & ((1 << STATE_EPOCH_BITS) - 1)
}

/// Words of the header, by their number.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(crate) enum Field {
    Slots = 2,
    MaxValueLen = 3,
    VectorDim = 4,
    Buckets = 6,
    MapAt = 10,
    RoutesAt = 11,
    RingsAt = 12,
    BucketsAt = 14,
    SlotsAt = 15,
    ValuesAt = 17,
    ValueStride = 18,
    VectorsAt = 19,
    VectorStride = 20,
    OwnersAt = 21,
}

/// The bytes of a store whose length is fixed.
#[derive(Debug)]
pub(crate) struct Raw {
    words: SharedWords,
    slots: usize,
    buckets: usize,
    slots_at: usize,
    buckets_at: usize,
}

impl Raw {
    /// Maps a store's memory again.
    ///
    /// # Errors
    /// One line if the kernel refuses.
    pub(crate) fn new(store: &Store) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("the store cannot be mapped again: {error}");
        let fd = store.fd().try_clone_to_owned().map_err(failed)?;
        let count = usize::try_from(store.arena_len() / 8).unwrap_or(0);
        let words = SharedWords::from_fd(fd, count).map_err(failed)?;
        let field = |field: Field| words.words()[field as usize].load(Relaxed) as usize;
        let (slots, buckets) = (field(Field::Slots), field(Field::Buckets));
        let (slots_at, buckets_at) = (field(Field::SlotsAt) / 8, field(Field::BucketsAt) / 8);
        Ok(Self { words, slots, buckets, slots_at, buckets_at })
    }

    /// Returns all words of the arena.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.words.words()
    }

    /// Returns the first word of a part.
    pub(crate) fn at(&self, field: Field) -> usize {
        self.words()[field as usize].load(Relaxed) as usize / 8
    }

    /// Returns how many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Tells whether a living thread owns a writer id.
    pub(crate) fn is_owned(&self, id: u32) -> bool {
        let (page, index) = (id as usize / OWNERS_A_PAGE, id as usize % OWNERS_A_PAGE);
        let end = self.at(Field::OwnersAt) + (page + 1) * OWNER_PAGE_WORDS;
        let owner = self.words()[end - OWNERS_A_PAGE + index].load(Acquire);
        owner & OWNER_THREAD != 0 && owner & OWNER_DIED == 0
    }

    /// Returns a slot's epoch.
    pub(crate) fn epoch(&self, slot: usize) -> u64 {
        epoch(self.state(slot))
    }

    /// Returns the writer id that claims a slot, if any.
    pub(crate) fn claimant(&self, slot: usize) -> Option<u32> {
        let state = self.state(slot);
        (epoch(state) & 1 != 0).then_some((state & STATE_WRITER) as u32)
    }

    /// Tells whether a slot holds a key.
    pub(crate) fn is_present(&self, slot: usize) -> bool {
        self.slot(slot)[DESCRIPTOR].load(Acquire) & PRESENT != 0
    }

    /// Returns the key in a slot, whether or not it is current.
    pub(crate) fn key(&self, slot: usize) -> Vec<u8> {
        let words = self.slot(slot)[KEY].iter();
        let bytes = words.flat_map(|word| word.load(Relaxed).to_le_bytes());
        bytes.take_while(|byte| *byte != 0).collect()
    }

    /// Tells whether a writer id claims any bucket of the index.
    pub(crate) fn holds_bucket(&self, id: u32) -> bool {
        let buckets = &self.words()[self.buckets_at..][..self.buckets * BUCKET_WORDS];
        buckets.iter().step_by(BUCKET_WORDS).any(|control| {
            let control = control.load(Acquire);
            control & CONTROL_CLAIMED != 0 && control >> CONTROL_WRITER_SHIFT & STATE_WRITER == u64::from(id)
        })
    }

    fn slot(&self, slot: usize) -> &[AtomicU64] {
        &self.words()[self.slots_at + slot * SLOT_WORDS..][..SLOT_WORDS]
    }

    fn state(&self, slot: usize) -> u64 {
        self.slot(slot)[0].load(Acquire)
    }
}
