//! The errors of bids, and of advice on behalf of a bid.

use crate::error::StoreError;
use std::fmt;

/// Why an operation on a bid failed. The operation then changed nothing, with one exception: a claim frees the caller's
/// own expired bid for the id.
#[derive(Debug)]
#[non_exhaustive]
pub enum BidError {
    /// The id is 0, which no bid may have.
    ZeroId,
    /// All 32 entries of the table are taken.
    TableFull,
    /// A live bid holds the id.
    Taken {
        /// The id.
        id: u32,
        /// The process that the bid names.
        pid: u32,
    },
    /// Other stores are claiming the id right now. Try again.
    Again {
        /// The id.
        id: u32,
    },
    /// There is no live bid for the id.
    Unknown {
        /// The id.
        id: u32,
    },
    /// Another process made the bid for the id, or this one did through another store.
    NotOwner {
        /// The id.
        id: u32,
        /// The process that the bid names.
        pid: u32,
    },
    /// The caller's bid for the id has expired.
    Expired {
        /// The id.
        id: u32,
    },
    /// Another bid is sovereign, and the caller did not want to wait.
    Deferred {
        /// The caller's id.
        id: u32,
        /// The id of the sovereign bid.
        to: u32,
    },
    /// The caller's bid was not elected in time.
    TimedOut {
        /// The caller's id.
        id: u32,
    },
    /// The range does not lie in the arena.
    OutOfRange {
        /// The length of the arena, in bytes.
        arena_len: u64,
    },
    /// The store cannot be written, or the kernel refused.
    Store(StoreError),
}

impl From<StoreError> for BidError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for BidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroId => f.write_str("0 is no id; bid for another"),
            Self::TableFull => f.write_str("all 32 bids are taken; release one first"),
            Self::Taken { id, pid } => {
                write!(f, "process {pid} holds the bid for {id}; wait until it releases it")
            }
            Self::Again { id } => write!(f, "others are bidding for {id}; try again"),
            Self::Unknown { id } => write!(f, "there is no bid for {id}; claim it first"),
            Self::NotOwner { id, pid } => {
                write!(f, "the bid for {id} is process {pid}'s; have that release it, or a supervisor")
            }
            Self::Expired { id } => write!(f, "the bid for {id} has expired; renew it first"),
            Self::Deferred { id, to } => {
                write!(f, "the bid for {id} defers to that for {to}; try again, or wait")
            }
            Self::TimedOut { id } => write!(f, "the bid for {id} was not elected in time"),
            Self::OutOfRange { arena_len } => {
                write!(f, "the range leaves the arena; stay within its {arena_len} bytes")
            }
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BidError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            _ => None,
        }
    }
}
