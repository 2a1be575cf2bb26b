//! Watchers of a prefix, begun beside changes of its keys: what they list and hear afterwards is what is there.

use super::*;
use crate::arena::records::WHOLE_STORE;
use crate::signals::{Cursor, Peek};
use crate::sync::spin_loop;
use crate::wait::changes::{Change, Known};
use crate::wait::filter::Filter;

/// Two slots, one bucket.
const TWO: Size = Size { slots: 2, max_writers: 4, ..SMALLEST };

/// A watcher of the keys that begin with "a", as `Store::watch_prefix` makes it, and the keys that its user knows to be
/// there.
struct Follower {
    cursor: Cursor,
    known: Known,
    keys: HashSet<Key>,
    /// How many changes it heard of that named a key as removed.
    removals: usize,
}

/// Returns what waits for the end of a claim for as long as it takes, or not at all: the real bound lies in between.
fn spin(is_patient: bool) -> impl FnMut() -> bool {
    move || {
        if is_patient {
            spin_loop();
        }
        is_patient
    }
}

impl Follower {
    /// Begins to watch, and lists the keys.
    fn new(tiny: &Tiny, is_patient: bool) -> Self {
        let cursor = tiny.arena().begin_watch();
        let known = Known::with_filter(Filter::new(b"a", false));
        let mut follower = Self { cursor, known, keys: HashSet::new(), removals: 0 };
        follower.list(tiny, is_patient);
        follower
    }

    fn list(&mut self, tiny: &Tiny, is_patient: bool) {
        let keys = &mut self.keys;
        keys.clear();
        self.known.resync(&tiny.arena(), None, || spin(is_patient), |change| keys.extend(change.key));
    }

    /// Takes the next change, as `Watcher::try_next` does. Returns false if there is none.
    fn take(&mut self, tiny: &Tiny, is_patient: bool) -> bool {
        let arena = tiny.arena();
        let change = match arena.take(&mut self.cursor) {
            Peek::Changed(slot) => {
                arena.keep_watch(self.cursor.position);
                Some(Change::read(&arena, slot, Some(WHOLE_STORE), spin(is_patient)))
            }
            Peek::Nothing if arena.is_watched() => self.known.next_held(&arena, spin(is_patient)),
            _ => {
                self.known.forget_keys();
                self.cursor = arena.begin_watch();
                self.list(tiny, is_patient);
                return true;
            }
        };
        let Some(change) = change else { return false };
        if let Some(change) = self.known.filtered(change) {
            if let Some(removed) = change.removed {
                self.removals += 1;
                self.keys.remove(&removed);
            }
            self.keys.extend(change.key);
        }
        true
    }
}

type Work = fn(&mut Claimant<'_>);

/// Has a watcher of a prefix begin beside `other`, by a writer of its own, and then do `own`, and take what it hears. Checks
/// that it knows the keys that are there at last. Returns whether it listed "a", and how many removals it heard of.
fn check_followed(
    preemptions: usize,
    is_patient: bool,
    keys: &'static [usize],
    other: Work,
    own: Option<Work>,
) -> HashSet<(bool, usize)> {
    explore_within(preemptions, move || {
        let keys: Vec<_> = keys.iter().map(|index| letter(*index)).collect();
        let tiny = TWO.build(&keys);
        let writer = tiny.writer(0, other);
        let watcher = tiny.spawn(move |tiny| {
            let mut follower = Follower::new(tiny, is_patient);
            let listed = !follower.keys.is_empty();
            if let Some(work) = own {
                work(&mut tiny.claimant(1));
            }
            follower.take(tiny, is_patient);
            (follower, listed)
        });
        writer.join().unwrap();
        let (mut follower, listed) = watcher.join().unwrap();
        while follower.take(&tiny, is_patient) {}
        assert!(!follower.known.has_held());
        let is_there = tiny.held(&letter(0)).is_some();
        assert_eq!(!follower.keys.is_empty(), is_there, "the keys that are there");
        (listed, follower.removals)
    })
}

fn set_a(writer: &mut Claimant<'_>) {
    while let Err(error) = writer.put(&letter(0), &value(2)) {
        assert_eq!(error, Error::Again);
        spin_loop();
    }
}

fn unset_a(writer: &mut Claimant<'_>) {
    while let Err(error) = writer.unset_only(&letter(0)) {
        assert_eq!(error, Error::Again);
        spin_loop();
    }
}

#[test]
fn a_watcher_of_a_prefix_begun_beside_an_insertion_lists_the_key_or_hears_of_it() {
    for is_patient in [false, true] {
        let seen = check_followed(2, is_patient, &[], set_a, None);
        assert_eq!(seen, HashSet::from([(false, 0), (true, 0)]));
    }
}

#[test]
fn a_watcher_of_a_prefix_begun_beside_a_removal_hears_that_a_listed_key_is_gone() {
    for is_patient in [false, true] {
        let seen = check_followed(2, is_patient, &[0], unset_a, None);
        assert_eq!(seen, HashSet::from([(true, 1), (false, 0)]));
    }
}

#[test]
fn a_watcher_of_a_prefix_knows_a_key_that_came_back() {
    let back: Work = |writer| {
        unset_a(writer);
        set_a(writer);
    };
    let seen = check_followed(1, true, &[0], back, None);
    assert!(seen.is_superset(&HashSet::from([(true, 0), (true, 1), (false, 0)])), "{seen:?}");
}

#[test]
fn a_watcher_of_a_prefix_knows_a_key_that_came_back_elsewhere_before_its_removal_ended() {
    let seen = check_followed(1, false, &[0], unset_a, Some(set_a));
    assert!(seen.is_superset(&HashSet::from([(true, 0), (true, 1), (false, 0)])), "{seen:?}");
}
