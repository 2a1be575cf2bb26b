//! Failures as C sees them: a return code and an `errno`. Only this file turns the store's errors into numbers.

// Opts in for `errno`, which the C library gives by its address.
#![allow(unsafe_code)]

use libc::c_int;
use splinter::{BidError, Error, StoreError};

/// Why a function failed: the value of `errno`, negated if the function returns -2. One integer, so that registers hold
/// a `Result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure(c_int);

impl Failure {
    /// A NULL pointer where NULL is not allowed, or no open store.
    pub(crate) const CALLER: Self = Self(-libc::EINVAL);
    /// An argument out of bounds.
    pub(crate) const ARGUMENT: Self = Self::of(libc::EINVAL);
    /// A panic: the library is at fault.
    pub(crate) const PANIC: Self = Self::of(libc::ENOTRECOVERABLE);

    /// Makes a failure that returns -1, which the program can handle.
    pub(crate) const fn of(errno: c_int) -> Self {
        Self(errno)
    }

    /// Returns the value for `errno`.
    pub(crate) const fn errno(self) -> c_int {
        self.0.abs()
    }

    /// Returns the result of an int function: -1 if the program can try again or handle the failure, -2 if the call
    /// itself is wrong.
    pub(crate) const fn code(self) -> c_int {
        if self.0 < 0 { -2 } else { -1 }
    }
}

/// Returns the address of the calling thread's `errno`.
#[inline]
fn errno_location() -> *mut c_int {
    // SAFETY: the C library returns the address of the calling thread's own.
    unsafe { libc::__errno_location() }
}

/// Sets the calling thread's `errno`.
pub(crate) fn set_errno(errno: c_int) {
    // SAFETY: that address is valid for as long as the thread lives.
    unsafe { *errno_location() = errno };
}

/// Calls `act`, which may call the kernel, and restores `errno`: a call that succeeds must leave `errno` as it was. A
/// failure sets `errno` later, with [`set_errno`].
#[inline]
pub(crate) fn preserving_errno<R>(act: impl FnOnce() -> R) -> R {
    let location = errno_location();
    // SAFETY: that address is valid for as long as the thread lives.
    let before = unsafe { *location };
    let result = act();
    // SAFETY: as above.
    unsafe { *location = before };
    result
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(match error {
            Error::Again => libc::EAGAIN,
            Error::NotFound => libc::ENOENT,
            Error::KeyTooLong => libc::ENAMETOOLONG,
            Error::ValueTooLong | Error::BufferTooSmall { .. } => libc::EMSGSIZE,
            Error::Full | Error::TooManyKeys | Error::TooManySubscriptions => libc::ENOSPC,
            Error::WrongType => libc::EPROTOTYPE,
            Error::TimedOut => libc::ETIMEDOUT,
            Error::Forked => libc::EOPNOTSUPP,
            // An empty key, a group or order that does not exist, or a wrong dimension.
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
            StoreError::TooManyWriters { .. } => libc::ENOSPC,
            StoreError::ReadOnly => libc::EROFS,
            // An impossible geometry or name, a file that is not a store, or a node or group that does not exist.
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
