//! Waiting as pollers and watchers do it: spinning for a moment, then sleeping, but never for so long that
//! a writer's death goes unnoticed.

use crate::kernel;
use crate::open::{RECOVERY_INTERVAL, Store};
use crate::sync::{Word, spin_loop};
use crate::tuning;
use std::time::{Duration, Instant};

/// How long somebody naps who can count on nobody to wake it: this long first, and up to that.
const BACKOFF: [Duration; 2] = [Duration::from_micros(20), Duration::from_millis(1)];

/// Looks again and again for a while before going to sleep.
pub(crate) struct Spin {
    looks: u32,
    span: Duration,
    /// When to stop, however long the span is; none if it is too long for the clock.
    end: Option<Instant>,
}

impl Default for Spin {
    /// Spins for as long as is worth it.
    fn default() -> Self {
        Self::new(tuning::spin(), None)
    }
}

impl Spin {
    pub(crate) fn new(span: Duration, deadline: Option<Instant>) -> Self {
        Self { looks: 0, span, end: deadline }
    }

    /// Whether it has gone on for so long, again, that it is time to look at what is not looked at each time.
    pub(crate) fn is_long(&self) -> bool {
        self.looks.is_multiple_of(1024)
    }

    /// Pauses for a moment. Returns whether to look once more. The clock is read only now and then.
    #[inline]
    pub(crate) fn goes_on(&mut self) -> bool {
        spin_loop();
        self.looks = self.looks.wrapping_add(1);
        if self.looks % 16 != 1 {
            return true;
        }
        let now = Instant::now();
        if self.looks == 1 {
            self.end = self.end.into_iter().chain(now.checked_add(self.span)).min();
        }
        self.end.is_none_or(|end| now < end)
    }
}

/// Sleeping until a deadline, but never for so long that a death goes unnoticed.
pub(crate) struct Backoff<'s> {
    store: &'s Store,
    deadline: Option<Instant>,
    back_off: Duration,
}

impl<'s> Backoff<'s> {
    pub(crate) fn new(store: &'s Store, deadline: Option<Instant>) -> Self {
        store.look_after();
        Self { store, deadline, back_off: BACKOFF[0] }
    }

    /// Sleeps until woken by one of `bits`, while `word` reads `expected`.
    pub(crate) fn sleep(&mut self, word: &Word, expected: u64, bits: u32) {
        let wake_up = Instant::now() + RECOVERY_INTERVAL;
        let until = self.deadline.map_or(wake_up, |deadline| deadline.min(wake_up));
        kernel::futex::wait(word, expected as u32, bits, Some(until));
        self.store.look_after();
    }

    /// Sleeps for a moment, every time for longer.
    pub(crate) fn back_off(&mut self) {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        std::thread::sleep(left.map_or(self.back_off, |left| left.min(self.back_off)));
        self.back_off = (self.back_off * 2).min(BACKOFF[1]);
        self.store.look_after();
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}
