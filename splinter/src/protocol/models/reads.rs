//! Reads beside every change of the slot.

use super::*;
use crate::arena::copy::copy_vector_out;

/// Runs `write` beside a reader of "a", which holds [`value`] 1 before. Returns the reader's results.
fn read_beside(
    size: Size,
    write: impl Fn(&mut Claimant<'_>) + Copy + Send + Sync + 'static,
) -> HashSet<Read> {
    explore(move || {
        let key = letter(0);
        let tiny = size.build(&[key]);
        let writer = tiny.writer(0, write);
        let reader = tiny.reader(key);
        writer.join().unwrap();
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        read
    })
}

#[test]
fn a_read_beside_writes_returns_one_of_their_values_whole() {
    let seen = read_beside(Size::default(), |writer| {
        writer.put(&letter(0), &value(2)).unwrap();
        writer.put(&letter(0), &value(3)).unwrap();
    });
    // Loom's reader may see the claims of both and run out of rounds, but never misses the key.
    let allowed = [1, 2, 3].map(|byte| Ok(value(byte)));
    assert!(allowed.iter().all(|read| seen.contains(read)), "{seen:?}");
    let others = |read: &&Read| !allowed.contains(read) && **read != Err(Error::Again);
    assert_eq!(seen.iter().find(others), None);
}

#[test]
fn reads_beside_a_write_never_go_back() {
    let seen = explore(|| {
        let key = letter(0);
        let tiny = Size::default().build(&[key]);
        let writer = tiny.writer(0, move |writer| writer.put(&key, &value(2)).unwrap());
        let reader = tiny.spawn(move |tiny| [tiny.get(&key), tiny.get(&key)]);
        writer.join().unwrap();
        reader.join().unwrap().map(Result::unwrap)
    });
    let pairs = [(1, 1), (1, 2), (2, 2)].map(|(one, two)| [value(one), value(two)]);
    assert_eq!(seen, HashSet::from(pairs));
}

#[test]
fn a_reader_that_sees_a_write_sees_every_earlier_one_of_its_writer() {
    let seen = explore(|| {
        let (first, second) = (letter(0), letter(1));
        let size = Size { slots: 2, ..Size::default() };
        let tiny = size.build(&[first, second]);
        let writer = tiny.writer(0, move |writer| {
            writer.put(&first, &value(2)).unwrap();
            writer.put(&second, &value(2)).unwrap();
        });
        let reader = tiny.spawn(move |tiny| {
            let later = tiny.get(&second).unwrap();
            (later[0], tiny.get(&first).unwrap()[0])
        });
        writer.join().unwrap();
        reader.join().unwrap()
    });
    assert_eq!(seen, HashSet::from([(1, 1), (1, 2), (2, 2)]));
}

#[test]
fn a_read_beside_a_removal_returns_the_value_whole_or_that_it_is_missing() {
    for scrub in [Scrub::None, Scrub::Hybrid, Scrub::Full] {
        let seen = read_beside(Size::default().scrubbed(scrub), |writer| {
            writer.unset_only(&letter(0)).unwrap();
        });
        let allowed = HashSet::from([Ok(value(1)), Err(Error::NotFound)]);
        assert_eq!(seen, allowed, "{scrub:?}");
    }
}

#[test]
fn a_read_beside_a_fully_scrubbed_write_never_accepts_zeroes() {
    let seen = read_beside(Size::default().scrubbed(Scrub::Full), |writer| {
        writer.put(&letter(0), &value(2)).unwrap();
    });
    let expected = HashSet::from([Ok(value(1)), Ok(value(2))]);
    assert!(seen.is_superset(&expected), "{seen:?}");
    let again = HashSet::from([Err(Error::Again)]);
    assert!(seen.difference(&expected).all(|read| again.contains(read)), "{seen:?}");
}

#[test]
fn a_read_beside_a_purge_returns_the_value() {
    // The buffer that a purge wipes was retired by the write before it.
    let seen = read_beside(Size::default(), |writer| {
        writer.put(&letter(0), &value(2)).unwrap();
        assert_eq!(writer.purge(), Ok(1));
    });
    let expected = HashSet::from([Ok(value(1)), Ok(value(2))]);
    assert!(seen.is_superset(&expected), "{seen:?}");
    let others = |read: &&Read| **read != Err(Error::Again);
    assert_eq!(seen.difference(&expected).find(others), None);
}

#[test]
fn a_read_beside_an_append_returns_the_value_before_or_after_it() {
    let seen = explore(|| {
        let key = letter(0);
        let tiny = Size::default().build(&[]);
        tiny.claimant(0).put(&key, &[1; 8]).unwrap();
        let writer = tiny.writer(0, move |writer| {
            // Within a word that a reader is copying, and into the next one.
            assert_eq!(writer.extend(&key, &[2; 3]), Ok(11));
            assert_eq!(writer.extend(&key, &[3; 5]), Ok(16));
        });
        let reader = tiny.reader(key);
        writer.join().unwrap();
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        read
    });
    let whole = [&[1; 8][..], &[2; 3], &[3; 5]].concat();
    let expected = [8, 11, 16].map(|len| Ok(whole[..len].to_vec()));
    assert!(expected.iter().all(|read| seen.contains(read)), "{seen:?}");
    let others = |read: &&Read| !expected.contains(read) && **read != Err(Error::Again);
    assert_eq!(seen.iter().find(others), None);
}

#[test]
fn a_label_change_disturbs_no_reader_and_leaves_the_epoch() {
    let seen = explore(|| {
        let key = letter(0);
        let tiny = Size::default().build(&[key]);
        let writer = tiny.writer(0, move |writer| {
            let change = writer.change_metadata(&key, |slot, descriptor| {
                slot.labels.store(5, Relaxed);
                descriptor
            });
            assert!(change.is_ok());
        });
        let reader = tiny.spawn(move |tiny| {
            let labelled =
                tiny.arena().read(&key, |read| Ok((read.stable_epoch(), read.slot.labels.load(Relaxed))));
            (labelled.unwrap(), tiny.get(&key))
        });
        writer.join().unwrap();
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        read
    });
    for ((epoch, labels), read) in &seen {
        assert_eq!(read, &Ok(value(1)));
        assert!([0, 5].contains(labels) && *epoch == 2);
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_vector_is_read_whole_or_not_at_all() {
    let seen = explore(|| {
        let key = letter(0);
        let size = Size { dim: 4, ..Size::default() };
        let tiny = size.build(&[key]);
        tiny.claimant(0).set_vector(&key, &[1.0; 4], Expect::Any).unwrap();
        let writer = tiny.writer(0, move |writer| {
            writer.set_vector(&key, &[2.0; 4], Expect::Any).unwrap();
            writer.set_vector(&key, &[3.0; 4], Expect::Any).unwrap();
            writer.put(&key, &value(2)).unwrap();
        });
        let reader = tiny.spawn(move |tiny| {
            let arena = tiny.arena();
            arena.read(&key, |read| {
                let descriptor = read.descriptor;
                let mut out = [0.0; 4];
                copy_vector_out(arena.vector(read.number, descriptor.vector_current()), &mut out);
                Ok((descriptor.has_vector() != 0).then(|| out.map(|part| part as u8)))
            })
        });
        writer.join().unwrap();
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        read
    });
    let expected = [Some([1; 4]), Some([2; 4]), Some([3; 4]), None].map(Ok);
    assert!(expected.iter().all(|read| seen.contains(read)), "{seen:?}");
    let others = |read: &&Result<_, Error>| !expected.contains(read) && **read != Err(Error::Again);
    assert_eq!(seen.iter().find(others), None);
}

/// Reads "a" by the fast path of `Store::get`: from the likeliest slot, without a loop.
fn get_fast(tiny: &Tiny) -> Option<Vec<u8>> {
    let (arena, key) = (tiny.arena(), letter(0));
    let read = arena.begin_plain_read(arena.find_fast(&key)?, &key)?;
    let mut out = [0; 64];
    let len = arena.buffered(read.number, read.descriptor).copy_to(&mut out).ok()?;
    read.validate().then(|| out[..len].to_vec())
}

#[test]
fn a_fast_read_returns_what_some_write_published_or_nothing() {
    type Write = fn(&mut Claimant<'_>) -> Result<(), Error>;
    let writes: [(Write, &[u8]); 4] = [
        (|writer| [2, 3].into_iter().try_for_each(|byte| writer.put(&letter(0), &value(byte))), &[2, 3]),
        (
            |writer| {
                writer.set_tandem(&[letter(0), letter(1)], &[&value(2), &value(2)])?;
                writer.set_tandem(&[letter(0), letter(1)], &[&value(3), &value(3)])
            },
            &[2, 3],
        ),
        // Another key takes the slot, and then this key comes back in it.
        (
            |writer| {
                writer.unset_only(&letter(0))?;
                writer.put(&letter(2), &value(9))?;
                writer.unset_only(&letter(2))?;
                writer.put(&letter(0), &value(2))
            },
            &[2],
        ),
        (|writer| writer.set_integer(&letter(0), 7), &[]),
    ];
    for (at, (write, published)) in writes.into_iter().enumerate() {
        let seen = explore_within(1, move || {
            let keys: &[_] = if at == 1 { &[letter(0), letter(1)] } else { &[letter(0)] };
            let tiny = Size { slots: keys.len(), ..Size::default() }.build(keys);
            let writer = tiny.writer(0, move |writer| write(writer).unwrap());
            let reader = tiny.spawn(get_fast);
            writer.join().unwrap();
            reader.join().unwrap()
        });
        let whole = |byte: &u8| Some(value(*byte));
        let allowed: HashSet<_> = [1].iter().chain(published).map(whole).chain([None]).collect();
        assert!(seen.is_subset(&allowed), "write {at}: {seen:?}");
        assert!(seen.contains(&whole(&1)), "write {at}: {seen:?}");
    }
}

#[test]
fn the_epoch_of_a_read_and_those_of_versions_tell_which_version_was_read() {
    for scrub in [Scrub::None, Scrub::Full] {
        let seen = explore_within(1, move || {
            let key = letter(0);
            let tiny = Size::default().scrubbed(scrub).build(&[key]);
            let first = tiny.claimant(2).set(&key, &value(2), Expect::Any).unwrap().epoch;
            let writer = tiny.writer(0, move |writer| {
                [3, 4].map(|byte| writer.set(&key, &value(byte), Expect::Any).unwrap().epoch)
            });
            let reader = tiny.spawn(move |tiny| {
                let (arena, mut out) = (tiny.arena(), [0; 64]);
                arena.read(&key, |read| {
                    let len = read.payload(&arena).copy_to(&mut out)?;
                    Ok((read.stable_epoch(), out[..len].to_vec()))
                })
            });
            let [second, third] = writer.join().unwrap();
            let Ok((epoch, read)) = reader.join().unwrap() else { return None };
            assert_eq!(read, value(read[0]));
            let epochs = [0, first, second, third, u64::MAX];
            let at = usize::from(read[0]) - 1;
            // Later than the version before, and before the claim of the version after.
            assert!(epochs[at - 1] <= epoch && epoch <= epochs[at + 1] - 2, "{epochs:?} {epoch} {at}");
            Some(read[0])
        });
        assert!([2, 3, 4].iter().all(|byte| seen.contains(&Some(*byte))), "{seen:?}");
    }
}

#[test]
fn a_switch_to_level_full_beside_a_write_tears_no_read_and_holds_for_the_next_write() {
    let seen = explore_within(1, || {
        let key = letter(0);
        let tiny = Size { words: 8, ..Size::default() }.build(&[key]);
        let switch = tiny.spawn(|tiny| tiny.header.flags.fetch_or(FLAG_FULL, Relaxed));
        let writer = tiny.writer(0, move |writer| writer.put(&key, &value(2)).unwrap());
        let reader = tiny.reader(key);
        switch.join().unwrap();
        writer.join().unwrap();
        let read = reader.join().unwrap();
        tiny.claimant(1).put(&key, &value(3)[..8]).unwrap();
        let left: u64 = tiny.words.iter().map(|word| u64::from(word.load(Relaxed) != 0)).sum();
        assert_eq!(left, 1, "only the value is left in the two buffers");
        read
    });
    let allowed = HashSet::from([Ok(value(1)), Ok(value(2)), Err(Error::Again)]);
    assert!(seen.is_subset(&allowed) && seen.len() > 1, "{seen:?}");
}
