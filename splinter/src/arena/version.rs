//! The version of a key that a change made: the slot that holds the key, and that slot's epoch after the change. Also
//! what a change may expect of the version before it.

use crate::arena::state::State;
use crate::error::Error;
use std::time::Duration;

/// Identifies the version of a key that a change published.
///
/// Later versions of a key have higher epochs, also if it was removed in between and came back in another slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Version {
    /// The number of the slot.
    pub slot: u32,
    /// The slot's epoch after the change: even, and higher than that of every version before it.
    pub epoch: u64,
}

/// What a conditional change expects of its key at the instant of the change.
///
/// ```
/// use splinter::{Error, Expect};
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// let mut writer = store.writer()?;
/// let first = writer.set_if("lock", b"mine", Expect::Absent)?;
/// let refused = writer.set_if("lock", b"yours", Expect::Absent);
/// assert_eq!(refused, Err(Error::Changed { epoch: first.epoch }));
/// let second = writer.set_if("lock", b"still mine", Expect::Epoch(first.epoch))?;
/// assert_eq!(second.epoch, first.epoch + 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Expect {
    /// Nothing: the change happens in any case.
    #[default]
    Any,
    /// The store does not hold the key.
    Absent,
    /// The store holds the key.
    Present,
    /// The key has this epoch: its content is the one with which the epoch was read.
    Epoch(u64),
}

impl Expect {
    /// Checks a present key with this epoch.
    #[inline(always)]
    pub(crate) fn check(self, epoch: u64) -> Result<(), Error> {
        mutant!("expectation-ignored", return Ok(()));
        match self {
            Self::Any | Self::Present => Ok(()),
            Self::Epoch(expected) if expected == epoch => Ok(()),
            Self::Absent | Self::Epoch(_) => Err(Error::Changed { epoch }),
        }
    }

    /// Whether a change may insert a missing key.
    pub(crate) const fn allows_absent(self) -> bool {
        matches!(self, Self::Any | Self::Absent)
    }
}

/// How long a key stays once it is set.
///
/// Times are the store's own: they go on while the machine sleeps, setting the clock does not move them, and they stand
/// still while the machine is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// Until it is removed. A set without any of these does the same.
    #[default]
    Endless,
    /// As long as before.
    Unchanged,
    /// For this span from now on.
    For(Duration),
    /// Until the store time is so many nanoseconds.
    Until(u64),
}

/// What became of a key in a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The version that the transaction made. `None` if the key's content is as it was.
    pub version: Option<Version>,
    /// The number that an integer operation made.
    pub number: Option<u64>,
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
