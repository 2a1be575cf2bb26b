//! Keys that come and go for ever: slots and index entries must come back, however many threads take
//! part and however seldom a key is used twice.

use splinter::{Error, Scrub};
use splinter_testkit::raw::Raw;
use splinter_testkit::valgrind::rounds;
use splinter_testkit::{assert_every_slot_usable, assert_sound, geometry, retry, store};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

#[test]
fn a_million_cycles_leave_the_index_as_new() {
    // Invariant 9: what makes misses slow is entries that lead nowhere, and there are none.
    for (slots, scrub) in [(1, Scrub::None), (3, Scrub::Hybrid), (64, Scrub::None)] {
        let store = store(geometry(slots, 16, 0, 2));
        store.set_scrub(scrub).unwrap();
        let mut writer = store.writer().unwrap();
        for round in 0..rounds(340_000) {
            let key = round.to_le_bytes().map(|byte| byte | 0x80);
            writer.set(key, b"v").unwrap();
            writer.unset(key).unwrap();
        }
        drop(writer);
        assert_sound(&store, 0);
        // Keys that fill the store are pushed past their home buckets, and searches with them, until
        // they are gone.
        for round in 0..20 {
            assert_every_slot_usable(&store, &format!("fresh{round}."));
            assert_eq!(Raw::new(&store).probe_distances(), 0, "searches go on past empty buckets");
        }
    }
}

#[test]
fn keys_used_once_by_many_threads_leave_every_slot_usable() {
    // Invariant 9: a removal that meets a busy bucket must not cost an index entry for ever.
    for (slots, rounds) in
        [(4, 30_000), (16, 5_000), (64, 5_000)].map(|(slots, count)| (slots, rounds(count)))
    {
        let store = store(geometry(slots, 64, 0, 8));
        thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    for round in 0..rounds {
                        let key = format!("{thread}.{round}");
                        let mut refusals = 0_u32;
                        let set = retry(|| match writer.set(&key, b"x") {
                            // For a moment at most, and not at all: see the next test.
                            Err(Error::Full) if refusals < 100_000 => {
                                refusals += 1;
                                Err(Error::Again)
                            }
                            result => result,
                        });
                        assert_eq!((set, retry(|| writer.unset(&key))), (Ok(()), Ok(1)));
                    }
                });
            }
        });
        assert_sound(&store, 0);
        assert_every_slot_usable(&store, "fresh");
        assert_sound(&store, 0);
    }
}

#[test]
fn a_store_with_room_is_never_full() {
    // Invariant 13: each thread holds one slot less than its share while it inserts, so that one is free at every instant,
    // though not the same one.
    for (threads, share) in [(2, 1), (3, 1), (4, 1), (5, 1), (8, 1), (3, 50), (6, 40)] {
        let store = store(geometry(threads * share, 64, 0, 8));
        let full = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..threads {
                let (store, full) = (&store, &full);
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    for round in 0..rounds(20_000) {
                        let key = format!("{thread}.{}", round % share);
                        while let Err(error) = writer.set(&key, b"x") {
                            full.fetch_add(usize::from(error == Error::Full), Relaxed);
                        }
                        if round + 1 >= share {
                            let oldest = format!("{thread}.{}", (round + 1) % share);
                            retry(|| writer.unset(&oldest)).unwrap();
                        }
                    }
                });
            }
        });
        let full = full.into_inner();
        assert_eq!(full, 0, "spurious Full among {threads} threads that hold {share} keys each");
    }
}

#[test]
fn slots_move_between_threads_that_fill_a_store_to_the_brim() {
    // Invariants 9 and 13: what one removes, another can use.
    let store = store(geometry(7, 64, 0, 8));
    thread::scope(|scope| {
        for thread in 0..3 {
            let store = &store;
            scope.spawn(move || {
                let mut writer = store.writer().unwrap();
                for round in 0..rounds(3_000) {
                    let keys: Vec<_> = (0..4).map(|n| format!("{thread}.{n}")).collect();
                    let held = keys.iter().filter(|key| match retry(|| writer.set(key, b"x")) {
                        Ok(()) => true,
                        Err(error) => {
                            assert_eq!(error, Error::Full, "round {round}");
                            false
                        }
                    });
                    for key in held.collect::<Vec<_>>() {
                        assert_eq!(retry(|| writer.unset(key)), Ok(1));
                    }
                }
            });
        }
    });
    assert_sound(&store, 0);
    assert_every_slot_usable(&store, "fresh");
}
