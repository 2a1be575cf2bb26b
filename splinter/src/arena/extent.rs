//! Extents: how far from its beginning a value buffer may have bytes that are not zero. A writer raises an extent
//! before it writes beyond it, and wiping goes no farther. So wiping costs what was written, and touches no page that
//! was never used. The caller of everything here has claimed the slot.
//!
//! *Every page that an extent of an unclaimed slot reaches has been written.* A writer that died may have raised an
//! extent to where there is no memory, but by one step only. [`Arena::lower_extents`] takes that step back.

use super::Arena;
use super::copy::{copy_in, copy_in_at, copy_vector_in, zero};
use super::records::Slot;
use super::state::{Descriptor, NotifyFlags};
use crate::arena::os::Os;
use crate::sync::{Relaxed, Release, Word, fence};
use std::ops::Range;

/// By how many bytes a writer raises an extent at most before it writes them: a page, and less in the models.
pub(crate) const STEP: usize = if cfg!(loom) { 64 } else { 4096 };

impl Arena<'_> {
    /// Returns how many bytes of value buffer `which`, from its beginning on, may not be zero. Clamped to the buffer.
    pub(crate) fn extent(&self, slot: &Slot, which: u64) -> usize {
        NotifyFlags(slot.notify_flags.load(Relaxed)).extent(which).min(self.shape.value_words * 8)
    }

    /// Raises the extent of value buffer `which` to the first `end` bytes, which the caller writes afterwards.
    #[inline(always)]
    pub(crate) fn raise_extent(&self, slot: &Slot, which: u64, end: usize) {
        let old = NotifyFlags(slot.notify_flags.load(Relaxed));
        if old.extent(which) < end {
            slot.notify_flags.store(old.with_extent(which, end).0, Relaxed);
            // The extent before the bytes: if this writer were killed between the two, nobody would know of the bytes.
            fence(Release);
        }
    }

    /// Whether the extent of value buffer `which` covers the first `end` bytes.
    #[inline(always)]
    pub(crate) fn is_covered(&self, slot: &Slot, which: u64, end: usize) -> bool {
        end <= NotifyFlags(slot.notify_flags.load(Relaxed)).extent(which)
    }

    /// Writes `value` to the beginning of value buffer `which`, whose extent covers it if `COVERED`. Zeroes behind it
    /// as the level asks.
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

    /// Returns the descriptor that makes the slot's number current.
    pub(crate) fn holding_integer(&self, slot: &Slot, old: Descriptor) -> Descriptor {
        let written = NotifyFlags(slot.notify_flags.load(Relaxed)).is_written();
        old.holding_integer().with_values_stale(written.into())
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

    /// Writes `bytes` to a value buffer from byte `at` on, and raises the extent with them, step by step.
    ///
    /// A page that the kernel cannot provide ends the process. So the extent reaches at most one such page.
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

    /// Writes `vector` to the vector buffer that is not current. Returns the descriptor that makes it current.
    pub(crate) fn write_vector(
        &self,
        number: u32,
        slot: &Slot,
        old: Descriptor,
        vector: &[f32],
    ) -> Descriptor {
        let which = 1 - old.vector_current();
        let descriptor = old.with_vector_stale(old.vector_stale() | 1 << which);
        if descriptor != old {
            // The bit before the bytes, as with an extent.
            slot.descriptor.store(descriptor.0, Release);
            fence(Release);
        }
        copy_vector_in(self.vector(number, which), vector);
        descriptor.with_has_vector(1).with_vector_current(which)
    }

    /// Takes back the bytes for which a dead owner may have had no memory: the last step of each extent, and a vector
    /// buffer that is not current. Zeroes those of them that have memory, and takes no memory. Returns the descriptor
    /// that records it.
    pub(crate) fn lower_extents(
        &self,
        number: u32,
        slot: &Slot,
        descriptor: Descriptor,
        os: &dyn Os,
    ) -> Descriptor {
        let mut notify_flags = NotifyFlags(slot.notify_flags.load(Relaxed));
        for which in 0..2 {
            let end = self.extent(slot, which);
            let from = end.saturating_sub(STEP).max(self.live(descriptor, which)).min(end);
            self.zero_used(self.value(number, which), from..end, os);
            notify_flags = notify_flags.with_extent(which, from);
        }
        // Release: a thread that sees the lowered extents sees the zeroes.
        slot.notify_flags.store(notify_flags.0, Release);
        let descriptor =
            descriptor.with_values_stale(descriptor.integer() & u64::from(notify_flags.is_written()));
        for which in 0..2 {
            if descriptor.vector_stale() & 1 << which != 0 && !descriptor.is_vector_in(which) {
                let buffer = self.vector(number, which);
                self.zero_used(buffer, 0..buffer.len() * 8, os);
            }
        }
        descriptor.with_vectors_wiped()
    }

    /// Returns how many bytes of value buffer `which` the slot's value takes.
    pub(crate) fn live(&self, descriptor: Descriptor, which: u64) -> usize {
        let is_live = descriptor.is_present() && !descriptor.is_integer() && descriptor.current() == which;
        if is_live { self.len_of(descriptor) } else { 0 }
    }

    /// Zeroes those of a buffer's `bytes` that have memory. The others read as zero, and writing them would take
    /// memory.
    pub(super) fn zero_used(&self, buffer: &[Word], bytes: Range<usize>, os: &dyn Os) {
        if bytes.is_empty() {
            return;
        }
        let at = self.offset_of(buffer);
        for part in os.used(at + bytes.start..at + bytes.end) {
            zero(buffer, part.start - at, part.end - at);
        }
    }

    /// Whether a record has memory. Reading one that has none would take some.
    pub(crate) fn is_used<T>(&self, record: &T, os: &dyn Os) -> bool {
        let at = self.offset_of(std::slice::from_ref(record));
        !os.used(at..at + size_of::<T>()).is_empty()
    }

    /// Returns the offset in the arena, in bytes, of something that was borrowed from it.
    pub(crate) fn offset_of<T>(&self, records: &[T]) -> usize {
        records.as_ptr().addr().wrapping_sub(self.words.as_ptr().addr())
    }
}
