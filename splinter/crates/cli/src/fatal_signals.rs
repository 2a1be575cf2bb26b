//! Signal handlers for memory and file limits. The kernel sends SIGBUS when the program touches a page that a full
//! `/dev/shm` or disk cannot provide, or that the file no longer has. The handler prints one line and ends the program.
//! Knows nothing of stores.

// Unsafe code is needed to set a handler for this signal; no safe function can.
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

const MESSAGE: &str = "the store's memory is missing: /dev/shm or the disk is full, or the file was cut short; free some \
room there, or use a complete copy";

/// The line to print, with the name of the program. It is formatted in advance: a signal handler cannot allocate.
static LINE: OnceLock<String> = OnceLock::new();

/// Makes SIGBUS end the program with one line and exit code 1. As after any death of a writer, the next writer recovers
/// what was being written.
///
/// Makes SIGXFSZ harmless: writing beyond the limit on file sizes (`ulimit -f`) then fails with an error, which the
/// caller reports, instead of ending the program.
pub(crate) fn install_handlers(program: &str, format: Format) {
    LINE.get_or_init(|| Failure::new(MESSAGE).in_format(format).line(Some(program)) + "\n");
    // A handler for SIGXFSZ, too, since programs started from here would inherit SIG_IGN.
    let handlers: [(_, extern "C" fn(libc::c_int)); 2] =
        [(Signal::SIGBUS, on_sigbus), (Signal::SIGXFSZ, on_sigxfsz)];
    for (signal, handler) in handlers {
        if signal == Signal::SIGXFSZ && is_ignored(signal) {
            continue;
        }
        let action = SigAction::new(SigHandler::Handler(handler), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handlers call nothing but unlink, write and _exit, which POSIX allows in signal handlers.
        let set = unsafe { sigaction(signal, &action) };
        debug_assert!(set.is_ok(), "{signal} can be handled");
    }
}

extern "C" fn on_sigxfsz(_: libc::c_int) {}

/// The incomplete file to remove if SIGBUS ends the program; null if there is none.
static FILE_TO_REMOVE: AtomicPtr<libc::c_char> = AtomicPtr::new(ptr::null_mut());

/// Makes the SIGBUS handler remove a file, until [`keep_file`] is called. There is one such file at most.
pub(crate) fn remove_on_sigbus(path: &Path) {
    if let Ok(path) = CString::new(path.as_os_str().as_bytes()) {
        // The previous name is never freed, since the handler may be reading it. That is one name for each copy made.
        FILE_TO_REMOVE.store(path.into_raw(), Ordering::Release);
    }
}

/// Makes the SIGBUS handler remove no file.
pub(crate) fn keep_file() {
    FILE_TO_REMOVE.store(ptr::null_mut(), Ordering::Release);
}

extern "C" fn on_sigbus(_: libc::c_int) {
    let path = FILE_TO_REMOVE.load(Ordering::Acquire);
    if !path.is_null() {
        // SAFETY: the name comes from a CString that is never freed; unlink may be called in a handler.
        let _ = unsafe { libc::unlink(path) };
    }
    let line = LINE.get().map_or("", String::as_str);
    // SAFETY: the line never changes and has that length. A partial write is harmless.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
    // SAFETY: _exit takes any number, and does not return.
    unsafe { libc::_exit(1) }
}
