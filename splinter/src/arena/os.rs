//! The interface to the operating system: everything that the lock-free layers ask of the kernel.

use crate::arena::records::Slot;
use crate::sync::Word;
use std::ops::Range;

/// The kernel's services: liveness of writers, allocation of pages, futex wakes.
pub(crate) trait Os: Send + Sync {
    /// Returns the generation of the last owner of a writer id, if that owner is dead or gave the id back. If that
    /// cannot be known, the owner lives.
    fn death_of(&self, writer_id: u32) -> Option<u32>;

    /// Lists the parts of a range of the arena's bytes that have memory, in ascending order. All other bytes of the
    /// range are zero. Touching one would take memory, or end the process if there is none.
    fn used(&self, bytes: Range<usize>) -> Vec<Range<usize>>;

    /// Wakes all threads that sleep on the slot's state.
    fn wake_slot(&self, slot: &Slot);

    /// Wakes all threads that sleep on the wake word for any group with these wake bits.
    fn wake_groups(&self, wake_word: &Word, bits: u32);
}
