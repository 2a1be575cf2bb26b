//! Writer ids whose owner changes: threads take them, pass them on and give them back, and the kernel marks the end of
//! a thread. Also copied files, which mention owners that are not present.

use super::explore;
use crate::arena::owner::{OpenStores, Owner, Ownership};
use crate::sync::{AcqRel, Acquire, Relaxed, Release, Word, crash};
use std::collections::HashSet;
use std::sync::Arc;

const DIED: u64 = 1 << 30;
/// How many stores the models' kernel knows, numbered from 0.
const STORES: usize = 4;

/// A writer id's owner words, a word that its owner writes, and the open stores as the kernel knows them.
#[derive(Default)]
struct WriterEntry {
    owner: Word,
    store_id: Word,
    work: Word,
    /// Not zero while the store with that number is open.
    open: [Word; STORES],
}

/// The kernel's answers to the store with this number.
struct Seen<'a>(&'a WriterEntry, u32);

impl OpenStores for Seen<'_> {
    fn own(&self) -> u32 {
        self.1
    }

    fn is_open(&self, store: u32) -> bool {
        self.0.open[store as usize].load(Acquire) != 0
    }
}

impl WriterEntry {
    /// Returns a writer id whose owner is not present: the file was copied while store 0 had it.
    fn copied() -> Arc<Self> {
        let entry = Self::default();
        entry.owner.store(5 << 32 | 9, Relaxed);
        entry.store_id.store(5 << 32, Relaxed);
        Arc::new(entry)
    }

    fn words(&self) -> Ownership<'_> {
        Ownership { owner: &self.owner, store_id: &self.store_id }
    }

    /// Takes the writer id for a thread, through the store with the thread's number.
    fn take(&self, thread: u32) -> Option<Owner> {
        self.words().take(thread, &Seen(self, thread))
    }

    /// Opens the store with this number.
    fn enter(&self, store: u32) {
        self.open[store as usize].store(1, Release);
        self.words().correct(&Seen(self, store));
    }

    fn close(&self, store: u32) {
        self.open[store as usize].store(0, Release);
    }

    /// Ends a thread as the kernel does, if the word is on its robust list.
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
    entry: &Arc<WriterEntry>,
    work: impl FnOnce(&WriterEntry) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let entry = Arc::clone(entry);
    loom::thread::spawn(move || work(&entry))
}

#[test]
fn a_dead_owners_writer_id_goes_to_one_thread_that_sees_all_that_it_did() {
    let seen = explore(|| {
        let entry = Arc::new(WriterEntry::default());
        entry.take(1).unwrap();
        let dying = spawn(&entry, |entry| {
            entry.work.store(7, Relaxed);
            entry.end(1);
        });
        let takers = [2, 3]
            .map(|thread| spawn(&entry, move |entry| entry.take(thread).map(|_| entry.work.load(Relaxed))));
        dying.join().unwrap();
        let took = takers.map(|taker| taker.join().unwrap());
        assert!(took.iter().flatten().all(|work| *work == 7), "the taker sees what the dead owner did");
        assert!(took.iter().flatten().count() <= 1, "at most one thread takes it");
        took.iter().flatten().count()
    });
    assert_eq!(seen, HashSet::from([0, 1]));
}

#[test]
fn a_writer_id_is_passed_on_or_taken_and_never_both() {
    // A thread ends whose writer another thread of its process goes on to use, while a thread of another process looks
    // for a writer id.
    let seen = explore(|| {
        let entry = Arc::new(WriterEntry::default());
        entry.enter(1);
        entry.enter(3);
        let first = entry.take(1).unwrap();
        let ending = spawn(&entry, |entry| entry.end(1));
        let passed = spawn(&entry, move |entry| entry.words().pass_on(first, 2, &Seen(entry, 1)));
        let taken = spawn(&entry, |entry| entry.take(3));
        ending.join().unwrap();
        let (passed, taken) = (passed.join().unwrap(), taken.join().unwrap());
        assert!(passed.is_none() || taken.is_none(), "a writer id has one owner");
        for owner in passed.iter().chain(&taken) {
            entry.words().correct(&Seen(&entry, 0));
            assert!(entry.is_owned_by(*owner), "the new owner keeps it");
        }
        (passed.is_some(), taken.is_some())
    });
    // Each may find the other about to take it.
    let either = [(true, false), (false, true), (false, false)];
    assert!(seen.iter().all(|end| either.contains(end)) && seen.len() >= 2, "{seen:?}");
}

#[test]
fn an_owner_that_gives_its_writer_id_back_late_gives_back_nobody_elses() {
    let seen = explore(|| {
        let entry = Arc::new(WriterEntry::default());
        let first = entry.take(1).unwrap();
        let ending = spawn(&entry, |entry| entry.end(1));
        let late = spawn(&entry, move |entry| entry.words().give_back(first));
        let taken = entry.take(3);
        ending.join().unwrap();
        late.join().unwrap();
        if let Some(owner) = taken {
            assert!(entry.is_owned_by(owner));
        }
        taken.is_some()
    });
    assert_eq!(seen, HashSet::from([true, false]));
}

#[test]
fn of_stores_that_open_a_copy_together_one_takes_the_writer_id_and_keeps_it() {
    let seen = explore(|| {
        let entry = WriterEntry::copied();
        let takers = [1, 2].map(|store| {
            spawn(&entry, move |entry| {
                entry.enter(store);
                let taken = entry.take(store);
                if taken.is_none() {
                    entry.close(store);
                }
                taken
            })
        });
        entry.enter(3);
        let took = takers.map(|taker| taker.join().unwrap());
        assert!(took.iter().flatten().count() <= 1, "at most one thread takes it");
        entry.enter(3);
        for owner in took.iter().flatten() {
            assert!(entry.is_owned_by(*owner), "the owner keeps it");
        }
        took.iter().flatten().count()
    });
    assert!(seen.contains(&1), "{seen:?}");
}

#[test]
fn a_writer_id_that_was_given_back_stays_its_next_owners_while_others_open_the_store() {
    let seen = explore(|| {
        let entry = Arc::new(WriterEntry::default());
        entry.enter(1);
        let first = entry.take(1).unwrap();
        let leaving = spawn(&entry, move |entry| {
            entry.words().give_back(first);
            entry.close(1);
        });
        let taken = spawn(&entry, |entry| {
            entry.enter(2);
            entry.take(2)
        });
        entry.enter(3);
        leaving.join().unwrap();
        let taken = taken.join().unwrap();
        if let Some(owner) = taken {
            assert!(entry.is_owned_by(owner));
        }
        taken.is_some()
    });
    assert_eq!(seen, HashSet::from([true, false]));
}

#[test]
fn a_thread_that_dies_while_it_takes_a_copys_writer_id_leaves_it_to_the_next() {
    for stores in 0..6 {
        explore(move || {
            let entry = WriterEntry::copied();
            let dying = spawn(&entry, move |entry| {
                crash::run(stores, || {
                    entry.enter(1);
                    entry.take(1)
                });
                // The kernel marks the word before it releases the lock.
                entry.end(1);
                entry.close(1);
            });
            entry.enter(2);
            let early = entry.take(2);
            dying.join().unwrap();
            let owner = early.or_else(|| entry.take(2)).expect("a writer id that nobody owns is free");
            entry.words().correct(&Seen(&entry, 3));
            assert!(entry.is_owned_by(owner));
        });
    }
}

#[test]
fn a_taker_that_is_stopped_between_its_looks_takes_the_store_id_of_no_later_owner() {
    let seen = explore(|| {
        let entry = Arc::new(WriterEntry::default());
        [1, 2, 3].map(|store| entry.enter(store));
        let others = spawn(&entry, |entry| {
            let first = entry.take(1)?;
            entry.words().give_back(first);
            entry.take(3)
        });
        let slow = spawn(&entry, |entry| entry.take(2));
        let (later, slow) = (others.join().unwrap(), slow.join().unwrap());
        assert!(later.is_none() || slow.is_none(), "a writer id has one owner");
        for owner in later.iter().chain(&slow) {
            entry.words().correct(&Seen(&entry, 0));
            assert!(entry.is_owned_by(*owner), "the owner keeps it: its store is open");
        }
        (later.is_some(), slow.is_some())
    });
    assert!(seen.contains(&(true, false)) && seen.contains(&(false, true)), "{seen:?}");
}
