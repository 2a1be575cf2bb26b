//! Lanes that change hands: by threads that take them, pass them on, give them back, and by the kernel, which marks the
//! end of a thread.

use super::explore;
use crate::arena::owner::Owner;
use crate::sync::{AcqRel, Acquire, Relaxed, Word};
use std::collections::HashSet;
use std::sync::Arc;

const DIED: u64 = 1 << 30;

/// A lane's owner word, and one that its owner writes.
#[derive(Default)]
struct Lane {
    owner: Word,
    work: Word,
}

impl Lane {
    /// Does what the kernel does at the end of a thread whose list has the word.
    fn end(&self, thread: u32) {
        let seen = self.owner.load(Acquire);
        if seen as u32 == thread {
            let died = seen >> 32 << 32 | DIED;
            let _ = self.owner.compare_exchange(seen, died, AcqRel, Relaxed);
        }
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
        Owner::take(&lane.owner, 1).unwrap();
        let dying = spawn(&lane, |lane| {
            lane.work.store(7, Relaxed);
            lane.end(1);
        });
        let takers = [2, 3].map(|thread| {
            spawn(&lane, move |lane| {
                Owner::take(&lane.owner, thread).map(|_| lane.work.load(Relaxed))
            })
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
        let first = Owner::take(&lane.owner, 1).unwrap();
        let ending = spawn(&lane, |lane| lane.end(1));
        let passed = spawn(&lane, move |lane| first.pass_on(&lane.owner, 2));
        let taken = spawn(&lane, |lane| Owner::take(&lane.owner, 3));
        ending.join().unwrap();
        let (passed, taken) = (passed.join().unwrap(), taken.join().unwrap());
        assert!(passed.is_none() || taken.is_none(), "a lane has one owner");
        for owner in passed.iter().chain(&taken) {
            assert_eq!(Owner(lane.owner.load(Acquire)), *owner, "and nobody marks it");
        }
        (passed.is_some(), taken.is_some())
    });
    assert_eq!(seen, HashSet::from([(true, false), (false, true)]));
}

#[test]
fn whoever_gives_a_lane_back_late_gives_back_nobody_elses() {
    let seen = explore(|| {
        let lane = Arc::new(Lane::default());
        let first = Owner::take(&lane.owner, 1).unwrap();
        let ending = spawn(&lane, |lane| lane.end(1));
        let late = spawn(&lane, move |lane| first.give_back(&lane.owner));
        let taken = Owner::take(&lane.owner, 3);
        ending.join().unwrap();
        late.join().unwrap();
        if let Some(owner) = taken {
            assert_eq!(Owner(lane.owner.load(Acquire)), owner);
        }
        taken.is_some()
    });
    assert_eq!(seen, HashSet::from([true, false]));
}
