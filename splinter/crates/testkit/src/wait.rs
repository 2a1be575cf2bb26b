//! Waits for what another process or thread does. Their limit is a watchdog, not a measurement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits before it fails.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How long a wait only yields: most ends come sooner, and tests want to be there then.
const EAGER: Duration = Duration::from_millis(10);

/// Waits until `look` finds something. Returns it.
///
/// # Panics
/// If it finds nothing within [`LIMIT`].
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        let waited = start.elapsed();
        assert!(waited < LIMIT, "waited in vain: {what}");
        if waited < EAGER {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Waits until `done` returns true.
///
/// # Panics
/// If it does not within [`LIMIT`].
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    wait_for(what, || done().then_some(()));
}

/// Sets a flag when it goes, also because a test fails: threads that run until then end, and the failure is seen.
pub struct SetAtEnd<'f>(pub &'f AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
