//! The boundary between C and Rust: the code that every exported function runs through. It knows nothing of stores.

use crate::args::{Handle, HeaderPtr};
use crate::errno::{Failure, preserving_errno, set_errno};
use libc::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A type that an exported function returns to C.
pub(crate) trait CReturn {
    /// Returns the value that means failure.
    fn failed(failure: Failure) -> Self;
}

impl CReturn for c_int {
    fn failed(failure: Failure) -> Self {
        failure.code()
    }
}

/// Implements [`CReturn`] for types whose zero means failure.
macro_rules! zero_fails {
    ($($type:ty)*) => {$(
        impl CReturn for $type {
            fn failed(_: Failure) -> Self {
                0
            }
        }
    )*};
}
zero_fails!(u8 u16 u32 u64);

impl CReturn for () {
    fn failed(_: Failure) -> Self {}
}

impl<T> CReturn for *const T {
    fn failed(_: Failure) -> Self {
        std::ptr::null()
    }
}

impl CReturn for Handle {
    fn failed(_: Failure) -> Self {
        Self::NONE
    }
}

impl CReturn for HeaderPtr {
    fn failed(_: Failure) -> Self {
        Self::new(std::ptr::null())
    }
}

impl<T> CReturn for *mut T {
    fn failed(_: Failure) -> Self {
        std::ptr::null_mut()
    }
}

/// Calls `act`, and returns its result to C. A failure becomes a return value and `errno`. A panic becomes a failure,
/// and does not unwind into C.
#[inline(always)]
pub(crate) fn run<R: CReturn>(act: impl FnOnce() -> Result<R, Failure>) -> R {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(value)) => value,
        Ok(Err(failure)) => fail(failure),
        Err(_) => fail(Failure::PANIC),
    }
}

/// Does what [`run`] does, with thread cancellation disabled: `pthread_cancel` would unwind the thread through Rust,
/// which ends the process.
pub(crate) fn run_uncancelled<R: CReturn>(act: impl FnOnce() -> Result<R, Failure>) -> R {
    run(|| uncancelled(act))
}

/// Calls `act`, which waits or uses files, with thread cancellation disabled. Leaves `errno` as it was.
pub(crate) fn uncancelled<R>(act: impl FnOnce() -> R) -> R {
    struct Restore(c_int);
    impl Drop for Restore {
        fn drop(&mut self) {
            set_cancel_state(self.0);
        }
    }
    let _restore = Restore(set_cancel_state(PTHREAD_CANCEL_DISABLE));
    preserving_errno(act)
}

/// The value that the C libraries of Linux define.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// Sets the thread's cancellation state. Returns the previous state.
#[allow(unsafe_code, reason = "calls a function of the C library")]
fn set_cancel_state(state: c_int) -> c_int {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    }
    let mut before = 0;
    // SAFETY: the declaration is that of POSIX, and there is room for the state that the function writes.
    let _ = unsafe { pthread_setcancelstate(state, &raw mut before) };
    before
}

#[cold]
fn fail<R: CReturn>(failure: Failure) -> R {
    set_errno(failure.errno());
    R::failed(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_does_not_cross_and_is_an_error() {
        set_errno(0);
        assert_eq!(run::<c_int>(|| panic!("a panic on purpose")), -1);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOTRECOVERABLE));
        assert!(run::<*const u8>(|| panic!("a panic on purpose")).is_null());
    }
}
