//! Lanes that change hands: by threads that take them, pass them on, give them back, and by the kernel, which marks the
//! end of a thread. And what tells an owner that is there from one that a copied file speaks of.

use super::explore;
use crate::arena::owner::{Owner, Ownership, Stores};
use crate::sync::{AcqRel, Acquire, Relaxed, Release, Word, mortal};
use std::collections::HashSet;
use std::sync::Arc;

const DIED: u64 = 1 << 30;
/// How many stores the models' kernel knows, numbered from 0.
const STORES: usize = 4;

/// A lane's words, one that its owner writes, and what the kernel knows of open stores.
#[derive(Default)]
struct Lane {
    owner: Word,
    keeper: Word,
    work: Word,
    /// Not zero while the store with that number is open.
    open: [Word; STORES],
}

/// The stores as the one with this number sees them.
struct Seen<'a>(&'a Lane, u32);

impl Stores for Seen<'_> {
    fn own(&self) -> u32 {
        self.1
    }

    fn is_open(&self, store: u32) -> bool {
        self.0.open[store as usize].load(Acquire) != 0
    }
}

impl Lane {
    /// A lane with an owner that is not there: the file was copied while store 0 had it.
    fn copied() -> Arc<Self> {
        let lane = Self::default();
        lane.owner.store(5 << 32 | 9, Relaxed);
        lane.keeper.store(5 << 32, Relaxed);
        Arc::new(lane)
    }

    fn words(&self) -> Ownership<'_> {
        Ownership { owner: &self.owner, keeper: &self.keeper }
    }

    /// Takes the lane for a thread of the store that goes by the thread's number.
    fn take(&self, thread: u32) -> Option<Owner> {
        self.words().take(thread, &Seen(self, thread))
    }

    /// Does what opening the store with this number does.
    fn enter(&self, store: u32) {
        self.open[store as usize].store(1, Release);
        self.words().correct(&Seen(self, store));
    }

    fn close(&self, store: u32) {
        self.open[store as usize].store(0, Release);
    }

    /// Does what the kernel does at the end of a thread whose list has the word.
    fn end(&self, thread: u32) {
        let seen = self.owner.load(Acquire);
        if seen as u32 == thread {
            let died = seen >> 32 << 32 | DIED;
            let _ = self.owner.compare_exchange(seen, died, AcqRel, Relaxed);
        }
    }

    fn is_owned_by(&self, owner: Owner) -> bool {
        Owner(self.owner.load(Acquire)) == owner
    }
}

fn spawn<R: 'static>(
    lane: &Arc<Lane>,
    work: impl FnOnce(&Lane) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let lane = Arc::clone(lane);
    loom::thread::spawn(move || work(&lane))
}

#[test]
fn a_dead_owners_lane_goes_to_one_who_sees_all_that_it_did() {
    let seen = explore(|| {
        let lane = Arc::new(Lane::default());
        lane.take(1).unwrap();
        let dying = spawn(&lane, |lane| {
            lane.work.store(7, Relaxed);
            lane.end(1);
        });
        let takers = [2, 3].map(|thread| {
            spawn(&lane, move |lane| lane.take(thread).map(|_| lane.work.load(Relaxed)))
        });
        dying.join().unwrap();
        let took = takers.map(|taker| taker.join().unwrap());
        assert!(took.iter().flatten().all(|work| *work == 7), "it sees what the dead one did");
        assert!(took.iter().flatten().count() <= 1, "one takes it");
        took.iter().flatten().count()
    });
    assert_eq!(seen, HashSet::from([0, 1]));
}

#[test]
fn a_lane_is_passed_on_or_taken_and_never_both() {
    // A thread ended whose writer another one of its process uses now, while a stranger looks for a lane.
    let seen = explore(|| {
        let lane = Arc::new(Lane::default());
        lane.enter(1);
        lane.enter(3);
        let first = lane.take(1).unwrap();
        let ending = spawn(&lane, |lane| lane.end(1));
        let passed = spawn(&lane, move |lane| lane.words().pass_on(first, 2, &Seen(lane, 1)));
        let taken = spawn(&lane, |lane| lane.take(3));
        ending.join().unwrap();
        let (passed, taken) = (passed.join().unwrap(), taken.join().unwrap());
        assert!(passed.is_none() || taken.is_none(), "a lane has one owner");
        for owner in passed.iter().chain(&taken) {
            lane.words().correct(&Seen(&lane, 0));
            assert!(lane.is_owned_by(*owner), "and nobody marks it");
        }
        (passed.is_some(), taken.is_some())
    });
    // Each may find the other about to take it.
    let either = [(true, false), (false, true), (false, false)];
    assert!(seen.iter().all(|end| either.contains(end)) && seen.len() >= 2, "{seen:?}");
}

#[test]
fn whoever_gives_a_lane_back_late_gives_back_nobody_elses() {
    let seen = explore(|| {
        let lane = Arc::new(Lane::default());
        let first = lane.take(1).unwrap();
        let ending = spawn(&lane, |lane| lane.end(1));
        let late = spawn(&lane, move |lane| lane.words().give_back(first));
        let taken = lane.take(3);
        ending.join().unwrap();
        late.join().unwrap();
        if let Some(owner) = taken {
            assert!(lane.is_owned_by(owner));
        }
        taken.is_some()
    });
    assert_eq!(seen, HashSet::from([true, false]));
}

#[test]
fn of_those_who_open_a_copy_together_one_takes_the_lane_and_nobody_takes_it_back() {
    let seen = explore(|| {
        let lane = Lane::copied();
        let takers = [1, 2].map(|store| {
            spawn(&lane, move |lane| {
                lane.enter(store);
                let taken = lane.take(store);
                if taken.is_none() {
                    lane.close(store);
                }
                taken
            })
        });
        lane.enter(3);
        let took = takers.map(|taker| taker.join().unwrap());
        assert!(took.iter().flatten().count() <= 1, "one takes it");
        lane.enter(3);
        for owner in took.iter().flatten() {
            assert!(lane.is_owned_by(*owner), "and it stays the owner's");
        }
        took.iter().flatten().count()
    });
    assert!(seen.contains(&1), "{seen:?}");
}

#[test]
fn a_lane_that_was_given_back_is_the_next_owners_whoever_opens_the_store() {
    let seen = explore(|| {
        let lane = Arc::new(Lane::default());
        lane.enter(1);
        let first = lane.take(1).unwrap();
        let leaving = spawn(&lane, move |lane| {
            lane.words().give_back(first);
            lane.close(1);
        });
        let taken = spawn(&lane, |lane| {
            lane.enter(2);
            lane.take(2)
        });
        lane.enter(3);
        leaving.join().unwrap();
        let taken = taken.join().unwrap();
        if let Some(owner) = taken {
            assert!(lane.is_owned_by(owner));
        }
        taken.is_some()
    });
    assert_eq!(seen, HashSet::from([true, false]));
}

#[test]
fn one_that_dies_anywhere_while_it_takes_a_copys_lane_leaves_it_to_the_next() {
    for stores in 0..6 {
        explore(move || {
            let lane = Lane::copied();
            let dying = spawn(&lane, move |lane| {
                mortal::live(stores, || {
                    lane.enter(1);
                    lane.take(1)
                });
                // The kernel marks the word before it lets go of the lock.
                lane.end(1);
                lane.close(1);
            });
            lane.enter(2);
            let early = lane.take(2);
            dying.join().unwrap();
            let owner = early.or_else(|| lane.take(2)).expect("a lane that nobody owns is free");
            lane.words().correct(&Seen(&lane, 3));
            assert!(lane.is_owned_by(owner));
        });
    }
}
