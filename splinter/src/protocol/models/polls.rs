//! Waiting for one key to change, beside everything that changes it. A waiter that nobody wakes is a deadlock, so a
//! model that ends has lost no wake.

use super::deaths::{Op, ops};
use super::*;
use crate::arena::integer::IntegerOp;
use crate::signals::PreparedWait;
use crate::sync::spin_loop;

/// Two slots, so that a tandem fits.
const TWO: Size = Size { slots: 2, max_writers: 4, ..SMALLEST };

/// An operation on "a".
type Change = fn(&mut Claimant<'_>) -> Result<(), Error>;

impl Tiny {
    fn poll(&self, epoch: u64) -> (u64, bool) {
        self.poll_slot(0, epoch)
    }

    /// Waits as `Store::poll_after` does until a slot has a later epoch than `epoch`. Returns the epoch then, and
    /// whether it slept.
    pub(super) fn poll_slot(&self, number: u32, epoch: u64) -> (u64, bool) {
        let (arena, slot) = (self.arena(), &self.slots[number as usize]);
        let state = || slot.state_integer.first_relaxed();
        let mut slept = false;
        loop {
            match arena.prepare_wait(slot, epoch) {
                PreparedWait::Changed(now) => return (now, slept),
                PreparedWait::Ready(expected) => {
                    let place = std::ptr::from_ref(slot).addr();
                    slept |= self.kernel.states.wait(place, u32::MAX, state, expected);
                }
                // A real wait has a time limit here. One that ends before the claim does would show nothing new.
                PreparedWait::Claimed(claimed) => {
                    while state() == claimed {
                        spin_loop();
                    }
                }
            }
        }
    }

    /// Waits on a thread of its own for a change of "a", which lies in slot 0, and then reads it. Returns the read, and
    /// whether it slept.
    fn poller(self: &Arc<Self>) -> loom::thread::JoinHandle<(Read, bool)> {
        let epoch = self.epoch();
        self.spawn(move |tiny| {
            let (now, slept) = tiny.poll(epoch);
            assert!(now > epoch && now.is_multiple_of(2));
            (tiny.get(&letter(0)), slept)
        })
    }

    fn wake_slot(&self) {
        self.kernel.wake_slot(&self.slots[0]);
    }

    /// Returns the last even epoch of slot 0.
    fn epoch(&self) -> u64 {
        State(self.slots[0].state_integer.first_acquire()).epoch() & !1
    }
}

/// Builds a store whose "a" is the number 7, in slot 0.
fn seven() -> Arc<Tiny> {
    let tiny = TWO.build(&[]);
    tiny.claimant(3).set_integer(&letter(0), 7).unwrap();
    tiny
}

fn add(writer: &mut Claimant<'_>) -> Result<(), Error> {
    writer.integer(&letter(0), IntegerOp::Inc(1)).map(drop)
}

fn number(value: u8) -> Read {
    Ok(vec![value, 0, 0, 0, 0, 0, 0, 0])
}

/// Checks that a waiter for a change of "a", the number 7, always sees `change` and reads `after`.
fn check_woken(change: Change, after: &Read) {
    let seen = explore(move || {
        let tiny = seven();
        let poller = tiny.poller();
        let writer = tiny.writer(0, change);
        assert_eq!(writer.join().unwrap(), Ok(()));
        let woken = poller.join().unwrap();
        tiny.check_at_rest();
        woken
    });
    assert_eq!(seen, HashSet::from([(after.clone(), false), (after.clone(), true)]));
}

#[test]
fn a_waiter_for_a_key_always_sees_a_set() {
    check_woken(|writer| writer.put(&letter(0), &value(2)), &Ok(value(2)));
}

#[test]
fn a_waiter_for_a_key_always_sees_an_integer_operation() {
    check_woken(add, &number(8));
}

#[test]
fn a_waiter_for_a_key_always_sees_a_number_set_under_a_claim() {
    check_woken(|writer| writer.set_integer_if(&letter(0), 9, Expect::Present).map(drop), &number(9));
}

#[test]
fn a_waiter_for_a_key_always_sees_its_removal() {
    check_woken(|writer| writer.unset_only(&letter(0)).map(drop), &Err(Error::NotFound));
}

#[test]
fn a_waiter_for_a_key_always_sees_a_tandem() {
    let change: Change = |writer| writer.set_tandem(&[letter(0), letter(1)], &[&value(2), &value(2)]);
    check_woken(change, &Ok(value(2)));
}

#[test]
fn a_waiter_for_a_key_always_sees_a_bump() {
    check_woken(
        |writer| writer.change_content(&letter(0), Expect::Any, |descriptor| descriptor).map(drop),
        &number(7),
    );
}

#[test]
fn one_change_wakes_all_its_waiters() {
    for change in [add, |writer: &mut Claimant<'_>| writer.put(&letter(0), &value(2))] {
        let seen = explore_within(1, move || {
            let tiny = seven();
            let pollers = [(); 2].map(|()| tiny.poller());
            assert_eq!(tiny.writer(0, change).join().unwrap(), Ok(()));
            pollers.map(|poller| poller.join().unwrap().1)
        });
        let all = [[false, false], [false, true], [true, false], [true, true]];
        assert_eq!(seen, HashSet::from(all));
    }
}

/// Checks that a waiter that has seen one change and waits for the next sees that as well. The writers that `work`
/// starts make both.
fn check_woken_twice(preemptions: usize, work: fn(&Arc<Tiny>) -> Vec<loom::thread::JoinHandle<()>>) {
    let seen = explore_within(preemptions, move || {
        let tiny = seven();
        let first = tiny.epoch();
        let poller = tiny.spawn(move |tiny| {
            let (mut epoch, mut sleeps) = (first, 0);
            while epoch < first + 4 {
                let (now, slept) = tiny.poll(epoch);
                epoch = now;
                sleeps += usize::from(slept);
            }
            sleeps
        });
        for writer in work(&tiny) {
            writer.join().unwrap();
        }
        poller.join().unwrap()
    });
    assert_eq!(seen, HashSet::from([0, 1, 2]));
}

#[test]
fn a_waiter_woken_by_one_change_sees_the_next() {
    check_woken_twice(2, |tiny| {
        vec![tiny.writer(0, |writer| [(); 2].iter().for_each(|()| add(writer).unwrap()))]
    });
    check_woken_twice(2, |tiny| {
        let set = |writer: &mut Claimant<'_>, byte| writer.put(&letter(0), &value(byte)).unwrap();
        vec![tiny.writer(0, move |writer| [2, 3].iter().for_each(|byte| set(writer, *byte)))]
    });
}

#[test]
fn a_writer_that_comes_late_to_wake_takes_no_waker_from_the_change_after_its_own() {
    check_woken_twice(2, |tiny| {
        [0, 1].map(|writer_id| tiny.writer(writer_id, |writer| add(writer).unwrap())).into()
    });
}

#[test]
fn a_change_of_subscriptions_loses_no_thread_that_is_about_to_sleep() {
    let seen = explore_within(1, || {
        let tiny = seven();
        let poller = tiny.poller();
        let subscriber = tiny.writer(0, |writer| writer.subscribe(&letter(0), 1, true));
        let adder = tiny.writer(1, |writer| {
            while add(writer) == Err(Error::Again) {
                spin_loop();
            }
        });
        adder.join().unwrap();
        let subscribed = subscriber.join().unwrap();
        (subscribed.is_ok(), poller.join().unwrap().1)
    });
    assert!(seen.is_superset(&HashSet::from([(true, false), (true, true)])), "{seen:?}");
}

#[test]
fn a_waiter_sees_a_dead_writers_change_once_its_writer_id_is_recovered() {
    // Without operations that change nothing current, or take too long here and test nothing new.
    let is_tested = |op: &Op| !["insert", "purge", "full tandem", "tandem insert"].contains(&op.name);
    for op in ops().into_iter().filter(is_tested) {
        let seen = explore_deaths(move |stores| {
            let tiny = op.set_up();
            let epoch = tiny.epoch();
            let poller = tiny.spawn(move |tiny| tiny.poll(epoch).1);
            let lived = tiny.die(0, stores, op.run).is_some();
            drop(tiny.claimant(0));
            let changed = tiny.epoch() > epoch;
            if op.name == "integer" {
                // An exchange that found no polled bit leaves no trace of itself. A waiter that was about to sleep
                // meanwhile sees the change when it looks again, as all do after a second.
                tiny.wake_slot();
            }
            if !changed {
                // No waiter has to see a change that did not happen.
                tiny.claimant(1).put(&letter(0), &value(3)).unwrap();
            }
            (lived, (changed, poller.join().unwrap()))
        });
        let all = [(false, false), (false, true), (true, false), (true, true)];
        assert_eq!(seen, HashSet::from(all), "{}", op.name);
    }
}
