//! Waiting, for a change of some group or of one key: what ends it, and when. Invariants 6 and 14.

use splinter::{Error, IntegerOp, Scrub, Store, StoreError, Tuning};
use splinter_testkit::process::{alone, is_asleep, thread_id};
use splinter_testkit::signals::{CHANGES, KEY, changes_content, grouped, late, name_of, soon};
use splinter_testkit::{Named, config, geometry, wait_until};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Where the header's flags are, and the one that says that the whole store is watched.
const FLAGS_AT: u64 = 256;
const WATCHED: u8 = 4;

#[test]
fn a_wait_ends_at_its_deadline_however_it_spins() {
    alone("a_wait_ends_at_its_deadline_however_it_spins", || {
        let (store, mut writer) = grouped(Scrub::Hybrid);
        let spins = [Duration::ZERO, Duration::from_micros(10), Duration::from_secs(1 << 20)];
        for groups in [&[][..], &[3], &[5, 62]] {
            for spin in spins.into_iter().chain([Duration::MAX]) {
                let mut watcher = store.watch(groups).unwrap();
                watcher.set_spin(spin);
                for deadline in [Instant::now(), soon().unwrap()] {
                    assert_eq!(watcher.wait(Some(deadline)), Ok(None));
                    assert!(Instant::now() >= deadline);
                }
                assert_eq!(store.poll(KEY, soon()), Err(Error::TimedOut));
                // A wait takes a signal that is there even when the deadline is over.
                writer.bump(KEY).unwrap();
                let heard = watcher.wait(Some(Instant::now())).unwrap();
                assert_eq!(heard.is_some(), groups == [3]);
            }
        }
    });
}

#[test]
fn a_poll_ends_at_its_deadline_however_long_the_tuning_spins() {
    alone("a_poll_ends_at_its_deadline_however_long_the_tuning_spins", || {
        Tuning { spin: Duration::MAX, ..Tuning::current() }.apply().unwrap();
        let (store, _writer) = grouped(Scrub::Hybrid);
        let deadline = soon().unwrap();
        assert_eq!(store.poll(KEY, Some(deadline)), Err(Error::TimedOut));
        assert!(deadline.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn a_spinning_watcher_learns_that_the_watch_of_the_whole_store_ended() {
    // Invariant 14: nothing is put in the ring any more, and the ring is the only thing a spinning watcher reads.
    alone("a_spinning_watcher_learns_that_the_watch_of_the_whole_store_ended", || {
        let (store, mut writer) = grouped(Scrub::Hybrid);
        let mut watcher = store.watch_all().unwrap();
        watcher.set_spin(Duration::MAX);
        assert_eq!(watcher.try_next(), Ok(None));
        // The flags as a writer leaves them if it found no reader and stopped before it announced that.
        let file = File::from(store.fd().try_clone_to_owned().unwrap());
        let mut flags = [0];
        file.read_exact_at(&mut flags, FLAGS_AT).unwrap();
        assert_ne!(flags[0] & WATCHED, 0);
        file.write_all_at(&[flags[0] & !WATCHED], FLAGS_AT).unwrap();
        writer.set(KEY, b"unheard").unwrap();
        assert!(watcher.wait(None).is_err());
        writer.set(KEY, b"heard").unwrap();
        assert_eq!(name_of(&watcher.wait(None).unwrap().unwrap()), KEY);
    });
}

#[test]
fn a_read_only_store_is_notified_as_well() {
    // Invariants 6 and 14.
    alone("a_read_only_store_is_notified_as_well", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, 8, 0, 2), Scrub::Full)).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set(KEY, b"1").unwrap();
        writer.register(KEY, 3).unwrap();
        let reader = Store::open_read_only(&name.0).unwrap();
        assert!(matches!(reader.watch_all(), Err(StoreError::ReadOnly)));
        assert!(matches!(reader.register_labels(1, 1), Err(StoreError::ReadOnly)));
        assert!(matches!(reader.unregister_labels(1, 1), Err(StoreError::ReadOnly)));
        let mut watcher = reader.watch(&[3, 4]).unwrap();
        assert_eq!(watcher.wait(soon()), Ok(None));
        assert_eq!(reader.poll(KEY, soon()), Err(Error::TimedOut));
        let epoch = reader.epoch(KEY).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                writer.set(KEY, b"2").unwrap();
            });
            let change = watcher.wait(late()).unwrap().expect("a change");
            assert_eq!((name_of(&change), change.group), (KEY.to_owned(), Some(3)));
            assert!(reader.poll_after(KEY, epoch, late()).unwrap() > epoch);
            assert_eq!(reader.signal_count(3), Some(1));
        });
    });
}

#[test]
fn a_poll_ends_with_any_change_after_it_began() {
    // Invariant 6.
    alone("a_poll_ends_with_any_change_after_it_began", || {
        for (what, change) in CHANGES {
            let (store, mut writer) = grouped(Scrub::Hybrid);
            let epoch = store.epoch(KEY).unwrap();
            let sleeper = AtomicI32::new(0);
            std::thread::scope(|scope| {
                let poller = scope.spawn(|| {
                    sleeper.store(thread_id(), Relaxed);
                    store.poll(KEY, late())
                });
                wait_until("the poller sleeps", || {
                    is_asleep(std::process::id() as i32, sleeper.load(Relaxed))
                });
                change(&mut writer).unwrap();
                if !changes_content(what) {
                    assert_eq!(store.epoch(KEY), Ok(epoch), "{what}");
                    writer.bump(KEY).unwrap();
                }
                assert!(poller.join().unwrap().is_ok_and(|now| now > epoch), "{what}");
            });
            // A change that came before the call counts if its epoch was not known yet.
            match store.poll_after(KEY, epoch, soon()) {
                Ok(now) => assert_eq!(Ok(now), store.epoch(KEY), "{what}"),
                Err(error) => {
                    assert_eq!((error, store.contains(KEY)), (Error::NotFound, Ok(false)));
                }
            }
            if store.contains(KEY) == Ok(true) {
                let now = store.epoch(KEY).unwrap();
                assert_eq!(store.poll_after(KEY, now, soon()), Err(Error::TimedOut), "{what}");
            }
        }
        let (store, _) = grouped(Scrub::None);
        assert_eq!(store.poll("none", late()), Err(Error::NotFound));
        assert_eq!(store.poll_after("none", 0, late()), Err(Error::NotFound));
        assert_eq!(store.poll("", late()), Err(Error::KeyEmpty));
    });
}

#[test]
fn an_epoch_that_was_waited_from_never_comes_again() {
    // Invariant 6: the only slot of the store serves many keys.
    for scrub in Scrub::ALL {
        let store = Store::anonymous(&config(geometry(1, 8, 0, 1), scrub)).unwrap();
        let mut writer = store.writer().unwrap();
        let mut last = 0;
        for round in 0..200 {
            let key = ["a", "b"][round % 2];
            writer.set(key, b"1").unwrap();
            let epoch = store.poll_after(key, last, soon()).unwrap();
            assert!(epoch > last && Ok(epoch) == store.epoch(key));
            writer.integer(key, IntegerOp::Inc(1)).unwrap_err();
            assert_eq!(store.poll_after(key, epoch, Some(Instant::now())), Err(Error::TimedOut));
            last = epoch;
            writer.unset(key).unwrap();
        }
    }
}
