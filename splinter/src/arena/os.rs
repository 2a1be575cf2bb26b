//! What the lock-free layers ask of the machine that they run on: the only line from them to the outside.

use crate::arena::records::Slot;
use crate::sync::Word;
use std::ops::Range;

/// A machine with processes that end, and that sleep.
pub(crate) trait Os: Send + Sync {
    /// Whether the writer that holds a writer id still lives. When that cannot be known, it lives.
    fn is_alive(&self, writer_id: u32) -> bool;

    /// Lists the parts of a range of the arena's bytes for which there is memory, in ascending order. All other bytes of the
    /// range are zero, and touching one would take memory, or be the end where there is none.
    fn used(&self, bytes: Range<usize>) -> Vec<Range<usize>>;

    /// Wakes all who sleep on the slot's state.
    fn wake_slot(&self, slot: &Slot);

    /// Wakes all who sleep on the wake word for any of the groups with these wake bits.
    fn wake_groups(&self, wake_word: &Word, bits: u32);
}
