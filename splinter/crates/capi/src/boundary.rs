//! The boundary between C and Rust: what every exported function goes through, and the macro that exports them.
//! Knows nothing of stores.

use crate::args::{Handle, HeaderAt};
use crate::errno::{Failure, keep, tell};
use libc::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a function returns to C.
pub(crate) trait Answer {
    /// Returns what stands for a failure.
    fn failed(failure: Failure) -> Self;
}

impl Answer for c_int {
    fn failed(failure: Failure) -> Self {
        failure.code()
    }
}

/// Implements [`Answer`] for types of which zero stands for a failure.
macro_rules! zero_fails {
    ($($type:ty)*) => {$(
        impl Answer for $type {
            fn failed(_: Failure) -> Self {
                0
            }
        }
    )*};
}
zero_fails!(u8 u16 u32 u64);

impl Answer for () {
    fn failed(_: Failure) -> Self {}
}

impl<T> Answer for *const T {
    fn failed(_: Failure) -> Self {
        std::ptr::null()
    }
}

impl Answer for Handle {
    fn failed(_: Failure) -> Self {
        Self::NONE
    }
}

impl Answer for HeaderAt {
    fn failed(_: Failure) -> Self {
        Self::new(std::ptr::null())
    }
}

impl<T> Answer for *mut T {
    fn failed(_: Failure) -> Self {
        std::ptr::null_mut()
    }
}

/// Does a function's work. A failure is returned as C has it, with `errno`; a panic is one, and does not get out.
#[inline(always)]
pub(crate) fn run<R: Answer>(act: impl FnOnce() -> Result<R, Failure>) -> R {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => fail(failure),
        Err(_) => fail(Failure::PANIC),
    }
}

/// Does what [`run`] does, and has no `pthread_cancel` end the thread meanwhile: it would have to go through Rust, which ends
/// the process then.
pub(crate) fn run_uncancelled<R: Answer>(act: impl FnOnce() -> Result<R, Failure>) -> R {
    run(|| uncancelled(act))
}

/// Does something in which a thread could be cancelled, without that: it waits, or has to do with files. `errno` stays as
/// it was.
pub(crate) fn uncancelled<R>(act: impl FnOnce() -> R) -> R {
    struct Before(c_int);
    impl Drop for Before {
        fn drop(&mut self) {
            set_cancel_state(self.0);
        }
    }
    let _before = Before(set_cancel_state(PTHREAD_CANCEL_DISABLE));
    keep(act)
}

/// As Linux's C libraries have it.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// Sets whether the thread can be cancelled. Returns whether it could.
#[allow(unsafe_code, reason = "the C library's")]
fn set_cancel_state(state: c_int) -> c_int {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    }
    let mut before = 0;
    // SAFETY: declared as POSIX has it; there is room for what it writes.
    let _ = unsafe { pthread_setcancelstate(state, &raw mut before) };
    before
}

#[cold]
fn fail<R: Answer>(failure: Failure) -> R {
    tell(failure.errno());
    R::failed(failure)
}

/// Exports functions, a section of the header at a time; of one that is said to be `uncancelled`, none is left by
/// `pthread_cancel`. A `function` is exported once, and is told nothing of
/// stores; a `pair` is exported for the process's own store and, with a handle before its other parameters, for any.
macro_rules! interface {
    ($section:ident = $title:literal $(if $guard:literal)?; $($rest:tt)*) => {
        interface!(@section run $section = $title $(if $guard)?; $($rest)*);
    };
    // One whose functions wait, or have to do with files.
    ($section:ident = $title:literal, uncancelled; $($rest:tt)*) => {
        interface!(@section run_uncancelled $section = $title; $($rest)*);
    };
    (@section $run:ident $section:ident = $title:literal $(if $guard:literal)?; $($rest:tt)*) => {
        /// What the header says of this section.
        #[cfg(test)]
        pub(crate) const $section: $crate::header::Section = $crate::header::Section {
            title: $title,
            guard: { #[allow(unused_mut, unused_assignments)] { let mut guard = ""; $(guard = $guard;)? guard } },
            functions: interface!(@list [] $($rest)*),
        };
        interface!(@export $run $($rest)*);
    };

    (@list [$($done:expr,)*]) => { &[$($done,)*] };
    (@list [$($done:expr,)*] $(#[doc = $doc:literal])+
        function $name:ident($($arg:ident: $type:ty),*) -> $ret:ty = $act:expr; $($rest:tt)*) => {
        interface!(@list [$($done,)* $crate::header::Function {
            notes: &[$($doc),+],
            name: stringify!($name),
            twin: "",
            parameters: &[$((stringify!($arg), stringify!($type))),*],
            answer: stringify!($ret),
        },] $($rest)*)
    };
    (@list [$($done:expr,)*] $(#[doc = $doc:literal])+
        pair $name:ident, $twin:ident($($arg:ident: $type:ty),*) -> $ret:ty = $act:expr; $($rest:tt)*) => {
        interface!(@list [$($done,)* $crate::header::Function {
            notes: &[$($doc),+],
            name: stringify!($name),
            twin: stringify!($twin),
            parameters: &[$((stringify!($arg), stringify!($type))),*],
            answer: stringify!($ret),
        },] $($rest)*)
    };

    (@export $run:ident) => {};
    (@export $run:ident $(#[doc = $doc:literal])+
        function $name:ident($($arg:ident: $type:ty),*) -> $ret:ty = $act:expr; $($rest:tt)*) => {
        $(#[doc = $doc])+
        #[allow(unsafe_code, reason = "its name is C's")]
        #[unsafe(no_mangle)]
        pub(crate) extern "C" fn $name($($arg: $type),*) -> $ret {
            $crate::boundary::$run(|| ($act)($($arg),*))
        }
        interface!(@export $run $($rest)*);
    };
    (@export $run:ident $(#[doc = $doc:literal])+
        pair $name:ident, $twin:ident($($arg:ident: $type:ty),*) -> $ret:ty = $act:expr; $($rest:tt)*) => {
        const _: () = {
            use $crate::{boundary, shelf};

            #[inline(never)]
            extern "C" fn with(store: &shelf::Entry $(, $arg: $type)*) -> $ret {
                boundary::$run(|| ($act)(store $(, $arg)*))
            }
            #[cold]
            #[inline(never)]
            extern "C" fn looked_up(serial: u64 $(, $arg: $type)*) -> $ret {
                boundary::run(|| Ok(with(&*shelf::find(serial)? $(, $arg)*)))
            }
            // The store is at hand nearly always: what costs time then is a jump.
            #[inline(always)]
            fn on(serial: u64 $(, $arg: $type)*) -> $ret {
                // SAFETY: it is used in this call alone.
                #[allow(unsafe_code, reason = "what is at hand is found by its address")]
                match unsafe { shelf::held(serial) } {
                    Some(store) => with(store $(, $arg)*),
                    None => looked_up(serial $(, $arg)*),
                }
            }
            $(#[doc = $doc])+
            #[allow(unsafe_code, reason = "its name is C's")]
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $name($($arg: $type),*) -> $ret {
                on(shelf::own_serial() $(, $arg)*)
            }
            #[doc = concat!("Does what [`", stringify!($name), "`] does, on the store of a handle.")]
            #[allow(unsafe_code, reason = "its name is C's")]
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $twin(store: $crate::args::Handle $(, $arg: $type)*) -> $ret {
                on(store.serial() $(, $arg)*)
            }
        };
        interface!(@export $run $($rest)*);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_does_not_cross_and_is_an_error() {
        tell(0);
        assert_eq!(run::<c_int>(|| panic!("planted")), -1);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOTRECOVERABLE));
        assert!(run::<*const u8>(|| panic!("planted")).is_null());
    }
}
