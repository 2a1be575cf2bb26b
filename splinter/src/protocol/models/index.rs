//! The index beyond the home bucket: displaced keys, and the maximum distance that leads to them.

use super::*;

const TWO_BUCKETS: Size = Size { slots: 3, buckets: 2, max_writers: 4, ..SMALLEST };

/// An entry, at its home, of a key that is none of the models' letters.
const OTHERS: Entry = Entry::new(1000, Entry::tag(0, 0));

/// Builds a store of two buckets whose bucket 0 has `free` free entries. The others belong to other keys of that home
/// in slots that are not modelled. Then sets the first `present` keys of home 0. Returns the store and the first three
/// keys of that home.
fn crowded(free: usize, present: usize) -> (Arc<Tiny>, [KeyRef<'static>; 3]) {
    let tiny = TWO_BUCKETS.build(&[]);
    for word in &tiny.buckets[0].entries[free..] {
        word.store(OTHERS.0, Relaxed);
    }
    let keys = [0, 1, 2].map(|index| tiny.key_at_home(0, index));
    let mut claimant = tiny.claimant(3);
    for key in &keys[..present] {
        claimant.put(key, &value(1)).unwrap();
    }
    (tiny, keys)
}

#[test]
fn an_insert_beyond_the_home_bucket_hides_no_present_key() {
    let seen = explore(|| {
        let (tiny, [near, new, absent]) = crowded(1, 1);
        let writer = tiny.writer(0, move |writer| writer.put(&new, &value(2)));
        let reader = tiny.spawn(move |tiny| [near, new, absent].map(|key| tiny.get(&key)));
        assert_eq!(writer.join().unwrap(), Ok(()));
        let reads = reader.join().unwrap();
        tiny.check_at_rest();
        assert_eq!((tiny.held(&near), tiny.held(&new)), (Some(1), Some(2)));
        reads
    });
    let missing = Err(Error::NotFound);
    let expected = [missing.clone(), Ok(value(2))].map(|new| [Ok(value(1)), new, missing.clone()]);
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn a_removal_beyond_the_home_bucket_hides_no_present_key() {
    let seen = explore(|| {
        // The farthest key is removed, so the maximum distance is computed from the one that stays.
        let (tiny, [stays, goes, _]) = crowded(0, 2);
        let writer = tiny.writer(0, move |writer| writer.unset_only(&goes));
        let reader = tiny.spawn(move |tiny| [stays, goes].map(|key| tiny.get(&key)));
        assert_eq!(writer.join().unwrap(), Ok(16));
        let reads = reader.join().unwrap();
        tiny.check_at_rest();
        assert_eq!((tiny.held(&stays), tiny.held(&goes)), (Some(1), None));
        reads
    });
    let expected = [Ok(value(1)), Err(Error::NotFound)].map(|goes| [Ok(value(1)), goes]);
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn an_insert_and_a_removal_beyond_the_home_bucket_keep_the_max_distance_right() {
    let seen = explore(|| {
        let (tiny, [goes, new, _]) = crowded(0, 1);
        let remover = tiny.writer(0, move |writer| writer.unset_only(&goes));
        let inserter = tiny.writer(1, move |writer| writer.put(&new, &value(2)));
        let results = (remover.join().unwrap(), inserter.join().unwrap());
        tiny.check_at_rest();
        assert_eq!(tiny.held(&goes), None);
        assert_eq!(tiny.held(&new), results.1.is_ok().then_some(2));
        results
    });
    let expected = [(Ok(16), Ok(())), (Ok(16), Err(Error::Again))];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn two_homes_that_fill_one_bucket_share_no_entry() {
    let seen = explore(|| {
        // Bucket 0 is full and bucket 1 has one free entry, so that one of the two inserts finds none.
        let (tiny, [pushed, ..]) = crowded(0, 0);
        let at_home = tiny.key_at_home(1, 0);
        for word in &tiny.buckets[1].entries[1..] {
            word.store(OTHERS.0, Relaxed);
        }
        let one = tiny.writer(0, move |writer| writer.put(&pushed, &value(2)));
        let other = tiny.writer(1, move |writer| writer.put(&at_home, &value(3)));
        let results = (one.join().unwrap(), other.join().unwrap());
        tiny.check_at_rest();
        assert_eq!(tiny.held(&pushed), results.0.is_ok().then_some(2));
        assert_eq!(tiny.held(&at_home), results.1.is_ok().then_some(3));
        results
    });
    let expected = [(Ok(()), Err(Error::Full)), (Err(Error::Full), Ok(()))];
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
fn an_entry_that_comes_nearer_to_its_home_is_never_missed() {
    let seen = explore(|| {
        // The key in its home bucket is removed, and the key in the next bucket comes back to its place.
        let (tiny, [goes, comes, _]) = crowded(1, 2);
        let writer = tiny.writer(0, move |writer| writer.unset_only(&goes));
        let reader = tiny.reader(comes);
        assert_eq!(writer.join().unwrap(), Ok(16));
        let read = reader.join().unwrap();
        tiny.check_at_rest();
        assert_eq!((tiny.held(&goes), tiny.held(&comes)), (None, Some(1)));
        assert_eq!(tiny.arena().control(0).max_distance(), 0, "the entry is in its home bucket");
        read
    });
    assert_eq!(seen, HashSet::from([Ok(value(1))]));
}

#[test]
fn an_entry_comes_nearer_to_its_home_while_its_key_is_written() {
    let seen = explore(|| {
        let (tiny, [goes, comes, _]) = crowded(1, 2);
        let remover = tiny.writer(0, move |writer| writer.unset_only(&goes));
        let writer = tiny.writer(1, move |writer| writer.put(&comes, &value(2)));
        let results = (remover.join().unwrap(), writer.join().unwrap());
        tiny.check_at_rest();
        assert_eq!(tiny.held(&comes), Some(if results.1.is_ok() { 2 } else { 1 }));
        results
    });
    assert!(seen.contains(&(Ok(16), Ok(()))));
    assert!(seen.iter().all(|(removed, _)| *removed == Ok(16)));
}
