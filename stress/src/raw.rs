//! A store's bytes as they lie in its memory, by a second mapping that shares no code with the library:
//! the offsets come from the header's own words, as `splinter/docs/design.md` describes the format. For
//! those who look at a dead writer's claims, and for those who do damage.

use crate::shared::SharedWords;
use splinter::Store;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// Where the words lie that say which thread owns a lane: four at the end of each page, in words.
const OWNER_PAGE_WORDS: usize = 512;
const OWNERS_A_PAGE: usize = 4;
/// In an owner word: the thread, and the mark that it has ended.
const OWNER_THREAD: u64 = (1 << 30) - 1;
const OWNER_DIED: u64 = 1 << 30;
/// Bytes of a slot's record; words of one, and of a chunk.
pub(crate) const SLOT_BYTES: usize = 128;
const SLOT_WORDS: usize = SLOT_BYTES / 8;
pub(crate) const CHUNK_WORDS: usize = 8;
/// In a slot's record: its meta word, and its key.
const META: usize = 2;
const KEY: Range<usize> = 4..12;
/// In the state word: the epoch's lowest bit, and the lane.
pub(crate) const STATE_EPOCH_SHIFT: u32 = 13;
const STATE_LANE: u64 = 0x3ff;
/// In a chunk's control word.
pub(crate) const CONTROL_CLAIMED: u64 = 1 << 26;
const CONTROL_LANE_SHIFT: u32 = 16;
/// Bits of the meta word: the value buffer that is in force, whether there is a key, whether its value is an integer in
/// place, whether it has a vector, and which of the two is in force.
pub(crate) const CURRENT: u64 = 1 << 48;
pub(crate) const PRESENT: u64 = 1 << 49;
pub(crate) const NUMBER: u64 = 1 << 50;
pub(crate) const HAS_VECTOR: u64 = 1 << 51;
pub(crate) const VECTOR_CURRENT: u64 = 1 << 52;

/// Words of the header that say where things lie, by their number.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(crate) enum Field {
    Slots = 2,
    MaxValueLen = 3,
    VectorDim = 4,
    Chunks = 6,
    MapAt = 10,
    RoutesAt = 11,
    RingsAt = 12,
    ChunksAt = 14,
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
    chunks: usize,
    slots_at: usize,
    chunks_at: usize,
}

impl Raw {
    /// Maps a store's memory once more.
    ///
    /// # Errors
    /// One line if the kernel refuses.
    pub(crate) fn new(store: &Store) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("the store cannot be mapped again: {error}");
        let fd = store.fd().try_clone_to_owned().map_err(failed)?;
        let count = usize::try_from(store.arena_len() / 8).unwrap_or(0);
        let words = SharedWords::from_fd(fd, count).map_err(failed)?;
        let field = |field: Field| words.words()[field as usize].load(Relaxed) as usize;
        let (slots, chunks) = (field(Field::Slots), field(Field::Chunks));
        let (slots_at, chunks_at) = (field(Field::SlotsAt) / 8, field(Field::ChunksAt) / 8);
        Ok(Self {
            words,
            slots,
            chunks,
            slots_at,
            chunks_at,
        })
    }

    /// Returns all words of the arena.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.words.words()
    }

    /// Returns where something begins, as a number of words.
    pub(crate) fn at(&self, field: Field) -> usize {
        self.words()[field as usize].load(Relaxed) as usize / 8
    }

    /// Returns how many slots there are.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Tells whether a thread that lives owns a lane.
    pub(crate) fn is_owned(&self, lane: u32) -> bool {
        let (page, index) = (lane as usize / OWNERS_A_PAGE, lane as usize % OWNERS_A_PAGE);
        let end = self.at(Field::OwnersAt) + (page + 1) * OWNER_PAGE_WORDS;
        let owner = self.words()[end - OWNERS_A_PAGE + index].load(Acquire);
        owner & OWNER_THREAD != 0 && owner & OWNER_DIED == 0
    }

    /// Returns a slot's epoch.
    pub(crate) fn epoch(&self, slot: usize) -> u64 {
        self.state(slot) >> STATE_EPOCH_SHIFT
    }

    /// Returns the lane that holds a slot, if one does.
    pub(crate) fn claimant(&self, slot: usize) -> Option<u32> {
        let state = self.state(slot);
        (state >> STATE_EPOCH_SHIFT & 1 != 0).then_some((state & STATE_LANE) as u32)
    }

    /// Tells whether a slot holds a key.
    pub(crate) fn is_present(&self, slot: usize) -> bool {
        self.slot(slot)[META].load(Acquire) & PRESENT != 0
    }

    /// Returns the key that stands in a slot, whether or not it is in force.
    pub(crate) fn key(&self, slot: usize) -> Vec<u8> {
        let words = self.slot(slot)[KEY].iter();
        let bytes = words.flat_map(|word| word.load(Relaxed).to_le_bytes());
        bytes.take_while(|byte| *byte != 0).collect()
    }

    /// Tells whether a lane holds any chunk of the index.
    pub(crate) fn holds_chunk(&self, lane: u32) -> bool {
        let chunks = &self.words()[self.chunks_at..][..self.chunks * CHUNK_WORDS];
        chunks.iter().step_by(CHUNK_WORDS).any(|control| {
            let control = control.load(Acquire);
            control & CONTROL_CLAIMED != 0
                && control >> CONTROL_LANE_SHIFT & STATE_LANE == u64::from(lane)
        })
    }

    fn slot(&self, slot: usize) -> &[AtomicU64] {
        &self.words()[self.slots_at + slot * SLOT_WORDS..][..SLOT_WORDS]
    }

    fn state(&self, slot: usize) -> u64 {
        self.slot(slot)[0].load(Acquire)
    }
}
