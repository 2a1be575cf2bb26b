//! What is said when a store's memory cannot be had: the kernel answers the first touch of a page that a full `/dev/shm`
//! or disk does not have, or that a file no longer has, with a signal, SIGBUS. Knows nothing of stores.

// Opts in for a signal handler, which no safe function can set for this signal.
#![allow(unsafe_code)]

use crate::failure::Failure;
use crate::interrupt::is_ignored;
use crate::output::Format;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

const MESSAGE: &str = "the store's memory cannot be had: /dev/shm or the disk is full, or the file was cut short; free some \
room there, or use a copy that is whole";

/// The line that is said, after the name of the program. It is made before it is needed: a handler can make nothing.
static LINE: OnceLock<String> = OnceLock::new();

/// Has the program end with one line and exit code 1 when memory cannot be had, instead of by the signal. What was being
/// written is taken over by whoever wants it next, as with any death.
///
/// A file that would grow beyond the limit on file sizes (`ulimit -f`) is refused with an error from then on, which somebody
/// tells of, instead of the signal that goes with it.
pub(crate) fn prepare(program: &str, format: Format) {
    LINE.get_or_init(|| Failure::new(MESSAGE).told_in(format).line(Some(program)) + "\n");
    let action = SigAction::new(SigHandler::Handler(end), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler calls nothing but unlink, write and _exit, which POSIX allows there.
    let set = unsafe { sigaction(Signal::SIGBUS, &action) };
    // It cannot fail for this signal; without a handler the signal would end the program all the same.
    debug_assert!(set.is_ok(), "SIGBUS can be handled");
    if !is_ignored(Signal::SIGXFSZ) {
        // Not ignored, which programs that are started from here would inherit.
        let action = SigAction::new(SigHandler::Handler(go_on), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing.
        let set = unsafe { sigaction(Signal::SIGXFSZ, &action) };
        debug_assert!(set.is_ok(), "SIGXFSZ can be handled");
    }
}

extern "C" fn go_on(_: libc::c_int) {}

/// The file that nobody has use for if the program ends now.
static UNFINISHED: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());

/// Has a file removed if the program ends for want of memory, until [`finished`] says otherwise. There is one such file.
pub(crate) fn unfinished(path: &Path) {
    if let Ok(path) = CString::new(path.as_os_str().as_bytes()) {
        // What was there before stays allocated: the handler may be reading it. It is one name for each copy made.
        UNFINISHED.store(path.into_raw(), Ordering::Release);
    }
}

/// Has no file removed any more.
pub(crate) fn finished() {
    UNFINISHED.store(ptr::null_mut(), Ordering::Release);
}

extern "C" fn end(_: libc::c_int) {
    let unfinished = UNFINISHED.load(Ordering::Acquire);
    if !unfinished.is_null() {
        // SAFETY: the name was made from a CString, which is never freed; unlink may be called in a handler.
        let _ = unsafe { libc::unlink(unfinished) };
    }
    let line = LINE.get().map_or("", String::as_str);
    // SAFETY: the line is never changed, and has that length; that not all of it was written changes nothing.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
    // SAFETY: _exit takes any number, and does not return.
    unsafe { libc::_exit(1) }
}
