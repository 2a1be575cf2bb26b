//! Deaths upon deaths: a writer dies anywhere, and so does the one that takes its claim over or inherits
//! its writer id. Nothing runs beside anything here, so every pair of stores can be tried.

use super::deaths::deeds;
use super::*;

/// Has `second` die at any store after each of the deeds died at any of its own, and checks that a third
/// writer finds a store that is whole.
fn die_twice(second: fn(&Tiny, u32) -> bool) {
    for deed in deeds() {
        for first in 0..200 {
            let seen = explore_deaths(move |stores| {
                let (tiny, first_lived) = deed.done(first);
                let second_lived = second(&tiny, stores);
                let read = tiny.get(&letter(0));
                let notified = deed.allows(&read) || read == Ok(value(3));
                assert!(notified, "{} {first} {stores}: {read:?}", deed.name);
                deed.check_tandem(&tiny, &read);
                tiny.check_at_rest();
                let set = tiny.claimant(2).put(&letter(0), &value(4));
                assert_eq!(set, Ok(()), "{} {first} {stores}", deed.name);
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
fn who_dies_taking_a_claim_over_is_taken_over_in_turn() {
    die_twice(|tiny, stores| tiny.die(1, stores, |writer| writer.put(&letter(0), &value(3))).is_some());
}

#[test]
fn who_dies_removing_what_a_dead_writer_left_is_taken_over_in_turn() {
    die_twice(|tiny, stores| {
        let lived = tiny.die(1, stores, |writer| writer.unset_only(&letter(0)));
        // A removal that got anywhere is made up for, so that all seconds may be judged alike.
        if tiny.get(&letter(0)) == Err(Error::NotFound) {
            assert_eq!(tiny.claimant(2).put(&letter(0), &value(3)), Ok(()));
        }
        lived.is_some()
    });
}

#[test]
fn who_dies_recovering_its_lane_leaves_it_to_the_next() {
    die_twice(|tiny, stores| {
        let born = mortal::live(stores, || drop(tiny.claimant(0)));
        tiny.kernel.dead[0].store(true, Release);
        born.is_some()
    });
}

#[test]
fn a_lane_that_dies_recovering_again_and_again_is_recovered_in_the_end() {
    for deed in deeds() {
        explore_deaths(move |first| {
            let (tiny, lived) = deed.done(first);
            // Each heir gets a little further than the one before it.
            for stores in 0..40 {
                let _ = mortal::live(stores, || drop(tiny.claimant(0)));
            }
            let read = tiny.get(&letter(0));
            assert!(deed.allows(&read), "{} {first}: {read:?}", deed.name);
            deed.check_tandem(&tiny, &read);
            tiny.check_at_rest();
            tiny.check_usable();
            (lived, ())
        });
    }
}

#[test]
fn who_dies_taking_a_claim_over_leaves_it_to_the_heir_of_its_own_lane() {
    die_twice(|tiny, stores| {
        let lived = tiny.die(1, stores, |writer| writer.put(&letter(0), &value(3)));
        drop(tiny.claimant(1));
        lived.is_some()
    });
}
