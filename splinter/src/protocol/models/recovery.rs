//! Crashes during recovery: a writer dies anywhere, and so does the writer that recovers its claim, or the next owner
//! of its writer id. Nothing else runs meanwhile, so every pair of stores can be tried.

use super::deaths::ops;
use super::*;

/// Makes `second` die at any store after each of the operations died at any of its own. Checks that a third writer
/// finds a store that is whole.
fn die_twice(second: fn(&Tiny, u32) -> bool) {
    for op in ops() {
        for first in 0..200 {
            let seen = explore_deaths(move |stores| {
                let (tiny, first_lived) = op.done(first);
                let second_lived = second(&tiny, stores);
                let read = tiny.get(&letter(0));
                let is_allowed = op.allows(&read) || read == Ok(value(3));
                assert!(is_allowed, "{} {first} {stores}: {read:?}", op.name);
                op.check_tandem(&tiny, &read);
                tiny.check_at_rest();
                let set = tiny.claimant(2).put(&letter(0), &value(4));
                assert_eq!(set, Ok(()), "{} {first} {stores}", op.name);
                tiny.check_at_rest();
                assert_eq!(tiny.held(&letter(0)), Some(4));
                tiny.check_usable();
                (second_lived, first_lived)
            });
            if seen == HashSet::from([true]) {
                break;
            }
        }
    }
}

#[test]
fn a_writer_that_dies_recovering_a_claim_is_recovered_in_turn() {
    die_twice(|tiny, stores| tiny.die(1, stores, |writer| writer.put(&letter(0), &value(3))).is_some());
}

#[test]
fn a_writer_that_dies_removing_what_a_dead_one_left_is_recovered_in_turn() {
    die_twice(|tiny, stores| {
        let lived = tiny.die(1, stores, |writer| writer.unset_only(&letter(0)));
        // Undoes a removal that took effect, so that all seconds are judged alike.
        if tiny.get(&letter(0)) == Err(Error::NotFound) {
            assert_eq!(tiny.claimant(2).put(&letter(0), &value(3)), Ok(()));
        }
        lived.is_some()
    });
}

#[test]
fn an_owner_that_dies_recovering_its_writer_id_leaves_it_to_the_next() {
    die_twice(|tiny, stores| {
        let born = crash::run(stores, || drop(tiny.claimant(0)));
        tiny.end(0);
        born.is_some()
    });
}

#[test]
fn a_writer_id_whose_owners_die_recovering_it_is_recovered_in_the_end() {
    for op in ops() {
        explore_deaths(move |first| {
            let (tiny, lived) = op.done(first);
            // Each owner gets a little further than the one before it.
            for stores in 0..40 {
                let _ = crash::run(stores, || drop(tiny.claimant(0)));
            }
            let read = tiny.get(&letter(0));
            assert!(op.allows(&read), "{} {first}: {read:?}", op.name);
            op.check_tandem(&tiny, &read);
            tiny.check_at_rest();
            tiny.check_usable();
            (lived, ())
        });
    }
}

#[test]
fn a_writer_that_dies_recovering_a_claim_leaves_it_to_its_next_owner() {
    die_twice(|tiny, stores| {
        let lived = tiny.die(1, stores, |writer| writer.put(&letter(0), &value(3)));
        drop(tiny.claimant(1));
        lived.is_some()
    });
}
