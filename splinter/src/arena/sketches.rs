//! The table of sketches: for each slot, what a search estimates the similarity of its vector by. A sketch is derived
//! from the vector, and a hint: the writer that makes another vector current writes the sketch anew under the same claim.
//! No order of loads and stores rests on it.
//!
//! *A current vector's sketch has memory.* The writer stored the whole sketch before it published the vector, or touched
//! it before it committed. So a writer that recovers a claim takes no memory for it.

use super::Arena;
use super::copy::copy_vector_out;
use super::state::Descriptor;
use crate::arena::os::Os;
use crate::sketch::{self, Rotation};
use crate::sync::{Relaxed, Word};

/// Words in a page.
const PAGE_WORDS: usize = 512;

/// The sketches of a store's vectors.
#[derive(Clone, Copy)]
pub(crate) struct Sketches<'a> {
    /// The sketches, one behind the other.
    pub(crate) records: &'a [Word],
    /// Words of each.
    pub(crate) record_len: usize,
    rotation: &'a Rotation,
}

impl<'a> Sketches<'a> {
    pub(crate) fn new(records: &'a [Word], record_len: usize, rotation: &'a Rotation) -> Self {
        Self { records, record_len, rotation }
    }

    /// Borrows the rotation that all sketches of the store are made with.
    pub(crate) fn rotation(&self) -> &'a Rotation {
        self.rotation
    }

    /// Borrows the sketch of slot `number`.
    pub(crate) fn of(&self, number: u32) -> &'a [Word] {
        let at = number as usize * self.record_len;
        &self.records[at..at + self.record_len]
    }
}

/// Private memory in which sketches are made.
pub(crate) struct SketchBuffer {
    vector: Vec<f32>,
    record: Vec<u64>,
}

impl SketchBuffer {
    /// Takes the memory for a sketch of an arena, so that making one takes no more.
    pub(crate) fn new(arena: &Arena<'_>) -> Self {
        let sizes = arena.sketches.map(|sketches| (arena.shape.vector_dim as usize, sketches.record_len));
        let (dim, record_len) = sizes.unwrap_or_default();
        Self { vector: Vec::with_capacity(dim), record: Vec::with_capacity(record_len) }
    }
}

impl Arena<'_> {
    /// Makes the sketch of the vector that `descriptor` names, which `copy` copies out of its buffer; all zeroes if it
    /// names none.
    pub(crate) fn make_sketch<'b>(
        &self,
        sketches: &Sketches<'_>,
        number: u32,
        descriptor: Descriptor,
        buffer: &'b mut SketchBuffer,
        copy: impl FnOnce(&[Word], &mut [f32]),
    ) -> &'b [u64] {
        let SketchBuffer { vector, record } = buffer;
        record.clear();
        record.resize(sketches.record_len, 0);
        if descriptor.is_present()
            && let Some(which) = descriptor.vector()
        {
            vector.clear();
            vector.resize(self.shape.vector_dim as usize, 0.0);
            copy(self.vector(number, which), vector);
            sketch::encode(sketches.rotation(), vector, record);
        }
        record
    }

    /// Makes the sketch of slot `number` that of the vector that `descriptor` names; zeroes it if it names none. The
    /// caller holds the slot.
    pub(crate) fn write_sketch(&self, number: u32, descriptor: Descriptor, buffer: &mut SketchBuffer) {
        let Some(sketches) = &self.sketches else { return };
        let made = self.make_sketch(sketches, number, descriptor, buffer, copy_vector_out);
        self.store_sketch(sketches, number, made);
    }

    /// Does what [`Self::write_sketch`] does in a slot that a dead writer held, and takes no memory.
    pub(crate) fn recover_sketch(
        &self,
        number: u32,
        descriptor: Descriptor,
        buffer: &mut SketchBuffer,
        os: &dyn Os,
    ) {
        mutant!("sketch-unrecovered", return);
        let Some(sketches) = &self.sketches else { return };
        let (record, made) =
            (sketches.of(number), self.make_sketch(sketches, number, descriptor, buffer, copy_vector_out));
        if made[0] == 0 {
            // Perhaps there was none, so the dead writer may have died for want of memory for it.
            self.zero_used(record, 0..size_of_val(record), os);
        } else {
            self.store_sketch(sketches, number, made);
        }
    }

    /// Stores a sketch that was made of the vector of slot `number`, or all zeroes.
    fn store_sketch(&self, sketches: &Sketches<'_>, number: u32, made: &[u64]) {
        let (word, bit) = self.bit(number);
        if made[0] != 0 && word.sketched.load(Relaxed) & bit == 0 {
            word.sketched.fetch_or(bit, Relaxed);
        }
        for (word, made) in sketches.of(number).iter().zip(made) {
            word.store(*made, Relaxed);
        }
    }

    /// Touches the memory of a slot's sketch, because a writer that recovers a committed claim on it writes that. The caller
    /// holds the slot. The words are stored: the compiler may leave out an addition of nothing.
    pub(crate) fn touch_sketch(&self, number: u32) {
        mutant!("sketch-untouched", return);
        let Some(sketches) = &self.sketches else { return };
        let record = sketches.of(number);
        for word in record.iter().step_by(PAGE_WORDS).chain(record.last()) {
            word.store(word.load(Relaxed), Relaxed);
        }
    }
}
