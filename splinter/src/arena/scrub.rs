//! Scrubbing: which bytes of a slot a level wants zero. Everything here acts on a slot that the caller has
//! claimed, and on bytes that no reader whose copy could still be accepted reads.

use super::copy::zero;
use super::layout::Slot;
use super::state::{Attention, Meta};
use super::{Arena, HYBRID_LINE, Scrub};
use crate::arena::os::Os;
use crate::sync::{Relaxed, Release};

impl Arena<'_> {
    /// Whether a number's slot holds what no write may leave: a vector, which goes with the value it was
    /// made for, or stale bytes at level full.
    #[inline(always)]
    pub(crate) fn holds_stale(&self, meta: Meta) -> bool {
        let stale = meta.values_stale() != 0 || meta.vector_stale() != 0;
        meta.has_vector() != 0 || stale && self.scrub() == Scrub::Full
    }

    /// Zeroes every byte of the slot that `meta` does not need; of a vacant slot, everything. Returns
    /// the meta word that says so. Bytes that were never written are not touched.
    pub(crate) fn wipe(&self, number: u32, slot: &Slot, meta: Meta) -> Meta {
        self.wipe_values(number, slot, meta);
        for which in 0..2 {
            if meta.vector_stale() & 1 << which != 0 && !meta.is_vector_in(which) {
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
        meta.with_values_stale(0).with_vectors_wiped()
    }

    /// Zeroes the value bytes that `meta` does not need, as far as the extents reach, and lowers these.
    fn wipe_values(&self, number: u32, slot: &Slot, meta: Meta) {
        let mut attention = Attention(slot.attention.load(Relaxed));
        for which in 0..2 {
            let (live, extent) = (self.live(meta, which), self.extent(slot, which));
            if live < extent {
                zero(self.value(number, which), live, extent);
                attention = attention.with_extent(which, live);
            }
        }
        // Release: whoever finds the extents lowered finds the bytes zero.
        slot.attention.store(attention.0, Release);
        if !meta.is_number() {
            slot.state_number.store_second(0);
        }
    }

    /// Zeroes what the level asks for when a slot has lost its key.
    pub(crate) fn wipe_vacant(&self, number: u32, slot: &Slot, meta: Meta) -> Meta {
        mutant!("removal-unscrubbed", return meta);
        match self.scrub() {
            Scrub::None => {}
            Scrub::Hybrid => self.wipe_values(number, slot, meta),
            Scrub::Full => return self.wipe(number, slot, meta),
        }
        meta
    }

    /// Zeroes what the level asks for in a slot that a dead writer held, and at any level what it may have had no memory
    /// for. Returns the meta word that says so.
    pub(crate) fn wipe_behind(&self, number: u32, slot: &Slot, meta: Meta, host: &dyn Os) -> Meta {
        let meta = self.trim(number, slot, meta, host);
        if !meta.is_present() || self.scrub() == Scrub::Full {
            return self.wipe_vacant(number, slot, meta);
        }
        if self.scrub() == Scrub::Hybrid && !meta.is_number() {
            let len = self.len_of(meta);
            zero(self.value(number, meta.current()), len, len.next_multiple_of(HYBRID_LINE));
        }
        meta
    }

    /// Computes how many bytes behind a value of `len` bytes are zeroed while it is written.
    #[inline(always)]
    pub(crate) fn tail(&self, len: usize) -> u8 {
        mutant!("tail-unscrubbed", return 0);
        if self.scrub() == Scrub::None { 0 } else { (len.wrapping_neg() % HYBRID_LINE) as u8 }
    }
}
