//! Writer ids that change hands: by threads that take them, pass them on, give them back, and by the kernel, which marks the
//! end of a thread. And what tells an owner that is there from one that a copied file speaks of.

use super::explore;
use crate::arena::owner::{Owner, Ownership, Stores};
use crate::sync::{AcqRel, Acquire, Relaxed, Release, Word, mortal};
use std::collections::HashSet;
use std::sync::Arc;

const DIED: u64 = 1 << 30;
/// How many stores the models' kernel knows, numbered from 0.
const STORES: usize = 4;

/// A writer id's words, one that its owner writes, and what the kernel knows of open stores.
#[derive(Default)]
struct WriterEntry {
    owner: Word,
    keeper: Word,
    work: Word,
    /// Not zero while the store with that number is open.
    open: [Word; STORES],
}

/// The stores as the one with this number sees them.
struct Seen<'a>(&'a WriterEntry, u32);

impl Stores for Seen<'_> {
    fn own(&self) -> u32 {
        self.1
    }

    fn is_open(&self, store: u32) -> bool {
        self.0.open[store as usize].load(Acquire) != 0
    }
}

impl WriterEntry {
    /// A writer id with an owner that is not there: the file was copied while store 0 had it.
    fn copied() -> Arc<Self> {
        let writer_id = Self::default();
        writer_id.owner.store(5 << 32 | 9, Relaxed);
        writer_id.keeper.store(5 << 32, Relaxed);
        Arc::new(writer_id)
    }

    fn words(&self) -> Ownership<'_> {
        Ownership { owner: &self.owner, keeper: &self.keeper }
    }

    /// Takes the writer id for a thread of the store that goes by the thread's number.
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
    writer_id: &Arc<WriterEntry>,
    work: impl FnOnce(&WriterEntry) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let writer_id = Arc::clone(writer_id);
    loom::thread::spawn(move || work(&writer_id))
}

#[test]
fn a_dead_owners_lane_goes_to_one_who_sees_all_that_it_did() {
    let seen = explore(|| {
        let writer_id = Arc::new(WriterEntry::default());
        writer_id.take(1).unwrap();
        let dying = spawn(&writer_id, |writer_id| {
            writer_id.work.store(7, Relaxed);
            writer_id.end(1);
        });
        let takers = [2, 3].map(|thread| {
            spawn(&writer_id, move |writer_id| writer_id.take(thread).map(|_| writer_id.work.load(Relaxed)))
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
    // A thread ended whose writer another one of its process uses now, while a stranger looks for a writer id.
    let seen = explore(|| {
        let writer_id = Arc::new(WriterEntry::default());
        writer_id.enter(1);
        writer_id.enter(3);
        let first = writer_id.take(1).unwrap();
        let ending = spawn(&writer_id, |writer_id| writer_id.end(1));
        let passed =
            spawn(&writer_id, move |writer_id| writer_id.words().pass_on(first, 2, &Seen(writer_id, 1)));
        let taken = spawn(&writer_id, |writer_id| writer_id.take(3));
        ending.join().unwrap();
        let (passed, taken) = (passed.join().unwrap(), taken.join().unwrap());
        assert!(passed.is_none() || taken.is_none(), "a lane has one owner");
        for owner in passed.iter().chain(&taken) {
            writer_id.words().correct(&Seen(&writer_id, 0));
            assert!(writer_id.is_owned_by(*owner), "and nobody marks it");
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
        let writer_id = Arc::new(WriterEntry::default());
        let first = writer_id.take(1).unwrap();
        let ending = spawn(&writer_id, |writer_id| writer_id.end(1));
        let late = spawn(&writer_id, move |writer_id| writer_id.words().give_back(first));
        let taken = writer_id.take(3);
        ending.join().unwrap();
        late.join().unwrap();
        if let Some(owner) = taken {
            assert!(writer_id.is_owned_by(owner));
        }
        taken.is_some()
    });
    assert_eq!(seen, HashSet::from([true, false]));
}

#[test]
fn of_those_who_open_a_copy_together_one_takes_the_lane_and_nobody_takes_it_back() {
    let seen = explore(|| {
        let writer_id = WriterEntry::copied();
        let takers = [1, 2].map(|store| {
            spawn(&writer_id, move |writer_id| {
                writer_id.enter(store);
                let taken = writer_id.take(store);
                if taken.is_none() {
                    writer_id.close(store);
                }
                taken
            })
        });
        writer_id.enter(3);
        let took = takers.map(|taker| taker.join().unwrap());
        assert!(took.iter().flatten().count() <= 1, "one takes it");
        writer_id.enter(3);
        for owner in took.iter().flatten() {
            assert!(writer_id.is_owned_by(*owner), "and it stays the owner's");
        }
        took.iter().flatten().count()
    });
    assert!(seen.contains(&1), "{seen:?}");
}

#[test]
fn a_lane_that_was_given_back_is_the_next_owners_whoever_opens_the_store() {
    let seen = explore(|| {
        let writer_id = Arc::new(WriterEntry::default());
        writer_id.enter(1);
        let first = writer_id.take(1).unwrap();
        let leaving = spawn(&writer_id, move |writer_id| {
            writer_id.words().give_back(first);
            writer_id.close(1);
        });
        let taken = spawn(&writer_id, |writer_id| {
            writer_id.enter(2);
            writer_id.take(2)
        });
        writer_id.enter(3);
        leaving.join().unwrap();
        let taken = taken.join().unwrap();
        if let Some(owner) = taken {
            assert!(writer_id.is_owned_by(owner));
        }
        taken.is_some()
    });
    assert_eq!(seen, HashSet::from([true, false]));
}

#[test]
fn one_that_dies_anywhere_while_it_takes_a_copys_lane_leaves_it_to_the_next() {
    for stores in 0..6 {
        explore(move || {
            let writer_id = WriterEntry::copied();
            let dying = spawn(&writer_id, move |writer_id| {
                mortal::live(stores, || {
                    writer_id.enter(1);
                    writer_id.take(1)
                });
                // The kernel marks the word before it lets go of the lock.
                writer_id.end(1);
                writer_id.close(1);
            });
            writer_id.enter(2);
            let early = writer_id.take(2);
            dying.join().unwrap();
            let owner = early.or_else(|| writer_id.take(2)).expect("a lane that nobody owns is free");
            writer_id.words().correct(&Seen(&writer_id, 3));
            assert!(writer_id.is_owned_by(owner));
        });
    }
}
