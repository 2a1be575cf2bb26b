//! Recycled slots: a writer removes a key and another key takes its slot, while a thread still uses the old key through
//! the index or a handle.

use super::*;
use crate::arena::integer::IntegerOp;
use crate::arena::key::Resolved;

/// Removes "a" and gives its slot, the only one, to "b".
fn recycle(writer: &mut Claimant<'_>) {
    assert!(writer.unset_only(&letter(0)).is_ok());
    assert_eq!(writer.put(&letter(1), &value(2)), Ok(()));
}

/// Returns a handle on "a", which lies in slot 0.
fn handle() -> Resolved {
    Resolved::new(0, letter(0))
}

#[test]
fn a_recycled_slot_never_answers_for_its_old_key() {
    let seen = explore(move || {
        let tiny = Size::default().build(&[letter(0)]);
        let writer = tiny.writer(0, recycle);
        let reader = tiny.spawn(|tiny| [1, 0].map(|index| tiny.get(&letter(index))));
        writer.join().unwrap();
        let [new, old] = reader.join().unwrap();
        tiny.check_at_rest();
        (old, new)
    });
    let missing = Err(Error::NotFound);
    let expected =
        [(Ok(value(1)), missing.clone()), (missing.clone(), missing.clone()), (missing, Ok(value(2)))];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn a_recycled_slot_that_was_wiped_never_answers_for_its_old_key() {
    let seen = explore_within(1, move || {
        let tiny = Size::default().scrubbed(Scrub::Full).build(&[letter(0)]);
        let writer = tiny.writer(0, recycle);
        let reader = tiny.reader(letter(0));
        writer.join().unwrap();
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        read
    });
    let expected: [Read; 2] = [Ok(value(1)), Err(Error::NotFound)];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn a_handle_on_a_recycled_slot_reads_its_key_or_nothing() {
    let seen = explore(|| {
        let tiny = Size::default().build(&[letter(0)]);
        let writer = tiny.writer(0, recycle);
        let reader = tiny.spawn(|tiny| {
            let (arena, mut out) = (tiny.arena(), [0; 16]);
            let handle = handle();
            let len = arena.read(&handle.key_ref(), |read| read.payload(&arena).copy_to(&mut out))?;
            Ok(out[..len].to_vec())
        });
        writer.join().unwrap();
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        read
    });
    let expected: [Read; 2] = [Ok(value(1)), Err(Error::NotFound)];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn a_handle_on_a_recycled_slot_writes_its_key_or_nothing() {
    let seen = explore(|| {
        let tiny = Size::default().build(&[letter(0)]);
        let recycler = tiny.writer(0, |writer| {
            let gone = writer.unset_only(&letter(0));
            (gone, writer.put(&letter(1), &value(2)))
        });
        let writer = tiny.writer(1, |writer| {
            let handle = handle();
            writer.put(&handle.key_ref(), &value(3))
        });
        let ((gone, new), old) = (recycler.join().unwrap(), writer.join().unwrap());
        tiny.check_at_rest();
        let held = [0, 1].map(|index| tiny.held(&letter(index)));
        assert_eq!(held[1], new.is_ok().then_some(2));
        if gone.is_ok() {
            assert_eq!(held[0], None);
        } else {
            assert_eq!((held[0], old), (Some(3), Ok(())));
        }
        old
    });
    assert_eq!(seen, HashSet::from([Ok(()), Err(Error::Again), Err(Error::NotFound)]));
}

#[test]
fn a_handle_on_a_recycled_number_changes_its_key_or_nothing() {
    let seen = explore_within(1, || {
        let tiny = Size::default().build(&[]);
        tiny.claimant(2).set_integer(&letter(0), 7).unwrap();
        let recycler = tiny.writer(0, |writer| {
            writer.unset_only(&letter(0)).and_then(|_| writer.set_integer(&letter(1), 70))
        });
        let writer = tiny.writer(1, |writer| {
            let handle = handle();
            writer.integer(&handle.key_ref(), IntegerOp::Inc(1))
        });
        assert_eq!(recycler.join().unwrap(), Ok(()));
        let changed = writer.join().unwrap();
        tiny.check_at_rest();
        let number = tiny.get(&letter(1)).unwrap();
        assert_eq!(number, 70_u64.to_le_bytes());
        changed
    });
    assert_eq!(seen, HashSet::from([Ok(8), Err(Error::Again), Err(Error::NotFound)]));
}
