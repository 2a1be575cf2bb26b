//! Which version of a key a change made: the slot it is in, and the epoch that the slot has then. Beside it,
//! the changes of the protocol as most of their callers want them, without.

use crate::arena::key::KeyRef;
use crate::arena::state::State;
use crate::error::Error;
use crate::protocol::Claimant;

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

impl Claimant<'_> {
    /// Sets as [`Self::set_known`] does.
    #[inline(always)]
    pub(crate) fn set(&mut self, key: &KeyRef<'_>, value: &[u8]) -> Result<(), Error> {
        self.set_known(key, value).map(drop)
    }

    /// Appends as [`Self::append_known`] does.
    pub(crate) fn append(&mut self, key: &KeyRef<'_>, tail: &[u8]) -> Result<usize, Error> {
        self.append_known(key, tail).map(|(len, _)| len)
    }

    /// Removes as [`Self::unset_known`] does.
    pub(crate) fn unset(&mut self, key: &KeyRef<'_>) -> Result<usize, Error> {
        self.unset_known(key).map(|(len, _)| len)
    }
}
