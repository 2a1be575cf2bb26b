//! Spins for a moment, then sleeps (backoff), for pollers and watchers. No sleep is so long that a writer's death goes
//! unnoticed.

use crate::kernel;
use crate::open::{RECOVERY_INTERVAL, Store};
use crate::sync::{Word, spin_loop};
use crate::tuning;
use std::time::{Duration, Instant};

/// The first and the longest pause of a caller that no writer can wake.
const PAUSES: [Duration; 2] = [Duration::from_micros(20), Duration::from_millis(1)];

/// How long to wait for the end of a claim: nearly all end sooner, and the owner of another may be stopped.
pub(crate) const CLAIM_SPIN: Duration = Duration::from_micros(10);

/// A spin loop of bounded time.
pub(crate) struct Spin {
    iterations: u32,
    span: Duration,
    /// When to stop, however long the span is; `None` if it is too long for the clock.
    end: Option<Instant>,
}

impl Default for Spin {
    /// Spins for as long as the tuning says.
    fn default() -> Self {
        Self::new(tuning::spin(), None)
    }
}

impl Spin {
    pub(crate) fn new(span: Duration, deadline: Option<Instant>) -> Self {
        Self { iterations: 0, span, end: deadline }
    }

    /// Tells whether it is time for the checks that are too expensive for each iteration.
    pub(crate) fn is_check_due(&self) -> bool {
        self.iterations.is_multiple_of(1024)
    }

    /// Pauses for a moment. Returns whether to spin once more. It reads the clock only in each 16th iteration.
    #[inline]
    pub(crate) fn spin_once(&mut self) -> bool {
        spin_loop();
        self.iterations = self.iterations.wrapping_add(1);
        if self.iterations % 16 != 1 {
            return true;
        }
        let now = Instant::now();
        if self.iterations == 1 {
            self.end = self.end.into_iter().chain(now.checked_add(self.span)).min();
        }
        self.end.is_none_or(|end| now < end)
    }
}

/// Returns what spins for as long as a claim lasts, nearly always, when called again and again.
pub(crate) fn claim_spin() -> impl FnMut() -> bool {
    let mut spin = Spin::new(CLAIM_SPIN, None);
    move || spin.spin_once()
}

/// Sleeps until a deadline, but never so long that a writer's death goes unnoticed.
pub(crate) struct Backoff<'s> {
    store: &'s Store,
    deadline: Option<Instant>,
    pause: Duration,
}

impl<'s> Backoff<'s> {
    pub(crate) fn new(store: &'s Store, deadline: Option<Instant>) -> Self {
        store.recover_dead_writers();
        Self { store, deadline, pause: PAUSES[0] }
    }

    /// Sleeps until a wake for one of `bits`, if `word` still reads `expected`.
    pub(crate) fn sleep(&mut self, word: &Word, expected: u64, bits: u32) {
        let wake_up = Instant::now() + RECOVERY_INTERVAL;
        let until = self.deadline.map_or(wake_up, |deadline| deadline.min(wake_up));
        kernel::futex::wait(word, expected as u32, bits, Some(until));
        self.store.recover_dead_writers();
    }

    /// Sleeps for a moment, each time for longer.
    pub(crate) fn back_off(&mut self) {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        std::thread::sleep(left.map_or(self.pause, |left| left.min(self.pause)));
        self.pause = (self.pause * 2).min(PAUSES[1]);
        self.store.recover_dead_writers();
    }

    /// Tells whether the deadline has passed.
    pub(crate) fn is_past_deadline(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}
