//! Ctrl-C and SIGTERM: a flag that the run looks at, so that workers are stopped and everything is
//! cleaned up in the ordinary way.
#![allow(unsafe_code)] // Installs a signal handler.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

static REQUESTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: libc::c_int) {
    REQUESTED.store(true, Relaxed);
}

/// Turns SIGINT and SIGTERM into the flag, from now on.
pub fn watch() {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler stores to an atomic and does nothing else, which is safe at any
        // moment.
        let installed = unsafe { sigaction(signal, &action) };
        debug_assert!(installed.is_ok(), "{signal} can be handled");
    }
}

/// Tells whether the run is to end.
#[must_use]
pub fn requested() -> bool {
    REQUESTED.load(Relaxed)
}
