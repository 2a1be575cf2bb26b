//! Integer operations beside each other and beside everything else that changes a number.

use super::*;
use crate::arena::integer::{IntegerOp, integer_from_text};
use crate::arena::state::KIND_BIGUINT;

/// Builds a store whose "a" is the number 7.
fn seven(slots: usize) -> Arc<Tiny> {
    let size = Size { slots, ..Size::default() };
    let tiny = size.build(&[]);
    tiny.claimant(2).set_integer(&letter(0), 7).unwrap();
    tiny
}

/// Reads "a" as a number.
fn number(tiny: &Tiny) -> u64 {
    let bytes = tiny.get(&letter(0)).unwrap();
    u64::from_le_bytes(bytes.try_into().unwrap())
}

#[test]
fn integer_operations_lose_no_update() {
    let seen = explore(|| {
        let tiny = seven(1);
        let writers = [0, 1].map(|writer_id| {
            tiny.writer(writer_id, move |writer| {
                let by = 1 + u64::from(writer_id) * 9;
                [0, 0].map(|_| writer.integer(&letter(0), IntegerOp::Inc(by)).unwrap())
            })
        });
        let results = writers.map(|writer| writer.join().unwrap());
        tiny.check_at_rest();
        assert_eq!(number(&tiny), 7 + 2 + 20);
        results.concat()
    });
    // Every operation returned what it made of the number that the one before it left.
    for results in &seen {
        assert_eq!(results.iter().max(), Some(&29));
        assert_eq!(results.iter().collect::<HashSet<_>>().len(), 4);
    }
    assert_eq!(seen.len(), 6);
}

#[test]
fn a_number_is_read_as_some_operation_left_it() {
    let seen = explore(|| {
        let tiny = seven(1);
        let writer = tiny.writer(0, |writer| {
            for _ in 0..2 {
                assert!(writer.integer(&letter(0), IntegerOp::Inc(1)).is_ok());
            }
        });
        let reader = tiny.spawn(|tiny| [number(tiny), number(tiny)]);
        writer.join().unwrap();
        reader.join().unwrap()
    });
    assert!(seen.iter().all(|[one, two]| one <= two && *one >= 7 && *two <= 9));
    assert_eq!(seen.len(), 6);
}

#[test]
fn an_integer_operation_beside_a_set_of_its_number_comes_before_or_after_it() {
    let seen = explore(|| {
        let tiny = seven(1);
        let writer = tiny.writer(0, |writer| writer.set_integer(&letter(0), 100));
        let adder = tiny.writer(1, |writer| writer.integer(&letter(0), IntegerOp::Inc(1)));
        let results = (writer.join().unwrap(), adder.join().unwrap());
        tiny.check_at_rest();
        (results.0, results.1, number(&tiny))
    });
    let expected = [(Ok(()), Ok(8), 100), (Ok(()), Ok(101), 101)];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn an_integer_operation_beside_a_set_as_bytes_comes_before_or_after_it() {
    let seen = explore(|| {
        let tiny = seven(1);
        let writer = tiny.writer(0, |writer| writer.put(&letter(0), b"100"));
        let adder = tiny.writer(1, |writer| writer.integer(&letter(0), IntegerOp::Inc(1)));
        let results = (writer.join().unwrap(), adder.join().unwrap());
        tiny.check_at_rest();
        (results.0, results.1, tiny.get(&letter(0)).unwrap())
    });
    let expected = [
        (Ok(()), Ok(8), b"100".to_vec()),
        (Ok(()), Ok(101), 101_u64.to_le_bytes().to_vec()),
        (Ok(()), Err(Error::Again), b"100".to_vec()),
        (Err(Error::Again), Ok(8), 8_u64.to_le_bytes().to_vec()),
        // The set lost its claim to the operation that came between its load and its exchange.
    ];
    assert!(seen.iter().all(|outcome| expected.contains(outcome)), "{seen:?}");
    assert!(expected[..3].iter().all(|outcome| seen.contains(outcome)), "{seen:?}");
}

#[test]
fn two_operations_that_both_find_text_promote_it_once() {
    let seen = explore(|| {
        let tiny = Size::default().build(&[]);
        let mut claimant = tiny.claimant(2);
        claimant.put(&letter(0), b"41").unwrap();
        claimant.change_metadata(&letter(0), |_, descriptor| descriptor.with_kind(KIND_BIGUINT)).unwrap();
        drop(claimant);
        let adders = [0, 1]
            .map(|writer_id| tiny.writer(writer_id, |writer| writer.integer(&letter(0), IntegerOp::Inc(1))));
        let results = adders.map(|adder| adder.join().unwrap());
        tiny.check_at_rest();
        let done = results.iter().filter(|result| result.is_ok()).count() as u64;
        assert_eq!(number(&tiny), 41 + done);
        results
    });
    let done = |results: &[Result<u64, Error>; 2]| results.iter().filter(|r| r.is_ok()).count();
    assert!(seen.iter().all(|results| done(results) > 0));
    assert!(seen.iter().any(|results| done(results) == 2));
}

#[test]
fn a_change_of_type_beside_a_set_judges_a_whole_value() {
    let seen = explore(|| {
        let tiny = Size::default().build(&[]);
        tiny.claimant(2).put(&letter(0), b"41").unwrap();
        let writer = tiny.writer(0, |writer| writer.put(&letter(0), b"1001"));
        let other = tiny.writer(1, |writer| {
            writer.set_kind(&letter(0), (KIND_BIGUINT, false), integer_from_text, Expect::Any).map(drop)
        });
        let results = (writer.join().unwrap(), other.join().unwrap());
        tiny.check_at_rest();
        results
    });
    let again = Err(Error::Again);
    assert_eq!(seen, HashSet::from([(Ok(()), Ok(())), (Ok(()), again), (again, Ok(()))]));
}

#[test]
fn an_integer_operation_beside_a_removal_of_its_key_does_not_bring_it_back() {
    let seen = explore(|| {
        let tiny = seven(1);
        let remover = tiny.writer(0, |writer| writer.unset_only(&letter(0)));
        let adder = tiny.writer(1, |writer| writer.integer(&letter(0), IntegerOp::Inc(1)));
        let results = (remover.join().unwrap(), adder.join().unwrap());
        tiny.check_at_rest();
        if results.0.is_ok() {
            assert_eq!(tiny.get(&letter(0)), Err(Error::NotFound));
        }
        results
    });
    let expected = [(Ok(8), Ok(8)), (Ok(8), Err(Error::Again)), (Ok(8), Err(Error::NotFound))];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn a_number_that_replaces_one_with_a_vector_is_never_read_with_the_vector() {
    for scrub in [Scrub::None, Scrub::Full] {
        let seen = explore(move || {
            let tiny = Size { dim: 2, ..Size::default() }.scrubbed(scrub).build(&[]);
            let mut builder = tiny.claimant(2);
            builder.set_integer(&letter(0), 7).unwrap();
            builder.set_vector(&letter(0), &[2.0; 2], Expect::Any).unwrap();
            drop(builder);
            let epoch = State(tiny.slots[0].state_integer.first_acquire()).epoch();
            let writer = tiny.writer(0, |writer| writer.set_integer_if(&letter(0), 9, Expect::Present));
            let reader = tiny.spawn(|tiny| {
                let arena = tiny.arena();
                arena.read(&letter(0), |read| {
                    let number = read.payload(&arena).integer(|_| None);
                    Ok((number, read.descriptor.has_vector(), read.stable_epoch()))
                })
            });
            let version = writer.join().unwrap();
            let read = reader.join().unwrap();
            tiny.check_at_rest();
            assert_eq!(version.map(|version| version.epoch), Ok(epoch + 2));
            read.map(|(number, has_vector, read)| (number, has_vector, read - epoch))
        });
        let allowed = HashSet::from([Ok((Some(7), 1, 0)), Ok((Some(9), 0, 2)), Err(Error::Again)]);
        assert!(seen.is_subset(&allowed) && seen.len() > 1, "{scrub:?}: {seen:?}");
    }
}
