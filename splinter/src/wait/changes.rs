//! Changes as watchers return them: what a slot holds now, and which watched key is gone from there. Nothing here sleeps,
//! so that the models run it.

use super::filter::Filter;
use crate::arena::key::Key;
use crate::arena::records::{Slot, WHOLE_STORE};
use crate::arena::state::State;
use crate::arena::{Arena, prefetch};
use crate::sync::{Relaxed, fence_after_exchange};

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
    /// that they have seen. After [`Lagged`](crate::Lagged) they know none but those that change later, until
    /// [`Watcher::resync`](crate::Watcher::resync) has run. A key that was removed during the lag is never named.
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

impl Change {
    /// Reads a slot as it is now. When a watcher gets a change, its writer may not have released the slot yet. This
    /// waits for the release while `spin` returns true, because only then the slot has the epoch of the change.
    pub(crate) fn read(
        arena: &Arena<'_>,
        number: u32,
        group: Option<usize>,
        mut spin: impl FnMut() -> bool,
    ) -> Self {
        let group = group.filter(|group| *group != WHOLE_STORE).map(|group| group as u8);
        let Some(slot) = arena.slot(number) else {
            return Self { slot: number, key: None, removed: None, epoch: 0, held: false, group };
        };
        // Most callers read the value next. It is not known yet in which of the two buffers it is.
        for which in 0..2 {
            prefetch::<false, _>(&arena.value(number, which)[0]);
        }
        loop {
            let is_free = !State(slot.state_integer.first_acquire()).is_claimed();
            let read = arena.open(number, slot);
            let key = arena.begin_any_read(number).map(|read| Key::read_from(read.slot));
            if is_free && read.validate() || !spin() {
                let (epoch, held) = (read.stable_epoch(), !is_free);
                return Self { slot: number, key, removed: None, epoch, held, group };
            }
        }
    }
}

/// What a watcher knows of slots.
#[derive(Clone, Default)]
pub(crate) struct Known {
    /// Slots that a writer held during a resync, each with its epoch then. A change of theirs may come without a
    /// signal.
    held: Vec<(u32, u64)>,
    /// The keys of a watcher of the whole store, if it is not of all.
    filter: Option<Box<Filter>>,
}

impl Known {
    pub(crate) fn with_filter(filter: Filter) -> Self {
        Self { filter: Some(Box::new(filter)), ..Self::default() }
    }

    pub(crate) fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// Whether a change may come without a signal.
    pub(crate) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the change, if it is of a watched key.
    pub(crate) fn filtered(&mut self, change: Change) -> Option<Change> {
        let Some(filter) = &mut self.filter else { return Some(change) };
        let [key, removed] = filter.note(change.slot, change.key);
        (key.is_some() || removed.is_some()).then_some(Change { key, removed, ..change })
    }

    /// Forgets which slots have the keys: some may have moved unseen.
    pub(crate) fn forget_keys(&mut self) {
        if let Some(filter) = &mut self.filter {
            filter.forget_keys();
        }
    }

    /// Passes every key that one of the `groups`, or a watcher of the whole store (`None`), watches to `visit`, as it is now.
    /// `spin` makes what [`Change::read`] takes.
    pub(crate) fn resync<S: FnMut() -> bool>(
        &mut self,
        arena: &Arena<'_>,
        groups: Option<u64>,
        spin: impl Fn() -> S,
        mut visit: impl FnMut(Change),
    ) {
        self.held.clear();
        self.forget_keys();
        let name = self.filter.as_ref().and_then(|filter| filter.name());
        // If a writer does not see a new subscription or watch, this loop sees that it holds its slot.
        fence_after_exchange();
        let mut look = |number| {
            let Some(slot) = arena.slot(number) else { return };
            if groups.is_none_or(|groups| arena.groups_of(number, slot) & groups != 0) {
                self.look_at(arena, number, slot, spin()).into_iter().for_each(&mut visit);
            }
        };
        match name {
            Some(name) => candidates(arena, &name).into_iter().for_each(&mut look),
            None => arena.marked(|word| word.touched.load(Relaxed)).for_each(&mut look),
        }
    }

    /// Returns what a watched slot holds now, if it is a watched key, and notes the slot if a writer holds it.
    fn look_at(
        &mut self,
        arena: &Arena<'_>,
        number: u32,
        slot: &Slot,
        spin: impl FnMut() -> bool,
    ) -> Option<Change> {
        let state = State(slot.state_integer.first_acquire());
        mutant!("claim-unlisted", let state = State(0));
        let change = Change::read(arena, number, None, spin);
        let (is_free, filtered) = (change.key.is_none(), self.filtered(change));
        // The claim may be that of a watched key's change, removal or insertion. One that replaces the key that is there
        // now looks afterwards whether the store is watched.
        if state.is_claimed() && (is_free || filtered.is_some()) {
            self.held.push((number, state.content_epoch()));
        }
        filtered.filter(|change| change.key.is_some())
    }

    /// Returns a slot that a writer held during a resync, and that has changed since.
    pub(crate) fn next_held(&mut self, arena: &Arena<'_>, spin: impl FnMut() -> bool) -> Option<Change> {
        let ended = |(number, epoch): &(u32, u64)| {
            let state = |slot: &Slot| State(slot.state_integer.first_acquire());
            let ended = |state: State| !state.is_claimed() || state.moved_from(*epoch).is_some();
            arena.slot(*number).is_none_or(|slot| ended(state(slot)))
        };
        let place = self.held.iter().position(ended)?;
        let (number, _) = self.held.swap_remove(place);
        Some(Change::read(arena, number, None, spin))
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
