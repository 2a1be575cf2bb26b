//! The watcher's loop: take every notification, read what changed, and note how long ago it changed.
//!
//! Two things are proved at the end, when nobody writes any more and every ring has been emptied.
//! For each signal of the watched groups the watcher has taken a notification, or a lag that counts it. And of every
//! watched key it knows the last epoch. The first rests on the store's counts and not on what changes say; the second
//! on what they say and no count, but notices
//! only a change that was the last of its key, by a watcher that had taken the one before in time,
//! while no writer held the key.

use super::recorder::Recorder;
use super::{Assignment, Report};
use crate::keys::{self, Family};
use crate::latency::{OneOf, encode, histogram};
use crate::oracle::checks::Checks;
use crate::proof::value;
use crate::shared_state::Phase;
use crate::target::{Notification, Reads, SlotChange, Watches};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Name of the latencies of all notifications.
pub(crate) const NOTIFICATION: &str = "notification";
/// Name of the latencies of those that a watcher waited for.
pub(crate) const WAKE: &str = "wake";

/// Notifications between two looks at the run.
const BATCH: u32 = 256;
/// How long a watcher waits before it looks whether the run is over.
const PATIENCE: Duration = Duration::from_millis(20);

/// What a watcher took, from before the first write to after the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Notices {
    /// Notifications, first to last.
    pub taken: u64,
    /// Those in the measured window.
    pub measured: u64,
    /// Those of `taken` that the watcher waited for, spinning or asleep.
    pub wakes: u64,
    /// Notices of falling behind; by these, signals overwritten before they were taken.
    pub lagged: u64,
    pub missed: u64,
    /// Signals of the groups by the store's counts, once per watcher; null with `watch_all`.
    pub signalled: Option<u64>,
    /// As `lost_notifications`.
    pub lost: u64,
}

impl Notices {
    /// Adds another watcher's.
    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            taken: self.taken + other.taken,
            measured: self.measured + other.measured,
            wakes: self.wakes + other.wakes,
            lagged: self.lagged + other.lagged,
            missed: self.missed + other.missed,
            signalled: self.signalled.and_then(|signals| Some(signals + other.signalled?)),
            lost: self.lost + other.lost,
        }
    }
}

/// Where a watcher is in the measured window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Before,
    Open,
    Closed,
}

/// A watcher's state.
#[derive(Debug)]
pub(crate) struct WatcherLoop {
    checks: Checks,
    oracle: bool,
    notices: Notices,
    /// By group: signals before the first write, and notifications taken.
    groups: Vec<(u64, u64)>,
    /// By slot: the last epoch that was notified; none if a writer held the slot then. Empty without the oracle.
    epochs: Vec<Option<u64>>,
    /// Notifications taken before the measured window.
    before: u64,
    window: Window,
    timed: OneOf,
    latencies: Box<Histogram<u64>>,
    wakes: Box<Histogram<u64>>,
    buf: Vec<u8>,
}

impl WatcherLoop {
    /// Prepares a watcher; touches its memory. Nobody must write yet.
    #[must_use]
    pub(crate) fn new(assignment: &Assignment<'_>, changes: &mut impl Watches) -> Self {
        let workload = assignment.workload;
        let every = if workload.stamps_time() { workload.sample } else { 0 };
        let mut watcher = Self {
            checks: Checks::new(workload),
            oracle: workload.oracle,
            notices: Notices::default(),
            groups: workload.signal_groups().map(|group| (changes.signals(group), 0)).collect(),
            epochs: Vec::new(),
            before: 0,
            window: Window::Before,
            timed: OneOf::new(every),
            latencies: Box::new(histogram()),
            wakes: Box::new(histogram()),
            buf: vec![0; workload.buffer_len()],
        };
        if watcher.oracle {
            let slots = usize::try_from(workload.geometry().slots).unwrap_or(0);
            watcher.epochs = vec![Some(0); slots];
            changes.resync(|change| watcher.note(&change));
        }
        watcher
    }

    /// Takes notifications until the writers have ended and there are no more.
    pub(super) fn run(
        &mut self,
        recorder: &mut Recorder<'_>,
        target: &impl Reads,
        changes: &mut impl Watches,
    ) {
        let mut left = 0;
        loop {
            if left == 0 {
                self.look(recorder);
                left = BATCH;
            }
            left -= 1;
            match changes.next() {
                // In this order: after the writers' end, every notification of theirs is there to take.
                Notification::Nothing if self.look(recorder) == Phase::Leave => match changes.next() {
                    Notification::Nothing => break,
                    notification => self.take(notification, false, target, changes),
                },
                Notification::Nothing => {
                    let notification = changes.wait(PATIENCE);
                    self.take(notification, true, target, changes);
                }
                notification => self.take(notification, false, target, changes),
            }
        }
        self.prove(changes);
    }

    /// Ends the watcher.
    pub(super) fn report(mut self, recorder: Recorder<'_>) -> Report {
        self.notices.lost = self.checks.faults.lost_notifications;
        let mut report = recorder.report(self.checks.faults);
        if self.window != Window::Before {
            report.histograms.extend(encode(NOTIFICATION, &self.latencies));
            report.histograms.extend(encode(WAKE, &self.wakes));
        }
        report.notices = Some(self.notices);
        report
    }

    /// Looks where the run is; counts from when it is measured until it is stopped.
    fn look(&mut self, recorder: &mut Recorder<'_>) -> Phase {
        let phase = recorder.phase();
        match phase {
            Phase::Measure if self.window == Window::Before => {
                self.window = Window::Open;
                self.before = self.notices.taken;
                self.latencies.reset();
                self.wakes.reset();
            }
            Phase::Stop | Phase::Leave if self.window == Window::Open => {
                self.window = Window::Closed;
                recorder.end_window();
                self.notices.measured = self.notices.taken - self.before;
            }
            _ => {}
        }
        phase
    }

    #[inline]
    fn take(
        &mut self,
        notification: Notification,
        waited: bool,
        target: &impl Reads,
        changes: &mut impl Watches,
    ) {
        match notification {
            Notification::Nothing => {}
            Notification::Change(change) => {
                if let Some(group) = change.group {
                    self.groups[usize::from(group)].1 += 1;
                }
                // What a resync promised comes without a signal of its own.
                if change.group.is_some() || self.groups.is_empty() {
                    self.notices.taken += 1;
                    self.notices.wakes += u64::from(waited);
                }
                if self.oracle {
                    self.note(&change);
                    self.read(&change, waited, target);
                }
            }
            Notification::Lagged(missed) => {
                self.notices.lagged += 1;
                self.notices.missed += missed;
                if self.oracle {
                    changes.resync(|change| self.note(&change));
                }
            }
        }
    }

    #[inline]
    fn note(&mut self, change: &SlotChange) {
        let slot = change.slot as usize;
        if slot >= self.epochs.len() {
            self.epochs.resize(slot + 1, Some(0));
        }
        self.epochs[slot] = change.epoch;
    }

    /// Reads the value that changed, or a newer one, and records how long ago it was written.
    #[inline]
    fn read(&mut self, change: &SlotChange, waited: bool, target: &impl Reads) {
        let Some(index) = change.value else { return };
        let key = keys::name(Family::Value, index);
        // Removed since, or held just now: another notification of that is on the way.
        let Ok(len) = target.get(&key, &mut self.buf) else {
            return;
        };
        let now = splinter::cycles_fenced();
        let value = &self.buf[..len];
        let written = value::time_of(value);
        let sound = self.checks.value(index, &key, value).is_some();
        if let Some(written) = written.filter(|_| sound && self.counts() && self.timed.due()) {
            let age = now.saturating_sub(written);
            self.latencies.saturating_record(age);
            if waited {
                self.wakes.saturating_record(age);
            }
        }
    }

    /// Tells whether what is timed now counts, or may: before the window it is forgotten again.
    #[inline]
    fn counts(&self) -> bool {
        self.window != Window::Closed
    }

    /// Compares what was taken with what there was to take. No process may still write.
    fn prove(&mut self, changes: &mut impl Watches) {
        let Notices { taken, missed, .. } = self.notices;
        let groups = (0..).zip(self.groups.iter());
        let signals: Vec<(u64, u64)> =
            groups.map(|(group, &(start, taken))| (changes.signals(group) - start, taken)).collect();
        if !signals.is_empty() {
            let all: u64 = signals.iter().map(|(signals, _)| signals).sum();
            self.notices.signalled = Some(all);
            // A lag does not name its groups, so groups are compared where there was none.
            let lost = if missed == 0 {
                let differences = signals.iter().map(|(there, taken)| there.abs_diff(*taken));
                differences.sum()
            } else {
                all.abs_diff(taken + missed)
            };
            if lost > 0 {
                self.checks.faults.lost_notifications(lost, || {
                    format!("{all} signals: {taken} taken, {missed} reported as missed")
                });
            }
        }
        if self.oracle {
            let (epochs, faults) = (&self.epochs, &mut self.checks.faults);
            changes.resync(|change| {
                let known = epochs.get(change.slot as usize).copied();
                let known = known.unwrap_or(Some(0));
                if known.is_some() && known != change.epoch && !change.order {
                    faults.lost_notifications(1, || {
                        format!(
                            "slot {} is at epoch {}, notified was {}",
                            change.slot,
                            change.epoch.unwrap_or(0),
                            known.unwrap_or(0)
                        )
                    });
                }
            });
        }
    }
}
