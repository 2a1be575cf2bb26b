//! Deadlines: the store time from which a key is missing, whichever processes run.

use super::Arena;
use super::state::Descriptor;
use crate::sync::{Pair, Relaxed, Release, load_acquire};
use std::time::Duration;

/// The clock of a store: it goes on while the machine sleeps, and setting the wall clock does not move it.
#[derive(Clone, Copy)]
pub(crate) struct Clock<'a> {
    /// Returns the nanoseconds since the machine was switched on, sleeps included.
    pub(crate) since_boot: fn() -> u64,
    /// What store time is ahead of that, wrapping.
    pub(crate) distance: u64,
    /// Where the distance is recorded, so that all processes have the same store time.
    pub(crate) base: Option<Base<'a>>,
}

/// The boot and the distance that the header keeps.
#[derive(Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) recorded: &'a Pair,
    /// What was recorded when this process took its distance. Another distance that is recorded later holds from then on.
    pub(crate) seen: (u64, u64),
}

impl Clock<'_> {
    /// Returns the store time, in nanoseconds.
    pub(crate) fn now(self) -> u64 {
        let recorded = self.base.and_then(|Base { recorded, seen }| {
            let now = (recorded.first_acquire(), recorded.second());
            (now != seen).then_some(now.1)
        });
        (self.since_boot)().wrapping_add(recorded.unwrap_or(self.distance))
    }

    #[cold]
    #[inline(never)]
    fn is_past(self, deadline: u64) -> bool {
        deadline <= self.now()
    }
}

impl Arena<'_> {
    /// Returns the deadline that the descriptor of slot `number` names, if it names one.
    #[inline(always)]
    pub(crate) fn deadline(&self, number: u32, descriptor: Descriptor) -> Option<u64> {
        let words = &self.deadlines[number as usize].words;
        (descriptor.expires() != 0).then(|| load_acquire(&words[descriptor.deadline() as usize]))
    }

    /// Returns for how long the key of slot `number` stays, if its descriptor names a deadline.
    pub(crate) fn time_left(&self, number: u32, descriptor: Descriptor) -> Option<Duration> {
        let deadline = self.deadline(number, descriptor)?;
        Some(Duration::from_nanos(deadline.saturating_sub(self.clock.now())))
    }

    /// Whether the deadline that the descriptor of slot `number` names has passed.
    #[inline(always)]
    pub(crate) fn is_expired(&self, number: u32, descriptor: Descriptor) -> bool {
        mutant!("deadline-ignored", return false);
        self.deadline(number, descriptor).is_some_and(|deadline| self.clock.is_past(deadline))
    }

    /// Writes a deadline to the word of slot `number` that is not current. Returns the descriptor that names it. The
    /// caller holds the slot.
    pub(crate) fn write_deadline(&self, number: u32, descriptor: Descriptor, deadline: u64) -> Descriptor {
        let which = 1 - descriptor.deadline();
        mutant!("deadline-in-place", let which = descriptor.deadline());
        self.deadlines[number as usize].words[which as usize].store(deadline, Relaxed);
        // Before the descriptor: a sweep finds every key with a deadline.
        let (word, bit) = self.bit(number);
        word.expiring.fetch_or(bit, Release);
        self.note_time();
        descriptor.with_expires(1).with_deadline(which)
    }

    /// Notes the store time if the store ever had a deadline. It is called where a process leaves the store, and now and
    /// then before.
    pub(crate) fn keep_time(&self) {
        if self.header.time_seen.load(Relaxed) != 0 {
            self.note_time();
        }
    }

    /// Notes the store time, from which it goes on after a reboot.
    pub(crate) fn note_time(&self) {
        let (now, word) = (self.clock.now(), &self.header.time_seen);
        let seen = word.load(Relaxed);
        if seen < now {
            // If this fails, another process has noted a time meanwhile, and none is lowered. Release: who sees the time
            // reads no earlier clock.
            let _ = word.compare_exchange(seen, now, Release, Relaxed);
        }
    }

    /// Forgets the deadlines that the slot had, and clears its expiring bit. The caller holds the slot, and its descriptor
    /// names no deadline.
    pub(crate) fn clear_expiring(&self, number: u32) {
        let (word, bit) = self.bit(number);
        if word.expiring.load(Relaxed) & bit != 0 {
            for deadline in &self.deadlines[number as usize].words {
                deadline.store(0, Relaxed);
            }
            word.expiring.fetch_and(!bit, Relaxed);
        }
    }
}
