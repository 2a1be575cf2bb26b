//! Waiting for keys that are missing, or go and come back, and watching keys by prefix. Invariants 6 and 14.

use nix::sys::signal::{Signal, raise};
use splinter::{Error, Expect, Key, Lifetime, Location, Scrub, Store, StoreError, Watcher};
use splinter_testkit::process::{Forked, alone, is_asleep, thread_id};
use splinter_testkit::signals::{KEY, held, late, soon};
use splinter_testkit::{Folder, config, geometry, retry, store, wait_until};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[test]
fn a_wait_for_a_missing_key_sleeps_until_the_key_is_set_and_no_longer() {
    alone("a_wait_for_a_missing_key_sleeps_until_the_key_is_set_and_no_longer", || {
        let store = store(geometry(16, 64, 0, 4));
        let mut writer = store.writer().unwrap();
        for round in 0..20 {
            let (key, thread) = (format!("key {round}"), AtomicI32::new(0));
            let epoch = std::thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    thread.store(thread_id(), Relaxed);
                    store.wait_for(&key, late())
                });
                let asleep = || {
                    let thread = thread.load(Relaxed);
                    thread != 0 && is_asleep(std::process::id() as i32, thread)
                };
                if round % 2 == 0 {
                    wait_until("the waiter sleeps", asleep);
                    // It is woken for this, and sleeps on.
                    writer.set("other", b"1").unwrap();
                    wait_until("the waiter sleeps again", || waiter.is_finished() || asleep());
                    assert!(!waiter.is_finished());
                }
                writer.set(&key, b"1").unwrap();
                waiter.join().unwrap()
            });
            assert_eq!(epoch, store.epoch(&key));
            writer.unset(&key).unwrap();
        }
    });
}

#[test]
fn a_wait_for_a_key_that_is_there_returns_at_once_and_one_that_never_comes_times_out() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.set("there", b"1").unwrap();
    let epoch = store.epoch("there").unwrap();
    assert_eq!(store.wait_for("there", Some(Instant::now())), Ok(epoch));
    assert_eq!(store.wait_for_after("there", epoch - 2, Some(Instant::now())), Ok(epoch));
    // Nobody watches, so nothing is signalled.
    assert_eq!(store.flags().bits() & 4, 0);
    assert_eq!(store.wait_for("missing", soon()), Err(Error::TimedOut));
    assert_eq!(store.wait_for_after("there", epoch, soon()), Err(Error::TimedOut));
    assert_eq!(store.wait_for("", None), Err(Error::KeyEmpty));
    assert_eq!(store.wait_for("x".repeat(64), None), Err(Error::KeyTooLong));
    // A key whose deadline has passed is missing.
    writer.set_with("there", b"1", Expect::Any, Lifetime::For(Duration::from_millis(1))).unwrap();
    std::thread::sleep(Duration::from_millis(3));
    assert_eq!(store.wait_for("there", soon()), Err(Error::TimedOut));
}

#[test]
fn a_wait_for_another_epoch_goes_on_over_removals() {
    let store = store(geometry(16, 64, 0, 4));
    let mut writer = store.writer().unwrap();
    writer.set("key", b"1").unwrap();
    let first = store.epoch("key").unwrap();
    let now = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| store.wait_for_after("key", first, late()));
        std::thread::sleep(Duration::from_millis(5));
        writer.unset("key").unwrap();
        std::thread::sleep(Duration::from_millis(5));
        assert!(!waiter.is_finished(), "the key is missing");
        writer.set("other", b"takes the slot").unwrap();
        writer.set("key", b"2").unwrap();
        waiter.join().unwrap()
    });
    assert_eq!(now, store.epoch("key"));
    assert!(now.unwrap() > first);
}

#[test]
fn no_key_is_missed_by_a_process_that_waits_for_it() {
    alone("no_key_is_missed_by_a_process_that_waits_for_it", || {
        const ROUNDS: usize = 500;
        let store = store(geometry(64, 64, 0, 8));
        // Two processes: each sets the key that the other waits for.
        let there = Forked::new(|| {
            let mut writer = store.writer().unwrap();
            for round in 0..ROUNDS {
                store.wait_for(format!("ping {round}"), late()).unwrap();
                retry(|| writer.set(format!("pong {round}"), b"1")).unwrap();
                retry(|| writer.unset(format!("ping {round}"))).unwrap();
            }
        });
        let mut writer = store.writer().unwrap();
        for round in 0..ROUNDS {
            retry(|| writer.set(format!("ping {round}"), b"1")).unwrap();
            store.wait_for(format!("pong {round}"), late()).unwrap();
            retry(|| writer.unset(format!("pong {round}"))).unwrap();
        }
        there.join();
        assert_eq!(store.len(), 0);
    });
}

#[test]
fn a_reader_without_the_right_to_write_waits_too_but_may_not_watch() {
    let folder = Folder::new();
    let location = Location::file(folder.join("store"));
    let store = Store::create(&location, &config(geometry(16, 64, 0, 2), Scrub::None)).unwrap();
    let reader = Store::open_read_only(&location).unwrap();
    assert_eq!(reader.wait_for("key", soon()), Err(Error::TimedOut));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| reader.wait_for("key", late()));
        std::thread::sleep(Duration::from_millis(5));
        store.writer().unwrap().set("key", b"1").unwrap();
        assert_eq!(waiter.join().unwrap(), store.epoch("key"));
    });
    assert_eq!(store.flags().bits() & 4, 0, "it told no writer");
    assert!(matches!(reader.watch_prefix("k"), Err(StoreError::ReadOnly)));
    assert!(matches!(reader.watch_key("key"), Err(StoreError::ReadOnly)));
}

/// What a watcher hears: the keys that changed, and those that are gone, with a minus.
fn heard(watcher: &mut Watcher) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(change) = watcher.try_next().unwrap() {
        heard.extend(change.removed.map(|key| format!("-{key}")));
        heard.extend(change.key.map(|key| key.to_string()));
        assert_eq!(change.group, None);
    }
    heard
}

#[test]
fn a_watcher_of_a_prefix_hears_of_its_keys_and_their_removal_and_of_no_others() {
    let store = store(geometry(8, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    for key in ["user:1", "other", "use"] {
        writer.set(key, b"1").unwrap();
    }
    let mut users = store.watch_prefix("user:").unwrap();
    let mut one = store.watch_key("user:1").unwrap();
    let mut all = store.watch_prefix("").unwrap();
    assert!(heard(&mut users).is_empty());
    for key in ["other", "user:2", "use", "user:1", "user:10"] {
        writer.set(key, b"2").unwrap();
    }
    assert_eq!(heard(&mut users), ["user:2", "user:1", "user:10"]);
    assert_eq!(heard(&mut one), ["user:1"]);
    assert_eq!(heard(&mut all).len(), 5);
    for key in ["other", "user:1", "user:2"] {
        writer.unset(key).unwrap();
    }
    assert_eq!(heard(&mut users), ["-user:1", "-user:2"]);
    assert_eq!(heard(&mut one), ["-user:1"]);
    assert_eq!(heard(&mut all), ["-other", "-user:1", "-user:2"]);
    writer.set("user:1", b"3").unwrap();
    assert_eq!((heard(&mut users), heard(&mut one)), (vec!["user:1".into()], vec!["user:1".into()]));
}

#[test]
fn a_slot_that_goes_to_another_key_tells_of_the_removal_once() {
    let store = store(geometry(1, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.set("user:1", b"1").unwrap();
    let mut users = store.watch_prefix("user:").unwrap();
    let mut clone = users.clone();
    // The only slot has another key by the time of the look, first one with the prefix, then one without.
    writer.unset("user:1").unwrap();
    writer.set("user:2", b"1").unwrap();
    assert_eq!(heard(&mut users), ["-user:1", "user:2", "user:2"]);
    writer.unset("user:2").unwrap();
    writer.set("other", b"1").unwrap();
    assert_eq!(heard(&mut users), ["-user:2"]);
    assert_eq!(heard(&mut clone), ["-user:1"]);
    let removal = Key::new(b"other").unwrap();
    writer.unset(removal).unwrap();
    assert!(heard(&mut users).is_empty());
}

#[test]
fn a_watcher_of_a_prefix_that_lagged_lists_its_keys_again() {
    let store = store(geometry(64, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    let mut users = store.watch_prefix("user:").unwrap();
    writer.set("user:1", b"1").unwrap();
    for _ in 0..100 {
        writer.set("other", b"1").unwrap();
    }
    assert!(users.try_next().is_err(), "others' changes count");
    let mut there = Vec::new();
    users.resync(|change| there.push(change.key.unwrap().to_string()));
    assert_eq!(there, ["user:1"]);
    writer.unset("user:1").unwrap();
    assert_eq!(heard(&mut users), ["-user:1"]);
}

#[test]
fn a_watcher_that_lagged_reports_no_removal_of_a_key_that_has_moved() {
    let store = store(geometry(64, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.set("user:1", b"1").unwrap();
    let mut users = store.watch_prefix("user:").unwrap();
    let slot = store.resolve("user:1").unwrap().slot();
    writer.unset("user:1").unwrap();
    // Another key takes the slot.
    let names = (0..64).map(|number| format!("other {number}"));
    let taker = names.into_iter().find(|name| {
        writer.set(name, b"1").unwrap();
        store.resolve(name).unwrap().slot() == slot
    });
    let taker = taker.expect("the slot is taken");
    writer.set("user:1", b"2").unwrap();
    for _ in 0..100 {
        writer.set(&taker, b"1").unwrap();
    }
    users.try_next().unwrap_err();
    writer.set(&taker, b"2").unwrap();
    assert!(heard(&mut users).is_empty(), "the key is there");
    writer.set("user:1", b"3").unwrap();
    assert_eq!(heard(&mut users), ["user:1"]);
    writer.unset("user:1").unwrap();
    assert_eq!(heard(&mut users), ["-user:1"]);
}

#[test]
fn a_watcher_of_a_prefix_skips_the_changes_of_others_a_few_at_a_time() {
    let store = store(geometry(1024, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    let mut users = store.watch_prefix("user:").unwrap();
    for _ in 0..100 {
        writer.set("other", b"1").unwrap();
    }
    writer.set("user:1", b"1").unwrap();
    assert_eq!(users.try_next(), Ok(None));
    let change = users.wait(late()).unwrap().expect("a change");
    assert_eq!(change.key.unwrap().as_ref(), b"user:1");
    assert_eq!(users.wait(Some(Instant::now())), Ok(None));
}

#[test]
fn a_watcher_of_a_name_that_no_key_can_have_returns_nothing() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    let long = "x".repeat(63);
    writer.set(&long, b"1").unwrap();
    for name in [String::new(), format!("{long}x"), format!("{long}\0")] {
        let mut watcher = store.watch_key(&name).unwrap();
        watcher.resync(|change| panic!("{change:?}"));
        writer.set(&long, b"2").unwrap();
        assert!(heard(&mut watcher).is_empty(), "{name:?}");
    }
    let mut watcher = store.watch_key(&long).unwrap();
    let mut there = Vec::new();
    watcher.resync(|change| there.extend(change.key));
    assert_eq!(there, [Key::new(long.as_bytes()).unwrap()]);
    writer.unset(&long).unwrap();
    assert_eq!(heard(&mut watcher), [format!("-{long}")]);
}

#[test]
fn a_key_that_changes_all_the_while_is_there_whenever_it_is_waited_for() {
    let store = store(geometry(16, 64, 0, 4));
    let mut writer = store.writer().unwrap();
    writer.set("key", b"1").unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut writer = store.writer().unwrap();
                while !is_over.load(Relaxed) {
                    retry(|| writer.set("key", b"2")).unwrap();
                }
            });
        }
        let waits = (0..300_000).map(|_| store.wait_for("key", Some(Instant::now())));
        let failed = waits.filter(Result::is_err).count();
        is_over.store(true, Relaxed);
        assert_eq!(failed, 0);
    });
}

#[test]
fn a_watcher_of_other_keys_sleeps_while_a_writer_is_stopped() {
    alone("a_watcher_of_other_keys_sleeps_while_a_writer_is_stopped", || {
        let store = store(geometry(16, 1 << 18, 0, 4));
        let mut writer = store.writer().unwrap();
        // The stopped writer changes a key that is there, which is not the watched one.
        writer.set(KEY, b"1").unwrap();
        let child = held(&store);
        for name in [false, true] {
            let thread = AtomicI32::new(0);
            let mut watcher = if name { store.watch_key("mis") } else { store.watch_prefix("mis") }.unwrap();
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    thread.store(thread_id(), Relaxed);
                    watcher.wait(late()).unwrap().expect("a change")
                });
                let asleep = || {
                    let thread = thread.load(Relaxed);
                    thread != 0 && is_asleep(std::process::id() as i32, thread)
                };
                wait_until("the watcher sleeps", asleep);
                writer.set("mis", b"1").unwrap();
                assert_eq!(waiter.join().unwrap().key.unwrap().as_ref(), b"mis");
            });
            writer.unset("mis").unwrap();
        }
        child.kill();
    });
}

#[test]
fn a_watcher_of_a_prefix_waits_while_others_change_and_ends_at_its_deadline() {
    let store = store(geometry(16, 64, 0, 4));
    let mut writer = store.writer().unwrap();
    let mut users = store.watch_prefix("user:").unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut writer = store.writer().unwrap();
            let end = Instant::now() + Duration::from_millis(100);
            while Instant::now() < end {
                writer.set("other", b"1").unwrap();
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(users.wait(Some(deadline)), Ok(None));
        assert!(Instant::now() >= deadline);
        writer.set("user:1", b"1").unwrap();
        let change = users.wait(late()).unwrap().expect("a change");
        assert_eq!(change.key.unwrap().as_ref(), b"user:1");
        other.join().unwrap();
    });
}

#[test]
fn a_pollable_watcher_of_a_prefix_returns_its_keys_alone() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    let mut users = store.watch_prefix("user:").unwrap().pollable().unwrap();
    for key in ["other", "user:1", "other"] {
        writer.set(key, b"1").unwrap();
    }
    assert_eq!(users.try_next().unwrap().unwrap().key.unwrap().as_ref(), b"user:1");
    assert_eq!(users.try_next().unwrap(), None);
}

#[test]
fn a_stopped_writer_of_another_key_holds_up_no_wait_for_a_missing_one() {
    alone("a_stopped_writer_of_another_key_holds_up_no_wait_for_a_missing_one", || {
        let store = store(geometry(16, 1 << 18, 0, 4));
        let mut writer = store.writer().unwrap();
        // The stopped writer holds that key alone, not a bucket, as it would inserting it.
        writer.set(KEY, b"1").unwrap();
        let child = held(&store);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| store.wait_for("missing", late()));
            let mut watcher = store.watch_prefix("mis").unwrap();
            std::thread::sleep(Duration::from_millis(5));
            writer.set("missing", b"1").unwrap();
            assert_eq!(waiter.join().unwrap(), store.epoch("missing"));
            let change = watcher.wait(late()).unwrap().expect("a change");
            assert_eq!(change.key.unwrap().as_ref(), b"missing");
        });
        child.kill();
    });
}

#[test]
fn a_wait_ends_at_its_deadline_while_a_stopped_writer_inserts_or_changes_the_key() {
    alone("a_wait_ends_at_its_deadline_while_a_stopped_writer_inserts_or_changes_the_key", || {
        let store = store(geometry(16, 64, 0, 4));
        let mut writer = store.writer().unwrap();
        for is_there in [false, true] {
            if is_there {
                writer.set("key", b"1").unwrap();
            }
            let before = store.epoch("key").ok();
            let mut child = Forked::new(|| {
                let mut writer = store.writer().unwrap();
                let stop = |_: Option<&[u8]>, _: &mut Vec<u8>| {
                    raise(Signal::SIGSTOP).unwrap();
                    Ok::<(), Error>(())
                };
                writer.update("key", stop).unwrap();
            });
            assert!(child.pause(), "it holds the key");
            assert_eq!(writer.set("key", b"2"), Err(Error::Again));
            let begun = Instant::now();
            let timed_out = Err(Error::TimedOut);
            match before {
                None => assert_eq!(store.wait_for("key", soon()), timed_out),
                Some(epoch) => {
                    assert_eq!(store.wait_for("key", soon()), Ok(epoch));
                    assert_eq!(store.wait_for_after("key", epoch, soon()), timed_out);
                }
            }
            assert!(begun.elapsed() < Duration::from_secs(30));
            child.kill();
            retry(|| writer.unset("key")).unwrap_or_default();
        }
    });
}
