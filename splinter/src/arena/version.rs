//! The version of a key that a change made: the slot that holds the key, and that slot's epoch after the change.

use crate::arena::state::State;
use crate::error::Error;

/// Identifies the version of a key that a change published.
///
/// Within a slot, later versions have higher epochs. A key that was removed may come back in another slot, whose epochs
/// are not comparable with those of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Version {
    /// The number of the slot.
    pub slot: u32,
    /// The slot's epoch after the change: even, and higher than that of every version before it.
    pub epoch: u64,
}

/// The result of a change, and the version that it made.
pub(crate) type Versioned<T> = Result<(T, Version), Error>;

impl Version {
    /// Returns the version that the slot has once the claim in `state` is released.
    #[inline(always)]
    pub(crate) const fn of(slot: u32, state: State) -> Self {
        Self { slot, epoch: state.released().epoch() }
    }
}
