//! What functions answer instead of doing their work: a code and an `errno`. The one place where the store's errors
//! become numbers.

// Opts in for `errno`, which is found by its address.
#![allow(unsafe_code)]

use libc::c_int;
use splinter::{BidError, Error, StoreError};

/// Why a function did not do its work: what `errno` is set to, and below zero if it returns -2. One number, so that a
/// result goes through registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure(c_int);

impl Failure {
    /// A pointer that must not be NULL is, or no store is open.
    pub(crate) const CALLER: Self = Self(-libc::EINVAL);
    /// An argument that is out of bounds.
    pub(crate) const ARGUMENT: Self = Self::of(libc::EINVAL);
    /// The library is at fault.
    pub(crate) const PANIC: Self = Self::of(libc::ENOTRECOVERABLE);

    /// A failure that something can be done about.
    pub(crate) const fn of(errno: c_int) -> Self {
        Self(errno)
    }

    /// What `errno` is set to.
    pub(crate) const fn errno(self) -> c_int {
        self.0.abs()
    }

    /// What an int function returns: -1: try again, or do something about it; -2: the call itself is wrong.
    pub(crate) const fn code(self) -> c_int {
        if self.0 < 0 { -2 } else { -1 }
    }
}

/// Returns where the calling thread's `errno` is.
#[inline]
fn place() -> *mut c_int {
    // SAFETY: the C library returns the address of the calling thread's own.
    unsafe { libc::__errno_location() }
}

/// Sets the calling thread's `errno`.
pub(crate) fn tell(errno: c_int) {
    // SAFETY: that address is valid for as long as the thread lives.
    unsafe { *place() = errno };
}

/// Does something that may call the kernel, and leaves `errno` as it was: a program may look at it after a call that
/// went well, and finds what was there before. What goes wrong is told later.
#[inline]
pub(crate) fn keep<R>(act: impl FnOnce() -> R) -> R {
    let place = place();
    // SAFETY: that address is valid for as long as the thread lives.
    let before = unsafe { *place };
    let answer = act();
    // SAFETY: as above.
    unsafe { *place = before };
    answer
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(match error {
            Error::Again => libc::EAGAIN,
            Error::NotFound => libc::ENOENT,
            Error::KeyTooLong => libc::ENAMETOOLONG,
            Error::ValueTooLong | Error::BufferTooSmall { .. } => libc::EMSGSIZE,
            Error::Full => libc::ENOSPC,
            Error::WrongType => libc::EPROTOTYPE,
            Error::TimedOut => libc::ETIMEDOUT,
            Error::Forked => libc::EOPNOTSUPP,
            // An empty key, a group or orders that there are not, another dimension.
            _ => libc::EINVAL,
        })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of(match error {
            StoreError::Os { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
            StoreError::Exists(_) => libc::EEXIST,
            StoreError::Missing(_) => libc::ENOENT,
            StoreError::NoLane { .. } => libc::ENOSPC,
            StoreError::ReadOnly => libc::EROFS,
            // A geometry or a name that cannot be, a file that is no store, a node or a group that there is not.
            _ => libc::EINVAL,
        })
    }
}

impl From<BidError> for Failure {
    fn from(error: BidError) -> Self {
        Self::of(match error {
            BidError::TableFull => libc::ENOSPC,
            BidError::Taken { .. } => libc::EEXIST,
            BidError::Again { .. } | BidError::Deferred { .. } => libc::EAGAIN,
            BidError::Unknown { .. } => libc::ENOENT,
            BidError::NotOwner { .. } => libc::EPERM,
            BidError::Expired { .. } | BidError::TimedOut { .. } => libc::ETIMEDOUT,
            BidError::Store(error) => return error.into(),
            _ => libc::EINVAL,
        })
    }
}
