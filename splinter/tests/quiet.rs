//! Changes that signal no group, and the mark: later watchers get all changes after it. Invariant 14.

use splinter::{Error, Scrub, Store};
use splinter_testkit::process::alone;
use splinter_testkit::signals::{
    CHANGES, GROUPS, KEY, LABEL, NUMBER_CHANGES, Operation, changes_content, drain, grouped, held,
    join_groups, late, names,
};
use splinter_testkit::{Named, config, geometry, store};
use std::time::Duration;

fn counts(store: &Store) -> Vec<u64> {
    (0..64).map(|group| store.signal_count(group).unwrap()).collect()
}

#[test]
fn a_quiet_change_signals_no_group_but_the_whole_store_and_polls() {
    for scrub in [Scrub::None, Scrub::Hybrid, Scrub::Full] {
        for (is_number, changes) in [(false, &CHANGES[..]), (true, &NUMBER_CHANGES[..])] {
            for (name, change) in changes {
                let (store, mut writer) = grouped(scrub);
                if is_number {
                    writer.set_u64(KEY, 5).unwrap();
                }
                let before = counts(&store);
                let epoch = store.epoch(KEY).unwrap();
                let mut all = store.watch_all().unwrap();
                std::thread::scope(|scope| {
                    let store = &store;
                    let poller = scope.spawn(move || store.poll_after(KEY, epoch, late()));
                    // Whether or not it sleeps already.
                    std::thread::sleep(Duration::from_millis(1));
                    writer.quietly(change).unwrap();
                    if !changes_content(name) {
                        assert_eq!(store.epoch(KEY), Ok(epoch), "{name}");
                        writer.quietly(|writer| writer.bump(KEY)).unwrap();
                    }
                    assert_ne!(poller.join().unwrap(), Err(Error::TimedOut), "{name}");
                });
                assert_eq!(counts(&store), before, "{name}");
                assert!(!drain(&mut all).is_empty(), "{name}: the watcher of all keys hears of it");
            }
        }
    }
}

#[test]
fn quiet_ends_with_the_call_even_if_that_panics() {
    let (store, mut writer) = grouped(Scrub::Hybrid);
    let before = counts(&store);
    writer.quietly(|writer| {
        writer.quietly(|writer| writer.bump(KEY)).unwrap();
        writer.bump(KEY).unwrap();
        // That is asked for.
        writer.pulse(KEY).unwrap();
    });
    let expected =
        |times: u64, group: usize| before[group] + times * u64::from(GROUPS.contains(&(group as u8)));
    assert_eq!(counts(&store), (0..64).map(|group| expected(1, group)).collect::<Vec<_>>());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        writer.quietly(|_| panic!("planted"));
    }));
    assert!(panicked.is_err());
    writer.bump(KEY).unwrap();
    assert_eq!(counts(&store), (0..64).map(|group| expected(2, group)).collect::<Vec<_>>());
}

#[test]
fn a_quiet_writer_signals_the_groups_for_a_dead_one() {
    alone("a_quiet_writer_signals_the_groups_for_a_dead_one", || {
        let quiet: [Operation; 3] = [
            |writer| writer.quietly(|writer| writer.label(KEY, 1)),
            |writer| writer.quietly(|writer| writer.unset(KEY).map(drop)),
            |writer| writer.quietly(|writer| writer.unset_tandem(KEY, 1).map(drop)),
        ];
        for change in quiet {
            let store = store(geometry(8, 1 << 18, 2, 4));
            let mut writer = store.writer().unwrap();
            store.register_labels(LABEL, 7).unwrap();
            writer.set(KEY, b"text").unwrap();
            join_groups(&mut writer);
            let child = held(&store);
            let before = counts(&store);
            child.kill();
            while change(&mut writer) == Err(Error::Again) {}
            let after = counts(&store);
            for group in GROUPS.map(usize::from) {
                assert_eq!(after[group], before[group] + 1, "once, for what the dead one may have done");
            }
        }
    });
}

#[test]
fn later_watchers_get_all_changes_since_the_mark() {
    let named = Named::new();
    let store = Store::create(&named.0, &config(geometry(12, 100, 2, 4), Scrub::Hybrid)).unwrap();
    let mut writer = store.writer().unwrap();
    writer.set("before", b"1").unwrap();
    // Without a mark it is what comes.
    assert_eq!(drain(&mut store.watch_all_from_mark()), []);
    store.mark_watch().unwrap();
    writer.set("a", b"1").unwrap();
    // There is one mark; a later one replaces it.
    store.mark_watch().unwrap();
    writer.set("b", b"1").unwrap();
    let mut watcher = store.watch_all_from_mark();
    let mut clone = watcher.clone();
    assert_eq!(names(&mut watcher), ["a", "b"]);
    assert_eq!(names(&mut clone), ["a", "b"], "a clone hears on its own");
    // Of another process, which only opened the store; and of one that may not write.
    let mut opened = Store::open(&named.0).unwrap().watch_all_from_mark();
    let mut read_only = Store::open_read_only(&named.0).unwrap().watch_all_from_mark();
    writer.set("c", b"1").unwrap();
    assert_eq!(names(&mut opened), ["a", "b", "c"]);
    assert_eq!(names(&mut read_only), ["a", "b", "c"]);
    // Far more than a ring.
    for _ in 0..200 {
        writer.bump("a").unwrap();
    }
    assert!(store.watch_all_from_mark().try_next().is_err(), "it knows that it missed some");
    assert!(read_only.try_next().is_err());
}
