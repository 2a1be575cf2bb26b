//! How often an open store is looked after: about once a second, while anybody waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often those who wait look whether a writer died that should have told them of a change.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// When an open store was last looked after.
pub(crate) struct RecoveryTimer {
    opened: Instant,
    /// In milliseconds since then.
    last: AtomicU64,
}

impl Default for RecoveryTimer {
    fn default() -> Self {
        Self { opened: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl RecoveryTimer {
    /// Whether it is time again; of all who ask at once, one is told so.
    pub(super) fn is_due(&self) -> bool {
        let now = self.opened.elapsed().as_millis() as u64;
        let last = self.last.load(Ordering::Relaxed);
        let relaxed = Ordering::Relaxed;
        now.wrapping_sub(last) >= EVERY.as_millis() as u64
            && self.last.compare_exchange(last, now, relaxed, relaxed).is_ok()
    }
}
