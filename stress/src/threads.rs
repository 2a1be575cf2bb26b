//! Threads beside the workers: those of the checks that use all processors, and single ones. Where the kernel gives no more,
//! that is one line, and no panic.

use std::error::Error as _;
use std::io;
use std::sync::OnceLock;
use std::thread::{Builder, JoinHandle, Scope, ScopedJoinHandle};

/// Starts the threads that all parallel checks of this process share, unless they run already.
///
/// # Errors
/// One line if the kernel does not give them.
pub(crate) fn start_shared() -> Result<(), String> {
    static STARTED: OnceLock<Result<(), String>> = OnceLock::new();
    let start = || match rayon::ThreadPoolBuilder::new().build_global() {
        // An error without a source is that they run already.
        Err(error) if error.source().is_some() => Err(not_started(&error)),
        _ => Ok(()),
    };
    STARTED.get_or_init(start).clone()
}

/// Starts a thread.
///
/// # Errors
/// One line if the kernel does not give it.
pub(crate) fn start<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, String> {
    Builder::new().spawn(work).map_err(|error: io::Error| not_started(&error))
}

/// Starts a thread that ends before its scope does.
///
/// # Errors
/// One line if the kernel does not give it.
pub(crate) fn start_in<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, String> {
    Builder::new().spawn_scoped(scope, work).map_err(|error: io::Error| not_started(&error))
}

fn not_started(error: &dyn std::fmt::Display) -> String {
    format!("a thread could not be started: {error}; raise the limit on processes (ulimit -u)")
}
