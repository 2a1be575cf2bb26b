//! Scrubbing: zeroes the stale bytes of a slot that its level asks for. The caller of everything here has claimed the
//! slot. No reader whose copy could still validate reads the bytes that are zeroed.

use super::copy::zero;
use super::records::Slot;
use super::state::{Descriptor, NotifyFlags};
use super::{Arena, HYBRID_LINE, Scrub};
use crate::arena::os::Os;
use crate::sync::{Relaxed, Release};

impl Arena<'_> {
    /// Whether a number's slot holds something that no write may leave: the vector of an older value, or stale bytes at
    /// level full.
    #[inline(always)]
    pub(crate) fn holds_stale(&self, descriptor: Descriptor) -> bool {
        let stale = descriptor.values_stale() != 0 || descriptor.vector_stale() != 0;
        descriptor.has_vector() != 0 || stale && self.scrub() == Scrub::Full
    }

    /// Whether a slot that had the descriptor `old` holds something that the descriptor `new` does not need. A number
    /// over a number leaves nothing.
    pub(crate) fn retires(&self, old: Descriptor, new: Descriptor) -> bool {
        !(old.is_integer() && new.is_integer()) || self.holds_stale(old)
    }

    /// Zeroes every byte of the slot that `descriptor` does not need; of a vacant slot, everything. Touches no bytes
    /// that were never written. Returns the descriptor that records it.
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
            let beside = [&self.metadata[number as usize].prepared_labels];
            for word in slot.key.iter().chain(others).chain(beside) {
                word.store(0, Relaxed);
            }
        }
        descriptor.with_values_stale(0).with_vectors_wiped()
    }

    /// Zeroes the value bytes that `descriptor` does not need, up to the extents, and lowers the extents.
    fn wipe_values(&self, number: u32, slot: &Slot, descriptor: Descriptor) {
        let mut notify_flags = NotifyFlags(slot.notify_flags.load(Relaxed));
        for which in 0..2 {
            let (live, extent) = (self.live(descriptor, which), self.extent(slot, which));
            if live < extent {
                zero(self.value(number, which), live, extent);
                notify_flags = notify_flags.with_extent(which, live);
            }
        }
        // Release: a thread that sees the lowered extents sees the zeroes.
        slot.notify_flags.store(notify_flags.0, Release);
        if !descriptor.is_integer() {
            slot.state_integer.store_second(0);
        }
    }

    /// Zeroes what the level asks for in a slot that has lost its key.
    pub(crate) fn wipe_freed(&self, number: u32, slot: &Slot, descriptor: Descriptor) -> Descriptor {
        mutant!("removal-unscrubbed", return descriptor);
        match self.scrub() {
            Scrub::None => {}
            Scrub::Hybrid => self.wipe_values(number, slot, descriptor),
            Scrub::Full => return self.wipe(number, slot, descriptor),
        }
        descriptor
    }

    /// Zeroes what the level asks for in a slot that a dead writer held. At any level takes back the bytes for which
    /// that writer may have had no memory. Returns the descriptor that records it.
    pub(crate) fn wipe_recovered(
        &self,
        number: u32,
        slot: &Slot,
        descriptor: Descriptor,
        os: &dyn Os,
    ) -> Descriptor {
        let descriptor = self.lower_extents(number, slot, descriptor, os);
        if !descriptor.is_present() || self.scrub() == Scrub::Full {
            return self.wipe_freed(number, slot, descriptor);
        }
        if self.scrub() == Scrub::Hybrid && !descriptor.is_integer() {
            let len = self.len_of(descriptor);
            zero(self.value(number, descriptor.current()), len, len.next_multiple_of(HYBRID_LINE));
        }
        descriptor
    }

    /// Returns how many bytes behind a value of `len` bytes a write zeroes.
    #[inline(always)]
    pub(crate) fn tail(&self, len: usize) -> u8 {
        mutant!("tail-unscrubbed", return 0);
        if self.scrub() == Scrub::None { 0 } else { (len.wrapping_neg() % HYBRID_LINE) as u8 }
    }
}
