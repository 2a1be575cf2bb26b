//! Who hears of a change: the groups that a slot's key and labels are subscribed to, and the rings by which
//! they hear of it. It knows bytes, as `arena` does; who publishes what when is the business of
//! `protocol`, which calls this, and sleeping and waking that of those above.
//!
//! Whoever publishes puts the slot's number into the ring of each group and then looks whether anybody
//! sleeps; whoever sleeps says so first and then looks at the rings once more. One of the two sees the other.

mod ring;

pub(crate) use self::ring::{Cursor, Peek};

use crate::arena::Arena;
use crate::arena::os::Os;
use crate::arena::records::{FLAG_WATCHED, GROUPS, Slot, WHOLE_STORE};
use crate::arena::state::{NotifyFlags, State};
use crate::sync::{AcqRel, Acquire, Relaxed, Word, fence_after_exchange, load_acquire};

/// Returns the bit by which those who sleep for `group` are woken: a futex tells 32 apart.
pub(crate) const fn wake_bit(group: usize) -> u32 {
    1 << (group % 32)
}

/// Returns the bit of a signal group, if there is such a group.
pub(crate) fn group_bit(group: u8) -> Option<u64> {
    (usize::from(group) < GROUPS).then(|| 1 << group)
}

/// How many groups' served tickets a change remembers; of any more, the next change wakes once more.
const REMEMBERED: usize = 4;

/// Whom to wake once a change has been signalled and its slot is free again.
#[derive(Default)]
pub(crate) struct Wakes {
    /// Whether groups hear of nothing that is signalled; who watches the whole store does.
    pub(crate) quiet: bool,
    /// The wake bits of the groups for which somebody may sleep.
    bits: u32,
    /// Groups whose sleepers up to that arrival need no waking after this.
    served: [(usize, u64); REMEMBERED],
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

/// What somebody finds who is about to sleep until a slot changes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PreparedWait {
    /// It has changed: the last even epoch.
    Changed(u64),
    /// A writer holds it, or was quicker: look again in a moment.
    Claimed(u64),
    /// Nobody publishes a change without waking who sleeps while the state word reads this.
    Ready(u64),
}

impl<'a> Arena<'a> {
    /// Returns the groups that hear of changes to the slot, one bit each.
    pub(crate) fn groups_of(&self, number: u32, slot: &Slot) -> u64 {
        if !NotifyFlags(slot.notify_flags.load(Relaxed)).is_subscribed() {
            return 0;
        }
        let mut groups = self.subscriptions[number as usize].load(Relaxed);
        let mut labels = slot.labels.load(Relaxed);
        while labels != 0 {
            let subscription = self.header.label_subscriptions.get(labels.trailing_zeros() as usize);
            groups |= subscription.map_or(0, |groups| groups.load(Relaxed));
            labels &= labels - 1;
        }
        groups
    }

    /// Returns the groups that labels led to which the dead owner of the claim in `seen` may have taken away.
    /// After a tandem it may return others: they hear of a change that does not concern them.
    pub(crate) fn groups_before(&self, slot: &Slot, seen: State) -> u64 {
        if seen.is_of_tandem() { 0 } else { slot.prepared.load(Relaxed) }
    }

    /// Brings the slot's notify flags in line with its subscriptions and labels; without a key it has neither.
    /// The caller holds the slot.
    pub(crate) fn update_notify_flags(&self, number: u32, slot: &Slot, is_present: bool) {
        let old = NotifyFlags(slot.notify_flags.load(Relaxed));
        let (mut subscriptions, mut labels) = (0, 0);
        if is_present {
            subscriptions = self.subscriptions[number as usize].load(Relaxed);
            labels = slot.labels.load(Relaxed);
        } else if old.is_subscribed() {
            self.subscriptions[number as usize].store(0, Relaxed);
        }
        let new = old.with_groups(subscriptions, labels);
        if new != old {
            slot.notify_flags.store(new.0, Relaxed);
        }
    }

    /// Signals `groups`, unless `wakes` is quiet, and who watches the whole store, that slot `number` changed.
    /// Whom that leaves to be woken is added to `wakes`.
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

    /// Does to a group's count, and what goes with it, what those who sleep are to find, and notes whether
    /// anybody does sleep. `step` ends with an exchange.
    fn step_and_find_sleepers(&self, group: usize, wakes: &mut Wakes, step: impl FnOnce(&Word)) {
        let Some(record) = self.header.groups.get(group) else { return };
        // Before the step: who arrives later finds it done.
        let tickets = record.tickets.load(Acquire);
        step(&record.count);
        fence_after_exchange();
        if record.tickets.load(Relaxed) != record.served.load(Relaxed) {
            wakes.add(group, tickets);
        }
    }

    /// Ends the watch of the whole store when everybody who watches has fallen a ring behind, and is told so
    /// when it looks again. A quarter more, since only so often do they say how far they have read.
    fn expire_watch(&self, wakes: &mut Wakes) {
        let whole = &self.header.groups[WHOLE_STORE];
        let unread = whole.count.load(Relaxed).wrapping_sub(whole.read_to.load(Relaxed));
        let len = i64::from(self.shape.ring_len);
        if unread as i64 > len + len / 4 {
            // Somebody may have begun to watch, and gone to sleep, since that was found out.
            self.step_and_find_sleepers(WHOLE_STORE, wakes, |_| {
                self.header.flags.fetch_and(!FLAG_WATCHED, AcqRel);
            });
        }
    }

    /// Has changes to any slot signalled. Returns a cursor that misses none from here on.
    pub(crate) fn begin_watch(&self) -> Cursor {
        let whole = &self.header.groups[WHOLE_STORE];
        if !self.is_watched() {
            // What changed since the last watch ended was not signalled, so whoever still reads lags, and
            // finds out by the count even if it looks only after the flag is set again.
            let gap = u64::from(self.shape.ring_len) + 1;
            self.keep_watch(whole.count.fetch_add(gap, AcqRel).wrapping_add(gap));
            self.header.flags.fetch_or(FLAG_WATCHED, AcqRel);
        }
        let cursor = self.cursor(WHOLE_STORE);
        self.keep_watch(cursor.position);
        cursor
    }

    /// Returns a cursor that misses none from the mark on; from here on, if there is no mark. Who may only look
    /// has nothing signalled, and finds what is signalled for others.
    pub(crate) fn watch_from_mark(&self, only_look: bool) -> Cursor {
        let cursor = if only_look { self.cursor(WHOLE_STORE) } else { self.begin_watch() };
        match self.header.groups[WHOLE_STORE].mark.load(Acquire) {
            0 => cursor,
            mark => Cursor { position: mark.wrapping_sub(1), ..cursor },
        }
    }

    /// Marks where the watch of the whole store is by now, unless a mark is there.
    pub(crate) fn mark_watch(&self) {
        let mark = self.begin_watch().position.wrapping_add(1);
        // Release: who sees the mark sees that the store is watched.
        let _ = self.header.groups[WHOLE_STORE].mark.compare_exchange(0, mark, AcqRel, Relaxed);
    }

    /// Says that somebody has read up to `position` of what there is of the whole store. Does not revive a
    /// watch that has ended. Of two who say so at once the slower may win: then the watch ends early.
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

    /// Signals each group of the slot once, though nothing changed, and wakes who sleeps for one of them.
    pub(crate) fn pulse(&self, number: u32, slot: &Slot, os: &dyn Os) {
        let (mut wakes, mut groups) = (Wakes::default(), self.groups_of(number, slot));
        while groups != 0 {
            self.signal_group(groups.trailing_zeros() as usize, number, &mut wakes);
            groups &= groups - 1;
        }
        self.wake_groups(&mut wakes, os);
    }

    /// Takes what `wakes` holds, and rings the wake word if anybody may sleep for it.
    pub(crate) fn wake_groups(&self, wakes: &mut Wakes, os: &dyn Os) {
        mutant!("wake-omitted", return);
        if wakes.bits == 0 {
            return;
        }
        let quiet = wakes.quiet;
        let Wakes { bits, served, count, .. } = std::mem::replace(wakes, Wakes { quiet, ..Wakes::default() });
        // Release: who sees the wake word moved sees the signals.
        self.header.wake_word.fetch_add(1, AcqRel);
        os.wake_groups(&self.header.wake_word, bits);
        // Only now: were this writer stopped before, others would have to wake them.
        for (group, tickets) in &served[..count] {
            self.header.groups[*group].served.store(*tickets, Relaxed);
        }
    }

    /// Rings the wake word for all groups.
    pub(crate) fn wake_all_groups(&self, os: &dyn Os) {
        self.header.wake_word.fetch_add(1, AcqRel);
        os.wake_groups(&self.header.wake_word, u32::MAX);
    }

    /// Says that somebody is about to sleep until one of the groups is signalled. Returns what the wake word
    /// reads: sleep on that, unless a look at the rings shows a signal now.
    pub(crate) fn take_tickets(&self, cursors: &[Cursor]) -> u64 {
        for cursor in cursors {
            self.header.groups[cursor.group].tickets.fetch_add(1, AcqRel);
        }
        fence_after_exchange();
        self.header.wake_word.load(Acquire)
    }

    /// Returns the slot's last even epoch, unless it is `epoch` still.
    pub(crate) fn moved_from(&self, slot: &Slot, epoch: u64) -> Option<u64> {
        State(slot.state_number.first_acquire()).moved_from(epoch)
    }

    /// Says that somebody is about to sleep until the slot has another epoch than `epoch`.
    ///
    /// That is said in the state word itself: whoever changes the slot exchanges that, and so finds it.
    pub(crate) fn prepare_wait(&self, slot: &Slot, epoch: u64) -> PreparedWait {
        let state = State(slot.state_number.first_acquire());
        let polled = state.polled();
        if let Some(epoch) = state.moved_from(epoch) {
            return PreparedWait::Changed(epoch);
        }
        let ready =
            !state.is_claimed() && (state.is_polled() || slot.state_number.exchange_first(state.0, polled.0));
        if ready { PreparedWait::Ready(polled.0) } else { PreparedWait::Claimed(state.0) }
    }
}
