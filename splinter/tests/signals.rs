//! Signals: which changes signal which groups, how often and in which order; how a watcher learns that it lagged; and the
//! answers of a wait for one key. Invariant 14, and 6 where epochs are compared.

use splinter::{Error, IntegerOp, Lagged, Scrub, Store, StoreError, Type, Watcher, Writer};
use splinter_testkit::process::alone;
use splinter_testkit::raw::Raw;
use splinter_testkit::signals::{
    CHANGES, GROUPS, KEY, LABEL, NUMBER_CHANGES, drain, grouped, held, join_groups, late, name_of, names,
    soon,
};
use splinter_testkit::{Rng, config, geometry, store};

/// Sets the key.
fn set(writer: &mut Writer) {
    writer.set(KEY, b"other").unwrap();
}

fn counts(store: &Store) -> Vec<u64> {
    (0..64).map(|group| store.signal_count(group).expect("a group")).collect()
}

/// Performs a change, and asserts that it signals each of `groups` once for the key, no other group, and the whole store
/// for as many keys as `changes` says.
fn assert_signalled(
    what: &str,
    writer: &mut Writer,
    groups: &[u8],
    changes: usize,
    change: impl FnOnce(&mut Writer),
) {
    let store = Store::clone(writer);
    let mut apart: Vec<_> = groups.iter().map(|group| store.watch(&[*group]).unwrap()).collect();
    let mut together = store.watch(groups).unwrap();
    let mut whole = store.watch_all().unwrap();
    let mut nobody = store.watch(&[]).unwrap();
    let before = counts(&store);
    change(writer);
    for (group, (before, after)) in before.iter().zip(counts(&store)).enumerate() {
        let expected = u64::from(groups.contains(&(group as u8)));
        assert_eq!(after - before, expected, "{what}: group {group}");
    }
    let key = store.snapshot(KEY).ok();
    for (watcher, group) in apart.iter_mut().zip(groups) {
        let heard = drain(watcher);
        assert_eq!(heard.len(), 1, "{what}: {heard:?}");
        assert_eq!(heard[0].group, Some(*group), "{what}");
        assert_eq!(heard[0].key, key.as_ref().map(|key| key.key), "{what}");
        let epoch = key.as_ref().map_or(heard[0].epoch, |key| key.epoch);
        assert_eq!(heard[0].epoch, epoch, "{what}");
    }
    let mut heard: Vec<_> = drain(&mut together).iter().filter_map(|change| change.group).collect();
    heard.sort_unstable();
    assert_eq!(heard, groups, "{what}");
    let heard = drain(&mut whole);
    assert_eq!(heard.len(), changes, "{what}: {heard:?}");
    assert!(heard.iter().all(|change| change.group.is_none()), "{what}");
    assert_eq!(drain(&mut nobody), [], "{what}");
}

#[test]
fn every_change_signals_each_group_of_its_key_once() {
    // Invariant 14.
    for scrub in Scrub::ALL {
        for (what, change) in CHANGES {
            let (_, mut writer) = grouped(scrub);
            assert_signalled(what, &mut writer, &GROUPS, 1, |writer| {
                change(writer).unwrap();
            });
        }
        for (what, change) in NUMBER_CHANGES {
            let (_, mut writer) = grouped(scrub);
            writer.set_u64(KEY, 7).unwrap();
            assert_signalled(what, &mut writer, &GROUPS, 1, |writer| {
                change(writer).unwrap();
            });
        }
    }
}

#[test]
fn an_operation_that_first_makes_a_number_word_signals_each_of_its_steps() {
    // Invariant 14: such an operation first makes the slot ready, which is a change by itself.
    for scrub in Scrub::ALL {
        for (what, change) in &NUMBER_CHANGES[..4] {
            let (store, mut writer) = grouped(scrub);
            writer.set_u64(KEY, 7).unwrap();
            writer.set(KEY, b"42").unwrap();
            let mut watcher = store.watch(&GROUPS).unwrap();
            for vector in [false, true] {
                if vector {
                    writer.set_vector(KEY, &[1.0, 2.0]).unwrap();
                }
                drain(&mut watcher);
                let epoch = store.epoch(KEY).unwrap();
                change(&mut writer).unwrap();
                let steps = (store.epoch(KEY).unwrap() - epoch) as usize / 2;
                assert_eq!(names(&mut watcher).len() / GROUPS.len(), steps.min(2), "{what}");
            }
        }
    }
}

#[test]
fn a_tandem_signals_each_group_once_and_the_whole_store_for_each_order() {
    // Invariants 11 and 14.
    for scrub in Scrub::ALL {
        let (store, mut writer) = grouped(scrub);
        let set_all: fn(&mut Writer) = |writer| writer.set_tandem(KEY, &[b"0", b"1", b"2", b"3"]).unwrap();
        assert_signalled("set a tandem", &mut writer, &GROUPS, 4, set_all);
        for order in ["key.1", "key.3"] {
            writer.register(order, 3).unwrap();
            writer.register(order, 60).unwrap();
        }
        let mut sixty = store.watch(&[60]).unwrap();
        let before = counts(&store);
        set_all(&mut writer);
        // The first order that a group has stands for them all.
        assert_eq!(names(&mut sixty), ["key.1"]);
        let growth: Vec<_> = counts(&store).iter().zip(before).map(|(new, old)| new - old).collect();
        assert!((0..64).all(|group| growth[group] == u64::from([3, 7, 35, 60].contains(&group))));
        let mut three = store.watch(&[3]).unwrap();
        let mut whole = store.watch_all().unwrap();
        assert_eq!(writer.unset_tandem(KEY, 5), Ok(4));
        for watcher in [&mut three, &mut sixty] {
            let heard = drain(watcher);
            assert_eq!((heard.len(), heard[0].key), (1, None));
        }
        assert_eq!(drain(&mut whole).len(), 4);
        // The next write tells its groups again.
        set_all(&mut writer);
        join_groups(&mut writer);
        assert_signalled("set after a tandem", &mut writer, &GROUPS, 1, set);
    }
}

#[test]
fn labels_lead_to_groups_old_and_new_ones() {
    // Invariant 14.
    let (store, mut writer) = grouped(Scrub::Hybrid);
    let swap = |writer: &mut Writer| writer.label(KEY, LABEL << 1).unwrap();
    assert_signalled("a label more", &mut writer, &[3, 7, 9, 35], 1, swap);
    let less = |writer: &mut Writer| writer.unlabel(KEY, LABEL).unwrap();
    assert_signalled("a label less", &mut writer, &[3, 7, 9, 35], 1, less);
    assert_signalled("the other labels", &mut writer, &[3, 9, 35], 1, set);
    // Several labels that lead to one group tell it once.
    store.register_labels(u64::MAX, 9).unwrap();
    store.register_labels(0, 10).unwrap();
    writer.label(KEY, u64::MAX).unwrap();
    assert_signalled("all labels", &mut writer, &[3, 7, 9, 35], 1, set);
    store.unregister_labels(!LABEL, 9).unwrap();
    assert_signalled("one label of many", &mut writer, &[3, 7, 9, 35], 1, set);
    store.unregister_labels(u64::MAX, 9).unwrap();
    writer.unregister(KEY, 3).unwrap();
    // Registered no more, but a label still leads there.
    writer.unregister(KEY, 35).unwrap();
    assert_signalled("label subscriptions less", &mut writer, &[7, 35], 1, set);
    store.unregister_labels(LABEL, 7).unwrap();
    store.unregister_labels(LABEL, 35).unwrap();
    assert_signalled("no label subscription", &mut writer, &[], 1, set);
    store.register_labels(1 << 63, 63).unwrap();
    assert_signalled("the last of all", &mut writer, &[63], 1, set);
}

#[test]
fn routes_go_with_the_key() {
    // Invariant 14: the slot's next key notifies no watcher of the last one's groups.
    for scrub in Scrub::ALL {
        let (store, mut writer) = grouped(scrub);
        let slot = store.resolve(KEY).unwrap();
        let mut watcher = store.watch(&GROUPS).unwrap();
        writer.unset(KEY).unwrap();
        let removal = drain(&mut watcher);
        assert!(removal.len() == 3 && removal.iter().all(|change| change.key.is_none()));
        writer.set(KEY, b"again").unwrap();
        assert_eq!(store.get(slot, &mut [0; 9]), Ok(5), "the very slot");
        assert_signalled("set", &mut writer, &[], 1, set);
        assert_eq!(drain(&mut watcher), []);
        writer.unset(KEY).unwrap();
        writer.set("another", b"1").unwrap();
        assert_eq!(drain(&mut watcher), []);
        writer.unset("another").unwrap();
        writer.set(KEY, b"text").unwrap();
        join_groups(&mut writer);
        drain(&mut watcher);
        assert_signalled("set", &mut writer, &GROUPS, 1, set);
        let heard = drain(&mut watcher);
        assert_eq!(heard.iter().map(name_of).collect::<Vec<_>>(), [KEY; 3]);
    }
}

#[test]
fn changes_are_signalled_in_order_and_removals_without_a_key() {
    // Invariants 6 and 14.
    let store = store(geometry(8, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    let keys = ["a", "b", "c", "d"];
    for key in keys {
        writer.set(key, b"0").unwrap();
        writer.register(key, 63).unwrap();
    }
    let (mut watcher, mut whole) = (store.watch(&[63]).unwrap(), store.watch_all().unwrap());
    let mut rng = Rng(14);
    for _ in 0..200 {
        let order: Vec<_> = (0..50).map(|_| *rng.pick(&keys)).collect();
        let epochs = order.iter().map(|key| {
            writer.set(key, b"1").unwrap();
            store.epoch(key).unwrap()
        });
        let epochs: Vec<_> = epochs.collect();
        let heard = drain(&mut watcher);
        assert_eq!(heard.iter().map(name_of).collect::<Vec<_>>(), order);
        // Each change comes with the epoch of now, which is none older.
        assert!(heard.iter().zip(epochs).all(|(change, epoch)| change.epoch >= epoch));
        assert_eq!(names(&mut whole), order);
    }
    writer.set("a", b"last").unwrap();
    writer.unset("a").unwrap();
    let heard = drain(&mut watcher);
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|change| change.key.is_none() && change.slot == heard[0].slot));
}

#[test]
fn calls_that_change_nothing_signal_nothing() {
    // Invariants 13 and 14.
    for scrub in Scrub::ALL {
        let store = Store::anonymous(&config(geometry(2, 100, 2, 4), scrub)).unwrap();
        let mut writer = store.writer().unwrap();
        writer.set(KEY, b"text").unwrap();
        store.register_labels(LABEL, 7).unwrap();
        join_groups(&mut writer);
        assert_signalled("refusals", &mut writer, &[], 0, |writer| {
            let long = [0; 101];
            assert_eq!(writer.set(KEY, &long), Err(Error::ValueTooLong));
            assert_eq!(writer.append(KEY, &long[..97]), Err(Error::ValueTooLong));
            assert_eq!(writer.set_tandem(KEY, &[b"", &long]), Err(Error::ValueTooLong));
            assert_eq!(writer.set_tandem(KEY, &[]), Err(Error::BadOrders));
            assert_eq!(writer.integer(KEY, IntegerOp::Not), Err(Error::WrongType));
            assert_eq!(writer.set_type(KEY, Type::BigUint), Err(Error::WrongType));
            assert_eq!(writer.set_vector(KEY, &[1.0]), Err(Error::WrongDimension));
            assert_eq!(writer.register(KEY, 64), Err(Error::NoSuchGroup));
            assert_eq!(writer.unset("none"), Err(Error::NotFound));
            assert_eq!(writer.append("none", b""), Err(Error::NotFound));
            assert_eq!(writer.bump("none"), Err(Error::NotFound));
            assert_eq!(writer.pulse("none"), Err(Error::NotFound));
            assert_eq!(writer.register("none", 3), Err(Error::NotFound));
            assert_eq!(writer.unset_tandem("none", 3), Ok(0));
        });
        assert_signalled("a tandem that does not fit", &mut writer, &[], 0, |writer| {
            assert_eq!(writer.set_tandem(KEY, &[b"0", b"1", b"2"]), Err(Error::Full));
        });
        assert_signalled("the second key", &mut writer, &[], 1, |writer| writer.set("2", b"").unwrap());
        assert_signalled("no room", &mut writer, &[], 0, |writer| {
            assert_eq!(writer.set("3", b""), Err(Error::Full));
        });
        let store = Store::clone(&writer);
        assert_signalled("reads and arrangements", &mut writer, &[], 0, |writer| {
            writer.register(KEY, 11).unwrap();
            writer.unregister(KEY, 11).unwrap();
            writer.unregister(KEY, 12).unwrap();
            store.register_labels(LABEL, 12).unwrap();
            store.unregister_labels(LABEL, 12).unwrap();
            store.get_vec(KEY).unwrap();
            store.snapshot(KEY).unwrap();
            store.flags().set_user(3).unwrap();
            for level in Scrub::ALL {
                store.set_scrub(level).unwrap();
                writer.purge().unwrap();
            }
            store.inspect().unwrap();
            drop(store.writer().unwrap());
        });
    }
}

#[test]
fn an_attempt_on_a_claimed_key_signals_nothing() {
    // Invariants 5 and 14.
    alone("an_attempt_on_a_claimed_key_signals_nothing", || {
        let store = store(geometry(8, 1 << 18, 2, 4));
        let mut writer = store.writer().unwrap();
        store.register_labels(LABEL, 7).unwrap();
        writer.set(KEY, b"text").unwrap();
        join_groups(&mut writer);
        let child = held(&store);
        assert_signalled("attempts", &mut writer, &[], 0, |writer| {
            assert_eq!(writer.set(KEY, b""), Err(Error::Again));
            assert_eq!(writer.append(KEY, b""), Err(Error::Again));
            assert_eq!(writer.unset(KEY), Err(Error::Again));
            assert_eq!(writer.set_u64(KEY, 1), Err(Error::Again));
            assert_eq!(writer.set_vector(KEY, &[1.0, 2.0]), Err(Error::Again));
            assert_eq!(writer.label(KEY, 1), Err(Error::Again));
            assert_eq!(writer.register(KEY, 9), Err(Error::Again));
            // New orders are inserted before the one that is busy, or after it.
            assert_eq!(writer.set_tandem(KEY, &[b"0", b"1", b"2"]), Err(Error::Again));
            assert_eq!(writer.unset_tandem(KEY, 2), Err(Error::Again));
        });
        // A pulse needs no claim.
        assert_signalled("a pulse", &mut writer, &GROUPS, 0, |writer| writer.pulse(KEY).unwrap());
        child.kill();
    });
}

#[test]
fn a_pulse_signals_each_group_once_and_changes_nothing() {
    // Invariant 14.
    let (store, mut writer) = grouped(Scrub::Hybrid);
    let (epoch, changes) = (store.epoch(KEY), store.header().epoch);
    assert_signalled("a pulse", &mut writer, &GROUPS, 0, |writer| writer.pulse(KEY).unwrap());
    assert_eq!((store.epoch(KEY), store.header().epoch), (epoch, changes));
    writer.set("plain", b"").unwrap();
    assert_signalled("a pulse of a key without groups", &mut writer, &[], 0, |writer| {
        writer.pulse("plain").unwrap();
    });
    assert_eq!(writer.pulse("none"), Err(Error::NotFound));
    assert_eq!(writer.pulse(""), Err(Error::KeyEmpty));
}

#[test]
fn groups_are_numbered_from_0_to_63() {
    let (store, mut writer) = grouped(Scrub::Hybrid);
    for bad in [64, 65, 128, 255] {
        assert!(matches!(store.watch(&[0, bad]), Err(StoreError::NoSuchGroup(n)) if n == bad));
        let labels = [store.register_labels(1, bad), store.unregister_labels(1, bad)];
        assert!(labels.iter().all(|r| matches!(r, Err(StoreError::NoSuchGroup(n)) if *n == bad)));
        assert_eq!(writer.register(KEY, bad), Err(Error::NoSuchGroup));
        assert_eq!(writer.unregister(KEY, bad), Err(Error::NoSuchGroup));
        assert_eq!(store.signal_count(bad), None);
    }
    let all: Vec<u8> = (0..64).collect();
    for group in &all {
        writer.register(KEY, *group).unwrap();
    }
    assert_signalled("all groups", &mut writer, &all, 1, set);
    // Naming a group twice is naming it once.
    let mut watcher = store.watch(&[9, 9, 9]).unwrap();
    writer.bump(KEY).unwrap();
    assert_eq!(names(&mut watcher), [KEY]);
}

#[test]
fn a_watcher_a_ring_behind_lags_and_goes_on() {
    // Invariant 14; a ring has as many entries as there are slots, rounded up, 64 to 4,096.
    for (slots, ring) in [(1, 64), (64, 64), (65, 128), (4096, 4096), (5000, 4096)] {
        let store = store(geometry(slots, 8, 0, 1));
        let mut writer = store.writer().unwrap();
        writer.set(KEY, b"").unwrap();
        writer.register(KEY, 0).unwrap();
        let (mut watcher, mut whole) = (store.watch(&[0]).unwrap(), store.watch_all().unwrap());
        for _ in 0..3 {
            (0..ring).for_each(|_| writer.bump(KEY).unwrap());
            assert_eq!([drain(&mut watcher).len(), drain(&mut whole).len()], [ring as usize; 2]);
            (0..=ring).for_each(|_| writer.bump(KEY).unwrap());
            assert_eq!(watcher.try_next(), Err(Lagged { missed: ring + 1 }));
            assert_eq!(whole.try_next(), Err(Lagged { missed: ring + 1 }));
            for watcher in [&mut watcher, &mut whole] {
                assert_eq!(watcher.try_next(), Ok(None));
                let mut keys = Vec::new();
                watcher.resync(|change| keys.push((name_of(&change), change.epoch, change.group)));
                assert_eq!(keys, [(KEY.to_owned(), store.epoch(KEY).unwrap(), None)]);
            }
            writer.bump(KEY).unwrap();
            assert_eq!([names(&mut watcher), names(&mut whole)], [[KEY], [KEY]]);
        }
    }
}

#[test]
fn a_watch_of_the_whole_store_costs_nothing_once_nobody_reads() {
    // Invariant 14. Bit 2 of the flags says that each change signals the whole store.
    let store = store(geometry(8, 8, 0, 2));
    let mut writer = store.writer().unwrap();
    let raw = Raw::new(&store);
    let is_watched = || raw.bytes(256, 1)[0] & 4 != 0;
    let set = |writer: &mut Writer, times| (0..times).for_each(|_| writer.set(KEY, b"").unwrap());
    set(&mut writer, 1);
    assert!(!is_watched());
    for round in 0..3 {
        drop(store.watch_all().unwrap());
        assert!(is_watched());
        set(&mut writer, 64 + 64);
        assert!(!is_watched(), "{round}");
    }
    // A reading watcher keeps the watch alive. One that reads late gets `Lagged`, and revives it.
    let mut watcher = store.watch_all().unwrap();
    for _ in 0..30 {
        set(&mut writer, 20);
        assert_eq!(names(&mut watcher).len(), 20);
    }
    assert!(is_watched());
    set(&mut writer, 500);
    assert!(!is_watched());
    assert!(watcher.try_next().is_err() && is_watched());
    assert_eq!(watcher.try_next(), Ok(None));
    set(&mut writer, 1);
    assert_eq!(names(&mut watcher), [KEY]);
}

#[test]
fn a_watcher_of_the_whole_store_misses_nothing_silently_when_the_watch_ends() {
    // Invariant 14: the watch ends while there is still word in the ring of what came before.
    for ahead in 1..40 {
        for revived_by in ["itself", "another", "one that lags"] {
            let store = store(geometry(8, 8, 0, 2));
            let mut writer = store.writer().unwrap();
            let mut another = store.watch_all().unwrap();
            let mut watcher = store.watch_all().unwrap();
            (0..ahead).for_each(|_| writer.set(KEY, b"").unwrap());
            let mut is_complete = drain(&mut watcher).len() == ahead;
            (0..64).for_each(|_| writer.set(KEY, b"").unwrap());
            // The watcher may get no notification of this one.
            writer.set("last", b"").unwrap();
            match revived_by {
                "another" => drop(store.watch_all().unwrap()),
                "one that lags" => assert!(ahead == 1 || another.try_next().is_err()),
                _ => {}
            }
            is_complete &= loop {
                match watcher.try_next() {
                    Ok(None) => break false,
                    Ok(Some(change)) if name_of(&change) == "last" => break true,
                    Ok(Some(_)) => {}
                    Err(_) => break true,
                }
            };
            assert!(is_complete, "{ahead} ahead, revived by {revived_by}");
        }
    }
}

#[test]
fn resync_tells_of_every_key_that_is_watched_and_of_no_other() {
    // Invariant 14.
    let store = store(geometry(70, 8, 0, 2));
    let mut writer = store.writer().unwrap();
    store.register_labels(LABEL, 2).unwrap();
    for n in 0..60 {
        let key = format!("{n}");
        writer.set(&key, b"").unwrap();
        match n % 4 {
            0 => writer.register(&key, 1).unwrap(),
            1 => writer.label(&key, LABEL).unwrap(),
            2 => writer.register(&key, 40).unwrap(),
            _ => {}
        }
    }
    writer.unset("0").unwrap();
    let resynced = |mut watcher: Watcher| {
        let mut numbers = Vec::new();
        watcher.resync(|change| {
            let key = name_of(&change);
            assert_eq!(store.epoch(&key), Ok(change.epoch));
            numbers.push(key.parse::<u32>().unwrap());
        });
        assert_eq!(watcher.try_next(), Ok(None));
        numbers.sort_unstable();
        numbers
    };
    let only = |rests: &[u32]| -> Vec<_> { (1..60).filter(|number| rests.contains(&(number % 4))).collect() };
    assert_eq!(resynced(store.watch(&[1]).unwrap()), only(&[0]));
    assert_eq!(resynced(store.watch(&[2, 40]).unwrap()), only(&[1, 2]));
    assert_eq!(resynced(store.watch(&[0, 8]).unwrap()), []);
    assert_eq!(resynced(store.watch(&[]).unwrap()), []);
    assert_eq!(resynced(store.watch_all().unwrap()), only(&[0, 1, 2, 3]));
}

#[test]
fn changes_of_a_stopped_writer_during_a_resync_are_signalled_later() {
    // Invariants 8 and 14.
    alone("changes_of_a_stopped_writer_during_a_resync_are_signalled_later", || {
        let store = store(geometry(8, 1 << 18, 2, 4));
        let mut writer = store.writer().unwrap();
        writer.set(KEY, b"text").unwrap();
        writer.register(KEY, 3).unwrap();
        for killed in [false, true] {
            let child = held(&store);
            let mut watchers = [store.watch(&[3]).unwrap(), store.watch_all().unwrap()];
            for watcher in &mut watchers {
                let mut changes = Vec::new();
                watcher.resync(|change| changes.push((name_of(&change), change.epoch)));
                assert_eq!(changes, [(KEY.to_owned(), store.epoch(KEY).unwrap())]);
                assert_eq!(watcher.wait(soon()), Ok(None));
            }
            if killed {
                child.kill();
            } else {
                child.go_on();
            }
            for watcher in &mut watchers {
                // One that goes on may well overtake those that hear of it.
                match watcher.wait(late()) {
                    Ok(change) => assert_eq!(name_of(&change.expect("a change")), KEY),
                    Err(_) => assert!(!killed),
                }
            }
        }
    });
}

#[test]
fn no_busy_group_hides_another() {
    // Invariant 14.
    let store = store(geometry(64, 8, 0, 2));
    let mut writer = store.writer().unwrap();
    for group in 0..5 {
        writer.set(format!("{group}"), b"").unwrap();
        writer.register(format!("{group}"), group).unwrap();
    }
    let mut watcher = store.watch(&[0, 1, 2, 3, 4]).unwrap();
    for busy in 0..5 {
        let quiet = (busy + 3) % 5;
        (0..20).for_each(|_| writer.bump(format!("{busy}")).unwrap());
        writer.bump(format!("{quiet}")).unwrap();
        let place = names(&mut watcher).iter().position(|key| *key == format!("{quiet}"));
        assert!(place.is_some_and(|place| place < 5), "{busy} hides {quiet}: {place:?}");
        // Nor does one that is never read to its end.
        for round in 0..40 {
            (0..2).for_each(|_| writer.bump(format!("{busy}")).unwrap());
            if round == 5 {
                writer.bump(format!("{quiet}")).unwrap();
            }
            let change = watcher.try_next().unwrap().expect("a change");
            assert!(round < 11 || change.group.is_some());
            if change.group == Some(quiet) {
                break;
            }
            assert!(round < 15, "{busy} hides {quiet}");
        }
        drain(&mut watcher);
    }
}

#[test]
fn a_snapshot_names_the_groups_that_hear_of_a_key() {
    let store = store(geometry(8, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.set("k", b"v").unwrap();
    let groups = |store: &Store| store.snapshot("k").unwrap().groups;
    assert_eq!(groups(&store), 0);
    writer.register("k", 3).unwrap();
    store.register_labels(0b10, 63).unwrap();
    assert_eq!(groups(&store), 1 << 3);
    writer.label("k", 0b10).unwrap();
    assert_eq!(groups(&store), 1 << 3 | 1 << 63);
    writer.unregister("k", 3).unwrap();
    store.unregister_labels(0b10, 63).unwrap();
    assert_eq!(groups(&store), 0);
}
