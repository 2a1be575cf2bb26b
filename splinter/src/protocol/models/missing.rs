//! Waiting for a key that is missing, by the loop of `Store::wait_for`. A waiter that nobody wakes
//! is a deadlock, so a model that ends has missed no insertion.

use super::*;
use crate::arena::records::WHOLE_STORE;
use crate::signals::{Cursor, Peek, wake_bit};
use crate::sync::spin_loop;
use crate::wait::presence::{Presence, Waiter, find, wait};

/// Two slots, one bucket.
const TWO: Size = Size { slots: 2, max_writers: 4, ..SMALLEST };

type Change = fn(&mut Claimant<'_>);

/// A caller that waits for "a" as `Store::wait_for` does, for ever.
struct Sleeper<'a> {
    tiny: &'a Tiny,
    /// Where it reads changes of the whole store, once it watches.
    cursor: Option<Cursor>,
    slept: bool,
}

impl Sleeper<'_> {
    /// Waits for any change, as `Watcher::wait` does. Begins anew if the watch has ended.
    fn receive(&mut self, mut cursor: Cursor) {
        let (arena, word) = (self.tiny.arena(), &self.tiny.header.wake_word);
        let nothing = |cursor: Cursor| arena.peek(cursor) == Peek::Nothing && arena.is_watched();
        while nothing(cursor) {
            let wake_word = arena.take_tickets(&[cursor]);
            if nothing(cursor) {
                let place = std::ptr::from_ref(word).addr();
                let read = || word.load(Relaxed);
                self.slept |= self.tiny.kernel.wake_word.wait(place, wake_bit(WHOLE_STORE), read, wake_word);
            }
        }
        let has_change = matches!(arena.take(&mut cursor), Peek::Changed(_));
        self.cursor = Some(if has_change { cursor } else { arena.begin_watch() });
    }
}

impl Waiter for Sleeper<'_> {
    fn is_over(&self) -> bool {
        false
    }

    fn look(&mut self) -> Presence {
        find(&self.tiny.arena(), &letter(0))
    }

    fn wait_for_change(&mut self, epoch: u64) -> Result<(), Error> {
        if let Some(number) = self.tiny.arena().locate(&letter(0)) {
            self.slept |= self.tiny.poll_slot(number, epoch).1;
        }
        Ok(())
    }

    fn wait_for_any_change(&mut self) {
        match self.cursor {
            Some(cursor) => self.receive(cursor),
            None => self.cursor = Some(self.tiny.arena().begin_watch()),
        }
    }

    fn back_off(&mut self) {
        spin_loop();
    }
}

/// Checks that a caller that waits for "a", which is missing, sees it come by `change`.
fn check_awaited(preemptions: usize, change: Change) {
    let seen = explore_within(preemptions, move || {
        let tiny = TWO.build(&[]);
        let epoch = move |tiny: &Tiny| tiny.arena().read(&letter(0), |read| Ok(read.stable_epoch())).ok();
        let before = epoch(&tiny);
        let waiter = tiny.spawn(move |tiny| {
            let mut sleeper = Sleeper { tiny, cursor: None, slept: false };
            let now = wait(&mut sleeper, before).unwrap();
            (now, sleeper.slept)
        });
        tiny.writer(0, change).join().unwrap();
        let (now, slept) = waiter.join().unwrap();
        // The epoch from before the change, if the slot was not released yet.
        let after = epoch(&tiny).unwrap();
        assert!(Some(now) != before && (now == after || now + 2 == after), "{now}, {after}");
        tiny.check_at_rest();
        slept
    });
    assert_eq!(seen, HashSet::from([false, true]));
}

#[test]
fn a_waiter_for_a_missing_key_always_sees_its_insertion() {
    check_awaited(2, |writer| writer.put(&letter(0), &value(2)).unwrap());
}

#[test]
fn a_waiter_for_a_missing_key_sees_it_though_another_came_before() {
    check_awaited(1, |writer| {
        writer.put(&letter(1), &value(2)).unwrap();
        writer.put(&letter(0), &value(2)).unwrap();
    });
}
