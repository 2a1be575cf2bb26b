//! Watching groups of keys, or the whole store: which slots changed, in order, asleep until then.

use super::spin::{Backoff, Spin};
use crate::arena::key::Key;
use crate::arena::prefetch;
use crate::arena::records::{GROUPS, WHOLE_STORE};
use crate::arena::state::State;
use crate::error::StoreError;
use crate::open::Store;
use crate::signals::{Cursor, Peek, group_bit, wake_bit};
use crate::sync::{Relaxed, Word, fence_after_exchange, load_acquire};
use crate::tuning;
use std::fmt;
use std::time::{Duration, Instant};

/// A change of one slot, as a watcher hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The number of the slot, which a [`Handle`](crate::Handle) on its key has as well.
    pub slot: u32,
    /// The key in that slot now; none when it was removed and nothing came in its place.
    pub key: Option<Key>,
    /// The slot's epoch now: that of this change or of a later one, of which there is word as well. If the
    /// slot is `held`, the epoch before that.
    pub epoch: u64,
    /// Whether a writer holds the slot: the one that made this change, if it was interrupted before it let
    /// go, or the next. What can be read is this change or a later one all the same.
    pub held: bool,
    /// The group that was signalled; none when the whole store is watched.
    pub group: Option<u8>,
}

/// A watcher fell so far behind that changes were overwritten before it heard of them. It goes on with
/// those that come from here on; [`Watcher::resync`] tells what there is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged {
    /// How many changes it missed. Where nobody counted them, this is not exact.
    pub missed: u64,
}

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changes were overwritten before they were taken; resync", self.missed)
    }
}

impl std::error::Error for Lagged {}

/// Hears of every change to the keys of some groups, or of the whole store.
///
/// Any number of watchers may watch a group, in any process; each hears of every change, or is told that it
/// [`Lagged`]. Of a tandem a group hears once, for the first of its orders that is routed there; who watches
/// the whole store hears of every order. A change is heard of once it can be read. Watchers take nothing from each other, and cost
/// writers a store into shared memory for each change and group, and one system call while any of them
/// sleeps.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// let mut writer = store.writer()?;
/// writer.set("sensor", b"20.1")?;
/// writer.register("sensor", 7)?;
/// let mut watcher = store.watch(&[7])?;
/// writer.set("sensor", b"20.4")?;
/// let change = watcher.wait(Some(Instant::now() + Duration::from_secs(5)))?.expect("a change");
/// assert_eq!(change.key.unwrap().as_ref(), b"sensor");
/// assert_eq!(watcher.try_next()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A clone hears by itself of all that the watcher has not heard of yet.
#[derive(Clone)]
pub struct Watcher {
    pub(crate) store: Store,
    pub(crate) cursors: Vec<Cursor>,
    /// The cursor to look at first: each in turn, so that no busy group hides another.
    turn: usize,
    /// The bits by which the groups are woken.
    pub(crate) bits: u32,
    /// Slots that a writer held when they were looked at in a resync, with the epoch they had: a change of
    /// theirs may come without word of it.
    held: Vec<(u32, u64)>,
    spin: Duration,
}

impl Store {
    /// Watches `groups`, numbered from 0 to 63. The watcher hears of every change that begins once this has
    /// returned.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGroup`].
    #[doc(alias("subscribe", "listen"))]
    pub fn watch(&self, groups: &[u8]) -> Result<Watcher, StoreError> {
        let check = |group: &u8| match usize::from(*group) {
            number if number < GROUPS => Ok(number),
            _ => Err(StoreError::NoSuchGroup(*group)),
        };
        let mut groups = groups.iter().map(check).collect::<Result<Vec<_>, _>>()?;
        groups.sort_unstable();
        groups.dedup();
        Ok(Watcher::new(self, &groups))
    }

    /// Watches all keys. While anybody does, writers share the line that changes are counted on; when all
    /// such watchers have gone, or fallen behind, they cease to.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]: writers have to be told.
    #[doc(alias("subscribe", "listen"))]
    pub fn watch_all(&self) -> Result<Watcher, StoreError> {
        self.check_writable()?;
        self.arena().begin_watch();
        Ok(Watcher::new(self, &[WHOLE_STORE]))
    }

    /// Marks this moment for [`Self::watch_all_from_mark`], unless the store has a mark already. There is one
    /// for all processes, and it stays.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn mark_watch(&self) -> Result<(), StoreError> {
        self.check_writable()?;
        self.arena().mark_watch();
        Ok(())
    }

    /// Watches all keys as [`Self::watch_all`] does, and hears of every change since the mark as well, or is
    /// told that it [`Lagged`]. Without a mark it hears of what comes. A store that is open for reading only
    /// can be watched so, too: writers are not told then, so where nobody else watches, it lags at every look.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// store.mark_watch()?;
    /// writer.set("early", b"1")?;
    /// let mut watcher = store.watch_all_from_mark();
    /// assert_eq!(watcher.try_next()?.unwrap().key.unwrap().as_ref(), b"early");
    /// assert_eq!(watcher.try_next()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn watch_all_from_mark(&self) -> Watcher {
        let cursor = self.arena().watch_from_mark(self.is_read_only());
        Watcher { cursors: vec![cursor], ..Watcher::new(self, &[WHOLE_STORE]) }
    }

    /// Returns how often `group` was signalled, or nothing if there is no group of that number.
    pub fn signal_count(&self, group: u8) -> Option<u64> {
        let groups = &self.arena().header.groups[..GROUPS];
        groups.get(usize::from(group)).map(|group| load_acquire(&group.count))
    }

    /// Routes the labels in `mask` to `group`: changes of keys that carry one of them signal it. A label may
    /// be subscribed to any number of groups.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoSuchGroup`].
    pub fn register_labels(&self, mask: u64, group: u8) -> Result<(), StoreError> {
        self.reroute_labels(mask, group, |subscription, bit| subscription.fetch_or(bit, Relaxed))
    }

    /// Returns the groups that the label of a bit, 0 to 63, is subscribed to, a bit each; none for another bit.
    pub fn label_groups(&self, label: u8) -> u64 {
        let subscriptions = &self.arena().header.label_subscriptions;
        subscriptions.get(usize::from(label)).map_or(0, |groups| groups.load(Relaxed))
    }

    /// Takes back what [`Self::register_labels`] did for the labels in `mask`.
    ///
    /// # Errors
    /// As there.
    pub fn unregister_labels(&self, mask: u64, group: u8) -> Result<(), StoreError> {
        self.reroute_labels(mask, group, |subscription, bit| subscription.fetch_and(!bit, Relaxed))
    }

    fn reroute_labels(
        &self,
        mask: u64,
        group: u8,
        change: impl Fn(&Word, u64) -> u64,
    ) -> Result<(), StoreError> {
        self.check_writable()?;
        let bit = group_bit(group).ok_or(StoreError::NoSuchGroup(group))?;
        for (label, subscription) in self.arena().header.label_subscriptions.iter().enumerate() {
            if mask >> label & 1 != 0 {
                change(subscription, bit);
            }
        }
        Ok(())
    }
}

impl Watcher {
    fn new(store: &Store, groups: &[usize]) -> Self {
        let cursors = groups.iter().map(|group| store.arena().cursor(*group)).collect();
        // Who watches nothing sleeps as well.
        let bits = groups.iter().fold(0, |bits, group| bits | wake_bit(*group)).max(1);
        let spin = tuning::spin();
        Self { store: store.clone(), cursors, turn: 0, bits, held: Vec::new(), spin }
    }

    /// Sets how long a wait spins before it sleeps: zero to sleep at once, [`Duration::MAX`] never to.
    pub fn set_spin(&mut self, spin: Duration) {
        self.spin = spin;
    }

    /// Returns the next change, if there is word of one.
    ///
    /// # Errors
    /// [`Lagged`].
    pub fn try_next(&mut self) -> Result<Option<Change>, Lagged> {
        for _ in 0..self.cursors.len() {
            let cursor = &mut self.cursors[self.turn];
            let peek = self.store.inner.arena.take(cursor);
            let Cursor { group, position } = *cursor;
            self.turn = (self.turn + 1) % self.cursors.len();
            match peek {
                Peek::Changed(slot) => {
                    self.keep_watch(position);
                    return Ok(Some(self.change(slot, Some(group))));
                }
                Peek::Lagged(missed) => return Err(self.begin_anew(missed)),
                Peek::Nothing => {}
            }
        }
        if self.is_expired() {
            return Err(self.begin_anew(1));
        }
        Ok(self.next_held())
    }

    /// Waits for the next change. Returns nothing if `deadline` passed first; without one it waits for
    /// ever.
    ///
    /// # Errors
    /// [`Lagged`].
    pub fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<Change>, Lagged> {
        let mut spin = Spin::new(self.spin, deadline);
        while self.stirs_within(&mut spin) {
            match self.try_next() {
                Ok(None) if spin.goes_on() => {}
                Ok(None) => break,
                found => return found,
            }
        }
        let store = self.store.clone();
        let mut backoff = Backoff::new(&store, deadline);
        loop {
            if store.is_read_only() || !self.held.is_empty() {
                backoff.back_off();
            } else {
                let wake_word = store.arena().take_tickets(&self.cursors);
                if self.has_nothing() {
                    backoff.sleep(&store.arena().header.wake_word, wake_word, self.bits);
                }
            }
            match self.try_next() {
                Ok(None) if backoff.is_over() => return Ok(None),
                Ok(None) => {}
                found => return found,
            }
        }
    }

    /// Tells of every key that is watched as it is now. To be called after [`Lagged`], or at first: whatever
    /// changes afterwards is heard of as a change.
    pub fn resync(&mut self, mut visit: impl FnMut(Change)) {
        let arena = self.store.inner.arena;
        let groups = self.cursors.iter().filter(|cursor| cursor.group != WHOLE_STORE);
        let groups = groups.fold(0, |bits, cursor| bits | 1 << cursor.group);
        self.held.clear();
        // A writer that does not see what has just been routed or watched is seen here to hold its slot.
        fence_after_exchange();
        for number in arena.marked(|word| word.touched.load(Relaxed)) {
            let Some(slot) = arena.slot(number) else { continue };
            if arena.groups_of(number, slot) & groups == 0 && !self.watches_all() {
                continue;
            }
            let state = State(slot.state_number.first_acquire());
            if state.is_claimed() {
                self.held.push((number, state.epoch() & !1));
            }
            let change = self.change(number, None);
            if change.key.is_some() {
                visit(change);
            }
        }
    }

    /// Says what a slot holds now. Whoever published a change has still to let go of the slot when it is heard
    /// of: that is waited for, within reason, since only then the slot has the epoch of the change.
    fn change(&self, number: u32, group: Option<usize>) -> Change {
        let arena = self.store.arena();
        let group = group.filter(|group| *group != WHOLE_STORE).map(|group| group as u8);
        let Some(slot) = arena.slot(number) else {
            return Change { slot: number, key: None, epoch: 0, held: false, group };
        };
        // Most will read the value next; which of the two it is, is not known yet.
        for which in 0..2 {
            prefetch::<false, _>(&arena.value(number, which)[0]);
        }
        let mut spin = Spin::default();
        loop {
            let is_free = !State(slot.state_number.first_acquire()).is_claimed();
            let read = arena.open(number, slot);
            let key = read.descriptor.is_present().then(|| Key::read_from(slot));
            if is_free && read.validate() || !spin.goes_on() {
                let (epoch, held) = (read.stable_epoch(), !is_free);
                return Change { slot: number, key, epoch, held, group };
            }
        }
    }

    /// Spins until a closer look at the rings is worth it. Returns false once that took too long.
    fn stirs_within(&self, spin: &mut Spin) -> bool {
        let arena = self.store.arena();
        loop {
            if self.cursors.iter().any(|cursor| arena.may_have_signal(*cursor)) {
                return true;
            }
            if !spin.goes_on() {
                return false;
            }
            if spin.is_long() {
                self.store.look_after();
                if !self.has_nothing() || !self.held.is_empty() {
                    return true;
                }
            }
        }
    }

    /// Whether no ring has anything for this watcher, and the writers still put it there.
    pub(crate) fn has_nothing(&self) -> bool {
        let arena = self.store.arena();
        let nothing = |cursor: &Cursor| arena.peek(*cursor) == Peek::Nothing;
        self.cursors.iter().all(nothing) && !self.is_expired()
    }

    fn watches_all(&self) -> bool {
        self.cursors.first().is_some_and(|cursor| cursor.group == WHOLE_STORE)
    }

    fn is_expired(&self) -> bool {
        self.watches_all() && !self.store.arena().is_watched()
    }

    /// Has the writers go on signalling changes of the whole store, if this watches it: now and then, since
    /// it costs them.
    fn keep_watch(&self, position: u64) {
        let arena = self.store.arena();
        let is_time = position.is_multiple_of(u64::from(arena.shape.ring_len / 4));
        if is_time && self.watches_all() && !self.store.is_read_only() {
            arena.keep_watch(position);
        }
    }

    /// Has the writers signal changes of the whole store again, if this watches it and they have ceased to.
    fn begin_anew(&mut self, missed: u64) -> Lagged {
        if self.watches_all() && !self.store.is_read_only() {
            self.cursors[0] = self.store.arena().begin_watch();
        }
        Lagged { missed }
    }

    /// Returns a slot that was held during a resync, and has changed since.
    fn next_held(&mut self) -> Option<Change> {
        let arena = self.store.inner.arena;
        let moved = |(number, epoch): &(u32, u64)| {
            arena.slot(*number).is_none_or(|slot| arena.moved_from(slot, *epoch).is_some())
        };
        let place = self.held.iter().position(moved)?;
        let (number, _) = self.held.swap_remove(place);
        Some(self.change(number, None))
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("cursors", &self.cursors).finish_non_exhaustive()
    }
}
