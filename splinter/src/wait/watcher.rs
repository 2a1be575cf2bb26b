//! Watches groups of keys or the whole store: sleeps until slots change, and returns the changes in order.

use super::filter::Filter;
use super::spin::{Backoff, CLAIM_SPIN, Spin};
use crate::arena::key::Key;
use crate::arena::records::{GROUPS, Slot, WHOLE_STORE};
use crate::arena::state::State;
use crate::arena::{Arena, prefetch};
use crate::error::StoreError;
use crate::open::Store;
use crate::signals::{Cursor, Peek, group_bit, wake_bit};
use crate::sync::{Relaxed, Word, fence_after_exchange, load_acquire};
use crate::tuning;
use std::fmt;
use std::time::{Duration, Instant};

/// How many changes of other keys a watcher with a filter skips at a time: each may wait for the end of a claim.
const SKIPS: usize = 64;

/// A change of one slot, as a watcher returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The number of the slot, which is also that of a [`Handle`](crate::Handle) on its key.
    pub slot: u32,
    /// The key in that slot now; `None` if it was removed and no other key took the slot, or none that the watcher of a
    /// prefix or of one key watches.
    pub key: Option<Key>,
    /// The key that was in the slot before, if this removed it. Only watchers of a prefix or of one key know it, for keys
    /// that they have seen. After [`Lagged`] they know none but those that change later, until [`Watcher::resync`] has run.
    /// A key that was removed during the lag is never named.
    pub removed: Option<Key>,
    /// The epoch of the slot's content now: that of this change or of a later one, which the watcher returns as well.
    /// Changes of labels, times, flags and deadlines leave it alone. If the slot is `held`, it may be the epoch before
    /// the change.
    pub epoch: u64,
    /// Whether a writer holds the slot: the writer of this change, if it was interrupted before it released the slot,
    /// or the next one. Even so, a read finds this change or a later one.
    pub held: bool,
    /// The group that was signalled; `None` when the whole store is watched.
    pub group: Option<u8>,
}

/// A watcher fell so far behind that newer changes overwrote some that it had not taken. It goes on with the changes
/// after that. [`Watcher::resync`] lists the present state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged {
    /// How many changes it missed. This is not exact if no writer counted them.
    pub missed: u64,
}

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changes were overwritten before they were taken; resync", self.missed)
    }
}

impl std::error::Error for Lagged {}

/// Returns every change to the keys of some groups, or of the whole store.
///
/// Any number of watchers may watch a group, in any process. Each gets every change, or learns that it [`Lagged`]. A
/// group gets one change for a tandem, that of its first order that is subscribed there; a watcher of the whole store
/// gets every order. Once a watcher gets a change, it can be read.
///
/// Watchers take nothing from each other. They cost a writer one store into shared memory for each change and group,
/// and one system call while any of them sleeps.
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
/// A clone gets all changes that the watcher has not taken yet.
#[derive(Clone)]
pub struct Watcher {
    pub(crate) store: Store,
    pub(crate) cursors: Vec<Cursor>,
    /// The cursor to check first. It advances each time, so no busy group hides another.
    next_cursor: usize,
    /// The wake bits of the groups.
    pub(crate) bits: u32,
    /// Slots that a writer held during a resync, each with its epoch then. A change of theirs may come without a
    /// signal.
    held_slots: Vec<(u32, u64)>,
    /// The keys of a watcher of the whole store, if it is not of all.
    filter: Option<Box<Filter>>,
    spin: Duration,
}

impl Store {
    /// Watches `groups`, numbered from 0 to 63. The watcher gets every change that begins after this call.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGroup`] for a number above 63.
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

    /// Watches all keys. Meanwhile all writers share the cache line with the count of changes. They stop counting when
    /// all such watchers are gone, or have fallen behind.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]: a watcher must tell writers that it watches.
    #[doc(alias("subscribe", "listen"))]
    pub fn watch_all(&self) -> Result<Watcher, StoreError> {
        self.check_writable()?;
        self.arena().begin_watch();
        Ok(Watcher::new(self, &[WHOLE_STORE]))
    }

    /// Watches the keys that begin with `prefix`, present or to come: their changes, insertions and removals. A change that
    /// removes a key names it in [`Change::removed`].
    ///
    /// The watcher is one of the whole store, and looks at every change of any key. So it costs writers what
    /// [`Self::watch_all`] does, and it lags behind the changes of all keys, not only of its own. The call takes time for
    /// each key of the store, and the watcher keeps a copy of each key that matches. A key that came and went before the
    /// watcher looked may go unreported. After [`Lagged`], removals are named again once [`Watcher::resync`] has run; keys
    /// that were removed during the lag are never named.
    ///
    /// ```
    /// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
    /// let mut writer = store.writer()?;
    /// let mut watcher = store.watch_prefix("user:")?;
    /// writer.set("other", b"1")?;
    /// writer.set("user:1", b"1")?;
    /// assert_eq!(watcher.try_next()?.unwrap().key.unwrap().as_ref(), b"user:1");
    /// writer.unset("user:1")?;
    /// assert_eq!(watcher.try_next()?.unwrap().removed.unwrap().as_ref(), b"user:1");
    /// assert_eq!(watcher.try_next()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]: a watcher must tell writers that it watches.
    #[doc(alias("subscribe", "listen", "psubscribe"))]
    pub fn watch_prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Watcher, StoreError> {
        self.watch_filtered(prefix.as_ref(), false)
    }

    /// Watches one key, whether or not it is there, as [`Self::watch_prefix`] watches several. The call looks for that key
    /// only. To wait for it alone, use [`Self::wait_for`]. There is no key of a name that is empty, too long or has a zero
    /// byte, so a watcher of such a name returns nothing: check it by [`Key::new`].
    ///
    /// # Errors
    /// As [`Self::watch_prefix`].
    #[doc(alias("subscribe", "listen"))]
    pub fn watch_key(&self, key: impl AsRef<[u8]>) -> Result<Watcher, StoreError> {
        self.watch_filtered(key.as_ref(), true)
    }

    fn watch_filtered(&self, prefix: &[u8], is_name: bool) -> Result<Watcher, StoreError> {
        let filter = Some(Box::new(Filter::new(prefix, is_name)));
        let mut watcher = Watcher { filter, ..self.watch_all()? };
        // Notes the keys that are there, so that their removal can be named.
        watcher.resync(drop);
        Ok(watcher)
    }

    /// Marks this moment for [`Self::watch_all_from_mark`], unless the store has a mark already. All processes share
    /// the one mark, which stays.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when the store was opened for reading only.
    pub fn mark_watch(&self) -> Result<(), StoreError> {
        self.check_writable()?;
        self.arena().mark_watch();
        Ok(())
    }

    /// Watches all keys as [`Self::watch_all`] does, from the mark on. The watcher gets every change since the mark, or
    /// learns that it [`Lagged`]. Without a mark it gets the changes from now on.
    ///
    /// This also works on a store that was opened for reading only. Writers do not learn of such a watcher. So if no
    /// other watcher watches all keys, it lags at every look.
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

    /// Returns how often `group` was signalled; `None` if there is no group of that number.
    pub fn signal_count(&self, group: u8) -> Option<u64> {
        let groups = &self.arena().header.groups[..GROUPS];
        groups.get(usize::from(group)).map(|group| load_acquire(&group.count))
    }

    /// Subscribes `group` to the labels in `mask`: changes of keys with one of these labels signal the group. A label
    /// may have any number of groups.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when the store was opened for reading only, [`StoreError::NoSuchGroup`] for a number
    /// above 63.
    pub fn register_labels(&self, mask: u64, group: u8) -> Result<(), StoreError> {
        self.change_label_subscriptions(mask, group, |subscription, bit| subscription.fetch_or(bit, Relaxed))
    }

    /// Returns the groups that are subscribed to the label of bit `label`, one bit each; 0 for a label above 63.
    pub fn label_groups(&self, label: u8) -> u64 {
        let subscriptions = &self.arena().header.label_subscriptions;
        subscriptions.get(usize::from(label)).map_or(0, |groups| groups.load(Relaxed))
    }

    /// Removes the subscription of `group` to the labels in `mask`.
    ///
    /// # Errors
    /// As [`Self::register_labels`].
    pub fn unregister_labels(&self, mask: u64, group: u8) -> Result<(), StoreError> {
        self.change_label_subscriptions(mask, group, |subscription, bit| {
            subscription.fetch_and(!bit, Relaxed)
        })
    }

    fn change_label_subscriptions(
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

/// Returns the slots to which the index leads for a key, also one that a writer is about to insert.
fn candidates(arena: &Arena<'_>, key: &Key) -> Vec<u32> {
    let mut numbers = Vec::new();
    if let Ok(key) = arena.key(key.as_ref()) {
        arena.probe(&key, |number, _, _| {
            numbers.push(number);
            None::<()>
        });
    }
    // A search that started over finds some twice.
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

impl Watcher {
    fn new(store: &Store, groups: &[usize]) -> Self {
        let cursors = groups.iter().map(|group| store.arena().cursor(*group)).collect();
        // A watcher of no group sleeps as well.
        let bits = groups.iter().fold(0, |bits, group| bits | wake_bit(*group)).max(1);
        let spin = tuning::spin();
        let held_slots = Vec::new();
        Self { store: store.clone(), cursors, next_cursor: 0, bits, held_slots, filter: None, spin }
    }

    /// Sets how long a wait spins before it sleeps: zero to sleep at once, [`Duration::MAX`] to never sleep.
    pub fn set_spin(&mut self, spin: Duration) {
        self.spin = spin;
    }

    /// Takes the next change, if there is one. A watcher of a prefix or of one key also returns `None` after 64 changes of
    /// other keys: [`Self::wait`] goes on.
    ///
    /// # Errors
    /// [`Lagged`] when newer changes overwrote some that the watcher had not taken.
    pub fn try_next(&mut self) -> Result<Option<Change>, Lagged> {
        if self.filter.is_none() {
            return self.take_next();
        }
        for _ in 0..SKIPS {
            let Some(change) = self.take_next()? else { return Ok(None) };
            if let Some(change) = self.filtered(change) {
                return Ok(Some(change));
            }
        }
        Ok(None)
    }

    /// Returns the change, if it is of a key that this watches.
    fn filtered(&mut self, change: Change) -> Option<Change> {
        let Some(filter) = &mut self.filter else { return Some(change) };
        let [key, removed] = filter.note(change.slot, change.key);
        (key.is_some() || removed.is_some()).then_some(Change { key, removed, ..change })
    }

    /// Takes the next change of any key.
    fn take_next(&mut self) -> Result<Option<Change>, Lagged> {
        for _ in 0..self.cursors.len() {
            let cursor = &mut self.cursors[self.next_cursor];
            let peek = self.store.inner.arena.take(cursor);
            let Cursor { group, position } = *cursor;
            self.next_cursor = (self.next_cursor + 1) % self.cursors.len();
            match peek {
                Peek::Changed(slot) => {
                    self.extend_watch(position);
                    return Ok(Some(self.change(slot, Some(group))));
                }
                Peek::Lagged(missed) => return Err(self.restart(missed)),
                Peek::Nothing => {}
            }
        }
        if self.is_expired() {
            return Err(self.restart(1));
        }
        Ok(self.next_held())
    }

    /// Waits for the next change. Returns `None` if `deadline` passed first. Without a deadline it waits for ever.
    ///
    /// # Errors
    /// [`Lagged`] when newer changes overwrote some that the watcher had not taken.
    pub fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<Change>, Lagged> {
        let mut spin = Spin::new(self.spin, deadline);
        while self.spin_until_published(&mut spin) {
            match self.try_next() {
                Ok(None) if spin.spin_once() => {}
                Ok(None) => break,
                found => return found,
            }
        }
        let store = self.store.clone();
        let mut backoff = Backoff::new(&store, deadline);
        loop {
            if store.is_read_only() || !self.held_slots.is_empty() {
                backoff.back_off();
            } else {
                let wake_word = store.arena().take_tickets(&self.cursors);
                if self.has_nothing() {
                    backoff.sleep(&store.arena().header.wake_word, wake_word, self.bits);
                }
            }
            match self.try_next() {
                Ok(None) if backoff.is_past_deadline() => return Ok(None),
                Ok(None) => {}
                found => return found,
            }
        }
    }

    /// Passes every watched key to `visit`, as it is now. Call it after [`Lagged`], or at first: the watcher gets every
    /// later change as a change.
    pub fn resync(&mut self, mut visit: impl FnMut(Change)) {
        let arena = self.store.inner.arena;
        let groups = self.cursors.iter().filter(|cursor| cursor.group != WHOLE_STORE);
        let groups = groups.fold(0, |bits, cursor| bits | 1 << cursor.group);
        self.held_slots.clear();
        let name = self.filter.as_mut().and_then(|filter| {
            filter.forget_keys();
            filter.name()
        });
        // If a writer does not see a new subscription or watch, this loop sees that it holds its slot.
        fence_after_exchange();
        let mut look = |number| {
            let Some(slot) = arena.slot(number) else { return };
            if arena.groups_of(number, slot) & groups != 0 || self.watches_all() {
                self.look_at(number, slot).into_iter().for_each(&mut visit);
            }
        };
        match name {
            Some(name) => candidates(&arena, &name).into_iter().for_each(&mut look),
            None => arena.marked(|word| word.touched.load(Relaxed)).for_each(&mut look),
        }
    }

    /// Returns what a watched slot holds now, if it is a key that this watches, and notes the slot if a writer holds it.
    fn look_at(&mut self, number: u32, slot: &Slot) -> Option<Change> {
        let state = State(slot.state_integer.first_acquire());
        let change = self.change(number, None);
        let (is_free, filtered) = (change.key.is_none(), self.filtered(change));
        // The claim may be that of a watched key's change, removal or insertion. One that replaces the key that is there
        // now looks afterwards whether the store is watched.
        if state.is_claimed() && (is_free || filtered.is_some()) {
            self.held_slots.push((number, state.content_epoch()));
        }
        filtered.filter(|change| change.key.is_some())
    }

    /// Reads a slot as it is now. When a watcher gets a change, its writer may not have released the slot yet. This
    /// waits for the release, within bounds, because only then the slot has the epoch of the change.
    fn change(&self, number: u32, group: Option<usize>) -> Change {
        let arena = self.store.arena();
        let group = group.filter(|group| *group != WHOLE_STORE).map(|group| group as u8);
        let Some(slot) = arena.slot(number) else {
            return Change { slot: number, key: None, removed: None, epoch: 0, held: false, group };
        };
        // Most callers read the value next. It is not known yet in which of the two buffers it is.
        for which in 0..2 {
            prefetch::<false, _>(&arena.value(number, which)[0]);
        }
        let mut spin = Spin::new(CLAIM_SPIN, None);
        loop {
            let is_free = !State(slot.state_integer.first_acquire()).is_claimed();
            let read = arena.open(number, slot);
            let key = arena.begin_any_read(number).map(|read| Key::read_from(read.slot));
            if is_free && read.validate() || !spin.spin_once() {
                let (epoch, held) = (read.stable_epoch(), !is_free);
                return Change { slot: number, key, removed: None, epoch, held, group };
            }
        }
    }

    /// Spins until a ring may have a change. Returns `false` if the spin ends first.
    fn spin_until_published(&self, spin: &mut Spin) -> bool {
        let arena = self.store.arena();
        loop {
            if self.cursors.iter().any(|cursor| arena.may_have_signal(*cursor)) {
                return true;
            }
            if !spin.spin_once() {
                return false;
            }
            if spin.is_check_due() {
                self.store.recover_dead_writers();
                if !self.has_nothing() || !self.held_slots.is_empty() {
                    return true;
                }
            }
        }
    }

    /// Tells whether no ring has a change for this watcher, and writers still put changes there.
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

    /// Makes writers go on signalling changes of the whole store, if this watches it. It does so only now and then,
    /// because it costs the writers time.
    fn extend_watch(&self, position: u64) {
        let arena = self.store.arena();
        let is_time = position.is_multiple_of(u64::from(arena.shape.ring_len / 4));
        if is_time && self.watches_all() && !self.store.is_read_only() {
            arena.keep_watch(position);
        }
    }

    /// Makes writers signal changes of the whole store again, if this watches it and they stopped.
    fn restart(&mut self, missed: u64) -> Lagged {
        // Keys may have moved to other slots unseen.
        if let Some(filter) = &mut self.filter {
            filter.forget_keys();
        }
        if self.watches_all() && !self.store.is_read_only() {
            self.cursors[0] = self.store.arena().begin_watch();
        }
        Lagged { missed }
    }

    /// Returns a slot that a writer held during a resync, and that has changed since.
    fn next_held(&mut self) -> Option<Change> {
        let arena = self.store.inner.arena;
        let ended = |(number, epoch): &(u32, u64)| {
            let state = |slot: &Slot| State(slot.state_integer.first_acquire());
            let ended = |state: State| !state.is_claimed() || state.moved_from(*epoch).is_some();
            arena.slot(*number).is_none_or(|slot| ended(state(slot)))
        };
        let place = self.held_slots.iter().position(ended)?;
        let (number, _) = self.held_slots.swap_remove(place);
        Some(self.change(number, None))
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("cursors", &self.cursors).finish_non_exhaustive()
    }
}
