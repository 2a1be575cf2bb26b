//! Threads against one another: torn reads, races for a key or a slot, lost writes and lost updates.

use splinter::{Error, IntegerOp, Scrub};
use splinter_testkit::valgrind::rounds;
use splinter_testkit::{
    Rng, assert_every_slot_usable, assert_sound, geometry, retry, sequence, store, value,
};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

/// Runs `body` in `count` threads that start together; it is given the thread's number.
fn together<T: Send>(count: usize, body: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        let (barrier, body) = (&barrier, &body);
        let start = |number| {
            scope.spawn(move || {
                barrier.wait();
                body(number)
            })
        };
        let threads: Vec<_> = (0..count).map(start).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, T>| thread.join().expect("a thread");
        threads.into_iter().map(join).collect()
    })
}

#[test]
fn reads_are_whole_whatever_the_length() {
    // Invariant 1.
    for scrub in Scrub::ALL {
        let store = store(geometry(4, 5000, 0, 8));
        store.set_scrub(scrub).unwrap();
        let lens = [8, 9, 15, 16, 17, 63, 64, 65, 127, 1000, 4095, 4999, 5000];
        let (done, read) = (AtomicBool::new(false), AtomicBool::new(false));
        store.writer().unwrap().set("key", &value("key", 0, 8)).unwrap();
        let reads = thread::scope(|scope| {
            for number in 1..3 {
                let (store, done, read) = (&store, &done, &read);
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    let mut rng = Rng(number);
                    // At least so often, and until a reader has read; not for ever.
                    let is_over = |round| round >= rounds(4_000) && read.load(Relaxed);
                    for round in (0..1 << 20).take_while(|round| !is_over(*round)) {
                        let body = value("key", round << 8 | number, *rng.pick(&lens));
                        retry(|| writer.set("key", &body)).unwrap();
                    }
                    done.store(true, Relaxed);
                });
            }
            let readers: Vec<_> = (0..2)
                .map(|reader| {
                    let (store, done, read) = (&store, &done, &read);
                    scope.spawn(move || {
                        let mut buf = [0; 5000];
                        let mut reads = 0_u64;
                        let handle = store.resolve("key").unwrap();
                        while !done.load(Relaxed) {
                            let len = match reads % 2 + reader {
                                0 => store.get("key", &mut buf),
                                1 => store.get(handle, &mut buf),
                                _ => store.get_with("key", |view| view.copy_to(&mut buf)),
                            };
                            match len {
                                Ok(len) => {
                                    read.store(true, Relaxed);
                                    reads += u64::from(sequence("key", &buf[..len]) < 1 << 32);
                                }
                                Err(error) => assert_eq!(error, Error::Again),
                            }
                        }
                        reads
                    })
                })
                .collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).sum::<u64>()
        });
        assert!(reads > 0);
    }
}

#[test]
fn first_sets_of_one_key_leave_one_slot() {
    // Invariant 3.
    let store = store(geometry(8, 64, 0, 16));
    for round in 0..rounds(300) {
        let key = format!("key{round}");
        together(8, |number| {
            let mut writer = store.writer().unwrap();
            let body = value(&key, number as u64, 40);
            match number % 3 {
                0 => retry(|| writer.set(&key, &body)),
                1 => retry(|| writer.set_tandem(&key, &[&body])),
                _ => {
                    let mut results = [Err(Error::Again)];
                    retry(|| {
                        writer.set_many(&[(&key, &body)], &mut results);
                        results[0]
                    })
                }
            }
            .unwrap();
        });
        assert_sound(&store, 1);
        assert!(sequence(&key, &store.get_vec(&key).unwrap()) < 8);
        retry(|| store.writer().unwrap().unset(&key)).unwrap();
        assert_sound(&store, 0);
    }
}

#[test]
fn keys_that_stay_are_never_missing_while_neighbours_come_and_go() {
    // Invariants 1, 2 and 4: one bucket, then a few, so that all keys share homes.
    for slots in [4, 8, 24] {
        let store = store(geometry(slots, 64, 0, 8));
        let mut writer = store.writer().unwrap();
        let kept: Vec<_> = (0..slots / 2).map(|n| format!("kept{n}")).collect();
        for key in &kept {
            writer.set(key, &value(key, 0, 24)).unwrap();
        }
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..2 {
                let (store, done) = (&store, &done);
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    for round in 0..rounds(15_000) {
                        let key = format!("comes{thread}.{}", round % 7);
                        let set = retry(|| writer.set(&key, &value(&key, round, 33)));
                        // With fewer keys than slots there is always room.
                        assert_eq!(set, Ok(()));
                        assert_eq!(sequence(&key, &store.get_vec(&key).unwrap()), round);
                        assert_eq!(retry(|| writer.unset(&key)), Ok(33));
                    }
                    done.fetch_add(1, Relaxed);
                });
            }
            let (store, kept, done) = (&store, &kept, &done);
            scope.spawn(move || {
                while done.load(Relaxed) < 2 {
                    for key in kept {
                        sequence(key, &retry(|| store.get_vec(key)).unwrap());
                    }
                    let listed: Vec<_> = store.keys().map(|key| key.to_string()).collect();
                    assert!(kept.iter().all(|key| listed.contains(key)), "{listed:?}");
                }
            });
            let mut last = 0;
            while done.load(Relaxed) < 2 {
                for (at, key) in kept.iter().enumerate() {
                    last += 1;
                    if at % 2 == 0 {
                        retry(|| writer.set(key, &value(key, last, 50))).unwrap();
                        assert_eq!(sequence(key, &store.get_vec(key).unwrap()), last);
                    }
                }
            }
        });
        assert_sound(&writer, slots / 2);
    }
}

#[test]
fn acknowledged_writes_survive_the_inserts_updates_and_removals_of_others() {
    // Invariant 4.
    let store = store(geometry(64, 128, 0, 8));
    together(4, |thread| {
        let mut writer = store.writer().unwrap();
        let mut rng = Rng(thread as u64);
        let mut mine = vec![None; 16];
        for round in 0..rounds(12_000) {
            let at = rng.below(16) as usize;
            let key = format!("{thread}/{at}");
            if rng.below(3) == 0 {
                let removed = retry(|| writer.unset(&key));
                assert_eq!(removed.ok(), mine[at].map(|(_, len)| len));
                mine[at] = None;
            } else {
                let len = 8 + rng.below(120) as usize;
                retry(|| writer.set(&key, &value(&key, round, len))).unwrap();
                mine[at] = Some((round, len));
            }
            let other = rng.below(16) as usize;
            let key = format!("{thread}/{other}");
            let seen = retry(|| store.get_vec(&key)).map(|body| (sequence(&key, &body), body.len()));
            assert_eq!(seen.ok(), mine[other]);
        }
    });
    assert_sound(&store, store.len());
}

#[test]
fn two_writers_on_one_key_never_divert_it_to_another_slot() {
    // Invariants 5 and 6.
    let store = store(geometry(4, 1 << 16, 0, 4));
    let met = AtomicU64::new(0);
    together(2, |thread| {
        let mut writer = store.writer().unwrap();
        let (mut round, mut last) = (0, 0);
        let body = value("key", thread as u64, 1 << 16);
        // At least so often, and until they have met; on a machine that keeps them apart, not for ever.
        while round < rounds(1_500) || met.load(Relaxed) < 10 && round < rounds(300_000) {
            round += 1;
            match writer.set("key", &body) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error, Error::Again);
                    met.fetch_add(1, Relaxed);
                }
            }
            if let Ok(epoch) = store.epoch("key") {
                assert!(epoch >= last && epoch % 2 == 0);
                last = epoch;
            }
        }
    });
    assert!(met.into_inner() > 0, "the writers never met");
    assert_sound(&store, 1);
    assert!(sequence("key", &store.get_vec("key").unwrap()) < 2);
}

#[test]
fn epochs_of_a_slot_never_go_back_not_even_over_removal_and_reuse() {
    // Invariant 6: the only slot of the store serves many keys.
    for scrub in Scrub::ALL {
        let store = store(geometry(1, 64, 2, 4));
        store.set_scrub(scrub).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = store.writer().unwrap();
                let mut rng = Rng(6);
                for round in 0..rounds(10_000) {
                    let key = ["a", "b", "c"][round as usize % 3];
                    writer.set(key, b"1").unwrap();
                    let first = store.epoch(key).unwrap();
                    writer.label(key, 1).unwrap();
                    match rng.below(5) {
                        0 => writer.append(key, b"2").map(drop),
                        1 => writer.set_type(key, splinter::Type::BigUint),
                        2 => writer.set_vector(key, &[1.0, 2.0]),
                        3 => writer.set_u64(key, 4),
                        _ => writer.bump(key),
                    }
                    .unwrap();
                    assert_eq!(store.epoch(key).unwrap(), first + 2);
                    writer.unset(key).unwrap();
                }
                done.store(true, Relaxed);
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    while !done.load(Relaxed) {
                        for key in ["a", "b", "c"] {
                            if let Ok(epoch) = store.epoch(key) {
                                assert!(epoch >= last, "{epoch} after {last}");
                                last = epoch;
                            }
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn integer_updates_are_never_lost_among_32_writers() {
    // Invariant 10.
    let store = store(geometry(4, 64, 0, 32));
    store.writer().unwrap().set_u64("sum", 0).unwrap();
    store.writer().unwrap().set_u64("bits", 0).unwrap();
    let handle = store.resolve("sum").unwrap();
    together(32, |thread| {
        let mut writer = store.writer().unwrap();
        for round in 0..rounds(600) {
            let op = IntegerOp::Inc(round + 3);
            if round % 2 == 0 {
                retry(|| writer.integer("sum", op)).unwrap();
            } else {
                retry(|| writer.integer(handle, op)).unwrap();
            }
            retry(|| writer.integer("sum", IntegerOp::Dec(2))).unwrap();
            // An even number of flips of everything, and an odd one of this thread's bit.
            retry(|| writer.integer("bits", IntegerOp::Not)).unwrap();
            retry(|| writer.integer("bits", IntegerOp::Xor(1 << thread))).unwrap();
        }
        let now = retry(|| writer.integer("bits", IntegerOp::Or(1 << (thread + 32)))).unwrap();
        assert_eq!(now >> (thread + 32) & 1, 1, "operations return the new number");
        retry(|| writer.integer("bits", IntegerOp::Not)).unwrap();
    });
    let each: u64 = (0..rounds(600)).map(|round| round + 1).sum();
    assert_eq!(store.get_u64("sum"), Ok(32 * each));
    assert_sound(&store, 2);
}

#[test]
fn integers_beside_sets_are_whole_and_none_is_lost() {
    // Invariant 10: every thread adds to its own byte; sets only ever replace the whole number.
    let store = store(geometry(4, 64, 0, 8));
    store.writer().unwrap().set_u64("n", 0).unwrap();
    let reads = AtomicU64::new(0);
    together(6, |thread| {
        let mut writer = store.writer().unwrap();
        for round in 0..rounds(4_000) {
            let number = round * 1_000_003;
            // Eight characters would be taken for the eight bytes of a number.
            let text = format!("{number}");
            match (thread, round % 3) {
                (0, 1) if text.len() != 8 => retry(|| writer.set("n", text.as_bytes())).unwrap(),
                (0, 2) => retry(|| writer.set("n", &number.to_le_bytes())).unwrap(),
                (0, _) => retry(|| writer.set_u64("n", number)).unwrap(),
                (1, _) => {
                    let now = retry(|| store.get_u64("n")).unwrap();
                    assert_eq!(now % 1_000_003, 0, "{now}");
                    reads.fetch_add(1, Relaxed);
                }
                _ => {
                    let now = retry(|| writer.integer("n", IntegerOp::Inc(1_000_003))).unwrap();
                    assert_eq!(now % 1_000_003, 0, "{now}");
                }
            }
        }
    });
    assert!(reads.load(Relaxed) > 0);
    let last = store.writer().unwrap().integer("n", IntegerOp::Inc(0)).unwrap();
    assert_eq!(last % 1_000_003, 0);
    assert_sound(&store, 1);
}

#[test]
fn many_threads_leave_every_slot_usable() {
    let store = store(geometry(16, 64, 0, 8));
    together(4, |thread| {
        let mut writer = store.writer().unwrap();
        for round in 0..rounds(5_000) {
            let key = format!("{thread}.{}", round % 5);
            retry(|| writer.set(&key, b"x")).ok();
            retry(|| writer.unset(&key)).ok();
        }
    });
    assert_every_slot_usable(&store, "fresh");
}
