//! Tandems beside readers of all orders, beside writers of one of their keys, and beside each other.

use super::consistent::Way;
use super::*;
use crate::arena::change::{Content, KeyChange};
use crate::arena::records::EVERY_SLOT;

const TWO: Size = Size { slots: 2, words: 1, ..SMALLEST };

/// Writes both keys as one generation.
fn write(writer: &mut Claimant<'_>, byte: u8) -> Result<(), Error> {
    writer.set_tandem(&[letter(0), letter(1)], &[&[byte; 8], &[byte; 8]])
}

/// Builds a store that holds generation 1.
fn generation_one() -> Arc<Tiny> {
    let tiny = TWO.build(&[]);
    write(&mut tiny.claimant(2), 1).unwrap();
    tiny
}

/// Reads both keys as one generation.
fn read(tiny: &Tiny, way: Way) -> Result<[u8; 2], Error> {
    let arena = tiny.arena();
    let mut bytes = [0; 2];
    way.read(&arena, [letter(0), letter(1)], |order, read| {
        let mut out = [0; 8];
        let len = read.ok_or(Error::NotFound)?.payload(&arena).copy_to(&mut out)?;
        bytes[order] = if out == [out[0]; 8] { out[0] } else { 0 };
        assert!(len == 8 || bytes[order] == 0);
        Ok(())
    })?;
    Ok(bytes)
}

/// Reads each key by itself, once no thread writes.
fn each(tiny: &Tiny) -> [Option<u8>; 2] {
    [0, 1].map(|index| tiny.get(&letter(index)).ok().map(|bytes| bytes[0]))
}

#[test]
fn a_tandem_read_never_mixes_generations() {
    for way in Way::BOTH {
        let seen = explore_within(1, move || {
            let tiny = generation_one();
            let writer = tiny.writer(0, |writer| write(writer, 2).unwrap());
            let reader = tiny.spawn(move |tiny| read(tiny, way));
            writer.join().unwrap();
            let read = reader.join().unwrap();
            tiny.check_at_rest();
            assert_eq!(each(&tiny), [Some(2); 2]);
            read
        });
        let whole = HashSet::from([Ok([1, 1]), Ok([2, 2])]);
        assert!(seen.is_superset(&whole), "{way:?}: {seen:?}");
        let others = |read: &&_| **read != Err(Error::Again);
        assert_eq!(seen.difference(&whole).find(others), None, "{way:?}");
    }
}

#[test]
fn a_tandem_read_beside_two_tandem_writes_never_mixes_generations() {
    let seen = explore_within(0, || {
        let tiny = generation_one();
        let writer = tiny.writer(0, |writer| [2, 3].map(|byte| write(writer, byte).unwrap()));
        let reader = tiny.spawn(|tiny| read(tiny, Way::Many));
        writer.join().unwrap();
        reader.join().unwrap()
    });
    let whole = HashSet::from([Ok([1, 1]), Ok([2, 2]), Ok([3, 3])]);
    assert!(seen.is_superset(&whole), "{seen:?}");
    let others = |read: &&_| **read != Err(Error::Again);
    assert_eq!(seen.difference(&whole).find(others), None);
}

#[test]
fn a_read_of_one_order_beside_a_tandem_write_never_goes_back() {
    let seen = explore(|| {
        let tiny = generation_one();
        let writer = tiny.writer(0, |writer| write(writer, 2).unwrap());
        let reader = tiny.spawn(|tiny| {
            // If the new generation of one order was seen, the other's is current, too.
            [1, 0].map(|index| tiny.get(&letter(index)).unwrap()[0])
        });
        writer.join().unwrap();
        reader.join().unwrap()
    });
    assert_eq!(seen, HashSet::from([[1, 1], [1, 2], [2, 2]]));
}

#[test]
fn a_tandem_write_beside_a_set_of_one_order_is_whole_or_changes_nothing() {
    let seen = explore(|| {
        let tiny = generation_one();
        let tandem = tiny.writer(0, |writer| write(writer, 2));
        let single = tiny.writer(1, |writer| writer.put(&letter(1), &[3; 8]));
        let results = (tandem.join().unwrap(), single.join().unwrap());
        tiny.check_at_rest();
        (results, each(&tiny))
    });
    let again = Err(Error::Again);
    let expected = [
        ((Ok(()), Ok(())), [Some(2), Some(2)]),
        ((Ok(()), Ok(())), [Some(2), Some(3)]),
        ((Ok(()), again), [Some(2), Some(2)]),
        ((again, Ok(())), [Some(1), Some(3)]),
    ];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn tandem_writes_that_overlap_are_whole_or_change_nothing() {
    let seen = explore(|| {
        let tiny = generation_one();
        let one = tiny.writer(0, |writer| write(writer, 2));
        // In the other order: claims are made in the order of slot numbers all the same.
        let other = tiny.writer(1, |writer| writer.set_tandem(&[letter(1), letter(0)], &[&[3; 8], &[3; 8]]));
        let results = (one.join().unwrap(), other.join().unwrap());
        tiny.check_at_rest();
        (results, each(&tiny))
    });
    let again = Err(Error::Again);
    let expected = [
        ((Ok(()), Ok(())), [Some(2); 2]),
        ((Ok(()), Ok(())), [Some(3); 2]),
        ((Ok(()), again), [Some(2); 2]),
        ((again, Ok(())), [Some(3); 2]),
    ];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn a_tandem_removal_is_seen_by_a_tandem_read_as_one() {
    let seen = explore_within(1, || {
        let tiny = generation_one();
        let writer = tiny.writer(0, |writer| writer.unset_tandem(&[letter(0), letter(1)]));
        let reader = tiny.spawn(|tiny| read(tiny, Way::Many));
        assert_eq!(writer.join().unwrap(), Ok(2));
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        assert_eq!(each(&tiny), [None; 2]);
        read
    });
    assert_eq!(seen, HashSet::from([Ok([1, 1]), Err(Error::NotFound)]));
}

#[test]
fn a_tandem_writer_that_dies_anywhere_leaves_one_generation_and_every_order_writable() {
    for way in Way::BOTH {
        let seen = explore_deaths(move |stores| {
            let tiny = generation_one();
            let lived = tiny.die(0, stores, |writer| write(writer, 2)).is_some();
            let recoverer = tiny.writer(1, |writer| writer.put(&letter(1), &[3; 8]));
            let reader = tiny.spawn(move |tiny| read(tiny, way));
            assert_eq!(recoverer.join().unwrap(), Ok(()));
            let seen = reader.join().unwrap();
            tiny.check_at_rest();
            // The value of the other order that the dead writer had committed is current, or neither is.
            let left = tiny.get(&letter(0)).unwrap()[0];
            assert_eq!(tiny.get(&letter(1)).unwrap(), [3; 8]);
            (lived, (left, seen))
        });
        for (left, read) in &seen {
            let whole = [Ok([*left; 2]), Ok([*left, 3]), Err(Error::Again)];
            assert!(whole.contains(read), "{way:?}: {left} {read:?}");
        }
        for left in [1, 2] {
            assert!(seen.contains(&(left, Ok([left; 2]))) && seen.contains(&(left, Ok([left, 3]))));
        }
    }
}

#[test]
fn a_tandem_writer_that_dies_beside_a_tandem_read_leaves_one_generation() {
    for way in Way::BOTH {
        let seen = explore_deaths(move |stores| {
            let tiny = generation_one();
            let victim = tiny.spawn(move |tiny| tiny.die(0, stores, |writer| write(writer, 2)).is_some());
            let reader = tiny.spawn(move |tiny| read(tiny, way));
            let lived = victim.join().unwrap();
            (lived, reader.join().unwrap())
        });
        let whole = HashSet::from([Ok([1, 1]), Ok([2, 2])]);
        assert!(seen.is_superset(&whole), "{way:?}: {seen:?}");
        let others = |read: &&_| **read != Err(Error::Again);
        assert_eq!(seen.difference(&whole).find(others), None, "{way:?}");
    }
}

#[test]
fn no_key_is_missing_for_a_commit_that_is_not_its_claims() {
    // Invariants 2 and 3. A reader that looks for a key sees the claim of a tandem that came to nothing, and then the
    // commit of the writer id's next tandem. By then the slot's prepared word is no longer that claim's.
    let size = Size { words: 2, ..TWO };
    let seen = explore(move || {
        let tiny = size.build(&[letter(0), letter(1)]);
        let mut dying = tiny.claimant(0);
        dying.record.slot_intent.store(EVERY_SLOT, Release);
        dying.notified = Some(0);
        std::mem::forget(dying.claim(&letter(0), Expect::Any).unwrap());
        drop(dying);
        tiny.end(0);
        let writer = tiny.writer(0, |next_owner| {
            next_owner.change_metadata(&letter(0), |_, descriptor| descriptor).unwrap();
            next_owner.set_tandem(&[letter(1)], &[&value(2)]).unwrap();
        });
        // One look: a read that finds nothing in the likeliest slot would look again.
        let reader = tiny.spawn(|tiny| tiny.arena().locate(&letter(0)).is_some());
        writer.join().unwrap();
        reader.join().unwrap()
    });
    assert_eq!(seen, HashSet::from([true]));
}

#[test]
fn after_the_death_of_a_writer_no_tandem_commits_with_the_word_of_its_last() {
    let seen = explore_deaths(|stores| {
        let tiny = Size { slots: 2, max_writers: 4, ..Size::default() }.build(&[letter(0), letter(1)]);
        let lived =
            tiny.die(0, stores, |writer| writer.set_tandem(&[letter(0), letter(1)], &[&value(2), &value(2)]));
        let record = &tiny.writer_table[0];
        let commit = record.committed.load(Relaxed);
        drop(tiny.claimant(0));
        // The next tandem's word is this one, see `publish_together`.
        assert_ne!(record.writes.load(Relaxed) | 1 << 63, commit);
        (lived.is_some(), commit != 0)
    });
    assert_eq!(seen, HashSet::from([false, true]));
}

/// Two slots for values of [`value`]'s length.
const PAIR: Size = Size { words: 2, max_writers: 4, ..TWO };

/// Changes of "a" and "b", in this order.
fn commit(writer: &mut Claimant<'_>, changes: [KeyChange<'_>; 2]) -> Result<(), Error> {
    writer.transact(&[letter(0), letter(1)], &changes).map(drop).map_err(|refusal| refusal.error)
}

const KEEP: KeyChange<'static> =
    KeyChange { expect: Expect::Any, content: Content::Keep, vector: None, labels: [0; 2], lifetime: None };

const VALUE: &[u8] = &[2; 16];

/// Reads the first byte of "a" together with its labels.
fn value_and_labels(tiny: &Tiny) -> Result<(u8, u64), Error> {
    let arena = tiny.arena();
    arena.read_with_metadata(&letter(0), |read| {
        let mut value = [0; 16];
        read.payload(&arena).copy_to(&mut value)?;
        Ok((value[0], arena.labels(read)))
    })
}

#[test]
fn a_value_and_labels_that_a_transaction_changes_are_read_of_one_moment() {
    let seen = explore(|| {
        let tiny = PAIR.build(&[letter(0), letter(1)]);
        let writer = tiny.writer(0, |writer| {
            commit(writer, [KeyChange { content: Content::Bytes(VALUE), labels: [1, 0], ..KEEP }, KEEP])
        });
        let reader = tiny.spawn(|tiny| value_and_labels(&tiny));
        assert_eq!(writer.join().unwrap(), Ok(()));
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        read
    });
    let allowed = HashSet::from([Ok((1, 0)), Ok((2, 1)), Err(Error::Again)]);
    assert!(seen.is_subset(&allowed) && seen.len() > 1, "{seen:?}");
}

#[test]
fn a_writer_that_dies_in_a_transaction_leaves_labels_and_values_old_or_new() {
    let seen = explore_deaths(|stores| {
        let tiny = PAIR.build(&[letter(0), letter(1)]);
        let changes = [
            KeyChange { content: Content::Bytes(VALUE), labels: [1, 0], ..KEEP },
            KeyChange { labels: [2, 0], ..KEEP },
        ];
        let lived = tiny.die(0, stores, |writer| commit(writer, changes)).is_some();
        let other = || {
            let arena = tiny.arena();
            arena.read_with_metadata(&letter(1), |read| Ok(arena.labels(read))).unwrap()
        };
        let early = (value_and_labels(&tiny).unwrap(), other());
        drop(tiny.claimant(0));
        let late = (value_and_labels(&tiny).unwrap(), other());
        assert_eq!(early, late);
        tiny.check_at_rest();
        for slot in &tiny.slots {
            assert_eq!(Descriptor(slot.descriptor.load(Relaxed)).labels_prepared(), 0);
        }
        tiny.check_usable();
        (lived, late)
    });
    assert_eq!(seen, HashSet::from([((1, 0), 0), ((2, 1), 2)]));
}

#[test]
fn of_two_transactions_that_each_change_what_the_other_expects_one_happens() {
    for expected in [Expect::Epoch(2), Expect::Absent] {
        // Insertions have too many steps for more.
        let preemptions = if expected == Expect::Absent { 0 } else { 2 };
        let seen = explore_within(preemptions, move || {
            let is_absent = expected == Expect::Absent;
            let keys = [letter(0), letter(1)];
            let tiny = PAIR.build(if is_absent { &[] } else { &keys });
            let set = KeyChange { content: Content::Bytes(VALUE), ..KEEP };
            let check = KeyChange { expect: expected, ..KEEP };
            let writers = [(0, [set, check]), (1, [check, set])]
                .map(|(writer_id, changes)| tiny.writer(writer_id, move |writer| commit(writer, changes)));
            let results = writers.map(|writer| writer.join().unwrap());
            tiny.check_at_rest();
            let held = [0, 1].map(|index| tiny.held(&letter(index)));
            let old = if is_absent { None } else { Some(1) };
            let after = |result: &Result<(), Error>| if result.is_ok() { Some(2) } else { old };
            assert_eq!(held, [after(&results[0]), after(&results[1])]);
            results
        });
        assert!(!seen.contains(&[Ok(()), Ok(())]), "{expected:?}: {seen:?}");
        let refused = |results: &[Result<(), Error>; 2]| {
            results.contains(&Ok(()))
                && results.iter().any(|result| matches!(result, Err(Error::Changed { .. })))
        };
        assert!(seen.iter().any(refused), "{expected:?}: {seen:?}");
    }
}
