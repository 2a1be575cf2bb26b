//! The loop of a wait for a key that may be missing. Nothing here sleeps, so that the models run it.

use crate::arena::Arena;
use crate::arena::key::KeyRef;
use crate::arena::state::State;
use crate::error::Error;
use crate::sync::fence_after_exchange;

/// So many looks after the deadline may find that the key changes all the while, before the wait is over without it.
const LATE_LOOKS: u32 = 16;

/// What a look for a key found.
pub(crate) enum Presence {
    /// The key, with the epoch of its content.
    There(u64),
    /// The key, which writers changed all the while: look again.
    Changing,
    /// A writer inserts or removes the key: look again in a moment.
    Moving,
    Missing,
}

/// What the loop asks of a caller that waits.
pub(crate) trait Waiter {
    /// Tells whether the deadline has passed.
    fn is_over(&self) -> bool;
    /// Looks for the key, as [`find`] does.
    fn look(&mut self) -> Presence;
    /// Waits until the key no longer has this epoch, or is missing.
    fn wait_for_change(&mut self, epoch: u64) -> Result<(), Error>;
    /// Begins to watch the whole store. Once it does, waits for any change.
    fn wait_for_any_change(&mut self);
    /// Waits for a moment.
    fn back_off(&mut self);
}

/// Waits until the key is there with another epoch than `epoch`, and returns that epoch.
pub(crate) fn wait(waiter: &mut impl Waiter, epoch: Option<u64>) -> Result<u64, Error> {
    let mut late_looks = 0;
    loop {
        // Before the look: the last one begins after the deadline.
        let is_over = waiter.is_over();
        match waiter.look() {
            Presence::There(now) if Some(now) != epoch => return Ok(now),
            Presence::There(now) => waiter.wait_for_change(now)?,
            Presence::Changing if is_over && late_looks < LATE_LOOKS => late_looks += 1,
            _ if is_over => return Err(Error::TimedOut),
            Presence::Changing | Presence::Moving => waiter.back_off(),
            Presence::Missing => waiter.wait_for_any_change(),
        }
        // Before the next look, if a watch has begun.
        fence_after_exchange();
    }
}

/// Looks for a key, also for one that a writer is about to insert.
pub(crate) fn find(arena: &Arena<'_>, key: &KeyRef<'_>) -> Presence {
    match arena.read(key, |read| Ok(read.stable_epoch())) {
        Ok(epoch) => return Presence::There(epoch),
        Err(Error::Again) => return Presence::Changing,
        Err(_) => {}
    }
    mutant!("arrival-overlooked", return Presence::Missing);
    let moving = arena.probe(key, |number, _, _| {
        let slot = arena.slot(number)?;
        // Before the key is looked for: a claim that ends in between has published the key or freed the slot.
        let is_claimed = State(slot.state_integer.first_acquire()).is_claimed();
        let is_there = arena.begin_read(number, key).is_some();
        (is_there || is_claimed && key.is_in(slot)).then_some(Presence::Moving)
    });
    moving.unwrap_or(Presence::Missing)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A caller whose deadline passes after some looks, and whose looks find what a function says.
    struct Scripted {
        looks: u32,
        until: u32,
        found: fn(u32) -> Presence,
    }

    impl Waiter for Scripted {
        fn is_over(&self) -> bool {
            self.looks >= self.until
        }

        fn look(&mut self) -> Presence {
            self.looks += 1;
            assert!(self.looks < 1000, "the wait goes on after its deadline");
            (self.found)(self.looks)
        }

        fn wait_for_change(&mut self, _: u64) -> Result<(), Error> {
            if self.is_over() { Err(Error::TimedOut) } else { Ok(()) }
        }

        fn wait_for_any_change(&mut self) {}

        fn back_off(&mut self) {}
    }

    fn run(until: u32, found: fn(u32) -> Presence) -> (Result<u64, Error>, u32) {
        let mut waiter = Scripted { looks: 0, until, found };
        let result = wait(&mut waiter, Some(2));
        (result, waiter.looks)
    }

    #[test]
    fn a_wait_ends_at_its_deadline_whatever_it_finds_but_another_epoch() {
        assert_eq!(run(3, |_| Presence::Missing), (Err(Error::TimedOut), 4));
        assert_eq!(run(3, |_| Presence::Moving), (Err(Error::TimedOut), 4));
        assert_eq!(run(3, |_| Presence::There(2)).0, Err(Error::TimedOut));
        assert_eq!(run(3, |_| Presence::Changing), (Err(Error::TimedOut), 4 + LATE_LOOKS));
    }

    #[test]
    fn a_key_that_changes_at_the_deadline_is_looked_for_again() {
        let third = |look| if look < 3 { Presence::Changing } else { Presence::There(4) };
        assert_eq!(run(0, third), (Ok(4), 3));
        assert_eq!(run(0, |_| Presence::There(4)), (Ok(4), 1));
    }
}
