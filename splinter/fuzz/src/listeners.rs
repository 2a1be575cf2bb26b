//! Watchers, and the changes that each must see in order, unless it lagged.

use splinter::{Eviction, Store, Watcher};
use splinter_testkit::Model;
use std::collections::{BTreeMap, BTreeSet};

/// The shortest ring, which all stores here have but the largest.
const RING_LEN: usize = 64;

/// A watcher, and the slots of the changes that it has not heard of yet, by group.
pub(crate) struct Listener {
    watcher: Watcher,
    /// The groups it watches; none when it watches the whole store.
    groups: Option<u64>,
    due: BTreeMap<Option<u8>, Vec<u32>>,
    /// Whether it hears in a known order: which of several keys a cache evicts first is not modelled.
    in_order: bool,
}

impl Listener {
    pub(crate) fn to_groups(store: &Store, groups: &[u8]) -> Self {
        let watcher = store.watch(groups).expect("groups that there are");
        let groups = groups.iter().fold(0, |bits, group| bits | 1 << group);
        Self::new(store, watcher, Some(groups))
    }

    pub(crate) fn to_all(store: &Store) -> Self {
        Self::new(store, store.watch_all().expect("a writable store"), None)
    }

    fn new(store: &Store, watcher: Watcher, groups: Option<u64>) -> Self {
        Self { watcher, groups, due: BTreeMap::new(), in_order: store.eviction() == Eviction::Expired }
    }

    /// Notes a change of `slot` that was signalled to `groups`, and to watchers of the whole store if `whole`.
    pub(crate) fn expect(&mut self, slot: u32, groups: u64, whole: bool) {
        match self.groups {
            None if whole => self.due.entry(None).or_default().push(slot),
            None => {}
            Some(mine) => {
                for group in (0..64).filter(|group| (mine & groups) >> group & 1 != 0) {
                    self.due.entry(Some(group)).or_default().push(slot);
                }
            }
        }
    }

    /// Takes all signals, and compares them with the expected ones (invariant 14).
    pub(crate) fn listen(&mut self) {
        let due = std::mem::take(&mut self.due);
        let longest = due.values().map(Vec::len).max().unwrap_or(0);
        let mut heard: BTreeMap<Option<u8>, Vec<u32>> = BTreeMap::new();
        let mut lagged = false;
        loop {
            match self.watcher.try_next() {
                Ok(Some(change)) => {
                    assert!(!change.held && change.epoch.is_multiple_of(2), "{change:?}");
                    heard.entry(change.group).or_default().push(change.slot);
                }
                Ok(None) => break,
                Err(_) => lagged = true,
            }
        }
        if lagged {
            // An integer operation may be signalled twice, so half a ring may be a full one.
            assert!(longest > RING_LEN / 2 - 17, "lagged behind {longest} changes");
            return;
        }
        for (group, due) in &due {
            let heard = heard.remove(group).unwrap_or_default();
            assert!(heard.len() >= due.len(), "group {group:?} heard {heard:?}, and not {due:?}");
            let known = |slots| once(slots, self.in_order);
            assert_eq!(known(heard), known(due.clone()), "group {group:?}");
        }
        assert!(heard.is_empty(), "heard of what did not change: {heard:?}");
    }

    /// Compares the keys of a resync with those of the model.
    pub(crate) fn resync(&mut self, model: &Model) {
        let mut seen = BTreeSet::new();
        self.watcher.resync(|change| {
            let key = change.key.expect("a resync reports keys");
            assert!(seen.insert(key.as_ref().to_vec()), "reported twice");
        });
        let watched = |key: &&Vec<u8>| self.groups.is_none_or(|mine| mine & model.groups(key) != 0);
        assert_eq!(seen, model.entries.keys().filter(watched).cloned().collect());
    }
}

/// Leaves one of several in a row that are the same, or, if they may be in any order, of all that are.
fn once(mut slots: Vec<u32>, in_order: bool) -> Vec<u32> {
    if !in_order {
        slots.sort_unstable();
    }
    slots.dedup();
    slots
}
