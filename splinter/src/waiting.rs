//! Waiting as pollers and watchers do it: spinning for a moment, then sleeping, but never for so long that
//! a writer's death goes unnoticed.

use crate::kernel;
use crate::registration::Registration;
use crate::store::Store;
use crate::sync::{Word, spin_loop};
use crate::tuning;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often those who wait look whether a writer died that should have told them of a change.
pub(crate) const VIGIL: Duration = Duration::from_secs(1);
/// How long somebody naps who can count on nobody to wake it: this long first, and up to that.
const NAPS: [Duration; 2] = [Duration::from_micros(20), Duration::from_millis(1)];

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
pub(crate) struct Naps<'s> {
    store: &'s Store,
    deadline: Option<Instant>,
    nap: Duration,
}

impl<'s> Naps<'s> {
    pub(crate) fn new(store: &'s Store, deadline: Option<Instant>) -> Self {
        store.look_after();
        Self { store, deadline, nap: NAPS[0] }
    }

    /// Sleeps until woken by one of `bits`, while `word` reads `expected`.
    pub(crate) fn sleep(&mut self, word: &Word, expected: u64, bits: u32) {
        let vigil = Instant::now() + VIGIL;
        let until = self.deadline.map_or(vigil, |deadline| deadline.min(vigil));
        kernel::futex::wait(word, expected as u32, bits, Some(until));
        self.store.look_after();
    }

    /// Sleeps for a moment, every time for longer.
    pub(crate) fn nap(&mut self) {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        std::thread::sleep(left.map_or(self.nap, |left| left.min(self.nap)));
        self.nap = (self.nap * 2).min(NAPS[1]);
        self.store.look_after();
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// When an open store was last looked after.
pub(crate) struct Vigil {
    opened: Instant,
    /// In milliseconds since then.
    last: AtomicU64,
}

impl Default for Vigil {
    fn default() -> Self {
        Self { opened: Instant::now(), last: AtomicU64::new(0) }
    }
}

impl Vigil {
    /// Whether it is time again; of all who ask at once, one is told so.
    fn is_due(&self) -> bool {
        let now = self.opened.elapsed().as_millis() as u64;
        let last = self.last.load(Ordering::Relaxed);
        let relaxed = Ordering::Relaxed;
        now.wrapping_sub(last) >= VIGIL.as_millis() as u64
            && self.last.compare_exchange(last, now, relaxed, relaxed).is_ok()
    }
}

impl Store {
    /// Finishes or undoes, and tells of, what writers left that died: takes each of their lanes for a moment,
    /// as the next writer would. Whoever waits calls this, and about once a second it looks.
    pub(crate) fn look_after(&self) {
        if self.is_read_only() || !self.inner.vigil.is_due() {
            return;
        }
        for (lane, record) in (0..).zip(self.arena().lanes) {
            if !record.is_at_rest()
                && let Ok(Some(registration)) = Registration::take(&self.inner, lane)
            {
                drop(self.claimant(&registration));
                registration.give_back(self.arena());
            }
        }
    }
}
