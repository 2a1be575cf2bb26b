//! Keys that are set for a time: what a read of one may return, by the store's clock.

use super::checks::Checks;
use crate::keys::Family;
use crate::proof::value::{self, Stamp};

impl Checks {
    /// Checks a value that has its deadline in it, and was read after the clock said `before`.
    pub(crate) fn lease(&mut self, index: u64, key: &[u8; 8], value: &[u8], before: u64) -> Option<Stamp> {
        let stamp = self.stamped(Family::Lease, index, key, value)?;
        self.leased(key, value::time_of(value).unwrap_or(0), before);
        Some(stamp)
    }

    /// Checks the deadline of a key that was read after the clock said `before`.
    pub(crate) fn leased(&mut self, key: &[u8; 8], deadline: u64, before: u64) {
        if deadline <= before {
            self.faults.expired(key, || format!("read at {before} or later, its deadline is {deadline}"));
        }
    }
}
