//! Watchers in event loops: when their descriptor is readable, and that nothing is lost by sleeping on it.
//! Invariant 14.

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use splinter::{Notifier, PollableWatcher, Scrub, Store, StoreError, WatchError};
use splinter_testkit::process::{Forked, alone, is_asleep, shared_words};
use splinter_testkit::signals::{KEY, grouped, name_of};
use splinter_testkit::{Named, config, geometry, retry, store, wait_until};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The group that the tests register [`KEY`] with.
const GROUP: u8 = 3;
/// For how long a descriptor must stay unreadable, in milliseconds.
const QUIET: u8 = 50;

/// Gives a watcher each descriptor that works here. The helper thread always does.
fn descriptors(store: &Store, groups: &[u8]) -> Vec<PollableWatcher> {
    let by = |notifier| store.watch(groups).unwrap().pollable_by(notifier);
    let mut made = vec![by(Notifier::HelperThread).unwrap()];
    match by(Notifier::IoUring) {
        Ok(watcher) => made.push(watcher),
        Err(error) => println!("without io_uring: {error}"),
    }
    made
}

/// Waits until the descriptor is readable. Returns whether it was within the time.
fn is_readable(watcher: &PollableWatcher, timeout: impl Into<EpollTimeout>) -> bool {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(watcher, EpollEvent::new(EpollFlags::EPOLLIN, 0)).unwrap();
    let timeout = timeout.into();
    loop {
        match epoll.wait(&mut [EpollEvent::empty()], timeout) {
            // Seen beside an io_uring that was just closed.
            Err(Errno::EINTR) => {}
            ready => return ready.unwrap() == 1,
        }
    }
}

fn take_all(watcher: &mut PollableWatcher) -> Vec<String> {
    std::iter::from_fn(|| watcher.try_next().unwrap()).map(|change| name_of(&change)).collect()
}

#[test]
fn a_descriptor_is_readable_while_there_is_a_change_to_take_and_only_then() {
    alone("a_descriptor_is_readable_while_there_is_a_change_to_take_and_only_then", || {
        let (store, mut writer) = grouped(Scrub::Hybrid);
        writer.set("other", b"1").unwrap();
        writer.register("other", GROUP + 1).unwrap();
        for mut watcher in descriptors(&store, &[GROUP]) {
            take_all(&mut watcher);
            for round in 0..20 {
                assert!(!is_readable(&watcher, QUIET), "{:?} {round}", watcher.notifier());
                // Another group's change is none of its business.
                writer.set("other", b"2").unwrap();
                assert!(!is_readable(&watcher, 1_u8));
                writer.set(KEY, b"1").unwrap();
                writer.set(KEY, b"2").unwrap();
                assert!(is_readable(&watcher, EpollTimeout::NONE));
                // By level: what was not taken keeps it readable.
                assert!(watcher.try_next().unwrap().is_some());
                assert!(is_readable(&watcher, EpollTimeout::NONE));
                assert_eq!(take_all(&mut watcher), [KEY]);
            }
        }
    });
}

#[test]
fn a_new_descriptor_is_readable_after_changes_since_the_watch_began() {
    alone("a_new_descriptor_is_readable_after_changes_since_the_watch_began", || {
        let (store, mut writer) = grouped(Scrub::Hybrid);
        let watcher = store.watch(&[GROUP]).unwrap();
        writer.set(KEY, b"1").unwrap();
        let mut watcher = watcher.pollable().unwrap();
        assert!(is_readable(&watcher, EpollTimeout::NONE));
        assert_eq!(take_all(&mut watcher), [KEY]);
        // And a watch of the whole store, which ends without a reader, makes the descriptor readable as it ends.
        let mut all = store.watch_all().unwrap().pollable().unwrap();
        take_all(&mut all);
        (0..1_000).for_each(|_| writer.set(KEY, b"2").unwrap());
        assert!(is_readable(&all, EpollTimeout::NONE));
        assert!(matches!(all.try_next(), Err(WatchError::Lagged(_))));
        take_all(&mut all);
        assert!(!is_readable(&all, QUIET));
        writer.set(KEY, b"3").unwrap();
        assert!(is_readable(&all, EpollTimeout::NONE));
    });
}

#[test]
fn every_change_by_another_process_makes_the_descriptor_readable() {
    // Each change is made only once the watcher sleeps again: one lost wake is a hang.
    alone("every_change_by_another_process_makes_the_descriptor_readable", || {
        let store = store(geometry(16, 64, 0, 4));
        let mut writer = store.writer().unwrap();
        writer.set(KEY, b"0").unwrap();
        writer.register(KEY, GROUP).unwrap();
        drop(writer);
        for kind in 0..descriptors(&store, &[GROUP]).len() {
            let words = shared_words(2);
            let [heard, ready] = [&words[0], &words[1]];
            let listener = Forked::new(|| {
                let mut watcher = descriptors(&store, &[GROUP]).swap_remove(kind);
                take_all(&mut watcher);
                ready.store(1, Release);
                loop {
                    assert!(is_readable(&watcher, EpollTimeout::NONE));
                    heard.fetch_add(take_all(&mut watcher).len() as u64, Relaxed);
                }
            });
            let mut writer = store.writer().unwrap();
            wait_until("it listens", || ready.load(Acquire) == 1);
            for round in 1..=300 {
                if round % 10 == 0 {
                    wait_until("it sleeps", || is_asleep(listener.id(), listener.id()));
                }
                retry(|| writer.set(KEY, b"1")).unwrap();
                wait_until("it has heard", || heard.load(Relaxed) == round);
            }
            listener.kill();
        }
    });
}

#[test]
fn descriptors_are_refused_where_they_cannot_work() {
    alone("descriptors_are_refused_where_they_cannot_work", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, 8, 0, 2), Scrub::None)).unwrap();
        let reader = Store::open_read_only(&name.0).unwrap();
        let refused = reader.watch(&[GROUP]).unwrap().pollable();
        assert!(matches!(refused, Err(StoreError::ReadOnly)));
        // A child has neither its parent's thread nor its ring, and gets an error instead of a wait without end.
        for mut watcher in descriptors(&store, &[GROUP]) {
            Forked::new(|| {
                assert!(matches!(watcher.try_next(), Err(WatchError::Descriptor(_))));
                assert!(watcher.into_watcher().try_next().unwrap().is_none());
            })
            .join();
        }
    });
}
