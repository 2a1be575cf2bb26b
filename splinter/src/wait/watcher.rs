//! Watches groups of keys or the whole store: sleeps until slots change, and returns the changes in order.

use super::changes::{Change, Known};
use super::filter::Filter;
use super::spin::{Backoff, Spin, claim_spin};
use crate::arena::records::{GROUPS, WHOLE_STORE};
use crate::error::StoreError;
use crate::open::Store;
use crate::signals::{Cursor, Peek, group_bit, wake_bit};
use crate::sync::{Relaxed, Word, load_acquire};
use crate::tuning;
use std::fmt;
use std::time::{Duration, Instant};

/// How many changes of other keys a watcher with a filter skips at a time: each may wait for the end of a claim.
const SKIPS: usize = 64;

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
    /// The slots that a writer held during a resync, and the keys of a watcher of the whole store, if it is not of all.
    known: Known,
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
    /// byte, so a watcher of such a name returns nothing: check it by [`Key::new`](crate::Key::new).
    ///
    /// # Errors
    /// As [`Self::watch_prefix`].
    #[doc(alias("subscribe", "listen"))]
    pub fn watch_key(&self, key: impl AsRef<[u8]>) -> Result<Watcher, StoreError> {
        self.watch_filtered(key.as_ref(), true)
    }

    fn watch_filtered(&self, prefix: &[u8], is_name: bool) -> Result<Watcher, StoreError> {
        let known = Known::with_filter(Filter::new(prefix, is_name));
        let mut watcher = Watcher { known, ..self.watch_all()? };
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

impl Watcher {
    fn new(store: &Store, groups: &[usize]) -> Self {
        let cursors = groups.iter().map(|group| store.arena().cursor(*group)).collect();
        // A watcher of no group sleeps as well.
        let bits = groups.iter().fold(0, |bits, group| bits | wake_bit(*group)).max(1);
        let spin = tuning::spin();
        Self { store: store.clone(), cursors, next_cursor: 0, bits, known: Known::default(), spin }
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
        if !self.known.has_filter() {
            return self.take_next();
        }
        for _ in 0..SKIPS {
            let Some(change) = self.take_next()? else { return Ok(None) };
            if let Some(change) = self.known.filtered(change) {
                return Ok(Some(change));
            }
        }
        Ok(None)
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
                    return Ok(Some(Change::read(self.store.arena(), slot, Some(group), claim_spin())));
                }
                Peek::Lagged(missed) => return Err(self.restart(missed)),
                Peek::Nothing => {}
            }
        }
        if self.is_expired() {
            return Err(self.restart(1));
        }
        Ok(self.known.next_held(self.store.arena(), claim_spin()))
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
            if store.is_read_only() || self.known.has_held() {
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
    pub fn resync(&mut self, visit: impl FnMut(Change)) {
        let groups =
            self.cursors.iter().fold(0, |bits, cursor| bits | 1_u64.unbounded_shl(cursor.group as u32));
        let groups = (!self.watches_all()).then_some(groups);
        self.known.resync(self.store.arena(), groups, claim_spin, visit);
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
                if !self.has_nothing() || self.known.has_held() {
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
        self.known.forget_keys();
        if self.watches_all() && !self.store.is_read_only() {
            self.cursors[0] = self.store.arena().begin_watch();
        }
        Lagged { missed }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("cursors", &self.cursors).finish_non_exhaustive()
    }
}
