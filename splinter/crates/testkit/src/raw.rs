//! A store's bytes as they lie in its file, by a way that shares no code with the crate: the offsets
//! come from the header's own words, as the format describes them.

use splinter::Store;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// A store's file, read beside the mapping.
pub struct Raw {
    file: File,
    values_at: u64,
    value_stride: u64,
    vectors_at: u64,
    vector_stride: u64,
    slots_at: u64,
    slot_stride: u64,
    buckets_at: u64,
    buckets: u64,
    max_value_len: u64,
    vector_len: u64,
    sketches_at: u64,
    /// 0 in a store without sketches.
    sketch_len: u64,
}

/// The header words that say where things lie, by their place in the header.
const SLOTS: u64 = 2;
const MAX_VALUE_LEN: u64 = 3;
const VECTOR_DIM: u64 = 4;
const BUCKETS: u64 = 6;
const ARENA_LEN: u64 = 8;
const BUCKETS_AT: u64 = 14;
const SLOTS_AT: u64 = 15;
const SKETCHES: u64 = 27;

impl Raw {
    /// Opens the file of a store.
    pub fn new(store: &Store) -> Self {
        let file = File::from(store.fd().try_clone_to_owned().expect("a descriptor"));
        let word = |number: u64| {
            let mut bytes = [0; 8];
            file.read_exact_at(&mut bytes, number * 8).expect("a word");
            u64::from_le_bytes(bytes)
        };
        let [slots, max_value_len, dim, arena_len] = [SLOTS, MAX_VALUE_LEN, VECTOR_DIM, ARENA_LEN].map(word);
        let sketch_len = if word(SKETCHES) == 0 { 0 } else { 8 + dim.div_ceil(64) * 8 };
        let [slots_at, slot_stride, values_at, value_stride, vectors_at, vector_stride] =
            [0, 1, 2, 3, 4, 5].map(|place| word(SLOTS_AT + place));
        Self {
            values_at,
            value_stride,
            vectors_at,
            vector_stride,
            slots_at,
            slot_stride,
            max_value_len,
            buckets_at: word(BUCKETS_AT),
            buckets: word(BUCKETS),
            vector_len: dim * 4,
            // The last part of the store.
            sketches_at: arena_len - (slots * sketch_len).next_multiple_of(4096),
            sketch_len,
            file,
        }
    }

    /// Reads bytes from a place in the file.
    pub fn bytes(&self, at: u64, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        self.file.read_exact_at(&mut bytes, at).expect("bytes");
        bytes
    }

    /// Reads the whole file.
    pub fn whole(&self) -> Vec<u8> {
        self.bytes(0, self.file.metadata().expect("metadata").len())
    }

    /// Finds the slot of a key that is present.
    pub fn slot(&self, store: &Store, key: impl AsRef<[u8]>) -> u64 {
        let at = store.snapshot(key).expect("a present key").value_offset;
        if at < self.values_at {
            (at - self.slots_at) / self.slot_stride
        } else {
            (at - self.values_at) / self.value_stride
        }
    }

    /// Reads the buffer that holds the current value, and then the other.
    pub fn buffers(&self, store: &Store, key: impl AsRef<[u8]>) -> [Vec<u8>; 2] {
        let key = key.as_ref();
        let slot = self.slot(store, key);
        let at = store.snapshot(key).expect("a present key").value_offset;
        let both = self.both(slot);
        if at == self.values_at + slot * self.value_stride {
            both
        } else {
            let [first, second] = both;
            [second, first]
        }
    }

    /// Reads both value buffers of a slot, whole.
    pub fn both(&self, slot: u64) -> [Vec<u8>; 2] {
        let len = self.max_value_len.next_multiple_of(64);
        let at = self.values_at + slot * self.value_stride;
        [self.bytes(at, len), self.bytes(at + len, len)]
    }

    /// Reads both vector buffers of a slot, whole.
    pub fn vectors(&self, slot: u64) -> [Vec<u8>; 2] {
        let len = self.vector_len.next_multiple_of(64);
        let at = self.vectors_at + slot * self.vector_stride;
        [self.bytes(at, len), self.bytes(at + len, len)]
    }

    /// Returns where the sketch of a slot begins in the file.
    #[must_use]
    pub fn sketch_at(&self, slot: u64) -> u64 {
        self.sketches_at + slot * self.sketch_len
    }

    /// Reads the sketch of a slot; of a store without sketches, nothing.
    #[must_use]
    pub fn sketch(&self, slot: u64) -> Vec<u8> {
        self.bytes(self.sketch_at(slot), self.sketch_len)
    }

    /// Tells whether a writer, living or dead, holds one of the first `slots` slots.
    pub fn is_any_claimed(&self, slots: u64) -> bool {
        let records = self.bytes(self.slots_at, slots * self.slot_stride);
        records.chunks(self.slot_stride as usize).any(|record| record[1] & 1 << 5 != 0)
    }

    /// Reads the key that a slot holds, whether or not its deadline has passed, and the slot's epoch.
    pub fn holder(&self, slot: u32) -> Option<(Vec<u8>, u64)> {
        let record = self.bytes(self.slots_at + u64::from(slot) * self.slot_stride, 96);
        let word = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().expect("eight bytes"));
        let key: Vec<u8> = record[32..].iter().copied().take_while(|byte| *byte != 0).collect();
        (word(16) & 1 << 49 != 0).then(|| (key, word(0) >> 13 & ((1 << 50) - 1)))
    }

    /// Reads the key bytes of a slot.
    pub fn key(&self, slot: u64) -> Vec<u8> {
        self.bytes(self.slots_at + slot * self.slot_stride + 32, 64)
    }

    /// Reads what lies behind the key of a slot: the prepared descriptor, labels and times.
    pub fn times_and_labels(&self, slot: u64) -> Vec<u8> {
        self.bytes(self.slots_at + slot * self.slot_stride + 96, 32)
    }

    /// Reads the number word of a slot.
    pub fn number(&self, slot: u64) -> Vec<u8> {
        self.bytes(self.slots_at + slot * self.slot_stride + 8, 8)
    }

    /// Whether a slot's value is its number word.
    #[must_use]
    pub fn holds_number(&self, slot: u64) -> bool {
        let descriptor = self.bytes(self.slots_at + slot * self.slot_stride + 16, 8);
        descriptor[6] & 0b100 != 0
    }

    /// Reads the index: of each bucket its control word and its entries.
    pub fn index(&self) -> Vec<[u64; 8]> {
        let bytes = self.bytes(self.buckets_at, self.buckets * 64);
        let word = |word: &[u8]| u64::from_le_bytes(word.try_into().expect("eight bytes"));
        let bucket = |bucket: &[u8]| std::array::from_fn(|at| word(&bucket[at * 8..at * 8 + 8]));
        bytes.chunks(64).map(bucket).collect()
    }

    /// Sums the max probe distances of all buckets: how many buckets past their home the keys of each were pushed.
    pub fn probe_distances(&self) -> u64 {
        let bytes = self.bytes(self.buckets_at, self.buckets * 64);
        let distance = |bucket: &[u8]| u64::from(bucket[0]) | u64::from(bucket[1]) << 8;
        bytes.chunks(64).map(distance).sum()
    }

    /// Tells whether `needle` occurs anywhere in the file.
    pub fn contains(&self, needle: &[u8]) -> bool {
        self.whole().windows(needle.len()).any(|window| window == needle)
    }
}
