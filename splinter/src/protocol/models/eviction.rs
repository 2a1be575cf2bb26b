//! Caches: insertions that evict beside changes of the keys that they choose, beside each other, and by writers that die.

use super::*;

/// Builds a cache that holds so many keys, from the first letter on.
fn cache(slots: usize, eviction: Eviction) -> Arc<Tiny> {
    let keys: Vec<_> = (0..slots).map(letter).collect();
    Size { slots, eviction, ..Size::default() }.build(&keys)
}

/// Returns which of the first letters' keys are there, no more than the store has slots, and checks the store.
fn kept(tiny: &Tiny, letters: usize) -> Vec<(usize, u8)> {
    tiny.check_at_rest();
    let held = (0..letters).filter_map(|index| Some((index, tiny.held(&letter(index))?)));
    let held: Vec<_> = held.collect();
    assert!(held.len() <= tiny.slots.len());
    held
}

fn pin(writer: &mut Claimant<'_>, index: usize) -> Result<(), Error> {
    writer.set_pinned(&letter(index), true)
}

#[test]
fn a_key_that_was_pinned_while_it_was_chosen_stays() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let seen = explore_within(1, move || {
            let tiny = cache(2, eviction);
            let inserter = tiny.writer(0, |writer| writer.put(&letter(2), &value(1)));
            let pinner = tiny.writer(1, |writer| pin(writer, 0));
            let (inserted, pinned) = (inserter.join().unwrap(), pinner.join().unwrap());
            let kept = kept(&tiny, 3);
            assert!(inserted == Err(Error::Again) || kept.contains(&(2, 1)));
            assert!(pinned != Ok(()) || kept.contains(&(0, 1)), "a pinned key was evicted");
            (inserted, pinned, kept)
        });
        assert!(seen.contains(&(Ok(()), Ok(()), vec![(0, 1), (2, 1)])));
        assert!(seen.contains(&(Ok(()), Err(Error::NotFound), vec![(1, 1), (2, 1)])));
    }
}

#[test]
fn a_key_that_is_set_while_it_is_evicted_has_the_new_value_or_none() {
    let seen = explore_within(1, || {
        let tiny = cache(2, Eviction::Sieve);
        let inserter = tiny.writer(0, |writer| writer.put(&letter(2), &value(1)));
        // By handle, so that a set that comes too late inserts nothing.
        let setter = tiny.writer(1, |writer| writer.put(&letter(0).within(0), &value(2)));
        let (inserted, set) = (inserter.join().unwrap(), setter.join().unwrap());
        (inserted, set, kept(&tiny, 3))
    });
    // A key that was set since it was chosen stays, and the other one goes.
    let set = (Ok(()), Ok(()), vec![(0, 2), (2, 1)]);
    let busy = (Ok(()), Err(Error::Again), vec![(1, 1), (2, 1)]);
    let gone = (Ok(()), Err(Error::NotFound), vec![(1, 1), (2, 1)]);
    assert_eq!(seen, HashSet::from([set, busy, gone]));
}

#[test]
fn two_insertions_into_a_full_cache_evict_two_keys() {
    let seen = explore_within(1, || {
        let tiny = cache(2, Eviction::Sieve);
        let one = tiny.writer(0, |writer| writer.put(&letter(2), &value(1)));
        let other = tiny.writer(1, |writer| writer.put(&letter(3), &value(1)));
        let done = [one.join().unwrap(), other.join().unwrap()];
        let evicted = tiny.header.hands.evicted.load(Relaxed);
        let kept = kept(&tiny, 4);
        let inserted = done.iter().filter(|done| done.is_ok()).count();
        assert!(done.iter().all(|done| matches!(done, Ok(()) | Err(Error::Again))));
        assert_eq!(kept.len() as u64 + evicted, 2 + inserted as u64);
        (inserted, kept)
    });
    assert!(seen.contains(&(2, vec![(2, 1), (3, 1)])));
}

#[test]
fn a_visit_while_a_key_is_evicted_returns_its_value_or_nothing() {
    let seen = explore_within(1, || {
        let tiny = cache(1, Eviction::Sieve);
        let inserter = tiny.writer(0, |writer| writer.put(&letter(1), &value(2)));
        let reader = tiny.reader(letter(0));
        assert_eq!(inserter.join().unwrap(), Ok(()));
        let read = reader.join().unwrap();
        assert_eq!(kept(&tiny, 2), [(1, 2)]);
        read
    });
    assert_eq!(seen, HashSet::from([Ok(value(1)), Err(Error::NotFound)]));
}

#[test]
fn whatever_an_insertion_dies_at_another_one_has_a_slot() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let seen = explore_deaths(move |stores| {
            let tiny = cache(1, eviction);
            let lived = tiny.die(0, stores, |writer| writer.put(&letter(1), &value(2))).is_some();
            assert_eq!(tiny.claimant(1).put(&letter(2), &value(3)), Ok(()));
            let kept = kept(&tiny, 3);
            assert_eq!(kept, [(2, 3)]);
            tiny.check_usable();
            (lived, kept)
        });
        assert_eq!(seen.len(), 1);
    }
}
