//! Conditional changes: of those that expect the same, one happens.

use super::*;
use crate::IntegerOp;

/// Runs two conditional changes at the same time, each by a writer of its own. Returns which of them happened, and the
/// value then.
fn both(
    keys: &'static [u8],
    change: fn(&mut Claimant<'_>, u8, u64) -> Result<(), Error>,
) -> HashSet<([Result<(), Error>; 2], Option<u8>)> {
    explore(move || {
        let keys: Vec<_> = keys.iter().map(|index| letter(usize::from(*index))).collect();
        let tiny = Size { slots: 2, max_writers: 4, ..Size::default() }.build(&keys);
        let arena = tiny.arena();
        let epoch = arena.read(&letter(0), |read| Ok(read.stable_epoch())).unwrap_or(0);
        let writers =
            [(0, 2), (1, 3)].map(|(id, byte)| tiny.writer(id, move |writer| change(writer, byte, epoch)));
        let results = writers.map(|writer| writer.join().unwrap());
        tiny.check_at_rest();
        (results, tiny.held(&letter(0)))
    })
}

/// Checks that exactly one of two changes happened, or one and then none since the other was in its way.
fn check_one_of_two(seen: &HashSet<([Result<(), Error>; 2], Option<u8>)>) {
    for (results, held) in seen {
        let winner = match results {
            [Ok(()), Err(Error::Again | Error::Changed { .. })] => 2,
            [Err(Error::Again | Error::Changed { .. }), Ok(())] => 3,
            _ => panic!("{results:?}"),
        };
        assert_eq!(*held, Some(winner));
    }
    assert!(seen.iter().any(|(results, _)| matches!(results[1], Err(Error::Changed { .. }))), "{seen:?}");
}

#[test]
fn of_two_sets_that_expect_the_same_epoch_one_happens() {
    let set = |writer: &mut Claimant<'_>, byte, epoch| {
        writer.set(&letter(0), &value(byte), Expect::Epoch(epoch)).map(drop)
    };
    check_one_of_two(&both(&[0], set));
}

#[test]
fn of_two_sets_that_expect_no_key_one_happens() {
    let set =
        |writer: &mut Claimant<'_>, byte, _| writer.set(&letter(0), &value(byte), Expect::Absent).map(drop);
    check_one_of_two(&both(&[], set));
}

#[test]
fn a_set_that_expects_an_epoch_beside_a_label_happens_and_keeps_it() {
    let seen = both(&[0], |writer, byte, epoch| match byte {
        2 => writer.set(&letter(0), &value(2), Expect::Epoch(epoch)).map(drop),
        _ => writer
            .change_metadata(&letter(0), |slot, descriptor| {
                slot.labels.store(1, Relaxed);
                descriptor
            })
            .map(drop),
    });
    // A label is no change of what the set expects.
    assert!(seen.contains(&([Ok(()), Ok(())], Some(2))), "{seen:?}");
    assert!(seen.iter().all(|(results, _)| !results.iter().any(|r| matches!(r, Err(Error::Changed { .. })))));
}

#[test]
fn no_update_of_two_is_lost() {
    // Each makes the next number of the value: both together, two more.
    let seen = both(&[0], |writer, _, _| {
        let mut values = [Vec::new(), Vec::new()];
        let next = |old: Option<&[u8]>, new: &mut Vec<u8>| {
            *new = value(old.unwrap()[0] + 1);
            Ok::<(), Error>(())
        };
        writer.update(&letter(0), &mut values, next, Lifetime::Unchanged, || true).map(drop)
    });
    for (results, held) in &seen {
        let done = results.iter().filter(|result| result.is_ok()).count() as u8;
        assert_eq!(*held, Some(1 + done), "{results:?}");
    }
    assert!(seen.iter().any(|(_, held)| *held == Some(3)), "{seen:?}");
}

#[test]
fn no_operation_on_a_number_that_neither_found_is_lost() {
    let seen = explore(|| {
        let tiny = Size { slots: 2, max_writers: 4, ..Size::default() }.build(&[]);
        let add = |writer: &mut Claimant<'_>| writer.integer_or_insert(&letter(0), IntegerOp::Inc(1), 10);
        let results = [0, 1].map(|id| tiny.writer(id, add)).map(|writer| writer.join().unwrap());
        tiny.check_at_rest();
        let number = tiny.slots.iter().find(|slot| Descriptor(slot.descriptor.load(Relaxed)).is_integer());
        let done = results.iter().filter(|result| result.is_ok()).count() as u64;
        assert_eq!(number.map(|slot| slot.state_integer.second()), Some(10 + done), "{results:?}");
        results
    });
    assert!(seen.contains(&[Ok(11), Ok(12)]) && seen.contains(&[Ok(12), Ok(11)]), "{seen:?}");
}
