//! Watching groups of keys, or the whole store: which slots changed, in order, asleep until then.

use crate::arena::key::Key;
use crate::arena::layout::{GROUPS, WHOLE_STORE};
use crate::arena::state::State;
use crate::error::StoreError;
use crate::kernel;
use crate::protocol::Claimant;
use crate::signals::{Cursor, Glance, wake_bit};
use crate::store::Store;
use crate::sync::{Relaxed, Word, fence_after_exchange, load_acquire, spin_loop};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a wait spins before it sleeps, unless told otherwise: about what it costs to fall asleep and
/// be woken.
const SPIN: Duration = Duration::from_micros(10);
/// How long somebody sleeps before looking whether a writer died that should have woken it.
const SLEEP: Duration = Duration::from_secs(1);
/// How long somebody naps who can count on nobody to wake it: this long first, and up to that.
const NAPS: [Duration; 2] = [Duration::from_micros(20), Duration::from_millis(1)];

/// A change of one slot, as a watcher hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The number of the slot, which a [`Handle`](crate::Handle) on its key has as well.
    pub slot: u32,
    /// The key in that slot now; none when it was removed and nothing came in its place.
    pub key: Option<Key>,
    /// The slot's epoch now: that of this change or of a later one, of which there is word as well. While
    /// a writer holds the slot, the epoch before that.
    pub epoch: u64,
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
/// [`Lagged`]. A change is heard of once it can be read. Watchers take nothing from each other, and cost
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
pub struct Watcher {
    store: Store,
    cursors: Vec<Cursor>,
    /// The cursor to look at first: each in turn, so that no busy group hides another.
    turn: usize,
    /// The bits by which the groups are woken.
    bits: u32,
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
    pub fn watch_all(&self) -> Result<Watcher, StoreError> {
        self.check_writable()?;
        let watcher = Watcher::new(self, &[WHOLE_STORE]);
        self.arena().renew_watch(watcher.cursors[0].position);
        Ok(watcher)
    }

    /// Returns how often `group` was signalled, or nothing if there is no group of that number.
    pub fn signal_count(&self, group: u8) -> Option<u64> {
        let groups = &self.arena().header.groups[..GROUPS];
        groups.get(usize::from(group)).map(|group| load_acquire(&group.count))
    }

    /// Routes the labels in `mask` to `group`: changes of keys that carry one of them signal it. A label may
    /// be routed to any number of groups.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::NoSuchGroup`].
    pub fn register_labels(&self, mask: u64, group: u8) -> Result<(), StoreError> {
        self.reroute_labels(mask, group, |route, bit| route.fetch_or(bit, Relaxed))
    }

    /// Takes back what [`Self::register_labels`] did for the labels in `mask`.
    ///
    /// # Errors
    /// As there.
    pub fn unregister_labels(&self, mask: u64, group: u8) -> Result<(), StoreError> {
        self.reroute_labels(mask, group, |route, bit| route.fetch_and(!bit, Relaxed))
    }

    fn reroute_labels(
        &self,
        mask: u64,
        group: u8,
        change: impl Fn(&Word, u64) -> u64,
    ) -> Result<(), StoreError> {
        self.check_writable()?;
        let bit = group_bit(group).ok_or(StoreError::NoSuchGroup(group))?;
        for (label, route) in self.arena().header.label_routes.iter().enumerate() {
            if mask >> label & 1 != 0 {
                change(route, bit);
            }
        }
        Ok(())
    }

    /// Finishes or undoes, and tells of, what writers left that died: takes each of their lanes for a moment, as
    /// the next writer would. Those who sleep do this now and then.
    fn heal(&self) {
        let Ok(locks) = self.locks() else { return };
        for (lane, record) in (0..).zip(self.arena().lanes) {
            if !record.is_at_rest() && locks.0.try_acquire(lane).is_ok_and(|free| free) {
                drop(Claimant::new(self.inner.arena, lane, Arc::clone(&locks) as _));
                locks.0.release(lane);
            }
        }
    }
}

/// Returns the bit of a group in a route, if there is such a group.
pub(crate) fn group_bit(group: u8) -> Option<u64> {
    (usize::from(group) < GROUPS).then(|| 1 << group)
}

impl Watcher {
    fn new(store: &Store, groups: &[usize]) -> Self {
        let cursors = groups.iter().map(|group| store.arena().cursor(*group)).collect();
        // Who watches nothing sleeps as well.
        let bits = groups.iter().fold(0, |bits, group| bits | wake_bit(*group)).max(1);
        Self { store: store.clone(), cursors, turn: 0, bits, held: Vec::new(), spin: SPIN }
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
            let group = cursor.group;
            match self.store.inner.arena.take(cursor) {
                Glance::Changed(slot) => {
                    self.renew(false);
                    return Ok(Some(self.change(slot, Some(group))));
                }
                Glance::Lagged(missed) => {
                    self.renew(true);
                    return Err(Lagged { missed });
                }
                Glance::Nothing => self.turn = (self.turn + 1) % self.cursors.len(),
            }
        }
        if self.is_expired() {
            // Writers have ceased to signal, and began again only now.
            self.renew(true);
            self.cursors[0] = self.store.arena().cursor(WHOLE_STORE);
            return Err(Lagged { missed: 1 });
        }
        Ok(self.next_held())
    }

    /// Waits for the next change. Returns nothing if `deadline` passed first; without one it waits for
    /// ever.
    ///
    /// # Errors
    /// [`Lagged`].
    pub fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<Change>, Lagged> {
        let mut spin = Spin::of(self.spin);
        loop {
            match self.try_next() {
                Ok(None) if spin.goes_on() => {}
                Ok(None) => break,
                found => return found,
            }
        }
        let store = self.store.clone();
        let mut naps = Naps::new(&store, deadline);
        loop {
            if store.is_read_only() || !self.held.is_empty() {
                naps.nap();
            } else {
                let bell = store.arena().arrive(&self.cursors);
                if self.has_nothing() {
                    naps.sleep(&store.arena().header.bell, bell, self.bits);
                }
            }
            match self.try_next() {
                Ok(None) if naps.is_over() => return Ok(None),
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

    /// Says what a slot holds now.
    fn change(&self, number: u32, group: Option<usize>) -> Change {
        let arena = self.store.arena();
        let group = group.filter(|group| *group != WHOLE_STORE).map(|group| group as u8);
        let Some(slot) = arena.slot(number) else {
            return Change { slot: number, key: None, epoch: 0, group };
        };
        let mut spin = Spin::new();
        loop {
            let window = arena.open(number, slot);
            let key = window.meta.is_present().then(|| Key::read_from(slot));
            // The key of a slot that never rests is looked up by whoever wants it.
            if window.holds() || !spin.goes_on() {
                return Change { slot: number, key, epoch: window.stable_epoch(), group };
            }
        }
    }

    /// Whether no ring has anything for this watcher, and the writers still put it there.
    fn has_nothing(&self) -> bool {
        let arena = self.store.arena();
        let nothing = |cursor: &Cursor| arena.glance(*cursor) == Glance::Nothing;
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
    fn renew(&self, now: bool) {
        let arena = self.store.arena();
        let often = u64::from(arena.shape.ring_len / 4);
        if self.watches_all() && (now || self.cursors[0].position.is_multiple_of(often)) {
            arena.renew_watch(self.cursors[0].position);
        }
    }

    /// Returns a slot that was held during a resync, and has changed since.
    fn next_held(&mut self) -> Option<Change> {
        let arena = self.store.inner.arena;
        let moved = |(number, epoch): &(u32, u64)| {
            arena.slot(*number).is_none_or(|slot| arena.changed_since(slot, *epoch).is_some())
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

/// Looks again and again for a while before going to sleep.
pub(crate) struct Spin {
    looks: u32,
    span: Duration,
    start: Option<Instant>,
}

impl Spin {
    /// Spins for as long as is worth it.
    pub(crate) fn new() -> Self {
        Self::of(SPIN)
    }

    fn of(span: Duration) -> Self {
        Self { looks: 0, span, start: None }
    }

    /// Pauses for a moment. Returns whether to look once more. The clock is read only now and then.
    #[inline]
    pub(crate) fn goes_on(&mut self) -> bool {
        spin_loop();
        self.looks = self.looks.wrapping_add(1);
        if self.looks % 16 != 1 {
            return true;
        }
        self.start.get_or_insert_with(Instant::now).elapsed() < self.span
    }
}

/// Sleeping until a deadline, but never for so long that a death goes unnoticed.
pub(crate) struct Naps<'s> {
    store: &'s Store,
    deadline: Option<Instant>,
    nap: Duration,
    /// When to look for the dead.
    heal_at: Instant,
}

impl<'s> Naps<'s> {
    pub(crate) fn new(store: &'s Store, deadline: Option<Instant>) -> Self {
        Self { store, deadline, nap: NAPS[0], heal_at: Instant::now() + SLEEP }
    }

    /// Sleeps until woken by one of `bits`, while `word` reads `expected`.
    pub(crate) fn sleep(&mut self, word: &Word, expected: u64, bits: u32) {
        let until = self.deadline.map_or(self.heal_at, |deadline| deadline.min(self.heal_at));
        kernel::futex::wait(word, expected as u32, bits, Some(until));
        self.look_after();
    }

    /// Sleeps for a moment, every time for longer.
    pub(crate) fn nap(&mut self) {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        std::thread::sleep(left.map_or(self.nap, |left| left.min(self.nap)));
        self.nap = (self.nap * 2).min(NAPS[1]);
        self.look_after();
    }

    fn look_after(&mut self) {
        let now = Instant::now();
        if now >= self.heal_at {
            self.heal_at = now + SLEEP;
            if !self.store.is_read_only() {
                self.store.heal();
            }
        }
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}
