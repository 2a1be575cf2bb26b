//! Keys with deadlines: missing from then on for every read and write, and there until then. Invariant 21.

use splinter::{Change, Error, Expect, IntegerOp, Lifetime, Location, Scrub, Store, Type, Writer};
use splinter_testkit::valgrind::rounds;
use splinter_testkit::{Folder, assert_every_slot_usable, assert_sound, config, geometry, retry, store};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread;
use std::time::Duration;

const DIM: usize = 3;
/// A change of a key, and what it is called.
type Named = (&'static str, fn(&mut Writer) -> Result<(), Error>);

const LONG: Lifetime = Lifetime::For(Duration::from_secs(1000));

fn new(slots: u64) -> (Store, Writer) {
    let store = store(geometry(slots, 100, DIM as u32, 40));
    let writer = store.writer().unwrap();
    (store, writer)
}

/// Sets a key whose deadline has passed already.
fn set_expired(writer: &mut Writer, key: &str) {
    writer.set_with(key, b"of the past", Expect::Any, Lifetime::Until(0)).unwrap();
}

#[test]
fn no_read_returns_a_key_from_its_deadline_on() {
    for scrub in Scrub::ALL {
        let (store, mut writer) = new(8);
        store.set_scrub(scrub).unwrap();
        writer.set("stays", b"value").unwrap();
        set_expired(&mut writer, "k");
        writer.set_u64("n", 7).unwrap();
        writer.set_lifetime("n", Lifetime::Until(store.time())).unwrap();
        let handle = store.resolve("stays").unwrap();
        for key in ["k", "n"] {
            assert_eq!(store.get(key, &mut [0; 100]), Err(Error::NotFound));
            assert_eq!(store.get_vec(key), Err(Error::NotFound));
            assert_eq!(store.get_u64(key), Err(Error::NotFound));
            assert_eq!(store.get_entry(key, &mut [0; 100]), Err(Error::NotFound));
            assert_eq!(store.epoch(key), Err(Error::NotFound));
            assert_eq!(store.ttl(key), Err(Error::NotFound));
            assert_eq!(store.contains(key), Ok(false));
            assert_eq!(store.resolve(key).err(), Some(Error::NotFound));
            assert!(store.view(key).is_err() && store.snapshot(key).is_err() && store.content(key).is_err());
            let mut results = [Ok(0)];
            store.get_many(&[key], &mut [0; 100], 100, &mut results);
            assert_eq!(results, [Err(Error::NotFound)]);
        }
        assert_eq!((store.len(), store.keys().count()), (1, 1));
        assert_eq!(store.scan(0, "", 10).unwrap().found.len(), 1);
        assert_eq!(store.get(handle, &mut [0; 100]), Ok(5));
    }
}

#[test]
fn a_change_of_an_expired_key_finds_it_missing() {
    let changes: [Named; 11] = [
        ("append", |w| w.append("k", b"x").map(drop)),
        ("unset", |w| w.unset("k").map(drop)),
        ("bump", |w| w.bump("k")),
        ("integer", |w| w.integer("k", IntegerOp::Inc(1)).map(drop)),
        ("type", |w| w.set_type("k", Type::Json)),
        ("label", |w| w.label("k", 1)),
        ("register", |w| w.register("k", 3)),
        ("vector", |w| w.set_vector("k", &[1.0; DIM])),
        ("expire", |w| w.expire("k", Duration::from_secs(9))),
        ("persist", |w| w.persist("k")),
        ("set if present", |w| w.set_if("k", b"x", Expect::Present).map(drop)),
    ];
    for number in [false, true] {
        for (name, change) in changes {
            let (store, mut writer) = new(8);
            set_expired(&mut writer, "k");
            if number {
                writer.set_u64("k", 7).unwrap();
                writer.set_lifetime("k", Lifetime::Until(0)).unwrap();
            }
            assert_eq!(change(&mut writer), Err(Error::NotFound), "{name}");
            assert_sound(&store, 0);
            assert_every_slot_usable(&store, name);
        }
    }
    // One that is set again is new: nothing of the old one is left.
    let (store, mut writer) = new(8);
    writer.set("k", b"old").unwrap();
    writer.label("k", 5).unwrap();
    writer.register("k", 3).unwrap();
    writer.set_type("k", Type::Json).unwrap();
    writer.set_lifetime("k", Lifetime::Until(0)).unwrap();
    writer.set_if("k", b"new", Expect::Absent).unwrap();
    let seen = store.snapshot("k").unwrap();
    assert_eq!((seen.labels, seen.registered, seen.kind), (0, 0, Type::Void));
    assert_eq!(store.ttl("k"), Ok(None));
    assert_eq!(writer.integer_or("n", IntegerOp::Inc(1), 5), Ok(6));
    writer.set_lifetime("n", Lifetime::Until(0)).unwrap();
    assert_eq!(writer.integer_or("n", IntegerOp::Inc(1), 50), Ok(51));
    writer.set_lifetime("n", Lifetime::Until(0)).unwrap();
    writer.set_tandem("n", &[b"0", b"1"]).unwrap();
    assert_eq!((store.get_vec("n").unwrap(), store.ttl("n")), (b"0".to_vec(), Ok(None)));
    assert_sound(&store, 3);
}

#[test]
fn sets_clear_the_deadline_and_other_changes_keep_it() {
    let keeping: [Named; 11] = [
        ("append", |w| w.append("k", b"2").map(drop)),
        ("bump", |w| w.bump("k")),
        ("label", |w| w.label("k", 1)),
        ("flags", |w| w.set_slot_flags("k", 1).map(drop)),
        ("register", |w| w.register("k", 3)),
        ("vector", |w| w.set_vector("k", &[1.0; DIM])),
        ("type", |w| w.set_type("k", Type::BigUint)),
        ("integer", |w| w.integer("k", IntegerOp::Inc(1)).map(drop)),
        ("integer again", |w| w.integer("k", IntegerOp::Inc(1)).map(drop)),
        ("update", |w| {
            w.update("k", |old, new| {
                new.extend_from_slice(old.unwrap());
                Ok::<(), Error>(())
            })
        }),
        ("unchanged", |w| w.set_with("k", b"1", Expect::Any, Lifetime::Unchanged).map(drop)),
    ];
    let clearing: [Named; 7] = [
        ("set", |w| w.set("k", b"1")),
        ("set if", |w| w.set_if("k", b"1", Expect::Present).map(drop)),
        ("swap", |w| w.swap("k", b"1").map(drop)),
        ("number", |w| w.set_u64("k", 1)),
        ("tandem", |w| w.set_tandem("k", &[b"1"])),
        ("endless", |w| w.set_with("k", b"1", Expect::Any, Lifetime::Endless).map(drop)),
        ("persist", |w| w.persist("k")),
    ];
    for scrub in Scrub::ALL {
        let (store, mut writer) = new(8);
        store.set_scrub(scrub).unwrap();
        writer.set_with("k", b"1", Expect::Absent, LONG).unwrap();
        for (name, change) in keeping {
            let epoch = store.epoch("k").unwrap();
            writer.set_lifetime("k", LONG).unwrap();
            assert_eq!(store.epoch("k"), Ok(epoch), "a deadline is no content");
            change(&mut writer).unwrap();
            let left = store.ttl("k").unwrap().unwrap();
            assert!(left > Duration::from_secs(900) && left <= Duration::from_secs(1000), "{name}");
        }
        for (name, change) in clearing {
            writer.set_lifetime("k", LONG).unwrap();
            change(&mut writer).unwrap();
            assert_eq!(store.ttl("k"), Ok(None), "{name}");
        }
        assert_sound(&store, 1);
    }
}

#[test]
fn expired_keys_make_room_and_none_other_does() {
    let (store, mut writer) = new(10);
    for number in 0..10 {
        let lifetime = if number % 2 == 0 { Lifetime::Until(0) } else { LONG };
        writer.set_with(format!("{number}"), b"value", Expect::Any, lifetime).unwrap();
    }
    for number in 0..5 {
        writer.set(format!("new {number}"), b"value").unwrap();
    }
    assert_eq!(writer.set("one more", b"value"), Err(Error::Full));
    assert_eq!(writer.set_tandem("one more", &[b"value"]), Err(Error::Full));
    writer.set_lifetime("1", Lifetime::Until(0)).unwrap();
    writer.set_tandem("one more", &[b"value"]).unwrap();
    assert_sound(&store, 10);
    assert!((0..10).all(|number| store.contains(format!("{number}")) == Ok(number % 2 == 1 && number != 1)));
}

#[test]
fn sweeps_remove_what_has_expired_from_where_the_last_one_stopped_and_watchers_hear_of_it() {
    let (store, mut writer) = new(300);
    for number in 0..100 {
        writer.set_with(format!("stays {number}"), b"value", Expect::Any, LONG).unwrap();
        set_expired(&mut writer, &format!("{number}"));
        writer.register(format!("stays {number}"), 3).unwrap();
    }
    let mut watcher = store.watch_all().unwrap();
    let (mut removed, mut sweeps) = (0, 0);
    while removed < 100 {
        let now = writer.sweep_expired(30).unwrap();
        assert!(now <= 30);
        (removed, sweeps) = (removed + now, sweeps + 1);
        assert!(sweeps <= 10, "{removed} of 100");
    }
    assert_eq!(writer.sweep_expired(u32::MAX), Ok(0));
    let heard = std::iter::from_fn(|| watcher.try_next().unwrap());
    assert_eq!(heard.filter(|Change { key, .. }| key.is_none()).count(), 100);
    assert_sound(&store, 100);
}

#[test]
fn a_key_is_there_until_the_deadline_that_it_has() {
    // A writer moves the deadline all the while, by changes of the content and beside it. It may come too late: then
    // the key is missing, and not before.
    let (store, mut writer) = new(8);
    let span = Duration::from_micros(300);
    // The last deadline that was set for certain.
    let (until, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let found = thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut found = [0_u64; 2];
                    while !done.load(Relaxed) {
                        let safe = until.load(Acquire);
                        match retry(|| store.get_vec("k")) {
                            Ok(value) => {
                                assert_eq!(value, b"value");
                                found[0] += 1;
                            }
                            Err(error) => {
                                let now = store.time();
                                assert!(error == Error::NotFound && now >= safe, "{now} before {safe}");
                                found[1] += 1;
                            }
                        }
                    }
                    found
                })
            })
            .collect();
        for round in 0..rounds(100_000) {
            let deadline = store.time() + span.as_nanos() as u64;
            let lifetime = Lifetime::Until(deadline);
            let moved = match round % 3 {
                0 => writer.set_with("k", b"value", Expect::Any, lifetime).map(drop),
                _ => writer.set_lifetime("k", lifetime),
            };
            match moved {
                Ok(()) => until.store(deadline, Release),
                Err(error) => assert!(error == Error::NotFound && store.time() >= until.load(Relaxed)),
            }
        }
        done.store(true, Relaxed);
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .fold([0; 2], |one, other| [one[0] + other[0], one[1] + other[1]])
    });
    assert!(found[0] > 0, "{found:?}");
    let _ = store.writer().unwrap().unset("k");
    assert_sound(&store, 0);
}

#[test]
fn store_time_goes_on_after_a_reboot_and_never_back() {
    let folder = Folder::new();
    let location = Location::file(folder.join("store"));
    let store = Store::create(&location, &config(geometry(8, 100, 0, 4), Scrub::None)).unwrap();
    let mut writer = store.writer().unwrap();
    writer.set_with("long", b"value", Expect::Any, LONG).unwrap();
    set_expired(&mut writer, "past");
    let before = store.time();
    drop((writer, store));
    // As another boot would find it: the word of the boot is another's, and the clock of that boot stood elsewhere.
    for (boot, distance) in [(1_u64, 0_u64), (2, u64::MAX / 2), (3, 1 << 60), (4, u64::MAX)] {
        let path = folder.join("store");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[192..200].copy_from_slice(&boot.to_le_bytes());
        bytes[200..208].copy_from_slice(&distance.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let read_only = Store::open_read_only(&location).unwrap();
        let store = Store::open(&location).unwrap();
        for store in [&read_only, &store] {
            // The latest time that was seen is that of the last deadline set.
            assert!(store.time() + 1_000_000_000 > before, "{} after {before}", store.time());
            let left = store.ttl("long").unwrap().unwrap();
            assert!(left <= Duration::from_secs(1001) && left > Duration::from_secs(900), "{left:?}");
            assert_eq!(store.contains("past"), Ok(false));
        }
        let earlier = store.time();
        let again = Store::open(&location).unwrap().time();
        assert!(again >= earlier && again < earlier + 60_000_000_000, "{again} after {earlier}");
    }
}
