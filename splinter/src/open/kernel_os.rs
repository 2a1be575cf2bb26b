//! What the protocol asks of the operating system, answered by the kernel.

use super::layout::Seeded;
use crate::arena::Arena;
use crate::arena::os::Os;
use crate::arena::owner::{Owner, Ownership};
use crate::arena::records::Slot;
use crate::kernel::{self, AllocatedRanges};
use crate::sync::Word;
use std::ops::Range;
use std::sync::Arc;

/// Answers the protocol's questions for a mapped arena.
pub(crate) struct KernelOs {
    pub(crate) arena: Arena<'static>,
    pub(crate) allocated: AllocatedRanges,
    /// Borrowed by the arena, like the mapping of `allocated`.
    pub(crate) _seeded: Arc<Seeded>,
}

impl Os for KernelOs {
    fn death_of(&self, writer_id: u32) -> Option<u32> {
        let owner = self.arena.ownership(writer_id).map_or(Owner(0), Ownership::owner);
        (!owner.is_alive()).then_some(owner.generation())
    }

    fn used(&self, bytes: Range<usize>) -> Vec<Range<usize>> {
        self.allocated.parts(bytes)
    }

    fn wake_slot(&self, slot: &Slot) {
        kernel::futex::wake(slot.state_integer.first_word(), u32::MAX);
    }

    fn wake_groups(&self, wake_word: &Word, bits: u32) {
        kernel::futex::wake(wake_word, bits);
    }
}
