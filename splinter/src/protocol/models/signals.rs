//! Watching groups, and the whole store: signals, sleeping watchers, and subscriptions of keys and labels. A watcher
//! that nobody wakes is a deadlock, so a model that ends has lost no wake.

use super::deaths::{Op, ops};
use super::*;
use crate::arena::integer::IntegerOp;
use crate::arena::records::WHOLE_STORE;
use crate::arena::state::Descriptor;
use crate::signals::{Cursor, Peek, wake_bit};
use crate::sync::{fence_after_exchange, spin_loop};

/// Two slots, one bucket.
const TWO: Size = Size { slots: 2, max_writers: 4, words: 1, ..SMALLEST };

/// A watcher of groups, as `Watcher` is.
struct Listener {
    cursors: Vec<Cursor>,
    bits: u32,
    slept: bool,
}

impl Tiny {
    fn listen(&self, groups: &[usize]) -> Listener {
        let cursors = groups.iter().map(|group| self.arena().cursor(*group)).collect();
        let bits = groups.iter().fold(0, |bits, group| bits | wake_bit(*group));
        Listener { cursors, bits, slept: false }
    }

    fn count(&self, group: usize) -> u64 {
        self.header.groups[group].count.load(Acquire)
    }

    /// Returns the words that decide how slot 0 reads, by few accesses.
    fn content(&self) -> (Descriptor, u64) {
        let descriptor = Descriptor(self.slots[0].descriptor.load(Acquire));
        (descriptor.with_values_stale(0).with_vector_stale(0), self.slots[0].state_integer.second())
    }

    /// Makes the owner of `writer_id` do `change`, and again while other writers are in the way.
    fn retry_until_done(&self, writer_id: u32, change: Change) {
        let mut claimant = self.claimant(writer_id);
        while let Err(error) = change(&mut claimant) {
            assert_eq!(error, Error::Again);
            spin_loop();
        }
        self.writer_table[writer_id as usize].clear_intents();
    }
}

impl Listener {
    /// Returns the next signal and its group, if there is one.
    fn look(&mut self, tiny: &Tiny) -> Option<(usize, Peek)> {
        self.cursors.iter_mut().find_map(|cursor| match tiny.arena().take(cursor) {
            Peek::Nothing => None,
            peek => Some((cursor.group, peek)),
        })
    }

    /// Waits for the next signal; for the whole store's watch, also until it has expired.
    fn next(&mut self, tiny: &Tiny) -> Option<(usize, Peek)> {
        let arena = tiny.arena();
        loop {
            let found = self.look(tiny);
            let expired = || self.cursors[0].group == WHOLE_STORE && !arena.is_watched();
            if found.is_some() || expired() {
                return found;
            }
            let wake_word = arena.take_tickets(&self.cursors);
            let nothing = |cursor: &Cursor| arena.peek(*cursor) == Peek::Nothing;
            if self.cursors.iter().all(nothing) && !expired() {
                let word = &arena.header.wake_word;
                let place = std::ptr::from_ref(word).addr();
                self.slept |= tiny.kernel.wake_word.wait(place, self.bits, || word.load(Relaxed), wake_word);
            }
        }
    }

    /// Waits for `count` signals, none of which may be missed.
    fn receive(&mut self, tiny: &Tiny, count: usize) -> Vec<(usize, u32)> {
        let slot = |(group, peek)| match peek {
            Peek::Changed(slot) => (group, slot),
            other => panic!("{other:?}"),
        };
        (0..count).map(|_| slot(self.next(tiny).unwrap())).collect()
    }
}

type Change = fn(&mut Claimant<'_>) -> Result<(), Error>;

fn set_a(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.put(&letter(0), &[2; 8])
}

fn set_b(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.put(&letter(1), &[2; 8])
}

fn add_to_a(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.integer(&letter(0), IntegerOp::Inc(1)).map(drop)
}

fn unset_a(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.unset_only(&letter(0)).map(drop)
}

/// Builds a store with the numbers "a" and "b", 1 each, to whose changes the groups in `subscriptions` are subscribed.
fn subscribed(subscriptions: [u64; 2]) -> Arc<Tiny> {
    let tiny = TWO.build(&[]);
    let mut claimant = tiny.claimant(3);
    for (index, groups) in subscriptions.into_iter().enumerate() {
        claimant.set_integer(&letter(index), 1).unwrap();
        if groups != 0 {
            claimant.subscribe(&letter(index), groups, true).unwrap();
        }
    }
    drop(claimant);
    tiny
}

#[test]
fn a_watcher_of_a_group_always_sees_a_change() {
    for change in [set_a, add_to_a, unset_a] {
        let seen = explore(move || {
            let tiny = subscribed([1, 0]);
            let before = tiny.get(&letter(0));
            let mut listener = tiny.listen(&[0]);
            let watcher = tiny.spawn(move |tiny| {
                assert_eq!(listener.receive(tiny, 1), [(0, 0)]);
                (listener.slept, tiny.get(&letter(0)) != before)
            });
            assert_eq!(tiny.writer(0, change).join().unwrap(), Ok(()));
            let received = watcher.join().unwrap();
            assert_eq!(tiny.count(0), 1);
            tiny.check_at_rest();
            received
        });
        // It is signalled only what can be read.
        assert_eq!(seen, HashSet::from([(false, true), (true, true)]));
    }
}

#[test]
fn a_watcher_of_a_group_sees_every_change_of_two_writers_in_the_rings_order() {
    let seen = explore_within(1, || {
        let tiny = subscribed([1, 1]);
        let mut listener = tiny.listen(&[0]);
        let watcher =
            tiny.spawn(move |tiny| (listener.receive(tiny, 2), listener.look(tiny), listener.slept));
        let writers = [tiny.writer(0, add_to_a), tiny.writer(1, set_b)];
        writers.into_iter().for_each(|writer| writer.join().unwrap().unwrap());
        let (received, more, slept) = watcher.join().unwrap();
        let mut late = Listener { cursors: vec![Cursor { group: 0, position: 0 }], bits: 1, slept };
        assert_eq!(late.receive(&tiny, 2), received);
        assert_eq!((more, tiny.count(0)), (None, 2));
        (received[0].1, slept)
    });
    assert_eq!(seen, HashSet::from([(0, false), (0, true), (1, false), (1, true)]));
}

#[test]
fn a_watcher_of_two_groups_sees_the_changes_in_both() {
    let seen = explore_within(1, || {
        let tiny = subscribed([1, 2]);
        let mut listener = tiny.listen(&[0, 1]);
        let watcher = tiny.spawn(move |tiny| (listener.receive(tiny, 2), listener.slept));
        let writers = [tiny.writer(0, add_to_a), tiny.writer(1, set_b)];
        writers.into_iter().for_each(|writer| writer.join().unwrap().unwrap());
        let (mut received, slept) = watcher.join().unwrap();
        let first = received[0].0;
        received.sort_unstable();
        assert_eq!(received, [(0, 0), (1, 1)]);
        (first, slept)
    });
    assert_eq!(seen, HashSet::from([(0, false), (0, true), (1, false), (1, true)]));
}

#[test]
fn each_watcher_of_one_of_two_groups_is_woken_for_its_own() {
    let seen = explore_within(1, || {
        let tiny = subscribed([1, 2]);
        let watchers = [0, 1].map(|group| {
            let mut listener = tiny.listen(&[group]);
            tiny.spawn(move |tiny| (listener.receive(tiny, 1), listener.slept))
        });
        let writer = tiny.writer(0, |writer| add_to_a(writer).and_then(|()| set_b(writer)));
        assert_eq!(writer.join().unwrap(), Ok(()));
        let received = watchers.map(|watcher| watcher.join().unwrap());
        assert_eq!(received.clone().map(|(received, _)| received), [vec![(0, 0)], vec![(1, 1)]]);
        received.map(|(_, slept)| slept)
    });
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_watcher_woken_by_one_change_sees_the_next() {
    let seen = explore(|| {
        let tiny = subscribed([1, 0]);
        let mut listener = tiny.listen(&[0]);
        let watcher = tiny.spawn(move |tiny| {
            let first = (listener.receive(tiny, 1), listener.slept);
            listener.slept = false;
            assert_eq!(listener.receive(tiny, 1), first.0);
            [first.1, listener.slept]
        });
        let writer = tiny.writer(0, |writer| add_to_a(writer).and_then(|()| add_to_a(writer)));
        assert_eq!(writer.join().unwrap(), Ok(()));
        watcher.join().unwrap()
    });
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_writer_that_comes_late_to_wake_keeps_no_other_from_waking() {
    let seen = explore_deaths(|stores| {
        let tiny = subscribed([1, 1]);
        let mut listener = tiny.listen(&[0]);
        let watcher = tiny.spawn(move |tiny| {
            while listener.next(tiny) != Some((0, Peek::Changed(1))) {}
            listener.slept
        });
        let lived = tiny.die(0, stores, add_to_a).is_some();
        assert_eq!(set_b(&mut tiny.claimant(1)), Ok(()));
        (lived, watcher.join().unwrap())
    });
    assert_eq!(seen, HashSet::from([false, true]));
}

/// Checks a watcher of group 0 that has changes of "a" signalled there by `join`: it reads the value that is set
/// meanwhile, or gets a signal. `join` returns how many signals it caused itself.
fn check_joining(join: fn(&Tiny) -> usize, leave: fn(&Tiny)) {
    let seen = explore_within(1, move || {
        let tiny = subscribed([0, 0]);
        tiny.header.label_subscriptions[0].store(1, Relaxed);
        let watcher = tiny.spawn(move |tiny| {
            let mut listener = tiny.listen(&[0]);
            let own = join(tiny);
            let read = tiny.get(&letter(0)) == Ok(vec![2; 8]);
            if !read {
                listener.receive(tiny, own + 1);
                assert_eq!(tiny.get(&letter(0)), Ok(vec![2; 8]));
            }
            leave(tiny);
            // Nothing that begins after this is signalled.
            let count = tiny.count(0);
            (read, count, own)
        });
        let writer = tiny.spawn(|tiny| tiny.retry_until_done(0, set_a));
        writer.join().unwrap();
        let (read, _, own) = watcher.join().unwrap();
        let count = tiny.count(0);
        tiny.retry_until_done(1, set_a);
        assert_eq!(tiny.count(0), count);
        // A change that signals when the watcher joins does so when it leaves.
        (read, count - 2 * own as u64)
    });
    assert!(seen.is_superset(&HashSet::from([(false, 1), (true, 0)])), "{seen:?}");
    assert!(seen.iter().all(|(read, count)| *read || *count == 1), "{seen:?}");
}

#[test]
fn a_watcher_that_subscribes_to_a_key_beside_a_change_reads_it_or_is_signalled() {
    check_joining(
        |tiny| {
            tiny.retry_until_done(1, |writer| writer.subscribe(&letter(0), 1, true));
            0
        },
        |tiny| tiny.retry_until_done(1, |writer| writer.subscribe(&letter(0), 1, false)),
    );
}

#[test]
fn a_watcher_that_labels_a_key_beside_a_change_reads_it_or_is_signalled() {
    fn label(writer: &mut Claimant<'_>, labels: u64) -> Result<(), Error> {
        let change = |slot: &Slot, descriptor| {
            slot.labels.store(labels, Relaxed);
            descriptor
        };
        writer.change_metadata(&letter(0), change).map(drop)
    }
    check_joining(
        |tiny| {
            tiny.retry_until_done(1, |writer| label(writer, 1));
            1
        },
        |tiny| tiny.retry_until_done(1, |writer| label(writer, 0)),
    );
}

/// Reads "a" as a resync does: if a writer holds the slot, waits until it is released.
fn resync(tiny: &Tiny) -> Read {
    fence_after_exchange();
    let state = || tiny.slots[0].state_integer.first_acquire();
    let held = state();
    while State(held).is_claimed() && state() == held {
        spin_loop();
    }
    tiny.get(&letter(0))
}

#[test]
fn a_watcher_that_subscribes_to_a_label_beside_a_change_reads_it_or_is_signalled() {
    let seen = explore(|| {
        let tiny = subscribed([0, 0]);
        let mut claimant = tiny.claimant(3);
        let label = |slot: &Slot, descriptor| {
            slot.labels.store(1, Relaxed);
            descriptor
        };
        claimant.change_metadata(&letter(0), label).unwrap();
        drop(claimant);
        let watcher = tiny.spawn(|tiny| {
            let mut listener = tiny.listen(&[0]);
            tiny.header.label_subscriptions[0].fetch_or(1, Relaxed);
            let read = resync(tiny) == Ok(vec![2; 8]);
            if !read {
                listener.receive(tiny, 1);
                assert_eq!(tiny.get(&letter(0)), Ok(vec![2; 8]));
            }
            read
        });
        assert_eq!(tiny.writer(0, set_a).join().unwrap(), Ok(()));
        (watcher.join().unwrap(), tiny.count(0))
    });
    assert_eq!(seen, HashSet::from([(false, 1), (true, 0), (true, 1)]));
}

#[test]
fn a_watch_of_the_whole_store_begun_beside_a_change_reads_it_or_is_signalled() {
    for change in [set_a, add_to_a, unset_a] {
        let seen = explore(move || {
            let tiny = subscribed([0, 0]);
            let before = tiny.get(&letter(0));
            let watcher = tiny.spawn(move |tiny| {
                tiny.arena().begin_watch();
                let mut listener = tiny.listen(&[WHOLE_STORE]);
                let read = resync(tiny) != before;
                if !read {
                    assert_eq!(listener.receive(tiny, 1), [(WHOLE_STORE, 0)]);
                    assert_ne!(tiny.get(&letter(0)), before);
                }
                read
            });
            assert_eq!(tiny.writer(0, change).join().unwrap(), Ok(()));
            // The watch begins a ring and one beyond the count.
            (watcher.join().unwrap(), tiny.count(WHOLE_STORE) - RING_LEN as u64 - 1)
        });
        assert_eq!(seen, HashSet::from([(false, 1), (true, 0), (true, 1)]));
    }
}

#[test]
fn a_new_key_in_the_slot_of_a_removed_one_inherits_no_subscriptions_and_no_labels() {
    let seen = explore_within(1, || {
        let tiny = Size { slots: 1, ..TWO }.build(&[]);
        let mut claimant = tiny.claimant(3);
        claimant.put(&letter(0), &[1; 8]).unwrap();
        claimant.subscribe(&letter(0), 1, true).unwrap();
        drop(claimant);
        let remover = tiny.writer(0, unset_a);
        let setter = tiny.writer(1, set_b);
        assert_eq!(remover.join().unwrap(), Ok(()));
        let set = setter.join().unwrap();
        if set.is_err() {
            assert_eq!(set_b(&mut tiny.claimant(1)), Ok(()));
        }
        assert_eq!(set_b(&mut tiny.claimant(1)), Ok(()));
        assert_eq!(tiny.count(0), 1);
        set
    });
    assert!(seen.is_superset(&HashSet::from([Ok(()), Err(Error::Full)])), "{seen:?}");
}

#[test]
fn a_tandem_signals_each_of_its_groups_once_and_when_all_of_it_can_be_read() {
    let set: Change = |writer| writer.set_tandem(&[letter(0), letter(1)], &[&[2; 8], &[2; 8]]);
    let unset: Change = |writer| writer.unset_tandem(&[letter(0), letter(1)]).map(drop);
    for change in [set, unset] {
        let seen = explore_within(1, move || {
            let tiny = subscribed([1, 3]);
            let before = tiny.get(&letter(0));
            let mut listener = tiny.listen(&[0, 1]);
            let watcher = tiny.spawn(move |tiny| {
                let first = listener.receive(tiny, 1);
                let reads = [0, 1].map(|index| tiny.get(&letter(index)));
                assert!(!reads.contains(&before), "{first:?}");
                let mut received = [first, listener.receive(tiny, 1)].concat();
                received.sort_unstable();
                assert_eq!(received, [(0, 0), (1, 1)]);
                listener.slept
            });
            assert_eq!(tiny.writer(0, change).join().unwrap(), Ok(()));
            assert_eq!([0, 1].map(|group| tiny.count(group)), [1, 1]);
            watcher.join().unwrap()
        });
        assert_eq!(seen, HashSet::from([false, true]));
    }
}

#[test]
fn a_tandem_that_recovers_a_dead_claim_still_signals_its_own_change() {
    explore_deaths(|stores| {
        let tiny = subscribed([1, 1]);
        let lived = tiny.die(0, stores, set_a).is_some();
        let mut listener = tiny.listen(&[0]);
        let watcher = tiny.spawn(move |tiny| {
            while tiny.get(&letter(1)) != Ok(vec![3; 8]) {
                listener.next(tiny);
            }
        });
        let set = |writer: &mut Claimant<'_>| writer.set_tandem(&[letter(0), letter(1)], &[&[3; 8], &[3; 8]]);
        assert_eq!(tiny.writer(1, set).join().unwrap(), Ok(()));
        watcher.join().unwrap();
        (lived, ())
    });
}

/// Makes a watcher of `group` wait for a change of "a" that is interrupted. The writer id's next owner recovers it or,
/// if `is_recovered`, another writer does so first.
fn check_signalled_after_death(group: usize, is_recovered: bool, deaths: &[&str]) {
    for op in ops().into_iter().filter(|op| deaths.contains(&op.name)) {
        let seen = explore_deaths(move |stores| {
            let tiny = op.set_up();
            match group {
                WHOLE_STORE => drop(tiny.arena().begin_watch()),
                _ => tiny.claimant(3).subscribe(&letter(0), 1 << group, true).unwrap(),
            }
            let before = tiny.content();
            let mut listener = tiny.listen(&[group]);
            let watcher = tiny.spawn(move |tiny| {
                while tiny.content() == before {
                    if listener.next(tiny).is_none() {
                        listener.cursors[0] = tiny.arena().begin_watch();
                    }
                }
                listener.slept
            });
            let lived = tiny.die(0, stores, op.run).is_some();
            if is_recovered {
                // It changes nothing, but meets the claim.
                let _ = tiny.claimant(1).subscribe(&letter(0), 0, true);
            }
            drop(tiny.claimant(0));
            let changed = tiny.content() != before;
            if !changed {
                // No watcher has to see a change that did not happen.
                tiny.claimant(1).put(&letter(0), &value(3)).unwrap();
            }
            (lived, (changed, watcher.join().unwrap()))
        });
        assert_eq!(seen.len(), 4, "{}", op.name);
    }
}

#[test]
fn a_watcher_of_a_group_sees_a_dead_writers_change_once_its_writer_id_is_recovered() {
    check_signalled_after_death(0, false, &["set", "integer", "unset", "tandem"]);
}

#[test]
fn a_watcher_of_a_group_sees_a_dead_writers_change_once_another_writer_recovers_it() {
    check_signalled_after_death(0, true, &["set", "unset"]);
}

#[test]
fn a_watcher_of_the_whole_store_sees_a_dead_writers_change() {
    check_signalled_after_death(WHOLE_STORE, false, &["set", "integer"]);
}

#[test]
fn a_dead_writers_change_is_signalled_though_the_recovering_writer_died_as_well() {
    let is_tested = |op: &Op| !["insert", "tandem insert", "purge"].contains(&op.name);
    for op in ops().into_iter().filter(is_tested) {
        for first in 0..200 {
            let seen = explore_deaths(move |stores| {
                let tiny = op.set_up();
                tiny.claimant(3).subscribe(&letter(0), 1, true).unwrap();
                let before = tiny.get(&letter(0));
                let first_lived = tiny.die(0, first, op.run).is_some();
                let recover = |writer: &mut Claimant<'_>| writer.subscribe(&letter(0), 0, true);
                let lived = tiny.die(1, stores, recover).is_some();
                [0, 1].map(|writer_id| drop(tiny.claimant(writer_id)));
                let changed = tiny.get(&letter(0)) != before;
                assert!(!changed || tiny.count(0) > 0, "{} {first} {stores}", op.name);
                // No subscription outlives its key.
                let is_gone = tiny.get(&letter(0)) == Err(Error::NotFound);
                let is_subscribed = tiny.metadata[0].subscriptions.load(Relaxed) != 0;
                assert_ne!(is_subscribed, is_gone, "{} {first} {stores}", op.name);
                (lived, first_lived)
            });
            if seen == HashSet::from([true]) {
                break;
            }
        }
    }
}

#[test]
fn a_watch_of_the_whole_store_sees_every_change_or_has_expired() {
    let seen = explore_within(1, || {
        let tiny = subscribed([0, 0]);
        tiny.arena().begin_watch();
        let watcher = tiny.spawn(|tiny| {
            let mut listener = tiny.listen(&[WHOLE_STORE]);
            let (mut expired, mut taken) = (false, 0);
            // Five changes of one number, of which the watcher must see the last.
            while resync(tiny) != Ok(6_u64.to_le_bytes().to_vec()) {
                match listener.next(tiny) {
                    Some((_, Peek::Changed(_))) => taken += 1,
                    _ => (listener.cursors[0], expired) = (tiny.arena().begin_watch(), true),
                }
                tiny.arena().keep_watch(listener.cursors[0].position);
            }
            (expired, taken)
        });
        let writer = tiny.writer(0, |writer| (0..5).for_each(|_| add_to_a(writer).unwrap()));
        writer.join().unwrap();
        watcher.join().unwrap()
    });
    assert!(seen.contains(&(true, 0)) && seen.contains(&(false, 4)), "{seen:?}");
}

#[test]
fn a_watcher_of_an_expired_watch_learns_of_it_though_another_has_renewed_it() {
    let seen = explore_within(1, || {
        let tiny = subscribed([0, 0]);
        let start = tiny.arena().begin_watch();
        let writer = tiny.writer(0, |writer| (0..4).for_each(|_| add_to_a(writer).unwrap()));
        let watcher = tiny.spawn(move |tiny| {
            let mut listener = tiny.listen(&[WHOLE_STORE]);
            listener.cursors[0] = start;
            let received = (0..4).filter_map(|_| listener.look(tiny)).collect();
            (listener, received)
        });
        writer.join().unwrap();
        let (mut listener, mut received): (Listener, Vec<_>) = watcher.join().unwrap();
        tiny.arena().begin_watch();
        received.extend(std::iter::from_fn(|| listener.look(&tiny)));
        let changed = received.iter().filter(|received| received.1 == Peek::Changed(0)).count();
        assert!(changed < received.len() || changed == 4, "{received:?}");
        changed
    });
    assert!(seen.is_superset(&HashSet::from([0, 3])), "{seen:?}");
}
