//! Writers beside writers: of one key, of a new key, and of keys that share a home bucket.

use super::*;

/// Runs `one` and `other` beside each other in a store that holds `keys`. Returns their results, and what "a" and "b"
/// hold afterwards.
fn write_beside<R, S>(
    size: Size,
    keys: &'static [usize],
    one: impl Fn(&mut Claimant<'_>) -> R + Copy + Send + Sync + 'static,
    other: impl Fn(&mut Claimant<'_>) -> S + Copy + Send + Sync + 'static,
) -> HashSet<(R, S, [Option<u8>; 2])>
where
    R: Eq + Hash + Debug + Send + 'static,
    S: Eq + Hash + Debug + Send + 'static,
{
    explore(move || {
        let keys: Vec<_> = keys.iter().map(|index| letter(*index)).collect();
        let tiny = size.build(&keys);
        let one = tiny.writer(0, one);
        let other = tiny.writer(1, other);
        let results = (one.join().unwrap(), other.join().unwrap());
        tiny.check_at_rest();
        let held = [0, 1].map(|index| tiny.held(&letter(index)));
        tiny.check_usable();
        (results.0, results.1, held)
    })
}

const TWO: Size = Size { slots: 2, ..SMALLEST };

#[test]
fn of_two_writers_of_a_key_one_wins_and_the_other_gets_again() {
    let seen = write_beside(
        Size::default(),
        &[0],
        |writer| writer.put(&letter(0), &value(2)),
        |writer| writer.put(&letter(0), &value(3)),
    );
    let expected = [
        (Ok(()), Ok(()), [Some(2), None]),
        (Ok(()), Ok(()), [Some(3), None]),
        (Ok(()), Err(Error::Again), [Some(2), None]),
        (Err(Error::Again), Ok(()), [Some(3), None]),
    ];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn two_first_sets_of_a_key_leave_one_slot() {
    for slots in [1, 2] {
        let seen = write_beside(
            Size { slots, ..TWO },
            &[],
            |writer| writer.put(&letter(0), &value(2)),
            |writer| writer.put(&letter(0), &value(3)),
        );
        let expected = [
            (Ok(()), Ok(()), [Some(2), None]),
            (Ok(()), Ok(()), [Some(3), None]),
            (Ok(()), Err(Error::Again), [Some(2), None]),
            (Err(Error::Again), Ok(()), [Some(3), None]),
        ];
        assert_eq!(seen, HashSet::from(expected));
    }
}

#[test]
fn first_sets_of_two_keys_of_one_home_lose_neither() {
    let seen = write_beside(
        TWO,
        &[],
        |writer| writer.put(&letter(0), &value(2)),
        |writer| writer.put(&letter(1), &value(3)),
    );
    let expected = [
        (Ok(()), Ok(()), [Some(2), Some(3)]),
        (Ok(()), Err(Error::Again), [Some(2), None]),
        (Err(Error::Again), Ok(()), [None, Some(3)]),
    ];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn first_sets_of_two_keys_share_the_last_slot_with_nobody() {
    let seen = write_beside(
        Size::default(),
        &[],
        |writer| writer.put(&letter(0), &value(2)),
        |writer| writer.put(&letter(1), &value(3)),
    );
    for (one, other, held) in &seen {
        assert_eq!(held[0], one.is_ok().then_some(2));
        assert_eq!(held[1], other.is_ok().then_some(3));
        assert_ne!(one.is_ok(), other.is_ok());
    }
    let refusals: HashSet<_> = seen.iter().filter_map(|(one, _, _)| one.err()).collect();
    assert_eq!(refusals, HashSet::from([Error::Again, Error::Full]));
}

#[test]
fn an_insert_beside_the_removal_of_a_neighbour_disturbs_neither() {
    let seen = write_beside(
        TWO,
        &[0],
        |writer| writer.unset_only(&letter(0)),
        |writer| writer.put(&letter(1), &value(3)),
    );
    // A removal needs no claim on its home bucket, so nothing is in the way of the insert.
    assert_eq!(seen, HashSet::from([(Ok(16), Ok(()), [None, Some(3)])]));
}

#[test]
fn an_insert_beside_the_removal_that_frees_its_slot_gets_it_whole_or_not() {
    let seen = write_beside(
        Size::default(),
        &[0],
        |writer| writer.unset_only(&letter(0)),
        |writer| writer.put(&letter(1), &value(3)),
    );
    let refused = |error| (Ok(16), Err(error), [None, None]);
    let done = (Ok(16), Ok(()), [None, Some(3)]);
    // While the slot is being emptied it is claimed, not free.
    assert_eq!(seen, HashSet::from([done, refused(Error::Full), refused(Error::Again)]));
}

#[test]
fn a_set_beside_a_removal_of_its_key_comes_before_or_after_it() {
    let seen = write_beside(
        TWO,
        &[0],
        |writer| writer.unset_only(&letter(0)),
        |writer| writer.put(&letter(0), &value(3)),
    );
    let expected = [
        (Ok(16), Ok(()), [None, None]),
        (Ok(16), Ok(()), [Some(3), None]),
        (Ok(16), Err(Error::Again), [None, None]),
        (Err(Error::Again), Ok(()), [Some(3), None]),
    ];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn of_two_removals_of_a_key_one_removes_it() {
    let seen = write_beside(
        Size::default().scrubbed(Scrub::Hybrid),
        &[0],
        |writer| writer.unset_only(&letter(0)),
        |writer| writer.unset_only(&letter(0)),
    );
    for (one, other, held) in &seen {
        assert_eq!(*held, [None, None]);
        assert_ne!(one.is_ok(), other.is_ok());
    }
    let refusals: HashSet<_> = seen.iter().filter_map(|(one, _, _)| one.err()).collect();
    assert_eq!(refusals, HashSet::from([Error::Again, Error::NotFound]));
}

#[test]
fn a_purge_beside_a_set_loses_nothing() {
    let seen = write_beside(
        Size::default(),
        &[0],
        |writer| writer.purge(),
        |writer| writer.put(&letter(0), &value(3)),
    );
    let expected = [
        (Ok(1), Ok(()), [Some(3), None]),
        (Ok(1), Err(Error::Again), [Some(1), None]),
        (Err(Error::Again), Ok(()), [Some(3), None]),
    ];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn an_insert_beside_a_purge_never_finds_the_store_full() {
    let seen = explore(|| {
        let tiny = Size::default().build(&[letter(0)]);
        tiny.claimant(2).unset_only(&letter(0)).unwrap();
        let purger = tiny.writer(0, |writer| writer.purge());
        let inserter = tiny.writer(1, |writer| writer.put(&letter(1), &value(3)));
        let results = (purger.join().unwrap(), inserter.join().unwrap());
        tiny.check_at_rest();
        results
    });
    assert!(seen.iter().all(|(_, insert)| *insert != Err(Error::Full)), "{seen:?}");
}

#[test]
fn two_appends_lose_no_acknowledged_tail() {
    let seen = explore(|| {
        let key = letter(0);
        let tiny = Size::default().build(&[]);
        tiny.claimant(2).put(&key, &[1; 6]).unwrap();
        let tails = [(0, 2), (1, 3)]
            .map(|(writer_id, byte)| tiny.writer(writer_id, move |writer| writer.extend(&key, &[byte; 4])));
        let ends = tails.map(|tail| tail.join().unwrap());
        tiny.check_at_rest();
        (ends, tiny.get(&key).unwrap())
    });
    for (ends, held) in &seen {
        let mut tails = [(2, ends[0]), (3, ends[1])];
        tails.sort_by_key(|(_, end)| end.unwrap_or(usize::MAX));
        let ok = tails.iter().filter(|(_, end)| end.is_ok());
        let appended = ok.flat_map(|(byte, _)| [*byte; 4]);
        let whole: Vec<u8> = [1; 6].into_iter().chain(appended).collect();
        assert_eq!(*held, whole);
    }
    let lens: HashSet<_> = seen.iter().map(|(_, held)| held.len()).collect();
    assert_eq!(lens, HashSet::from([10, 14]));
}
