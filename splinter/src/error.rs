//! The two families of errors: [`Error`], small and `Copy`, for everything that happens to a key in
//! an open store; [`StoreError`], with the operation and its subject in words, for creating, opening
//! and configuring one.

use std::{fmt, io};

/// Why an operation on a key did not do its work. Value, labels and epoch are unchanged then.
///
/// Some refusals leave other traces. A key whose deadline had passed may have been removed. A refused
/// [`Writer::purge`](crate::Writer::purge) has wiped the other slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// The key is claimed by another live writer, or kept changing while it was read. Try again.
    Again,
    /// The store holds no such key (or, for a handle, no longer holds it in that slot).
    NotFound,
    /// A key has at least one byte.
    KeyEmpty,
    /// A key has at most 63 bytes. For tandems the bound holds for the longest order's name.
    KeyTooLong,
    /// A key holds no NUL byte.
    KeyHasNul,
    /// The value is longer than the store's maximum.
    ValueTooLong,
    /// The buffer is shorter than the value, whose length is given in bytes.
    BufferTooSmall {
        /// The length of the value, in bytes.
        needed: usize,
    },
    /// The key is not as the change expects it ([`Expect`](crate::Expect)): it has another epoch, or is there at all.
    Changed {
        /// The epoch that the key has.
        epoch: u64,
    },
    /// Every slot is in use.
    Full,
    /// The operation needs a slot of another type, or text that does not read as a number.
    WrongType,
    /// The vector's length is not the store's dimension, or the store holds no vectors.
    WrongDimension,
    /// A component of the vector that is searched for is infinite or no number.
    NotFinite,
    /// A tandem has 1 to 255 orders.
    BadOrders,
    /// A transaction has at most 255 keys.
    TooManyKeys,
    /// Signal groups are numbered from 0 to 63.
    NoSuchGroup,
    /// A store has at most 56 lasting subscriptions, each of one group to one key.
    TooManySubscriptions,
    /// The deadline passed before what was waited for.
    TimedOut,
    /// The writer was inherited across a fork; the child registers one of its own.
    Forked,
    /// The thread that used the writer before has ended, and no writer id is free for this one, or the kernel has no memory
    /// for it. Try again, or register another.
    Unregistered,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again => f.write_str("the key is busy; try again"),
            Self::NotFound => f.write_str("no such key"),
            Self::KeyEmpty => f.write_str("the key is empty; a key has 1 to 63 bytes"),
            Self::KeyTooLong => f.write_str("the key is too long; a key has 1 to 63 bytes"),
            Self::KeyHasNul => f.write_str("the key holds a NUL byte"),
            Self::ValueTooLong => f.write_str("the value is longer than the store's maximum"),
            Self::BufferTooSmall { needed } => {
                write!(f, "the buffer is too small; the value has {needed} bytes")
            }
            Self::Changed { epoch } => write!(f, "the key is not as expected; its epoch is {epoch}"),
            Self::Full => f.write_str("the store is full"),
            Self::WrongType => f.write_str("the slot's type or text does not fit the operation"),
            Self::WrongDimension => f.write_str("the vector does not have the store's dimension"),
            Self::NotFinite => f.write_str("a component of the vector is infinite or no number"),
            Self::BadOrders => f.write_str("a tandem has 1 to 255 orders"),
            Self::TooManyKeys => f.write_str("a transaction has at most 255 keys"),
            Self::NoSuchGroup => f.write_str("there is no such signal group; they are 0 to 63"),
            Self::TooManySubscriptions => f.write_str(
                "all 56 lasting subscriptions of the store are taken; end one that is not needed",
            ),
            Self::TimedOut => f.write_str("the deadline passed"),
            Self::Forked => f.write_str("the writer belongs to the parent process; register another"),
            Self::Unregistered => f.write_str(
                "the writer has no writer id in this thread, and none is free; drop writers that are not needed",
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Why a store could not be created, opened or configured.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The kernel refused: what was being done, to what, and its answer.
    Os {
        /// What was being done, as in "map".
        operation: &'static str,
        /// To what, as in "/dev/shm/demo".
        subject: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A store of that name exists already.
    Exists(String),
    /// There is no store of that name.
    Missing(String),
    /// The geometry cannot be built; the text says which bound it breaks.
    BadGeometry(String),
    /// The name cannot name a store; the text says why.
    BadName(String),
    /// The bytes are not a store this version can use; the text says what is wrong.
    NotAStore {
        /// The store's name.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Every writer id is taken by a live writer.
    TooManyWriters {
        /// How many writer ids the store has.
        max_writers: u32,
    },
    /// There is no signal group of that number; they are 0 to 63.
    NoSuchGroup(u8),
    /// The store was opened for reading only.
    ReadOnly,
    /// The placement names a node this machine does not have, or cannot be had here.
    Placement(String),
    /// A profile or tuning that cannot be applied; the text says what is wrong, and in which line.
    Tuning(String),
}

impl StoreError {
    /// Wraps the kernel's answer to `operation` on `subject`.
    #[cfg(not(loom))]
    pub(crate) fn os(operation: &'static str, subject: impl Into<String>, source: io::Error) -> Self {
        Self::Os { operation, subject: subject.into(), source }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os { operation, subject, source } => {
                write!(f, "cannot {operation} {subject}: {source}")?;
                advice(operation, source).map_or(Ok(()), |advice| write!(f, "; {advice}"))
            }
            Self::Exists(name) => write!(f, "{name} exists already; open it, or remove it first"),
            Self::Missing(name) => write!(f, "there is no store {name}; create it first"),
            Self::BadGeometry(why) => write!(f, "the geometry cannot be built: {why}"),
            Self::BadName(why) => write!(f, "the name cannot name a store: {why}"),
            Self::NotAStore { subject, reason } => write!(f, "{subject} is not a store: {reason}"),
            Self::TooManyWriters { max_writers } => {
                write!(f, "all {max_writers} writer ids are taken; create the store with more")
            }
            Self::NoSuchGroup(group) => {
                write!(f, "there is no signal group {group}; they are numbered from 0 to 63")
            }
            Self::ReadOnly => f.write_str("the store was opened for reading only"),
            Self::Placement(why) => write!(f, "the placement cannot be had: {why}"),
            Self::Tuning(why) => write!(f, "the tuning cannot be applied: {why}"),
        }
    }
}

/// What to do about the kernel's answers that users can do something about.
fn advice(operation: &str, error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::StorageFull => "free some room there, or make the store smaller",
        io::ErrorKind::QuotaExceeded => "raise the quota, or make the store smaller",
        io::ErrorKind::FileTooLarge => "raise the limit on file sizes (ulimit -f), or make the store smaller",
        io::ErrorKind::OutOfMemory => "raise the limit on memory (ulimit -v), or make the store smaller",
        io::ErrorKind::ReadOnlyFilesystem => "only reading is possible there",
        _ if error.raw_os_error() == Some(EPERM) && operation == REMOVE => {
            "only the owner of the file may remove it from a shared folder such as /dev/shm"
        }
        // The same kind as for a file's mode, but another answer of the kernel's.
        _ if error.raw_os_error() == Some(EPERM) => {
            "a sandbox, a missing capability or a setting such as kernel.io_uring_disabled forbids it"
        }
        io::ErrorKind::PermissionDenied => "the modes of the file and of its folder decide who may",
        _ => match error.raw_os_error()? {
            EMFILE => "raise the limit on open files (ulimit -n)",
            ENFILE => "the whole system has too many open files",
            _ => return None,
        },
    })
}

/// The operation of [`Location::unlink`](crate::Location::unlink), as its errors name it.
pub(crate) const REMOVE: &str = "remove";

/// The operation is not permitted, whatever the modes of files are: Linux, `asm-generic/errno-base.h`.
const EPERM: i32 = 1;
/// The process has too many open files, the system has: likewise.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn modes_are_blamed_for_what_modes_forbid_and_for_nothing_else() {
        let said = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            StoreError::os("wait by io_uring for changes of", "a store", source).to_string()
        };
        let denied = said(13);
        assert!(denied.contains("modes of the file"), "{denied}");
        let not_permitted = said(EPERM);
        assert!(!not_permitted.contains("modes"), "{not_permitted}");
        assert!(not_permitted.contains("sandbox"), "{not_permitted}");
        assert!(not_permitted.contains("io_uring_disabled"), "{not_permitted}");
        let others = StoreError::os(REMOVE, "a store", io::Error::from_raw_os_error(EPERM)).to_string();
        assert!(others.contains("owner of the file") && !others.contains("sandbox"), "{others}");
    }
}
