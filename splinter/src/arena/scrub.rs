//! Scrubbing: which bytes of a slot a level wants zero. Everything here acts on a slot that the caller has
//! claimed, and on bytes that no reader whose copy could still be accepted reads.

use super::copy::zero;
use super::layout::Slot;
use super::state::Meta;
use super::{Arena, HYBRID_LINE, Scrub};
use crate::sync::Relaxed;

impl Arena<'_> {
    /// Whether a number's slot holds what no write may leave: a vector, which goes with the value it was
    /// made for, or stale bytes at level full.
    #[inline(always)]
    pub(crate) fn holds_stale(&self, meta: Meta) -> bool {
        let stale = meta.high() != 0 || meta.vector_stale() != 0;
        meta.has_vector() != 0 || stale && self.scrub() == Scrub::Full
    }

    /// Zeroes every byte of the slot that `meta` does not need; of a vacant slot, everything. Returns
    /// the meta word that says so. Bytes that were never written are not touched.
    pub(crate) fn wipe(&self, number: u32, slot: &Slot, meta: Meta) -> Meta {
        let live = if meta.is_present() && !meta.is_number() { self.len_of(meta) } else { 0 };
        let meta = self.wipe_values(number, slot, meta, live);
        for which in 0..2 {
            let live = meta.has_vector() != 0 && meta.vector_current() == which;
            if meta.vector_stale() != 0 && !live {
                let buffer = self.vector(number, which);
                zero(buffer, 0, buffer.len() * 8);
            }
        }
        if !meta.is_present() {
            let others = [&slot.labels, &slot.ctime, &slot.atime, &slot.pending];
            for word in slot.key.iter().chain(others) {
                word.store(0, Relaxed);
            }
        }
        meta.with_vector_stale(meta.has_vector())
    }

    /// Zeroes the value bytes behind the first `live` of the current buffer, and the other buffer.
    fn wipe_values(&self, number: u32, slot: &Slot, meta: Meta, live: usize) -> Meta {
        let written = meta.written(self.shape.value_words * 8);
        for which in 0..2 {
            let from = if which == meta.current() { live } else { 0 };
            zero(self.value(number, which), from.min(written), written);
        }
        if !meta.is_number() {
            slot.state_number.store_second(0);
        }
        meta.with_high(0).covering(live)
    }

    /// Zeroes what the level asks for when a slot has lost its key.
    pub(crate) fn wipe_vacant(&self, number: u32, slot: &Slot, meta: Meta) -> Meta {
        mutant!("removal-unscrubbed", return meta);
        match self.scrub() {
            Scrub::None => meta,
            Scrub::Hybrid => self.wipe_values(number, slot, meta, 0),
            Scrub::Full => self.wipe(number, slot, meta),
        }
    }

    /// Zeroes what the level asks for in a slot that a dead writer held.
    pub(crate) fn wipe_behind(&self, number: u32, slot: &Slot, meta: Meta) -> Meta {
        if !meta.is_present() || self.scrub() == Scrub::Full {
            return self.wipe_vacant(number, slot, meta);
        }
        if self.scrub() == Scrub::Hybrid && !meta.is_number() {
            let len = self.len_of(meta);
            zero(self.value(number, meta.current()), len, len.next_multiple_of(HYBRID_LINE));
        }
        meta
    }

    /// Computes up to where a value of `len` bytes is zeroed while it is written.
    #[inline(always)]
    pub(crate) fn zero_to(&self, len: usize) -> usize {
        mutant!("tail-unscrubbed", return len);
        if self.scrub() == Scrub::None { len } else { len.next_multiple_of(HYBRID_LINE) }
    }
}
