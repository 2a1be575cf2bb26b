//! Keys with deadlines. Each thread has a time of its own: writers the one before a deadline, readers the one after it,
//! or the other way round, as threads that were stopped between their looks at the clock.

use super::consistent::Way;
use super::*;
use crate::arena::change::{Content, KeyChange};
use std::sync::atomic::Ordering::SeqCst;

/// Times before and after the deadline of the model's key.
const BEFORE: u64 = 15;
const DEADLINE: u64 = 20;
const AFTER: u64 = 25;
/// A deadline that no thread sees pass.
const LATER: u64 = 30;

impl Tiny {
    /// Sets the time of the threads that start from now on.
    fn set_time(&self, time: u64) {
        self.time.store(time, SeqCst);
    }
}

/// Builds a store whose "a" is [`value`] 1 until [`DEADLINE`].
fn expiring(size: Size) -> Arc<Tiny> {
    let tiny = Size { max_writers: 4, ..size }.build(&[]);
    let set = tiny.claimant(3).set_with(&letter(0), &value(1), Expect::Any, Lifetime::Until(DEADLINE));
    assert!(set.is_ok());
    tiny
}

/// Leaves "a" as it is. The next claims that do so leave its state alone as well.
fn touch(writer: &mut Claimant<'_>) {
    writer.change_metadata(&letter(0), |_, descriptor| descriptor).unwrap();
}

/// Runs `work` as the owner of writer id 1, who sees this time.
fn at<R>(tiny: &Tiny, time: u64, work: impl FnOnce(&mut Claimant<'_>) -> R) -> R {
    let mut arena = tiny.arena();
    arena.clock.distance = time;
    tiny.kernel.owners[1].store(2, Release);
    work(&mut Claimant::new(arena, 1, Arc::clone(&tiny.kernel) as _))
}

/// Reads "a" at this time.
fn get_at(tiny: &Tiny, time: u64) -> Option<Vec<u8>> {
    let mut arena = tiny.arena();
    arena.clock.distance = time;
    let mut out = [0; 64];
    let len = arena.read(&letter(0), |read| read.payload(&arena).copy_to(&mut out));
    match len {
        Ok(len) => Some(out[..len].to_vec()),
        Err(error) => {
            assert_eq!(error, Error::NotFound);
            None
        }
    }
}

#[test]
fn no_read_takes_the_deadline_of_a_later_value_for_that_of_an_earlier_one() {
    let seen = explore(|| {
        let tiny = expiring(Size::default());
        tiny.set_time(BEFORE);
        let writer = tiny.writer(0, |writer| {
            writer.set_with(&letter(0), &value(2), Expect::Any, Lifetime::Until(LATER)).map(drop)
        });
        let reader = tiny.spawn(|tiny| get_at(tiny, AFTER));
        assert_eq!(writer.join().unwrap(), Ok(()));
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        read
    });
    // The first value was gone by then.
    assert_eq!(seen, HashSet::from([None, Some(value(2))]));
}

#[test]
fn no_search_misses_a_key_by_the_deadline_of_a_value_not_yet_published() {
    let seen = explore_deaths(|stores| {
        let tiny = Size { max_writers: 4, ..Size::default() }.build(&[]);
        let set = |writer: &mut Claimant<'_>, number, deadline| {
            let lifetime = Lifetime::Until(deadline);
            writer.set_with(&letter(0), &value(number), Expect::Any, lifetime).map(drop).unwrap();
        };
        tiny.set_time(BEFORE);
        set(&mut tiny.claimant(3), 1, LATER);
        let reader = tiny.spawn(|tiny| {
            let mut arena = tiny.arena();
            arena.clock.distance = AFTER;
            arena.locate(&letter(0)).is_some()
        });
        set(&mut tiny.claimant(2), 2, LATER);
        // Its deadline takes the place of the first value's.
        let lived = tiny.die(0, stores, |writer| set(writer, 3, DEADLINE)).is_some();
        let is_found = reader.join().unwrap();
        let left = get_at(&tiny, AFTER);
        assert!(is_found || left.is_none(), "the key was missing, and then {left:?}");
        (lived, (is_found, left))
    });
    assert_eq!(seen, HashSet::from([(true, Some(value(2))), (true, None), (false, None)]));
}

#[test]
fn a_read_after_one_move_of_the_deadline_and_beside_others_finds_the_key() {
    let seen = explore(|| {
        let tiny = expiring(Size::default());
        tiny.set_time(BEFORE);
        tiny.claimant(2).set_lifetime(&letter(0), Lifetime::Until(LATER)).unwrap();
        let writer = tiny.writer(0, |writer| {
            // The word of the first deadline is written anew.
            writer.set_lifetime(&letter(0), Lifetime::Until(LATER + 1)).unwrap();
            writer.set_lifetime(&letter(0), Lifetime::Until(LATER + 2)).unwrap();
        });
        let reader = tiny.spawn(|tiny| get_at(tiny, AFTER));
        writer.join().unwrap();
        reader.join().unwrap()
    });
    assert_eq!(seen, HashSet::from([Some(value(1))]));
}

#[test]
fn two_writers_that_find_a_key_expired_leave_one_slot() {
    let seen = explore_within(1, || {
        let tiny = expiring(Size { slots: 3, ..Size::default() });
        tiny.set_time(AFTER);
        let writers = [(0, 2), (1, 3)]
            .map(|(id, byte)| tiny.writer(id, move |writer| writer.put(&letter(0), &value(byte))));
        let results = writers.map(|writer| writer.join().unwrap());
        tiny.check_at_rest();
        let held = tiny.held(&letter(0));
        let wrote = results.iter().zip([2, 3]).any(|(result, byte)| result.is_ok() && held == Some(byte));
        assert!(wrote || results == [Err(Error::Again); 2] && held.is_none(), "{results:?} {held:?}");
        (results, held)
    });
    assert!(seen.contains(&([Ok(()), Ok(())], Some(2))) && seen.contains(&([Ok(()), Ok(())], Some(3))));
}

#[test]
fn a_sweep_beside_a_move_of_the_deadline_removes_the_key_or_finds_it_moved() {
    let seen = explore(|| {
        let tiny = expiring(Size::default());
        tiny.set_time(BEFORE);
        let mover = tiny.writer(0, |writer| writer.set_lifetime(&letter(0), Lifetime::Until(LATER)));
        let removed = at(&tiny, AFTER, |sweeper| sweeper.sweep(8));
        let moved = mover.join().unwrap();
        tiny.check_at_rest();
        let left = get_at(&tiny, AFTER);
        match (removed, moved) {
            (1, Err(_)) => assert_eq!(left, None),
            // Its writer saw the key removed and somebody else's? Nobody set it again.
            (1, Ok(())) => panic!("a key that was moved in time was removed"),
            (_, Ok(())) => assert_eq!(left, Some(value(1))),
            (_, Err(error)) => assert_eq!((error, left), (Error::Again, None)),
        }
        (removed, moved.is_ok())
    });
    assert!(seen.contains(&(1, false)) && seen.contains(&(0, true)), "{seen:?}");
}

#[test]
fn a_writer_that_dies_setting_a_key_with_a_deadline_leaves_the_old_one_or_the_new() {
    let seen = explore_deaths(|stores| {
        let tiny = expiring(Size::default());
        tiny.set_time(BEFORE);
        let lived = tiny
            .die(0, stores, |writer| {
                writer.set_with(&letter(0), &value(2), Expect::Any, Lifetime::Until(LATER)).map(drop)
            })
            .is_some();
        let early = get_at(&tiny, AFTER);
        tiny.set_time(AFTER);
        drop(tiny.claimant(0));
        let late = get_at(&tiny, AFTER);
        assert!(early.is_none() || early == late, "{early:?} {late:?}");
        tiny.check_at_rest();
        tiny.check_usable();
        (lived, late)
    });
    assert_eq!(seen, HashSet::from([None, Some(value(2))]));
}

#[test]
fn a_set_of_a_key_that_has_just_expired_finds_it_missing() {
    let seen = explore(|| {
        let tiny = Size { max_writers: 4, ..Size::default() }.build(&[letter(0)]);
        tiny.set_time(BEFORE);
        touch(&mut tiny.claimant(2));
        let ender = tiny.writer(0, |writer| writer.set_lifetime(&letter(0), Lifetime::Until(BEFORE)));
        let set = at(&tiny, BEFORE, |writer| writer.set(&letter(0), &value(2), Expect::Present).map(drop));
        let ended = ender.join().unwrap();
        let left = get_at(&tiny, BEFORE);
        match (ended, set) {
            // The key was set and ended after that, or ended and missing for the set.
            (Ok(()), _) => assert_eq!(left, None),
            (Err(error), Ok(())) => assert_eq!((error, left), (Error::Again, Some(value(2)))),
            (Err(_), Err(error)) => panic!("neither happened: {error}"),
        }
        (ended, set)
    });
    assert!(seen.contains(&(Ok(()), Ok(()))) && seen.contains(&(Ok(()), Err(Error::NotFound))), "{seen:?}");
}

#[test]
fn a_number_set_after_a_deadline_was_given_has_none() {
    let seen = explore(|| {
        let tiny = Size { max_writers: 4, ..Size::default() }.build(&[]);
        let mut builder = tiny.claimant(3);
        builder.set_integer(&letter(0), 7).unwrap();
        touch(&mut builder);
        drop(builder);
        tiny.set_time(BEFORE);
        let mover = tiny.spawn(|tiny| {
            let moved = tiny.claimant(0).set_lifetime(&letter(0), Lifetime::Until(LATER));
            (moved, get_at(&tiny, BEFORE).is_some_and(|number| number[0] == 7))
        });
        let set = at(&tiny, BEFORE, |writer| writer.set_integer(&letter(0), 9));
        let (moved, is_seven_since) = mover.join().unwrap();
        let expires = Descriptor(tiny.slots[0].descriptor.load(Relaxed)).expires() != 0;
        if set.is_ok() && moved.is_ok() && is_seven_since {
            assert!(!expires, "the deadline is older than the number, and was kept");
        }
        (set.is_ok(), moved.is_ok(), is_seven_since, expires)
    });
    assert!(
        seen.contains(&(true, true, true, false)) && seen.contains(&(true, true, false, true)),
        "{seen:?}"
    );
}

#[test]
fn a_writer_that_saw_a_key_expired_checks_it_once_its_deadline_was_moved() {
    let seen = explore(|| {
        let tiny = expiring(Size::default());
        touch(&mut tiny.claimant(2));
        tiny.set_time(BEFORE);
        let mover = tiny.writer(0, |writer| writer.set_lifetime(&letter(0), Lifetime::Until(LATER)));
        let nothing = Expect::Epoch(1 << 10);
        let set = at(&tiny, AFTER, |writer| writer.set(&letter(0), &value(2), nothing).map(drop));
        let moved = mover.join().unwrap();
        assert!(set.is_err(), "no such epoch was ever there");
        assert!(moved.is_ok() == get_at(&tiny, AFTER).is_some() || moved == Err(Error::Again));
        (set, moved)
    });
    let refused = |result: &(Result<(), Error>, _)| matches!(result.0, Err(Error::Changed { .. }));
    assert!(
        seen.iter().any(refused) && seen.contains(&(Err(Error::NotFound), Err(Error::NotFound))),
        "{seen:?}"
    );
}

#[test]
fn a_tandem_whose_deadline_passes_while_it_is_read_is_missing() {
    thread_local! {
        static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    for way in Way::BOTH {
        let seen = explore(move || {
            let tiny = Size { slots: 2, max_writers: 4, ..Size::default() }.build(&[letter(1)]);
            let set =
                tiny.claimant(2).set_with(&letter(0), &value(1), Expect::Any, Lifetime::Until(DEADLINE));
            assert!(set.is_ok());
            let mut arena = tiny.arena();
            arena.clock = Clock { since_boot: || NOW.get(), distance: 0, base: None };
            NOW.set(BEFORE);
            way.read(&arena, [letter(0), letter(1)], |_, read| {
                NOW.set(AFTER);
                read.map(drop).ok_or(Error::NotFound)
            })
        });
        assert_eq!(seen, HashSet::from([Err(Error::NotFound)]), "{way:?}");
    }
}

#[test]
fn a_transaction_commits_on_no_key_whose_deadline_passed_while_it_claimed_others() {
    thread_local! {
        static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    let seen: HashSet<_> = (1..24)
        .map(|deadline| {
            let seen = explore(move || {
                let tiny = Size { slots: 2, max_writers: 4, ..Size::default() }.build(&[]);
                for (index, deadline) in [(0, deadline), (1, 1_000)] {
                    let lifetime = Lifetime::Until(deadline);
                    tiny.claimant(2).set_with(&letter(index), &value(1), Expect::Any, lifetime).unwrap();
                }
                let mut arena = tiny.arena();
                // Each look at the clock finds it one further.
                let since_boot = || NOW.replace(NOW.get() + 1);
                arena.clock = Clock { since_boot, distance: 0, base: None };
                NOW.set(0);
                let mut writer = Claimant::new(arena, 1, Arc::clone(&tiny.kernel) as _);
                let check = KeyChange { expect: Expect::Present, ..KeyChange::default() };
                let set = KeyChange { content: Content::Bytes(&[2; 16]), ..check };
                let result = writer.transact(&[letter(0), letter(1)], &[check, set]);
                // The last look but one was at the first key.
                assert!(result.is_err() || NOW.get() < deadline + 2, "{} of {deadline}", NOW.get());
                result.map(drop).map_err(|refusal| (refusal.place, refusal.error))
            });
            seen.into_iter().next().unwrap()
        })
        .collect();
    assert_eq!(seen, HashSet::from([Ok(()), Err((0, Error::NotFound))]));
}
