//! Why an operation on a queue did not do its work.

use splinter::{Error, Key, StoreError};
use std::fmt;

/// Why an operation on a queue did not do its work. No message was sent or returned then. A receive may have acknowledged
/// the messages before all the same.
#[derive(Debug)]
#[non_exhaustive]
pub enum QueueError {
    /// A group has not acknowledged the message whose entry is needed. Try again once it has.
    Full,
    /// No message is there for the group.
    Empty,
    /// The deadline passed first.
    TimedOut,
    /// The group's key has no room for another delivery in flight. Try again once consumers have acknowledged some.
    TooManyDeliveries,
    /// The message is longer than the queue allows.
    MessageTooLong {
        /// The queue's longest message, in bytes.
        max: usize,
    },
    /// There is no queue of that name.
    NoQueue,
    /// A queue of that name exists already.
    Exists,
    /// The queue has no such group.
    NoGroup,
    /// The queue has a group of that name already.
    GroupExists,
    /// The queue's record has no room for the name of another group.
    TooManyGroups,
    /// The key of that name holds no queue.
    NotAQueue,
    /// The queue was made by another version of this library.
    Version {
        /// The version of the queue.
        found: u64,
    },
    /// A key that the new queue or group needs exists already, and is none of theirs.
    KeyInUse(Key),
    /// A key of the queue was overwritten by something else, or removed.
    Damaged(Key),
    /// The queue was removed.
    Removed,
    /// The store has too few free slots for the queue.
    DoesNotFit {
        /// How many slots the queue needs.
        slots: u64,
    },
    /// The name of a queue or group cannot be one; the text says why.
    BadName(&'static str),
    /// The configuration cannot be had; the text says why.
    BadConfig(&'static str),
    /// The store refused: with [`Error::Again`] if a process holds a key of the queue for over a second, as one that is
    /// stopped does.
    Store(Error),
    /// No writer could be registered.
    Writer(StoreError),
}

impl QueueError {
    /// Tells whether the same call may succeed later, because another process makes room, sends or goes on.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Full | Self::Empty | Self::TooManyDeliveries | Self::Store(Error::Again))
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |key: &Key| String::from_utf8_lossy(key.as_ref()).into_owned();
        match self {
            Self::Full => {
                f.write_str("the queue is full; try again once its groups have acknowledged messages")
            }
            Self::Empty => f.write_str("the queue has no message for the group"),
            Self::TimedOut => f.write_str("the deadline passed"),
            Self::TooManyDeliveries => {
                f.write_str("too many deliveries of the group are in flight; acknowledge some")
            }
            Self::MessageTooLong { max } => {
                write!(f, "the message is too long; the queue's have at most {max} bytes")
            }
            Self::NoQueue => f.write_str("there is no such queue; create it first"),
            Self::Exists => f.write_str("the queue exists already; open it, or remove it first"),
            Self::NoGroup => f.write_str("the queue has no such group; create it first"),
            Self::GroupExists => f.write_str("the queue has a group of that name already"),
            Self::TooManyGroups => f.write_str("the queue has no room for the name of another group"),
            Self::NotAQueue => f.write_str("the key of that name holds no queue"),
            Self::Version { found } => {
                write!(f, "the queue has version {found}, which this library cannot use")
            }
            Self::KeyInUse(key) => write!(f, "the key {} exists already, and is not a queue's", text(key)),
            Self::Damaged(key) => write!(f, "the key {} is not as the queue left it", text(key)),
            Self::Removed => f.write_str("the queue was removed"),
            Self::DoesNotFit { slots } => {
                write!(f, "the queue needs {slots} slots; the store has fewer left")
            }
            Self::BadName(why) => write!(f, "the name cannot be one: {why}"),
            Self::BadConfig(why) => write!(f, "the configuration cannot be had: {why}"),
            Self::Store(error) => error.fmt(f),
            Self::Writer(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for QueueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Writer(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for QueueError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<StoreError> for QueueError {
    fn from(error: StoreError) -> Self {
        Self::Writer(error)
    }
}
