//! Sleeping and waking across processes: one write wakes all sleepers, wherever they are, and no other
//! process; a sleeper that stopped or died costs the others nothing. Invariants 8 and 14.

use splinter::{IntegerOp, Scrub, Store, Watcher, Writer};
use splinter_testkit::process::{Forked, alone, is_asleep, shared_words, thread_id};
use splinter_testkit::trace::Traced;
use splinter_testkit::{Named, config, geometry, store, wait_until};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const KEY: &str = "key";
const GROUP: u8 = 9;

/// Sets up the key in its group.
fn prepare(store: &Store) {
    let mut writer = store.writer().unwrap();
    writer.set(KEY, &0_u64.to_le_bytes()).unwrap();
    writer.register(KEY, GROUP).unwrap();
}

/// How a process comes to the store.
const WAYS: [fn(&Named, &Store) -> Store; 3] = [
    |name, _| Store::open(&name.0).unwrap(),
    |_, store| Store::from_fd(store.fd().try_clone_to_owned().unwrap()).unwrap(),
    |_, store| store.clone(),
];

/// A watcher that sleeps at once.
fn sleepy(store: &Store, groups: &[u8]) -> Watcher {
    let mut watcher = store.watch(groups).unwrap();
    watcher.set_spin(Duration::ZERO);
    watcher
}

/// A child that waits for changes again and again, and counts those it heard of in `heard`.
fn listener<'s>(store: &'s Store, groups: &'s [u8], heard: &'static AtomicU64) -> Forked {
    let child = Forked::new(|| {
        let mut watcher = sleepy(store, groups);
        heard.store(0, Relaxed);
        loop {
            let taken = match watcher.wait(None) {
                Ok(change) => u64::from(change.is_some()),
                Err(lagged) => lagged.missed,
            };
            heard.fetch_add(taken, Relaxed);
        }
    });
    wait_until_asleep(&child);
    child
}

fn wait_until_asleep(child: &Forked) {
    wait_until("a child sleeps", || is_asleep(child.id(), child.id()));
}

/// Runs a writer step by step: before each step it stands at a mark.
fn traced<'s>(store: &'s Store, step: impl Fn(&mut Writer) + 's) -> Traced {
    let mut child = Traced::new(|| {
        let mut writer = store.writer().unwrap();
        loop {
            Traced::mark();
            step(&mut writer);
        }
    });
    child.run_to_mark();
    child
}

/// Kills a writer, and sends now the signals that it may have left unsent, which else the next sleepers would send.
fn end(store: &Store, writer: Traced) {
    writer.kill();
    drop(store.writer().unwrap());
}

/// Has 31 threads in 8 processes wait for one write, `watching` of them for their group and the others for the very key.
/// Returns how many the write woke, by the kernel's answers.
fn woken_of_31(name: &Named, store: &Store, watching: usize) -> i64 {
    let (threads, woken) = (shared_words(31), &shared_words(1)[0]);
    let sleep = |number: usize| {
        let store = WAYS[number % 3](name, store);
        let mut watcher = sleepy(&store, &[GROUP, 2]);
        let epoch = store.epoch(KEY).unwrap();
        threads[number].store(thread_id() as u64, Relaxed);
        if number < watching {
            assert!(watcher.wait(None).unwrap().is_some());
        } else {
            store.poll_after(KEY, epoch, None).unwrap();
        }
        woken.fetch_add(1, Relaxed);
    };
    let process = |first: usize| {
        Forked::new(|| {
            std::thread::scope(|scope| {
                let last = (first + 4).min(31);
                (first..last).for_each(|number| drop(scope.spawn(move || sleep(number))));
            });
        })
    };
    let children: Vec<_> = (0..31).step_by(4).map(process).collect();
    let mut writer = traced(store, |writer| writer.bump(KEY).unwrap());
    wait_until("all sleep", || {
        let thread = |number: usize| threads[number].load(Relaxed) as i32;
        (0..31).all(|number| is_asleep(children[number / 4].id(), thread(number)))
    });
    assert_eq!(woken.load(Relaxed), 0);
    let (answers, others) = writer.run_to_mark();
    assert_eq!(others, 0);
    wait_until("all are awake", || woken.load(Relaxed) == 31);
    children.into_iter().for_each(Forked::join);
    end(store, writer);
    answers.iter().sum()
}

/// Asserts that a step made one system call, a futex's, by which it woke both of two sleepers: nearly always,
/// since each of them looks up once a second.
fn assert_woke_both(rounds: u64, mut step: impl FnMut(u64) -> (Vec<i64>, usize)) {
    let mut woken = 0;
    for round in 1..=rounds {
        let (answers, others) = step(round);
        assert_eq!((answers.len(), others), (1, 0), "{answers:?}");
        woken += answers[0] as u64;
    }
    assert!(woken <= 2 * rounds && woken + 6 >= 2 * rounds, "{woken} in {rounds} rounds");
}

#[test]
fn one_write_wakes_31_sleepers_in_8_processes() {
    // Invariant 14.
    alone("one_write_wakes_31_sleepers_in_8_processes", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, 64, 0, 4), Scrub::Hybrid)).unwrap();
        prepare(&store);
        for watching in [31, 0, 15] {
            // Nearly all: each of them looks up once a second, and on a busy machine takes its time. So one write
            // of some has to wake that many.
            let mut attempts = (0..6).map(|_| woken_of_31(&name, &store, watching));
            let nearly_all = attempts.find(|woken| *woken >= 28);
            assert!(matches!(nearly_all, Some(28..=31)), "{watching} watching: {nearly_all:?}");
        }
    });
}

#[test]
fn a_writer_makes_no_system_call_while_nobody_sleeps() {
    // Invariant 14: a thousand changes of a key that is watched in every way, of every kind.
    alone("a_writer_makes_no_system_call_while_nobody_sleeps", || {
        let store = store(geometry(16, 64, 2, 4));
        prepare(&store);
        let mut writer = store.writer().unwrap();
        writer.label(KEY, 3).unwrap();
        writer.set_u64("number", 0).unwrap();
        writer.register("number", GROUP).unwrap();
        store.register_labels(1, 12).unwrap();
        let _watchers = [store.watch(&[GROUP, 12]).unwrap(), store.watch_all().unwrap()];
        let mut writer = traced(&store, |writer| {
            for round in 0..1_000_u64 {
                writer.set(KEY, &round.to_le_bytes()).unwrap();
                writer.integer("number", IntegerOp::Inc(1)).unwrap();
                writer.set_vector(KEY, &[1.0, 2.0]).unwrap();
                writer.pulse(KEY).unwrap();
                writer.unset_tandem("base", 2).unwrap();
                writer.set_tandem("base", &[b"1", b"2"]).unwrap();
            }
        });
        assert_eq!(writer.run_to_mark(), (vec![], 0));
        writer.kill();
    });
}

#[test]
fn a_writer_makes_one_system_call_for_all_sleepers_and_none_for_the_dead() {
    // Invariant 14.
    alone("a_writer_makes_one_system_call_for_all_sleepers_and_none_for_the_dead", || {
        let store = store(geometry(16, 64, 0, 4));
        prepare(&store);
        store.writer().unwrap().set_u64("number", 0).unwrap();
        store.writer().unwrap().register("number", GROUP).unwrap();
        let heard = shared_words(3);
        let set = |writer: &mut Writer| writer.set(KEY, b"new").unwrap();
        let count = |writer: &mut Writer| {
            writer.integer("number", IntegerOp::Inc(1)).unwrap();
        };
        let operations: [&dyn Fn(&mut Writer); 2] = [&set, &count];
        for operation in operations {
            let sleepers = [0, 1].map(|number| listener(&store, &[GROUP, 40], &heard[number]));
            let mut writer = traced(&store, operation);
            assert_woke_both(30, |round| {
                sleepers.iter().for_each(wait_until_asleep);
                let calls = writer.run_to_mark();
                let both = || heard[..2].iter().all(|heard| heard.load(Relaxed) == round);
                wait_until("both heard", both);
                calls
            });
            // Those of another group are not disturbed, though they sleep on the same word.
            let apart = listener(&store, &[GROUP + 1], &heard[2]);
            sleepers.iter().for_each(wait_until_asleep);
            assert_eq!(writer.run_to_mark().0.len(), 1);
            sleepers.iter().for_each(wait_until_asleep);
            sleepers.into_iter().for_each(Forked::kill);
            assert_eq!(writer.run_to_mark(), (vec![0], 0));
            for _ in 0..100 {
                assert_eq!(writer.run_to_mark(), (vec![], 0));
            }
            assert_eq!(heard[2].load(Relaxed), 0);
            apart.kill();
            end(&store, writer);
        }
    });
}

#[test]
fn a_writer_makes_one_system_call_for_all_pollers_and_none_for_the_dead() {
    // Invariants 6 and 14.
    alone("a_writer_makes_one_system_call_for_all_pollers_and_none_for_the_dead", || {
        let store = store(geometry(16, 64, 0, 4));
        store.writer().unwrap().set(KEY, b"1").unwrap();
        let seen = shared_words(2);
        let poller = |seen: &'static AtomicU64| {
            let store = &store;
            Forked::new(move || {
                let mut epoch = store.epoch(KEY).unwrap();
                loop {
                    epoch = store.poll_after(KEY, epoch, None).unwrap();
                    seen.store(epoch, Relaxed);
                }
            })
        };
        let pollers = [0, 1].map(|number| poller(&seen[number]));
        let mut writer = traced(&store, |writer| writer.set(KEY, b"2").unwrap());
        assert_woke_both(30, |_| {
            pollers.iter().for_each(wait_until_asleep);
            let calls = writer.run_to_mark();
            let epoch = store.epoch(KEY).unwrap();
            wait_until("both saw it", || seen.iter().all(|seen| seen.load(Relaxed) == epoch));
            calls
        });
        pollers.iter().for_each(wait_until_asleep);
        pollers.into_iter().for_each(Forked::kill);
        assert_eq!(writer.run_to_mark(), (vec![0], 0));
        for _ in 0..100 {
            assert_eq!(writer.run_to_mark(), (vec![], 0));
        }
        writer.kill();
    });
}

#[test]
fn sleepers_that_are_killed_leave_the_others_to_be_woken() {
    // Invariants 7 and 14.
    alone("sleepers_that_are_killed_leave_the_others_to_be_woken", || {
        let store = store(geometry(16, 64, 0, 4));
        prepare(&store);
        let heard = shared_words(9);
        let survivor = listener(&store, &[GROUP], &heard[0]);
        let mut writer = store.writer().unwrap();
        for round in 1..=20 {
            let doomed: Vec<_> = heard[1..].iter().map(|heard| listener(&store, &[GROUP], heard)).collect();
            wait_until_asleep(&survivor);
            doomed.into_iter().for_each(Forked::kill);
            writer.bump(KEY).unwrap();
            wait_until("the survivor heard", || heard[0].load(Relaxed) == round);
        }
        survivor.kill();
    });
}

#[test]
fn a_stopped_watcher_disturbs_nobody_and_hears_all_or_lags_when_it_goes_on() {
    // Invariants 8 and 14.
    alone("a_stopped_watcher_disturbs_nobody_and_hears_all_or_lags_when_it_goes_on", || {
        let store = store(geometry(16, 64, 0, 4));
        prepare(&store);
        let heard = shared_words(2);
        let quick = listener(&store, &[GROUP], &heard[0]);
        let mut stopped = listener(&store, &[GROUP, 50], &heard[1]);
        let mut writer = store.writer().unwrap();
        let mut total = 0;
        for round in 0..40 {
            if round % 2 == 0 {
                wait_until_asleep(&stopped);
            } else {
                writer.bump(KEY).unwrap();
                total += 1;
            }
            stopped.stop();
            // As many as the ring takes, or more: then it learns how many it missed.
            for _ in 0..[1, 10, 63, 64, 200][round % 5] {
                writer.bump(KEY).unwrap();
                total += 1;
                wait_until("the other heard", || heard[0].load(Relaxed) == total);
            }
            stopped.go_on();
            wait_until("it heard or lagged", || heard[1].load(Relaxed) == total);
            assert_eq!(store.signal_count(GROUP), Some(total));
        }
        // Stopped asleep, it costs a writer one call and no more.
        wait_until_asleep(&quick);
        quick.kill();
        wait_until_asleep(&stopped);
        stopped.stop();
        drop(writer);
        let mut writer = traced(&store, |writer| writer.bump(KEY).unwrap());
        assert_eq!(writer.run_to_mark().0.len(), 1);
        for _ in 0..100 {
            assert_eq!(writer.run_to_mark(), (vec![], 0));
        }
        writer.kill();
    });
}
