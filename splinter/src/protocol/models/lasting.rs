//! Lasting subscriptions beside insertions and removals of their key. A watcher that nobody wakes is a deadlock, so a
//! model that ends has lost no signal.

use super::*;
use crate::signals::{Cursor, Peek, wake_bit};
use crate::sync::spin_loop;

/// Two slots, one bucket.
const TWO: Size = Size { slots: 2, max_writers: 4, ..SMALLEST };

type Change = fn(&mut Claimant<'_>) -> Result<(), Error>;

fn set(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.put(&letter(0), &value(2))
}

fn set_both(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.set_tandem(&[letter(0), letter(1)], &[&value(2), &value(2)])
}

fn unset(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.unset_only(&letter(0)).map(drop)
}

impl Tiny {
    /// Has the owner of `writer_id` do `change`, and again while other writers are in the way.
    fn persist(&self, writer_id: u32, change: impl Fn(&mut Claimant<'_>) -> Result<(), Error>) {
        let mut claimant = self.claimant(writer_id);
        while let Err(error) = change(&mut claimant) {
            assert_eq!(error, Error::Again);
            spin_loop();
        }
        self.writer_table[writer_id as usize].clear_intents();
    }

    fn signals(&self) -> u64 {
        self.header.groups[0].count.load(Acquire)
    }

    fn subscriptions(&self) -> Vec<u64> {
        self.metadata.iter().map(|metadata| metadata.subscriptions.load(Relaxed)).collect()
    }

    /// Waits for a signal of group 0 from `cursor` on.
    fn receive(&self, mut cursor: Cursor) {
        let arena = self.arena();
        while arena.take(&mut cursor) == Peek::Nothing {
            let wake_word = arena.take_tickets(&[cursor]);
            if arena.peek(cursor) == Peek::Nothing {
                let word = &arena.header.wake_word;
                let place = std::ptr::from_ref(word).addr();
                self.kernel.wake_word.wait(place, wake_bit(0), || word.load(Relaxed), wake_word);
            }
        }
    }
}

fn subscribe(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.subscribe_lasting(&letter(0), 0)
}

fn unsubscribe(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.unsubscribe_lasting(&letter(0), 0)
}

/// Makes a watcher subscribe to "a" while `change` sets it. It reads the key, or gets a signal.
fn check_subscribing(preemptions: usize, change: Change) {
    let seen = explore_within(preemptions, move || {
        let tiny = TWO.build(&[]);
        let watcher = tiny.spawn(|tiny| {
            let cursor = tiny.arena().cursor(0);
            tiny.persist(1, subscribe);
            let read = tiny.get(&letter(0)) == Ok(value(2));
            if !read {
                tiny.receive(cursor);
                assert_eq!(tiny.get(&letter(0)), Ok(value(2)));
            }
            read
        });
        let writer = tiny.spawn(move |tiny| tiny.persist(0, change));
        writer.join().unwrap();
        let read = watcher.join().unwrap();
        tiny.check_at_rest();
        let before = tiny.signals();
        tiny.persist(2, set);
        assert_eq!(tiny.signals(), before + 1, "the key that is there is registered");
        (read, before)
    });
    assert_eq!(seen, HashSet::from([(false, 1), (true, 0), (true, 1)]));
}

#[test]
fn a_watcher_with_a_lasting_subscription_reads_a_new_key_or_is_signalled() {
    check_subscribing(2, set);
}

#[test]
fn a_watcher_with_a_lasting_subscription_reads_a_new_tandem_or_is_signalled() {
    check_subscribing(1, set_both);
}

#[test]
fn a_key_that_goes_and_comes_back_beside_its_subscription_is_registered_whenever_it_is_there() {
    let seen = explore_within(1, || {
        let tiny = TWO.build(&[letter(0)]);
        let subscriber = tiny.spawn(|tiny| tiny.persist(1, subscribe));
        let writer = tiny.spawn(|tiny| {
            tiny.persist(0, unset);
            tiny.persist(0, set);
        });
        writer.join().unwrap();
        subscriber.join().unwrap();
        let signals = tiny.signals();
        assert_eq!(tiny.subscriptions().iter().sum::<u64>(), 1, "one slot is registered");
        tiny.persist(2, unset);
        assert_eq!((tiny.signals(), tiny.subscriptions()), (signals + 1, vec![0, 0]));
        signals
    });
    // None, the set alone, or the removal as well.
    assert_eq!(seen, HashSet::from([0, 1, 2]));
}

#[test]
fn once_a_lasting_subscription_has_ended_no_insertion_brings_it_back() {
    let seen = explore(|| {
        let tiny = TWO.build(&[]);
        tiny.persist(1, subscribe);
        let ender = tiny.spawn(|tiny| tiny.persist(1, unsubscribe));
        let writer = tiny.spawn(|tiny| tiny.persist(0, set));
        writer.join().unwrap();
        ender.join().unwrap();
        assert_eq!(tiny.subscriptions(), [0, 0]);
        let signals = tiny.signals();
        tiny.persist(2, unset);
        tiny.persist(2, set);
        assert_eq!((tiny.signals(), tiny.subscriptions()), (signals, vec![0, 0]));
        signals
    });
    assert_eq!(seen, HashSet::from([0, 1]));
}

#[test]
fn of_a_caller_that_subscribes_and_one_that_ends_it_the_slot_goes_by_the_table() {
    let seen = explore_within(1, || {
        let tiny = TWO.build(&[letter(0)]);
        let subscriber = tiny.spawn(|tiny| tiny.persist(1, subscribe));
        let ender = tiny.spawn(|tiny| tiny.persist(2, unsubscribe));
        subscriber.join().unwrap();
        ender.join().unwrap();
        let groups = tiny.arena().lasting_groups(letter(0).hash);
        assert_eq!(tiny.subscriptions().iter().sum::<u64>(), groups);
        tiny.persist(0, set);
        assert_eq!(tiny.signals(), groups);
        groups
    });
    assert_eq!(seen, HashSet::from([0, 1]));
}

#[test]
fn a_writer_that_dies_inserting_leaves_a_registered_key_that_was_signalled_or_neither() {
    for insert in [set as Change, set_both] {
        let seen = explore_deaths(move |stores| {
            let tiny = TWO.build(&[]);
            tiny.persist(1, subscribe);
            let lived = tiny.die(0, stores, insert).is_some();
            drop(tiny.claimant(0));
            let is_there = tiny.held(&letter(0)).is_some();
            assert_eq!(tiny.subscriptions().iter().sum::<u64>(), u64::from(is_there), "{stores}");
            assert!(!is_there || tiny.signals() > 0, "{stores}");
            tiny.check_at_rest();
            (lived, is_there)
        });
        assert_eq!(seen, HashSet::from([false, true]));
    }
}

#[test]
fn callers_that_take_the_last_places_at_once_take_each_once() {
    let seen = explore(|| {
        let tiny = TWO.build(&[]);
        let add = |index: usize| move |tiny: &Tiny| tiny.arena().add_lasting(letter(index).hash, 0);
        let others = [0, 0, 1].map(|index| tiny.spawn(add(index)));
        let results = others.map(|other| other.join().unwrap());
        let groups = [0, 1].map(|index| tiny.arena().lasting_groups(letter(index).hash));
        assert_eq!((results, groups), ([true; 3], [1, 1]));
        assert!(!add(2)(&tiny));
        tiny.arena().remove_lasting(letter(0).hash, 0);
        assert_eq!((add(2)(&tiny), tiny.arena().lasting_groups(letter(0).hash)), (true, 0));
    });
    assert_eq!(seen.len(), 1);
}
