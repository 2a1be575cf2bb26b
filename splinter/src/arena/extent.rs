//! Extents: how far into each of a slot's value buffers anything was written since all of it was zero. A writer raises
//! an extent before it writes beyond it, and whoever wipes goes by it. So wiping costs what was written, and touches no page
//! that was never used. Everything here acts on a slot that the caller has claimed.
//!
//! *Of a slot that nobody has claimed, every page that an extent reaches has been written.* A writer that died may have
//! raised an extent to where there is no memory, but by one step only: that is what [`Arena::trim`] takes back.

use super::Arena;
use super::copy::{copy_in, copy_in_at, copy_vector_in, zero};
use super::layout::Slot;
use super::state::{Attention, Meta};
use crate::arena::os::Os;
use crate::sync::{Relaxed, Release, Word, fence};
use std::ops::Range;

/// By how many bytes an extent is raised at most before they are written: a page, of which the models have small ones.
pub(crate) const STEP: usize = if cfg!(loom) { 64 } else { 4096 };

impl Arena<'_> {
    /// Returns how many bytes of value buffer `which` may not be zero, at most all of them.
    pub(crate) fn extent(&self, slot: &Slot, which: u64) -> usize {
        Attention(slot.attention.load(Relaxed)).extent(which).min(self.shape.value_words * 8)
    }

    /// Has the extent of value buffer `which` cover the first `end` bytes, which are written afterwards.
    #[inline(always)]
    pub(crate) fn raise_extent(&self, slot: &Slot, which: u64, end: usize) {
        let old = Attention(slot.attention.load(Relaxed));
        if old.extent(which) < end {
            slot.attention.store(old.with_extent(which, end).0, Relaxed);
            // The extent before the bytes: were this writer killed between the two, nobody would know of them.
            fence(Release);
        }
    }

    /// Whether the extent of value buffer `which` covers the first `end` bytes.
    #[inline(always)]
    pub(crate) fn is_covered(&self, slot: &Slot, which: u64, end: usize) -> bool {
        end <= Attention(slot.attention.load(Relaxed)).extent(which)
    }

    /// Writes `value` to the beginning of value buffer `which`, whose extent covers it if it is `COVERED`, and zeroes behind it as
    /// the level asks.
    #[inline(always)]
    pub(crate) fn write_value<const COVERED: bool>(
        &self,
        number: u32,
        slot: &Slot,
        which: u64,
        value: &[u8],
    ) {
        let (buffer, len) = (self.value(number, which), value.len());
        let tail = self.tail(len);
        if !COVERED && len > STEP && !self.is_covered(slot, which, len) {
            self.write_beyond(buffer, slot, which, 0, value);
            return zero(buffer, len, len + usize::from(tail));
        }
        if !COVERED {
            mutant!("extent-late", copy_in(buffer, value, tail));
            self.raise_extent(slot, which, len);
        }
        copy_in(buffer, value, tail);
    }

    /// Returns the meta word that puts the slot's number in force.
    pub(crate) fn holding_number(&self, slot: &Slot, old: Meta) -> Meta {
        let written = Attention(slot.attention.load(Relaxed)).is_written();
        old.holding_number().with_values_stale(written.into())
    }

    /// Writes `more` to value buffer `which` behind its first `at` bytes, and zeroes behind it as the level asks.
    #[inline(always)]
    pub(crate) fn append(&self, number: u32, slot: &Slot, which: u64, at: usize, more: &[u8]) {
        let (buffer, end) = (self.value(number, which), at + more.len());
        if self.is_covered(slot, which, end) {
            copy_in_at(buffer, at, more);
        } else {
            self.write_beyond(buffer, slot, which, at, more);
        }
        zero(buffer, end, end + usize::from(self.tail(end)));
    }

    /// Writes `bytes` to a value buffer from byte `at` on, and has the extent cover them.
    ///
    /// That goes step by step with the writing: a page that is not to be had ends the process, and then the extent reaches
    /// no other such page.
    #[cold]
    #[inline(never)]
    fn write_beyond(&self, buffer: &[Word], slot: &Slot, which: u64, mut at: usize, bytes: &[u8]) {
        for piece in bytes.chunks(STEP) {
            mutant!("extent-late", copy_in_at(buffer, at, piece));
            self.raise_extent(slot, which, at + piece.len());
            copy_in_at(buffer, at, piece);
            at += piece.len();
        }
    }

    /// Writes `vector` to the vector buffer that is not in force. Returns the meta word that puts it in force.
    pub(crate) fn write_vector(&self, number: u32, slot: &Slot, old: Meta, vector: &[f32]) -> Meta {
        let which = 1 - old.vector_current();
        let meta = old.with_vector_stale(old.vector_stale() | 1 << which);
        if meta != old {
            // The bit before the bytes, as with an extent.
            slot.meta.store(meta.0, Release);
            fence(Release);
        }
        copy_vector_in(self.vector(number, which), vector);
        meta.with_has_vector(1).with_vector_current(which)
    }

    /// Takes back what a dead owner of the claim may have reached without having the memory for it: the last step of
    /// each extent, and a vector buffer that is not in force. They are zeroed as far as there is memory for them, and no
    /// memory is taken. Returns the meta word that says so.
    pub(crate) fn trim(&self, number: u32, slot: &Slot, meta: Meta, host: &dyn Os) -> Meta {
        let mut attention = Attention(slot.attention.load(Relaxed));
        for which in 0..2 {
            let end = self.extent(slot, which);
            let from = end.saturating_sub(STEP).max(self.live(meta, which)).min(end);
            self.zero_used(self.value(number, which), from..end, host);
            attention = attention.with_extent(which, from);
        }
        // Release: whoever finds the extents lowered finds the bytes zero.
        slot.attention.store(attention.0, Release);
        let meta = meta.with_values_stale(meta.number() & u64::from(attention.is_written()));
        for which in 0..2 {
            if meta.vector_stale() & 1 << which != 0 && !meta.is_vector_in(which) {
                let buffer = self.vector(number, which);
                self.zero_used(buffer, 0..buffer.len() * 8, host);
            }
        }
        meta.with_vectors_wiped()
    }

    /// Returns how many bytes of value buffer `which` the slot's value needs.
    pub(crate) fn live(&self, meta: Meta, which: u64) -> usize {
        let holds = meta.is_buffered() && meta.current() == which;
        if holds { self.len_of(meta) } else { 0 }
    }

    /// Zeroes those of a buffer's `bytes` for which there is memory: all others read as zero, and would take memory.
    fn zero_used(&self, buffer: &[Word], bytes: Range<usize>, host: &dyn Os) {
        if bytes.is_empty() {
            return;
        }
        let at = self.offset_of(buffer);
        for part in host.used(at + bytes.start..at + bytes.end) {
            zero(buffer, part.start - at, part.end - at);
        }
    }

    /// Whether there is memory for a record. Looking at one for which there is none would take some.
    pub(crate) fn is_used<T>(&self, record: &T, host: &dyn Os) -> bool {
        let at = self.offset_of(std::slice::from_ref(record));
        !host.used(at..at + size_of::<T>()).is_empty()
    }

    /// Returns where in the arena something lies that was borrowed from it, in bytes.
    pub(crate) fn offset_of<T>(&self, records: &[T]) -> usize {
        records.as_ptr().addr().wrapping_sub(self.words.as_ptr().addr())
    }
}
