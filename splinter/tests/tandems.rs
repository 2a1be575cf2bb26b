//! Tandems: all orders of one generation, or none; a write that fails changes nothing.

use splinter::{Error, Scrub, Store};
use splinter_testkit::valgrind::rounds;
use splinter_testkit::{assert_sound, geometry, retry, sequence, store, value};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

/// A base, the values of its orders, and how a write of them is refused.
type Refused<'v> = (&'v [u8], Vec<&'v [u8]>, Error);

fn orders(base: &str, generation: u64, count: usize) -> Vec<Vec<u8>> {
    let len = |order: usize| 8 + (generation as usize * 7 + order * 13) % 200;
    (0..count).map(|order| value(base, generation, len(order))).collect()
}

fn set(store: &mut splinter::Writer, base: &str, values: &[Vec<u8>]) -> Result<(), Error> {
    let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
    retry(|| store.set_tandem(base, &values))
}

/// Reads the generation that all orders agree on.
fn generation(store: &Store, base: &str, count: usize) -> Result<u64, Error> {
    let mut values = vec![Vec::new(); count];
    store.tandem(base, &mut values)?;
    let generations: Vec<_> = values.iter().map(|value| sequence(base, value)).collect();
    assert!(generations.iter().all(|seen| *seen == generations[0]), "{generations:?}");
    Ok(generations[0])
}

#[test]
fn reads_never_mix_generations() {
    // Invariant 11.
    for scrub in Scrub::ALL {
        let store = store(geometry(12, 256, 0, 8));
        store.set_scrub(scrub).unwrap();
        set(&mut store.writer().unwrap(), "base", &orders("base", 0, 5)).unwrap();
        let (done, seen) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 1..3 {
                let (store, done, seen) = (&store, &done, &seen);
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    // At least so often, and until a reader has read; not for ever.
                    let is_over = |round| round >= rounds(1_500) && seen.load(Relaxed) > 0;
                    for round in (0..100_000).take_while(|round| !is_over(*round)) {
                        set(&mut writer, "base", &orders("base", round * 4 + thread, 5)).unwrap();
                    }
                    done.store(true, Relaxed);
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        match generation(&store, "base", 5) {
                            Ok(_) => drop(seen.fetch_add(1, Relaxed)),
                            Err(error) => assert_eq!(error, Error::Again),
                        }
                    }
                });
            }
        });
        generation(&store, "base", 5).unwrap();
        assert!(seen.into_inner() > 0);
        assert_sound(&store, 5);
    }
}

#[test]
fn groups_that_come_and_go_are_there_whole_or_not_at_all() {
    // Invariant 11.
    let store = store(geometry(9, 256, 0, 8));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..2_u64 {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                let mut writer = store.writer().unwrap();
                for round in 0..rounds(8_000) {
                    set(&mut writer, "base", &orders("base", round * 2 + thread, 3)).unwrap();
                    if round % 2 == thread {
                        let removed = retry(|| writer.unset_tandem("base", 3)).unwrap();
                        assert!(removed == 0 || removed == 3, "{removed} orders removed");
                    }
                }
                done.store(true, Relaxed);
            });
        }
        while !done.load(Relaxed) {
            match generation(&store, "base", 3) {
                Ok(_) | Err(Error::Again | Error::NotFound) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert_sound(&store, store.len());
    assert!([0, 3].contains(&store.len()));
}

#[test]
fn a_removed_order_is_counted_by_one_remover_only() {
    let store = store(geometry(4, 64, 0, 4));
    for _ in 0..rounds(2_000) {
        let values: [&[u8]; 4] = [b"0", b"1", b"2", b"3"];
        store.writer().unwrap().set_tandem("base", &values).unwrap();
        let remove = || {
            let mut writer = store.writer().unwrap();
            retry(|| writer.unset_tandem("base", 4)).expect("nothing but Again stands in the way")
        };
        let counted = thread::scope(|scope| {
            let threads = [0, 1].map(|_| scope.spawn(remove));
            threads.map(|thread| thread.join().unwrap()).into_iter().sum::<usize>()
        });
        assert_eq!(counted, 4);
        assert_sound(&store, 0);
    }
}

#[test]
fn removal_from_a_full_store_is_never_refused_as_full() {
    // Invariant 13: a removal needs no room.
    let store = store(geometry(3, 64, 0, 4));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = store.writer().unwrap();
            for round in 0..rounds(6_000) {
                retry(|| writer.unset("base.1")).ok();
                retry(|| writer.set(format!("other{}", round % 2), b"x")).ok();
                retry(|| writer.unset(format!("other{}", (round + 1) % 2))).ok();
            }
            done.store(true, Relaxed);
        });
        let mut writer = store.writer().unwrap();
        while !done.load(Relaxed) {
            retry(|| writer.set_tandem("base", &[b"0", b"1"])).ok();
            let removed = retry(|| writer.unset_tandem("base", 2));
            assert!(removed.is_ok_and(|count| count <= 2), "{removed:?}");
        }
    });
    assert_sound(&store, store.len());
}

#[test]
fn a_failed_write_changes_nothing() {
    // Invariants 11 and 13.
    let store = store(geometry(4, 64, 0, 4));
    let mut writer = store.writer().unwrap();
    writer.set_tandem("base", &[b"0", b"1"]).unwrap();
    writer.set("other", b"x").unwrap();
    let before = ["base", "base.1"].map(|key| store.snapshot(key).unwrap());
    let long = [b'x'; 65];
    let refused: [Refused<'_>; 6] = [
        (b"base", vec![b"a", &long], Error::ValueTooLong),
        (b"base", vec![&long, b"a"], Error::ValueTooLong),
        (b"base", vec![], Error::BadOrders),
        (b"base", vec![b"a"; 256], Error::BadOrders),
        (&[b'k'; 62], vec![b"a"; 2], Error::KeyTooLong),
        (b"", vec![b"a"; 2], Error::KeyEmpty),
    ];
    for (base, values, error) in refused {
        assert_eq!(writer.set_tandem(base, &values), Err(error));
    }
    assert_eq!(["base", "base.1"].map(|key| store.snapshot(key).unwrap()), before);
    // Four more orders find one slot: none is set, and the one slot stays usable.
    assert_eq!(writer.set_tandem("base", &[&b"a"[..]; 6]), Err(Error::Full));
    for (key, value) in [("base", b"0"), ("base.1", b"1"), ("other", b"x")] {
        assert_eq!(store.get_vec(key).unwrap(), value);
    }
    assert_sound(&store, 3);
    writer.set("fourth", b"x").unwrap();
    assert_eq!(store.tandem("base", &mut vec![Vec::new(); 3]), Err(Error::NotFound));
}
