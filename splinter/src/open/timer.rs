//! Limits checks for dead writers to one a second, while threads wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The interval between checks for dead writers.
pub(crate) const RECOVERY_INTERVAL: Duration = Duration::from_secs(1);

/// When an open store was last checked.
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
    /// Returns whether a check is due; of concurrent callers one gets true.
    pub(super) fn is_due(&self) -> bool {
        let now = self.opened.elapsed().as_millis() as u64;
        let last = self.last.load(Ordering::Relaxed);
        let relaxed = Ordering::Relaxed;
        now.wrapping_sub(last) >= RECOVERY_INTERVAL.as_millis() as u64
            && self.last.compare_exchange(last, now, relaxed, relaxed).is_ok()
    }
}
