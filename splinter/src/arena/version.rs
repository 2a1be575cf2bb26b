//! Which version of a key a change made: the slot that has the key, and that slot's epoch since.

use crate::arena::state::State;
use crate::error::Error;

/// Says which version of a key a change published.
///
/// Within a slot, versions follow each other as their epochs do. A key that was removed may come back in
/// another slot, whose epochs say nothing about those of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Version {
    /// The number of the slot.
    pub slot: u32,
    /// The slot's epoch since the change: even, and higher than that of every version before it.
    pub epoch: u64,
}

/// What a change answers, and the version that it made.
pub(crate) type Versioned<T> = Result<(T, Version), Error>;

impl Version {
    /// Names the version in which the slot is once the claim in `state` is given back.
    #[inline(always)]
    pub(crate) const fn of(slot: u32, state: State) -> Self {
        Self { slot, epoch: state.released().epoch() }
    }
}
