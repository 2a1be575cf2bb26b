//! Ctrl-C, SIGTERM and SIGHUP: a flag that the run looks at, so that workers are stopped and everything is
//! cleaned up in the ordinary way.
#![allow(unsafe_code)] // Installs a signal handler.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

static REQUESTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: libc::c_int) {
    REQUESTED.store(true, Relaxed);
}

/// Turns SIGINT, SIGTERM and SIGHUP into the flag, from now on; a SIGHUP that is ignored, as under nohup, stays so.
pub fn watch() {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler stores to an atomic and does nothing else, which is safe at any
        // moment.
        let before = unsafe { sigaction(signal, &action) };
        debug_assert!(before.is_ok(), "{signal} can be handled");
        if let (Signal::SIGHUP, Ok(before)) = (signal, before)
            && matches!(before.handler(), SigHandler::SigIgn)
        {
            // SAFETY: what was installed before is installed again.
            let _ = unsafe { sigaction(signal, &before) };
        }
    }
}

/// Tells whether the run is to end.
#[must_use]
pub fn requested() -> bool {
    REQUESTED.load(Relaxed)
}
