//! Subscriptions and signals: which groups a slot's key and labels notify, and the rings that carry the signals. An
//! eventcount keeps wakes from being lost.
//!
//! A writer puts the slot's number into the ring of each group, and then looks whether any thread sleeps. A thread that
//! wants to sleep takes a ticket first, and then looks at the rings once more. So one of the two sees the other.
//!
//! This layer knows bytes, as `arena` does. `protocol`, which calls it, decides what to signal and when; the layers
//! above sleep and wake.

mod lasting;
mod ring;

pub(crate) use self::ring::{Cursor, Peek};

use crate::arena::Arena;
use crate::arena::os::Os;
use crate::arena::records::{FLAG_WATCHED, GROUPS, Slot, WHOLE_STORE};
use crate::arena::state::{Descriptor, NotifyFlags, State};
use crate::sync::{AcqRel, Acquire, Relaxed, Word, fence_after_exchange, load_acquire};

/// Returns the bit that wakes the sleepers of `group`: a futex has 32.
pub(crate) const fn wake_bit(group: usize) -> u32 {
    1 << (group % 32)
}

/// Returns the bit of a signal group, if there is such a group.
pub(crate) fn group_bit(group: u8) -> Option<u64> {
    (usize::from(group) < GROUPS).then(|| 1 << group)
}

/// For how many groups a change notes the served tickets. Sleepers of further groups are woken once more by the next
/// change.
const SERVED_MAX: usize = 4;

/// The sleepers to wake once a change has been signalled and its slot is released.
#[derive(Default)]
pub(crate) struct Wakes {
    /// Whether to skip the groups. Watchers of the whole store are signalled all the same.
    pub(crate) quiet: bool,
    /// The wake bits of the groups for which a thread may sleep.
    bits: u32,
    /// Groups, each with the tickets that need no wake after this one.
    served: [(usize, u64); SERVED_MAX],
    count: usize,
}

impl Wakes {
    fn add(&mut self, group: usize, tickets: u64) {
        self.bits |= wake_bit(group);
        if self.served[..self.count].iter().any(|(known, _)| *known == group) {
            return;
        }
        if let Some(place) = self.served.get_mut(self.count) {
            *place = (group, tickets);
            self.count += 1;
        }
    }
}

/// How a wait for a change of a slot may begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PreparedWait {
    /// The content has changed already: its epoch.
    Changed(u64),
    /// A writer holds the slot, or was quicker: look again in a moment. The state word.
    Claimed(u64),
    /// The caller may sleep while the state word reads this. Every writer that publishes a change wakes it.
    Ready(u64),
}

impl<'a> Arena<'a> {
    /// Returns the groups that are subscribed to the slot's key or labels, one bit each.
    pub(crate) fn groups_of(&self, number: u32, slot: &Slot) -> u64 {
        if !NotifyFlags(slot.notify_flags.load(Relaxed)).is_subscribed() {
            return 0;
        }
        let mut groups = self.metadata[number as usize].subscriptions.load(Relaxed);
        let mut labels = slot.labels.load(Relaxed);
        while labels != 0 {
            let subscription = self.header.label_subscriptions.get(labels.trailing_zeros() as usize);
            groups |= subscription.map_or(0, |groups| groups.load(Relaxed));
            labels &= labels - 1;
        }
        groups
    }

    /// Returns the groups of labels that the dead owner of the claim in `seen` may have taken away. After a tandem it
    /// may return others, which then get a signal that does not concern them.
    pub(crate) fn groups_before(&self, number: u32, slot: &Slot, seen: State, descriptor: Descriptor) -> u64 {
        match seen.is_of_tandem() {
            true if descriptor.labels_prepared() != 0 => self.groups_of(number, slot),
            true => 0,
            false => slot.prepared.load(Relaxed),
        }
    }

    /// Updates the slot's notify flags from its subscriptions and labels; without a key it has neither. The caller
    /// holds the slot.
    pub(crate) fn update_notify_flags(&self, number: u32, slot: &Slot, is_present: bool) {
        let old = NotifyFlags(slot.notify_flags.load(Relaxed));
        let (mut subscriptions, mut labels) = (0, 0);
        if is_present {
            subscriptions = self.metadata[number as usize].subscriptions.load(Relaxed);
            labels = slot.labels.load(Relaxed);
        } else if old.is_subscribed() {
            self.metadata[number as usize].subscriptions.store(0, Relaxed);
        }
        let new = old.with_groups(subscriptions, labels).with_pinned(is_present && old.is_pinned());
        if new != old {
            slot.notify_flags.store(new.0, Relaxed);
        }
    }

    /// Signals to `groups`, unless `wakes` is quiet, and to watchers of the whole store, that slot `number` changed.
    /// Adds the sleepers to `wakes`.
    pub(crate) fn signal(&self, number: u32, groups: u64, wakes: &mut Wakes) {
        let mut left = if wakes.quiet { 0 } else { groups };
        while left != 0 {
            self.signal_group(left.trailing_zeros() as usize, number, wakes);
            left &= left - 1;
        }
        if self.header.flags.load(Relaxed) & FLAG_WATCHED != 0 {
            self.signal_group(WHOLE_STORE, number, wakes);
            self.expire_watch(wakes);
        }
    }

    fn signal_group(&self, group: usize, number: u32, wakes: &mut Wakes) {
        mutant!("sleepers-first", self.step_and_find_sleepers(group, wakes, |_| ()));
        mutant!("sleepers-first", let wakes = &mut Wakes::default());
        self.step_and_find_sleepers(group, wakes, |count| self.ring(group).push(count, number));
    }

    /// Runs `step`, the change to a group that its sleepers have to see, and notes whether any thread sleeps. `step`
    /// ends with an exchange.
    fn step_and_find_sleepers(&self, group: usize, wakes: &mut Wakes, step: impl FnOnce(&Word)) {
        let Some(record) = self.header.groups.get(group) else { return };
        // Before the step: a thread that takes a ticket later sees the step done.
        let tickets = record.tickets.load(Acquire);
        step(&record.count);
        fence_after_exchange();
        if record.tickets.load(Relaxed) != record.served.load(Relaxed) {
            wakes.add(group, tickets);
        }
    }

    /// Ends the watch of the whole store when all its watchers have fallen behind by more than a ring, so that they lag
    /// anyway. By a quarter more than a ring, since watchers record only that often how far they have read.
    fn expire_watch(&self, wakes: &mut Wakes) {
        let whole = &self.header.groups[WHOLE_STORE];
        let unread = whole.count.load(Relaxed).wrapping_sub(whole.read_to.load(Relaxed));
        let len = i64::from(self.shape.ring_len);
        if unread as i64 > len + len / 4 {
            // A thread may have begun to watch, and gone to sleep, since this writer looked.
            self.step_and_find_sleepers(WHOLE_STORE, wakes, |_| {
                self.header.flags.fetch_and(!FLAG_WATCHED, AcqRel);
            });
        }
    }

    /// Switches on signals for changes to any slot. Returns a cursor that misses none from here on.
    pub(crate) fn begin_watch(&self) -> Cursor {
        let whole = &self.header.groups[WHOLE_STORE];
        if !self.is_watched() {
            // Changes since the last watch ended were not signalled. So a watcher that still reads must lag, and learns
            // that by the count even if it looks only after the flag is set again.
            let gap = u64::from(self.shape.ring_len) + 1;
            self.keep_watch(whole.count.fetch_add(gap, AcqRel).wrapping_add(gap));
            self.header.flags.fetch_or(FLAG_WATCHED, AcqRel);
        }
        let cursor = self.cursor(WHOLE_STORE);
        self.keep_watch(cursor.position);
        cursor
    }

    /// Returns a cursor that misses none from the mark on, or from here on if there is no mark. A caller that may
    /// `only_look` switches nothing on, and finds the signals that others asked for.
    pub(crate) fn watch_from_mark(&self, only_look: bool) -> Cursor {
        let cursor = if only_look { self.cursor(WHOLE_STORE) } else { self.begin_watch() };
        match self.header.groups[WHOLE_STORE].mark.load(Acquire) {
            0 => cursor,
            mark => Cursor { position: mark.wrapping_sub(1), ..cursor },
        }
    }

    /// Marks the current position of the watch of the whole store, unless it has a mark.
    pub(crate) fn mark_watch(&self) {
        let mark = self.begin_watch().position.wrapping_add(1);
        // Release: a thread that sees the mark sees that the store is watched.
        let _ = self.header.groups[WHOLE_STORE].mark.compare_exchange(0, mark, AcqRel, Relaxed);
    }

    /// Records that a watcher has read the signals of the whole store up to `position`. Does not revive a watch that
    /// has ended. Of two watchers that record at once, the slower may win; then the watch ends early.
    pub(crate) fn keep_watch(&self, position: u64) {
        let read_to = &self.header.groups[WHOLE_STORE].read_to;
        if position.wrapping_sub(read_to.load(Relaxed)) as i64 > 0 {
            read_to.store(position, Relaxed);
        }
    }

    /// Whether changes to any slot are signalled.
    pub(crate) fn is_watched(&self) -> bool {
        load_acquire(&self.header.flags) & FLAG_WATCHED != 0
    }

    /// Signals each group of the slot once, though nothing changed, and wakes their sleepers.
    pub(crate) fn pulse(&self, number: u32, slot: &Slot, os: &dyn Os) {
        let (mut wakes, mut groups) = (Wakes::default(), self.groups_of(number, slot));
        while groups != 0 {
            self.signal_group(groups.trailing_zeros() as usize, number, &mut wakes);
            groups &= groups - 1;
        }
        self.wake_groups(&mut wakes, os);
    }

    /// Takes the sleepers from `wakes`, and wakes them if there may be any.
    pub(crate) fn wake_groups(&self, wakes: &mut Wakes, os: &dyn Os) {
        mutant!("wake-omitted", return);
        if wakes.bits == 0 {
            return;
        }
        let quiet = wakes.quiet;
        let Wakes { bits, served, count, .. } = std::mem::replace(wakes, Wakes { quiet, ..Wakes::default() });
        // Release: a thread that sees the wake word changed sees the signals.
        self.header.wake_word.fetch_add(1, AcqRel);
        os.wake_groups(&self.header.wake_word, bits);
        // Only now: if this writer were stopped before the wake, another would have to do it.
        for (group, tickets) in &served[..count] {
            self.header.groups[*group].served.store(*tickets, Relaxed);
        }
    }

    /// Wakes the sleepers of all groups.
    pub(crate) fn wake_all_groups(&self, os: &dyn Os) {
        self.header.wake_word.fetch_add(1, AcqRel);
        os.wake_groups(&self.header.wake_word, u32::MAX);
    }

    /// Takes a ticket in each group for a thread that is about to sleep until one of them is signalled. Returns the
    /// wake word. Sleep on that value, unless another look at the rings shows a signal.
    pub(crate) fn take_tickets(&self, cursors: &[Cursor]) -> u64 {
        for cursor in cursors {
            self.header.groups[cursor.group].tickets.fetch_add(1, AcqRel);
        }
        fence_after_exchange();
        self.header.wake_word.load(Acquire)
    }

    /// Returns the epoch of the slot's content, unless it is `epoch` still.
    pub(crate) fn moved_from(&self, slot: &Slot, epoch: u64) -> Option<u64> {
        State(slot.state_integer.first_acquire()).moved_from(epoch)
    }

    /// Prepares to sleep until the slot's epoch is no longer `epoch`.
    ///
    /// Sets the polled bit in the state word itself. Every writer that changes the slot exchanges that word, and so
    /// sees the bit.
    pub(crate) fn prepare_wait(&self, slot: &Slot, epoch: u64) -> PreparedWait {
        let state = State(slot.state_integer.first_acquire());
        let polled = state.polled();
        if let Some(epoch) = state.moved_from(epoch) {
            return PreparedWait::Changed(epoch);
        }
        let ready = !state.is_claimed()
            && (state.is_polled() || slot.state_integer.exchange_first(state.0, polled.0));
        if ready { PreparedWait::Ready(polled.0) } else { PreparedWait::Claimed(state.0) }
    }
}
