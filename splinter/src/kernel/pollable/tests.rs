//! Tests of both ways to wait. Where io_uring cannot wait for a futex, the tests say so and run with the helper thread
//! alone.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::kernel::futex;
use crate::kernel::testing::{self, Forked, SharedWord, is_readable};

/// How long to wait for what must happen: a watchdog, not a measurement.
const WATCHDOG_MS: i32 = 30_000;
/// How long to wait for what must not happen.
const PAUSE_MS: i32 = 20;

/// A call that a test never reaches: no test may depend on the end of an interval.
fn never() -> IdleCall {
    IdleCall { every: Duration::from_secs(3600), call: Arc::new(|| panic!("no wake came for an hour")) }
}

fn pollable(shared: &SharedWord, mask: u32, by: Notifier) -> Pollable {
    Pollable::new(shared.wake_word(mask), never(), Some(by)).unwrap()
}

fn wake(shared: &SharedWord, mask: u32) -> u32 {
    shared.word().fetch_add(1, Ordering::AcqRel);
    futex::wake(shared.word(), mask)
}

/// Runs a test with each notifier that works here.
fn with_each_notifier(test: impl Fn(Notifier)) {
    test(Notifier::HelperThread);
    match Ring::new(&EventFd::new().unwrap()) {
        Ok(_) => test(Notifier::IoUring),
        Err(e) => println!("io_uring cannot wait for a futex here ({e}): the helper thread alone"),
    }
}

/// Turns the first failed step into an exit status.
fn verdict(steps: &[bool]) -> i32 {
    steps.iter().position(|good| !good).map_or(0, |bad| bad as i32 + 1)
}

#[test]
fn a_wake_makes_it_readable_and_draining_unreadable() {
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let mut pollable = pollable(&shared, 0b01, by);
        assert_eq!(pollable.notifier(), by);
        for _ in 0..3 {
            assert!(!is_readable(pollable.as_fd(), PAUSE_MS));
            pollable.arm(shared.word().load(Ordering::Relaxed) as u32).unwrap();
            assert!(!is_readable(pollable.as_fd(), PAUSE_MS));
            wake(&shared, 0b11);
            assert!(is_readable(pollable.as_fd(), WATCHDOG_MS));
            pollable.drain();
            pollable.drain();
        }
    });
}

#[test]
fn a_wake_for_other_groups_does_not_make_it_readable() {
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let mut pollable = pollable(&shared, 0b0110, by);
        pollable.arm(0).unwrap();
        // The word does not change, so it does not matter when a helper falls asleep.
        for _ in 0..PAUSE_MS {
            assert_eq!(futex::wake(shared.word(), 0b1001), 0);
            assert!(!is_readable(pollable.as_fd(), 1));
        }
        wake(&shared, 0b0100);
        assert!(is_readable(pollable.as_fd(), WATCHDOG_MS));
    });
}

#[test]
fn a_wake_word_that_changed_makes_it_readable_at_once() {
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let mut pollable = pollable(&shared, 1, by);
        for round in 0..4 {
            assert_eq!(wake(&shared, 0b10), 0);
            // First without a wait under way, then with one that no wake has ended.
            pollable.arm(round / 2 * 2).unwrap();
            assert!(is_readable(pollable.as_fd(), 0));
            pollable.drain();
        }
    });
}

#[test]
fn a_mask_of_no_groups_is_refused() {
    let shared = SharedWord::new();
    let refused = Pollable::new(shared.wake_word(0), never(), None);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn no_wake_of_another_process_is_lost() {
    const ROUNDS: u32 = 100_000;
    // No waker runs for so long that its watchdog ends it on a busy machine.
    const SHIFT: u32 = 10_000;
    with_each_notifier(|by| {
        let (shared, seen) = (SharedWord::new(), SharedWord::new());
        let mut pollable = pollable(&shared, 0b100, by);
        for start in (0..ROUNDS).step_by(SHIFT as usize) {
            let waker = Forked::new(|| {
                for round in start..start + SHIFT {
                    // At once after the last wake was seen, while the other process arms.
                    while seen.word().load(Ordering::Acquire) != u64::from(round) + 1 {
                        std::thread::yield_now();
                    }
                    wake(&shared, 0b100);
                }
                0
            });
            for round in start..start + SHIFT {
                seen.word().store(u64::from(round) + 1, Ordering::Release);
                while shared.word().load(Ordering::Acquire) as u32 == round {
                    pollable.arm(round).unwrap();
                    assert!(is_readable(pollable.as_fd(), WATCHDOG_MS), "round {round} was lost");
                    pollable.drain();
                }
            }
            assert_eq!((waker.wait().code(), pollable.notifier()), (Some(0), by));
        }
    });
}

#[test]
fn a_word_that_can_only_be_read_is_waited_for() {
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let reader = SharedWord::of(shared.file().as_fd(), false);
        let mut pollable = pollable(&reader, 1, by);
        pollable.arm(0).unwrap();
        wake(&shared, 1);
        assert!(is_readable(pollable.as_fd(), WATCHDOG_MS));
    });
}

#[test]
fn one_wake_reaches_all_of_many() {
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let mut many: Vec<_> = (0..64).map(|n| pollable(&shared, 1 << (n % 32), by)).collect();
        for round in 0..3 {
            for pollable in &mut many {
                pollable.arm(round).unwrap();
            }
            assert!(Forked::new(|| i32::from(wake(&shared, !0) > 64)).wait().success());
            for pollable in &mut many {
                assert!(is_readable(pollable.as_fd(), WATCHDOG_MS));
                pollable.drain();
            }
        }
    });
}

#[test]
fn the_thread_that_armed_it_may_end() {
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let mut moved = pollable(&shared, 1, by);
        for round in 0..=MOVES_MAX + 1 {
            moved = std::thread::spawn(move || {
                moved.arm(round).unwrap();
                moved
            })
            .join()
            .unwrap();
            wake(&shared, 1);
            assert!(is_readable(moved.as_fd(), WATCHDOG_MS));
            moved.drain();
            let is_helper = by == Notifier::HelperThread || round >= MOVES_MAX;
            assert_eq!(moved.notifier() == Notifier::HelperThread, is_helper, "round {round}");
        }
    });
}

#[test]
fn it_may_be_polled_and_drained_by_another_thread_than_armed_it() {
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let pollable = std::sync::Mutex::new(pollable(&shared, 1, by));
        for round in 0..100 {
            pollable.lock().unwrap().arm(round).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut pollable = pollable.lock().unwrap();
                    wake(&shared, 1);
                    assert!(is_readable(pollable.as_fd(), WATCHDOG_MS));
                    pollable.drain();
                });
            });
        }
        assert_eq!(pollable.lock().unwrap().notifier(), by);
    });
}

#[test]
fn dropping_ends_the_thread_and_the_ring_whether_armed_or_not() {
    // In a process of its own, where no other test starts threads or opens files.
    let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let child = Forked::new(|| {
            let before = (count("task"), count("fd"));
            for round in 0..200 {
                let mut many: Vec<_> = (0..2).map(|_| pollable(&shared, 1, by)).collect();
                if round % 2 == 1 {
                    many[0].arm(0).unwrap();
                }
            }
            // A joined thread may be listed for a moment.
            while count("task") != before.0 {
                std::thread::yield_now();
            }
            verdict(&[count("fd") == before.1])
        });
        assert_eq!(child.wait().code(), Some(0));
        // The kernel removes a ring some time later.
        while wake(&shared, !0) != 0 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn an_owner_that_is_stopped_or_killed_disturbs_no_waker() {
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let (armed, woken) = (SharedWord::new(), SharedWord::new());
        let owner = Forked::new(|| {
            let mut pollable = pollable(&shared, 1, by);
            loop {
                let reading = shared.word().load(Ordering::Acquire) as u32;
                pollable.arm(reading).unwrap();
                armed.word().fetch_add(1, Ordering::AcqRel);
                assert!(is_readable(pollable.as_fd(), WATCHDOG_MS));
                pollable.drain();
                woken.word().fetch_add(1, Ordering::AcqRel);
            }
        });
        while armed.word().load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        owner.stop();
        let before = woken.word().load(Ordering::Acquire);
        let start = Instant::now();
        for _ in 0..10_000 {
            wake(&shared, 1);
        }
        assert!(start.elapsed() < Duration::from_secs(30), "a wake does not wait for owners");
        assert_eq!(woken.word().load(Ordering::Acquire), before);
        owner.resume();
        while woken.word().load(Ordering::Acquire) == before {
            std::thread::yield_now();
        }
        owner.kill();
        while wake(&shared, !0) != 0 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_forked_child_must_make_its_own() {
    with_each_notifier(|by| {
        let shared = SharedWord::new();
        let mut inherited = Some(pollable(&shared, 1, by));
        inherited.as_mut().unwrap().arm(0).unwrap();
        let child = Forked::new(|| {
            let mut parents = inherited.take().unwrap();
            let refused = parents.arm(0).is_err_and(|e| e.kind() == io::ErrorKind::Unsupported);
            parents.drain();
            // This neither waits for a thread that does not exist here, nor ends the parent's.
            drop(parents);
            let mut own = pollable(&shared, 1, by);
            own.arm(0).unwrap();
            wake(&shared, 1);
            verdict(&[refused, is_readable(own.as_fd(), WATCHDOG_MS)])
        });
        assert_eq!(child.wait().code(), Some(0));
        let mut parents = inherited.unwrap();
        assert!(is_readable(parents.as_fd(), WATCHDOG_MS));
        parents.drain();
        parents.arm(1).unwrap();
        wake(&shared, 1);
        assert!(is_readable(parents.as_fd(), WATCHDOG_MS));
    });
}

#[test]
fn a_helper_that_no_wake_reaches_calls_its_idle_call() {
    let shared = SharedWord::new();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let call = Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        panic!("a panic here does not end the thread");
    });
    let idle = IdleCall { every: Duration::from_millis(1), call };
    let mut pollable = Pollable::new(shared.wake_word(1), idle, Some(Notifier::HelperThread)).unwrap();
    pollable.arm(0).unwrap();
    while calls.load(Ordering::Relaxed) < 3 {
        std::thread::yield_now();
    }
    assert!(!is_readable(pollable.as_fd(), 0));
    wake(&shared, 1);
    assert!(is_readable(pollable.as_fd(), WATCHDOG_MS));
}

#[test]
fn where_io_uring_is_denied_a_thread_replaces_it() {
    let shared = SharedWord::new();
    for call in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register] {
        let child = Forked::new(|| {
            // One was made before the sandbox, the other within it.
            let mut before = Pollable::new(shared.wake_word(1), never(), None).unwrap();
            testing::deny(call);
            let mut within = Pollable::new(shared.wake_word(1), never(), None).unwrap();
            let refused = Pollable::new(shared.wake_word(1), never(), Some(Notifier::IoUring));
            let reading = shared.word().load(Ordering::Acquire) as u32;
            before.arm(reading).unwrap();
            within.arm(reading).unwrap();
            let thread = within.notifier() == Notifier::HelperThread;
            wake(&shared, 1);
            let woken = [&before, &within].map(|one| is_readable(one.as_fd(), WATCHDOG_MS));
            verdict(&[refused.is_err(), thread, woken[0], woken[1]])
        });
        assert_eq!(child.wait().code(), Some(0), "call {call}");
    }
}
