//! Scrubbing: which bytes of a slot a level wants zero. Everything here acts on a slot that the caller has
//! claimed, and on bytes that no reader whose copy could still be accepted reads.

use super::copy::zero;
use super::records::Slot;
use super::state::{Descriptor, NotifyFlags};
use super::{Arena, HYBRID_LINE, Scrub};
use crate::arena::os::Os;
use crate::sync::{Relaxed, Release};

impl Arena<'_> {
    /// Whether a number's slot holds what no write may leave: a vector, which goes with the value it was
    /// made for, or stale bytes at level full.
    #[inline(always)]
    pub(crate) fn holds_stale(&self, descriptor: Descriptor) -> bool {
        let stale = descriptor.values_stale() != 0 || descriptor.vector_stale() != 0;
        descriptor.has_vector() != 0 || stale && self.scrub() == Scrub::Full
    }

    /// Zeroes every byte of the slot that `descriptor` does not need; of a vacant slot, everything. Returns
    /// the descriptor that says so. Bytes that were never written are not touched.
    pub(crate) fn wipe(&self, number: u32, slot: &Slot, descriptor: Descriptor) -> Descriptor {
        self.wipe_values(number, slot, descriptor);
        for which in 0..2 {
            if descriptor.vector_stale() & 1 << which != 0 && !descriptor.is_vector_in(which) {
                let buffer = self.vector(number, which);
                zero(buffer, 0, buffer.len() * 8);
            }
        }
        if !descriptor.is_present() {
            let others = [&slot.labels, &slot.ctime, &slot.atime, &slot.prepared];
            for word in slot.key.iter().chain(others) {
                word.store(0, Relaxed);
            }
        }
        descriptor.with_values_stale(0).with_vectors_wiped()
    }

    /// Zeroes the value bytes that `descriptor` does not need, as far as the extents reach, and lowers these.
    fn wipe_values(&self, number: u32, slot: &Slot, descriptor: Descriptor) {
        let mut notify_flags = NotifyFlags(slot.notify_flags.load(Relaxed));
        for which in 0..2 {
            let (live, extent) = (self.live(descriptor, which), self.extent(slot, which));
            if live < extent {
                zero(self.value(number, which), live, extent);
                notify_flags = notify_flags.with_extent(which, live);
            }
        }
        // Release: whoever finds the extents lowered finds the bytes zero.
        slot.notify_flags.store(notify_flags.0, Release);
        if !descriptor.is_number() {
            slot.state_number.store_second(0);
        }
    }

    /// Zeroes what the level asks for when a slot has lost its key.
    pub(crate) fn wipe_vacant(&self, number: u32, slot: &Slot, descriptor: Descriptor) -> Descriptor {
        mutant!("removal-unscrubbed", return descriptor);
        match self.scrub() {
            Scrub::None => {}
            Scrub::Hybrid => self.wipe_values(number, slot, descriptor),
            Scrub::Full => return self.wipe(number, slot, descriptor),
        }
        descriptor
    }

    /// Zeroes what the level asks for in a slot that a dead writer held, and at any level what it may have had no memory
    /// for. Returns the descriptor that says so.
    pub(crate) fn wipe_behind(
        &self,
        number: u32,
        slot: &Slot,
        descriptor: Descriptor,
        os: &dyn Os,
    ) -> Descriptor {
        let descriptor = self.trim(number, slot, descriptor, os);
        if !descriptor.is_present() || self.scrub() == Scrub::Full {
            return self.wipe_vacant(number, slot, descriptor);
        }
        if self.scrub() == Scrub::Hybrid && !descriptor.is_number() {
            let len = self.len_of(descriptor);
            zero(self.value(number, descriptor.current()), len, len.next_multiple_of(HYBRID_LINE));
        }
        descriptor
    }

    /// Computes how many bytes behind a value of `len` bytes are zeroed while it is written.
    #[inline(always)]
    pub(crate) fn tail(&self, len: usize) -> u8 {
        mutant!("tail-unscrubbed", return 0);
        if self.scrub() == Scrub::None { 0 } else { (len.wrapping_neg() % HYBRID_LINE) as u8 }
    }
}
