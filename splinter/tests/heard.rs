//! Even if writers stop or die, every watcher hears of committed changes: writers stopped and killed at any instruction,
//! and millions of changes at once. Invariants 6, 7, 8 and 14.

use splinter::{Change, IntegerOp, Scrub, Store, Watcher, Writer};
use splinter_testkit::process::{Forked, alone, shared_words, spin};
use splinter_testkit::raw::Raw;
use splinter_testkit::signals::{LABEL, late};
use splinter_testkit::trace::Traced;
use splinter_testkit::{Named, Rng, config, geometry, retry, store, wait_until};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Hashes the value of a key, so that different states nearly always give different numbers.
fn value_of(store: &Store, key: &str) -> u64 {
    match retry(|| store.get_vec(key)) {
        Ok(value) => splinter::hash_key(&value) | 1,
        Err(_) => 0,
    }
}

#[test]
fn changes_are_heard_of_though_a_writer_is_stopped_during_its_own_change() {
    // Invariants 8 and 14: the stopped writer may stand between its entry in the ring and its count.
    alone("changes_are_heard_of_though_a_writer_is_stopped_during_its_own_change", || {
        let store = store(geometry(8, 64, 0, 4));
        let mut writer = store.writer().unwrap();
        for key in ["own", "other"] {
            writer.set(key, b"").unwrap();
            writer.register(key, 1).unwrap();
        }
        let heard = shared_words(3);
        let listen = |number: usize| {
            let mut watcher = match number {
                0 => store.watch(&[1]).unwrap(),
                1 => store.watch(&[0, 1, 33]).unwrap(),
                _ => store.watch_all().unwrap(),
            };
            loop {
                heard[number].store(value_of(&store, "own"), Relaxed);
                if watcher.wait(None).is_err() {
                    watcher.resync(drop);
                }
            }
        };
        let _listeners = [0, 1, 2].map(|number| Forked::new(|| listen(number)));
        let all_know = || {
            let now = value_of(&store, "own");
            heard.iter().all(|heard| heard.load(Relaxed) == now)
        };
        // A watcher gets no signal of changes before its watch began.
        wait_until("all watch", all_know);
        let mut stopped = Forked::new(|| {
            let mut writer = store.writer().unwrap();
            loop {
                let _ = writer.set("other", b"x");
                let _ = writer.integer("number", IntegerOp::Inc(1));
            }
        });
        let mut rng = Rng(8);
        for round in 0..300_u64 {
            spin(rng.below(300));
            stopped.stop();
            writer.set("own", &round.to_le_bytes()).unwrap();
            wait_until("all heard", all_know);
            stopped.go_on();
        }
    });
}

/// Keys that stay, each with a poller of its own; the last one is a number.
const KEPT: [&str; 4] = ["kept0", "kept1", "base", "number"];
const ALL: [&str; 8] = ["kept0", "kept1", "base", "base.1", "number", "comes0", "comes1", "text"];

/// Writes until killed.
fn write(store: &Store, seed: u64) {
    let mut writer = store.writer().expect("the writer id of a dead writer");
    let mut rng = Rng(seed);
    loop {
        let word = rng.next().to_le_bytes();
        let comes = *rng.pick(&ALL[5..7]);
        let _ = match rng.below(10) {
            0 | 1 => writer.set(*rng.pick(&KEPT[..2]), &word),
            2 | 3 => writer.integer("number", IntegerOp::Inc(1)).map(drop),
            4 => writer.set_tandem("base", &[&word, &word]),
            5 => writer.append("text", b"x").or_else(|_| writer.set("text", b"").map(|()| 0)).map(drop),
            6 => writer.unset(comes).map(drop),
            7 => writer.set_u64("number", rng.below(99)),
            // The writer that makes the key registers it.
            _ => writer.set(comes, &word).and_then(|()| {
                writer.register(comes, 2)?;
                writer.bump(comes)
            }),
        };
    }
}

/// Listens, and notes what there was to see of every key when it last heard of it.
fn listen(store: &Store, mut watcher: Watcher, known: &[AtomicU64]) {
    let mut places = HashMap::new();
    // A tandem's first order stands for the others.
    let look = |key: &str| {
        for (number, other) in ALL.iter().enumerate() {
            if *other == key || key == "base" && *other == "base.1" {
                known[number].store(value_of(store, other), Relaxed);
            }
        }
    };
    let mut lagged = true; // Which key each slot holds at the start is learnt as it is after a lag.
    loop {
        if lagged {
            watcher.resync(|change| {
                places.insert(change.slot, change.key.map(|key| key.to_string()));
            });
            ALL.iter().for_each(|key| look(key));
        }
        let next = watcher.wait(None);
        lagged = next.is_err();
        let Ok(Some(Change { slot, key, .. })) = next else { continue };
        let key = key.map(|key| key.to_string());
        // The key that was there before, and the one that is there now.
        let before = places.insert(slot, key.clone()).flatten();
        before.iter().chain(&key).for_each(|key| look(key));
    }
}

#[test]
fn committed_changes_of_killed_writers_are_signalled() {
    // Invariants 6, 7 and 14.
    alone("committed_changes_of_killed_writers_are_signalled", || {
        let store = store(geometry(16, 100, 0, 6));
        let mut writer = store.writer().unwrap();
        store.register_labels(LABEL, 3).unwrap();
        writer.set_tandem("base", &[b"0", b"1"]).unwrap();
        writer.set_u64("number", 0).unwrap();
        for key in ["kept0", "kept1", "text"] {
            writer.set(key, b"").unwrap();
        }
        for key in ["kept0", "base", "base.1", "text"] {
            writer.register(key, 1).unwrap();
        }
        for key in ["kept1", "number"] {
            writer.label(key, LABEL).unwrap();
        }
        drop(writer);
        let (by_group, by_all) = (shared_words(ALL.len()), shared_words(ALL.len()));
        let epochs = shared_words(KEPT.len());
        let mut listeners = vec![
            Forked::new(|| listen(&store, store.watch(&[1, 3]).unwrap(), by_group)),
            Forked::new(|| listen(&store, store.watch_all().unwrap(), by_all)),
        ];
        for (key, seen) in KEPT.iter().zip(epochs) {
            let store = &store;
            listeners.push(Forked::new(move || {
                let mut epoch = store.epoch(key).unwrap();
                loop {
                    seen.store(epoch, Relaxed);
                    epoch = store.poll_after(key, epoch, None).unwrap();
                }
            }));
        }
        let mut rng = Rng(7);
        for batch in 0..6 {
            for trial in 0..30 {
                let start =
                    |n| Forked::new(|| write(&store, rng.clone().next() ^ batch << 40 ^ trial << 8 ^ n));
                for child in [0, 1, 2].map(start) {
                    spin(rng.below(700));
                    child.kill();
                }
            }
            // No writer runs from here on: sleeping watchers recover dead writers' claims.
            for (number, key) in ALL.iter().enumerate() {
                let knows = |known: &[AtomicU64]| known[number].load(Relaxed) == value_of(&store, key);
                if !key.starts_with("comes") {
                    wait_until("the watcher of its groups has seen it", || knows(by_group));
                }
                wait_until("the watcher of all keys has seen it", || knows(by_all));
            }
            for (key, seen) in KEPT.iter().zip(epochs) {
                let knows = || seen.load(Relaxed) == store.epoch(key).unwrap();
                wait_until("the poller of a key has seen its epoch", knows);
            }
        }
        assert!(store.header().recoveries > 5, "{:?}", store.header());
    });
}

/// An operation on a key, by its name. The test kills its writer during it.
type Operation = (&'static str, fn(&mut Writer));

const OPERATIONS: [Operation; 8] = [
    ("set", |writer| writer.set(KEY, b"new").unwrap()),
    ("append", |writer| assert_eq!(writer.append(KEY, b"new"), Ok(6))),
    ("count", |writer| assert_eq!(writer.integer(KEY, IntegerOp::Inc(1)), Ok(2))),
    ("unset", |writer| assert_eq!(writer.unset(KEY), Ok(3))),
    ("label", |writer| writer.label(KEY, LABEL << 1).unwrap()),
    ("unlabel", |writer| writer.unlabel(KEY, LABEL).unwrap()),
    ("set a tandem", |writer| writer.set_tandem(KEY, &[b"new", b"new"]).unwrap()),
    ("unset a tandem", |writer| assert_eq!(writer.unset_tandem(KEY, 1), Ok(1))),
];

/// After how many instructions each the store is looked at: a prime, so that loops do not hide any.
const STRIDE: usize = 43;
const KEY: &str = "key";

/// Tells what there is to see of the key, its labels included.
fn state(store: &Store) -> (u64, Option<u64>) {
    (value_of(store, KEY), store.snapshot(KEY).ok().map(|snapshot| snapshot.labels))
}

/// Returns how often the key's groups were signalled, and the whole store.
fn signal_counts(store: &Store) -> [u64; 3] {
    // The store's own group comes behind the 64 others; its count is its first word.
    let whole = Raw::new(store).bytes(4096 + 64 * 64, 8).try_into().unwrap();
    [store.signal_count(1).unwrap(), store.signal_count(2).unwrap(), u64::from_le_bytes(whole)]
}

/// Makes a store with the key, in two groups or in none.
fn store_with_key(operation: Operation, grouped: bool, scrub: Scrub) -> Store {
    let store = Store::anonymous(&config(geometry(4, 64, 0, 2), scrub)).unwrap();
    let mut writer = store.writer().unwrap();
    match operation.0 {
        "count" => writer.set_u64(KEY, 1).unwrap(),
        _ => writer.set(KEY, b"old").unwrap(),
    }
    // Without groups nothing in the slot asks for notifications.
    if grouped || operation.0 == "unlabel" {
        writer.label(KEY, LABEL).unwrap();
    }
    if grouped {
        writer.register(KEY, 1).unwrap();
        store.register_labels(LABEL, 2).unwrap();
    }
    store
}

#[test]
fn a_current_change_is_signalled_wherever_its_writer_is_killed() {
    // Invariants 7 and 14. The bytes of a store are copied at an instruction of the writer; no process owns a
    // writer id of the copy, so the copy is as if the writer were killed there.
    alone("a_current_change_is_signalled_wherever_its_writer_is_killed", || {
        let (done, name) = (&shared_words(1)[0], Named::new());
        for operation in OPERATIONS {
            for (grouped, scrub) in [(true, Scrub::Full), (true, Scrub::None), (false, Scrub::None)] {
                let store = store_with_key(operation, grouped, scrub);
                let _watcher = store.watch_all().unwrap();
                let (before, counts_before) = (state(&store), signal_counts(&store));
                done.store(0, Relaxed);
                let mut child = Traced::new(|| {
                    let mut writer = store.writer().unwrap();
                    Traced::mark();
                    operation.1(&mut writer);
                    done.store(1, Relaxed);
                    loop {
                        std::hint::spin_loop();
                    }
                });
                child.run_to_mark();
                let mut committed = 0;
                for step in 0.. {
                    if step % STRIDE == 0 {
                        std::fs::write(name.path(), Raw::new(&store).whole()).unwrap();
                        let copy = Store::open(&name.0).unwrap();
                        // The writer id's next owner finishes what the dead one began.
                        drop(copy.writer().unwrap());
                        let now = signal_counts(&copy);
                        let heard = [0, 1, 2].map(|count| now[count] > counts_before[count]);
                        let all = heard[2] && (heard[0] && heard[1] || !grouped);
                        let is_committed = state(&copy) != before;
                        assert!(all || !is_committed, "{}, step {step}: {heard:?}", operation.0);
                        committed += u32::from(is_committed);
                        name.0.unlink().unwrap();
                    }
                    if done.load(Relaxed) != 0 {
                        break;
                    }
                    assert!(child.step());
                }
                child.kill();
                assert!(committed > 3, "{}: {committed}", operation.0);
            }
        }
    });
}

#[test]
fn short_waits_recover_dead_writers_too() {
    // Invariants 7 and 14: waits as short as an event loop's, and waits that other changes keep ending.
    alone("short_waits_recover_dead_writers_too", || {
        let moment = || Some(Instant::now() + Duration::from_millis(5));
        for waits in ["for a group", "for a group that is busy", "for the key"] {
            let store = store_with_key(OPERATIONS[0], true, Scrub::Hybrid);
            let mut writer = store.writer().unwrap();
            writer.set("busy", b"").unwrap();
            writer.register("busy", 1).unwrap();
            let (epoch, value) = (store.epoch(KEY).unwrap(), value_of(&store, KEY));
            let mut watcher = store.watch(&[1]).unwrap();
            let mut child = Traced::new(|| {
                let mut writer = store.writer().unwrap();
                Traced::mark();
                writer.set(KEY, b"new").unwrap();
            });
            child.run_to_mark();
            while value_of(&store, KEY) == value {
                assert!(child.step());
            }
            child.kill();
            wait_until(waits, || match waits {
                "for the key" => store.poll_after(KEY, epoch, moment()).is_ok(),
                "for a group" => watcher.wait(moment()).unwrap().is_some(),
                _ => {
                    // Once it has looked in vain, so that it falls asleep every time.
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            std::thread::sleep(Duration::from_millis(1));
                            writer.bump("busy").unwrap();
                        });
                        watcher.wait(late()).unwrap()
                    })
                    .is_some_and(|change| change.key.is_some_and(|key| key.as_ref() == b"key"))
                }
            });
        }
    });
}

/// How many changes there are, unless the environment says otherwise.
const CHANGES: u64 = 400_000;
const WRITERS: u64 = 4;
const WATCHERS: usize = 8;

/// Counts the signals that one watcher takes and misses.
fn count(store: &Store, groups: &[u8], tally: &[AtomicU64]) {
    let mut watcher = store.watch(groups).unwrap();
    let mut epochs = HashMap::new();
    let [taken, missed, ready, over] = [0, 1, 2, 3].map(|word| &tally[word]);
    ready.store(1, Relaxed);
    loop {
        let last = over.load(Relaxed) != 0;
        match watcher.wait(Some(Instant::now() + Duration::from_millis(20))) {
            Ok(Some(change)) => {
                taken.fetch_add(1, Relaxed);
                let epoch = epochs.entry(change.slot).or_insert(0);
                assert!(change.epoch >= *epoch, "the epoch of {change:?} was {epoch}");
                *epoch = change.epoch;
                assert!(change.key.is_some() && change.group.is_some());
            }
            Ok(None) if last => return,
            Ok(None) => {}
            Err(lagged) => drop(missed.fetch_add(lagged.missed, Relaxed)),
        }
    }
}

#[test]
fn of_a_flood_of_changes_none_is_lost() {
    // Invariants 6 and 14. SPLINTER_TEST_CHANGES=10000000 makes it ten million.
    alone("of_a_flood_of_changes_none_is_lost", || {
        let changes = std::env::var("SPLINTER_TEST_CHANGES").map_or(CHANGES, |n| n.parse().unwrap());
        let store = store(geometry(4096, 64, 0, WRITERS as u32 + 1));
        let mut writer = store.writer().unwrap();
        for number in 0..16_u8 {
            let key = format!("key{number}");
            writer.set_u64(&key, 0).unwrap();
            // Every fourth is in two groups.
            writer.register(&key, number % 3).unwrap();
            if number % 4 == 0 {
                writer.register(&key, 32).unwrap();
            }
        }
        let watched: [&[u8]; WATCHERS] =
            [&[0], &[1], &[2], &[32], &[0, 1], &[0, 32], &[0, 1, 2], &[0, 1, 2, 32]];
        let tallies = [(); WATCHERS].map(|()| shared_words(4));
        let listeners: Vec<_> = watched
            .iter()
            .zip(tallies)
            .map(|(groups, tally)| Forked::new(|| count(&store, groups, tally)))
            .collect();
        wait_until("all watch", || tallies.iter().all(|tally| tally[2].load(Relaxed) == 1));
        let start = Instant::now();
        let flood = |seed: u64| {
            let mut writer = store.writer().unwrap();
            let mut rng = Rng(seed);
            for _ in 0..changes / WRITERS {
                let key = format!("key{}", rng.below(16));
                match rng.below(2) {
                    0 => retry(|| writer.integer(&key, IntegerOp::Inc(1))).map(drop),
                    _ => retry(|| writer.bump(&key)),
                }
                .unwrap();
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|seed| Forked::new(|| flood(seed))).collect();
        writers.into_iter().for_each(Forked::join);
        let written = start.elapsed();
        tallies.iter().for_each(|tally| tally[3].store(1, Relaxed));
        listeners.into_iter().for_each(Forked::join);
        let signals = |group: &u8| store.signal_count(*group).unwrap();
        assert_eq!(signals(&0) + signals(&1) + signals(&2), changes / WRITERS * WRITERS);
        for (groups, tally) in watched.iter().zip(tallies) {
            let [taken, missed] = [0, 1].map(|word| tally[word].load(Relaxed));
            let all: u64 = groups.iter().map(signals).sum();
            println!("{groups:?}: {taken} taken and {missed} missed of {all}");
            assert_eq!(taken + missed, all, "{groups:?}");
            assert!(taken > 0);
        }
        println!("{changes} changes written in {written:?}, all heard of in {:?}", start.elapsed());
    });
}
