//! Reading beside everything that can happen to the slot meanwhile.

use super::*;
use crate::arena::copy::copy_vector_out;

/// Runs `write` beside a reader of "a", which holds [`value`] 1 before. Returns what the reader saw.
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
        writer.set(&letter(0), &value(2)).unwrap();
        writer.set(&letter(0), &value(3)).unwrap();
    });
    // Loom's reader sees the claims of both and may run out of rounds; a missing key it never is.
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
        let writer = tiny.writer(0, move |writer| writer.set(&key, &value(2)).unwrap());
        let reader = tiny.spawn(move |tiny| [tiny.get(&key), tiny.get(&key)]);
        writer.join().unwrap();
        reader.join().unwrap().map(Result::unwrap)
    });
    let pairs = [(1, 1), (1, 2), (2, 2)].map(|(one, two)| [value(one), value(two)]);
    assert_eq!(seen, HashSet::from(pairs));
}

#[test]
fn who_sees_a_write_sees_every_earlier_one_of_its_writer() {
    let seen = explore(|| {
        let (first, second) = (letter(0), letter(1));
        let size = Size { slots: 2, ..Size::default() };
        let tiny = size.build(&[first, second]);
        let writer = tiny.writer(0, move |writer| {
            writer.set(&first, &value(2)).unwrap();
            writer.set(&second, &value(2)).unwrap();
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
            writer.unset(&letter(0)).unwrap();
        });
        let allowed = HashSet::from([Ok(value(1)), Err(Error::NotFound)]);
        assert_eq!(seen, allowed, "{scrub:?}");
    }
}

#[test]
fn a_read_beside_a_fully_scrubbed_write_never_accepts_zeroes() {
    let seen = read_beside(Size::default().scrubbed(Scrub::Full), |writer| {
        writer.set(&letter(0), &value(2)).unwrap();
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
        writer.set(&letter(0), &value(2)).unwrap();
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
        tiny.claimant(0).set(&key, &[1; 8]).unwrap();
        let writer = tiny.writer(0, move |writer| {
            // Within a word that a reader is copying, and into the next one.
            assert_eq!(writer.append(&key, &[2; 3]), Ok(11));
            assert_eq!(writer.append(&key, &[3; 5]), Ok(16));
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
fn a_label_change_disturbs_no_reader_and_is_seen_with_its_epoch() {
    let seen = explore(|| {
        let key = letter(0);
        let tiny = Size::default().build(&[key]);
        let writer = tiny.writer(0, move |writer| {
            let change = writer.amend(&key, |slot, meta| {
                slot.labels.store(5, Relaxed);
                meta
            });
            assert!(change.is_ok());
        });
        let reader = tiny.spawn(move |tiny| {
            let labelled = tiny
                .arena()
                .read(&key, |window| Ok((window.stable_epoch(), window.slot.labels.load(Relaxed))));
            (labelled.unwrap(), tiny.get(&key))
        });
        writer.join().unwrap();
        tiny.check_at_rest();
        reader.join().unwrap()
    });
    for ((epoch, labels), read) in &seen {
        assert_eq!(read, &Ok(value(1)));
        assert!([0, 5].contains(labels) && (*epoch == 2 || *labels == 5));
    }
    let pairs: HashSet<_> = seen.iter().map(|(pair, _)| *pair).collect();
    assert!(pairs.contains(&(2, 0)) && pairs.contains(&(4, 5)));
}

#[test]
fn a_vector_is_read_whole_or_not_at_all() {
    let seen = explore(|| {
        let key = letter(0);
        let size = Size { dim: 4, ..Size::default() };
        let tiny = size.build(&[key]);
        tiny.claimant(0).set_vector(&key, &[1.0; 4]).unwrap();
        let writer = tiny.writer(0, move |writer| {
            writer.set_vector(&key, &[2.0; 4]).unwrap();
            writer.set_vector(&key, &[3.0; 4]).unwrap();
            writer.set(&key, &value(2)).unwrap();
        });
        let reader = tiny.spawn(move |tiny| {
            let arena = tiny.arena();
            arena.read(&key, |window| {
                let meta = window.meta;
                let mut out = [0.0; 4];
                copy_vector_out(arena.vector(window.number, meta.vector_current()), &mut out);
                Ok((meta.has_vector() != 0).then(|| out.map(|part| part as u8)))
            })
        });
        writer.join().unwrap();
        tiny.check_at_rest();
        reader.join().unwrap()
    });
    let expected = [Some([1; 4]), Some([2; 4]), Some([3; 4]), None].map(Ok);
    assert!(expected.iter().all(|read| seen.contains(read)), "{seen:?}");
    let others = |read: &&Result<_, Error>| !expected.contains(read) && **read != Err(Error::Again);
    assert_eq!(seen.iter().find(others), None);
}
