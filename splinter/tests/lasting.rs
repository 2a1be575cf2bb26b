//! Lasting subscriptions: a group hears of a key whenever there is one of that name. Invariant 14.

use splinter::{
    Config, Error, Expect, IntegerOp, LASTING, Lifetime, Location, Store, StoreError, Transaction, Writer,
};
use splinter_testkit::process::{Forked, alone};
use splinter_testkit::signals::{drain, late};
use splinter_testkit::{Folder, assert_sound, geometry, retry, store};
use std::os::unix::fs::FileExt;
use std::time::Duration;

const GROUP: u8 = 40;
const KEY: &str = "a key that is not there yet";

fn count(store: &Store) -> u64 {
    store.signal_count(GROUP).unwrap()
}

fn registered(store: &Store) -> u64 {
    store.snapshot(KEY).unwrap().registered
}

/// Makes the key.
type Insertion = fn(&mut Writer) -> Result<(), Error>;

/// Every way to make it.
const INSERTIONS: [(&str, Insertion); 7] = [
    ("set", |w| w.set(KEY, b"1")),
    ("set a number", |w| w.set_u64(KEY, 1)),
    ("set if absent", |w| w.set_if(KEY, b"1", Expect::Absent).map(drop)),
    ("set for a time", |w| {
        w.set_with(KEY, b"1", Expect::Any, Lifetime::For(Duration::from_secs(3600))).map(drop)
    }),
    ("update", |w| {
        w.update(KEY, |_, new| {
            new.push(1);
            Ok(())
        })
    }),
    ("count from", |w| w.integer_or(KEY, IntegerOp::Inc(1), 1).map(drop)),
    ("set a tandem", |w| w.set_tandem(KEY, &[b"1", b"2"])),
];

#[test]
fn every_way_to_make_a_key_signals_its_lasting_groups_again_and_again() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.register_lasting(KEY, GROUP).unwrap();
    let mut watcher = store.watch(&[GROUP]).unwrap();
    for _ in 0..3 {
        for (name, insert) in INSERTIONS {
            let before = count(&store);
            insert(&mut writer).unwrap();
            let heard = drain(&mut watcher);
            assert_eq!((heard.len(), count(&store)), (1, before + 1), "{name}");
            assert_eq!(heard[0].key.unwrap().as_ref(), KEY.as_bytes(), "{name}");
            assert_eq!(registered(&store), 1 << GROUP, "{name}");
            assert_eq!(heard[0].epoch, store.epoch(KEY).unwrap(), "{name}");
            writer.bump(KEY).unwrap();
            writer.unset(KEY).unwrap();
            assert_eq!(drain(&mut watcher).len(), 2, "{name}: the bump and the removal");
        }
    }
    assert_sound(&store, 1);
}

#[test]
fn transactions_signal_the_keys_they_make_and_none_that_they_do_not() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.register_lasting(KEY, GROUP).unwrap();
    writer.set("other", b"1").unwrap();
    let mut transaction = Transaction::new();
    transaction.key("other").set(b"2");
    transaction.key(KEY).unset();
    writer.commit(&transaction).unwrap();
    let mut refused = Transaction::new();
    refused.key(KEY).set(b"1");
    refused.key("other").expect(Expect::Absent).set(b"3");
    writer.commit(&refused).unwrap_err();
    writer.update(KEY, |_, _| Err::<(), _>(Error::WrongType)).unwrap_err();
    assert_eq!(count(&store), 0);
    let mut transaction = Transaction::new();
    transaction.key("other").set(b"2");
    transaction.key(KEY).set(b"1");
    writer.commit(&transaction).unwrap();
    assert_eq!((count(&store), registered(&store)), (1, 1 << GROUP));
    assert_sound(&store, 2);
}

#[test]
fn a_key_that_is_there_is_registered_and_others_are_not() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.set(KEY, b"1").unwrap();
    let epoch = store.epoch(KEY).unwrap();
    writer.register(KEY, 3).unwrap();
    writer.register_lasting(KEY, GROUP).unwrap();
    writer.register_lasting(KEY, GROUP).unwrap();
    assert_eq!((registered(&store), store.epoch(KEY)), (1 << GROUP | 1 << 3, Ok(epoch)));
    writer.set("another key", b"1").unwrap();
    assert_eq!(count(&store), 0);
    // Of the two groups only the lasting one is there again.
    writer.unset(KEY).unwrap();
    writer.set(KEY, b"1").unwrap();
    assert_eq!((registered(&store), count(&store)), (1 << GROUP, 2));
    assert_eq!(store.lasting_groups(KEY), Ok(1 << GROUP));
    assert_eq!(store.lasting_groups("another key"), Ok(0));
}

#[test]
fn a_lasting_subscription_ends_by_its_own_call_alone() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.register_lasting(KEY, GROUP).unwrap();
    writer.set(KEY, b"1").unwrap();
    writer.unregister(KEY, GROUP).unwrap();
    writer.bump(KEY).unwrap();
    assert_eq!(count(&store), 1);
    writer.unset(KEY).unwrap();
    writer.set(KEY, b"1").unwrap();
    assert_eq!((count(&store), registered(&store)), (2, 1 << GROUP));
    writer.unregister_lasting(KEY, GROUP).unwrap();
    assert_eq!(registered(&store), 0);
    writer.unset(KEY).unwrap();
    // Neither is there any more.
    writer.unregister_lasting(KEY, GROUP).unwrap();
    writer.set(KEY, b"1").unwrap();
    assert_eq!((count(&store), store.lasting_groups(KEY)), (2, Ok(0)));
}

#[test]
fn a_full_table_refuses_and_takes_the_next_once_one_has_ended() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    let name = |number: usize| format!("key {number}");
    for number in 0..LASTING {
        writer.register_lasting(name(number), (number % 64) as u8).unwrap();
    }
    assert_eq!(writer.register_lasting("one more", 0), Err(Error::TooManySubscriptions));
    // One that is there needs no room.
    assert_eq!(writer.register_lasting(name(7), 7), Ok(()));
    writer.unregister_lasting(name(7), 7).unwrap();
    assert_eq!(writer.register_lasting("one more", 0), Ok(()));
    assert_eq!(writer.register_lasting(name(7), 7), Err(Error::TooManySubscriptions));
    for number in (0..LASTING).filter(|number| *number != 7) {
        assert_eq!(store.lasting_groups(name(number)), Ok(1 << (number % 64)), "{number}");
    }
    // Those of "key 0" and "one more", whose names nobody has to know.
    assert_eq!(store.clear_lasting(0).unwrap(), 2);
    assert_eq!((store.lasting_groups("one more"), store.lasting_groups(name(1))), (Ok(0), Ok(0b10)));
    assert_eq!(writer.register_lasting(name(7), 7), Ok(()));
}

#[test]
fn what_cannot_be_subscribed_is_refused_and_changes_nothing() {
    let store = store(geometry(16, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    assert_eq!(writer.register_lasting(KEY, 64), Err(Error::NoSuchGroup));
    assert_eq!(writer.unregister_lasting(KEY, 64), Err(Error::NoSuchGroup));
    assert_eq!(writer.register_lasting("", 1), Err(Error::KeyEmpty));
    assert_eq!(writer.register_lasting("x".repeat(64), 1), Err(Error::KeyTooLong));
    assert!(matches!(store.clear_lasting(64), Err(StoreError::NoSuchGroup(64))));
    assert_eq!((0..64).map(|group| store.clear_lasting(group).unwrap()).sum::<usize>(), 0);
}

#[test]
fn a_store_in_a_file_keeps_its_lasting_subscriptions_and_a_reader_sees_them() {
    let folder = Folder::new();
    let location = Location::file(folder.join("store"));
    let made = Store::create(&location, &Config { geometry: geometry(16, 64, 0, 2), ..Config::default() });
    made.unwrap().writer().unwrap().register_lasting(KEY, GROUP).unwrap();
    let reader = Store::open_read_only(&location).unwrap();
    assert_eq!(reader.lasting_groups(KEY), Ok(1 << GROUP));
    assert!(matches!(reader.clear_lasting(GROUP), Err(StoreError::ReadOnly)));
    let store = Store::open(&location).unwrap();
    // The flag is none of those that callers change.
    let bits = store.flags().bits();
    store.flags().clear(u32::MAX).unwrap();
    store.flags().set(bits).unwrap();
    store.repair().unwrap();
    store.writer().unwrap().set(KEY, b"1").unwrap();
    assert_eq!((count(&reader), reader.snapshot(KEY).unwrap().registered), (1, 1 << GROUP));
    assert_sound(&store, 1);
}

#[test]
fn a_word_that_is_damaged_but_not_taken_is_free() {
    let folder = Folder::new();
    let path = folder.join("store");
    let location = Location::file(&path);
    let made = Store::create(&location, &Config { geometry: geometry(16, 64, 0, 2), ..Config::default() });
    drop(made.unwrap());
    // Every bit but that of a taken word.
    let damage = [(!0x40_u64).to_le_bytes(); LASTING].concat();
    std::fs::File::options().write(true).open(&path).unwrap().write_all_at(&damage, 3584).unwrap();
    let store = Store::open(&location).unwrap();
    let mut writer = store.writer().unwrap();
    for number in 0..LASTING {
        writer.register_lasting(format!("key {number}"), GROUP).unwrap();
    }
    assert_eq!(writer.register_lasting(KEY, GROUP), Err(Error::TooManySubscriptions));
    assert_eq!(store.clear_lasting(GROUP).unwrap(), LASTING);
}

#[test]
fn a_key_that_expires_or_is_pushed_out_by_another_keeps_its_lasting_groups() {
    let store = store(geometry(1, 64, 0, 2));
    let mut writer = store.writer().unwrap();
    writer.register_lasting(KEY, GROUP).unwrap();
    let short = Lifetime::For(Duration::from_millis(1));
    writer.set_with(KEY, b"1", Expect::Any, short).unwrap();
    std::thread::sleep(Duration::from_millis(3));
    // The only slot is that of the key, which this removes.
    writer.set("other", b"1").unwrap();
    assert_eq!((count(&store), store.snapshot("other").unwrap().registered), (2, 0));
    writer.unset("other").unwrap();
    writer.set(KEY, b"1").unwrap();
    assert_eq!((count(&store), registered(&store)), (3, 1 << GROUP));
}

#[test]
fn subscribers_and_writers_in_processes_lose_no_key() {
    alone("subscribers_and_writers_in_processes_lose_no_key", || {
        const ROUNDS: usize = 300;
        let store = store(geometry(64, 64, 0, 8));
        let name = |round: usize| format!("round {round}");
        // Each key is set once, while it is being subscribed to.
        let setter = Forked::new(|| {
            let mut writer = store.writer().unwrap();
            for round in 0..ROUNDS {
                store.wait_for(format!("go {round}"), late()).unwrap();
                retry(|| writer.set(name(round), b"1")).unwrap();
                store.wait_for(format!("done {round}"), late()).unwrap();
                for key in [name(round), format!("go {round}"), format!("done {round}")] {
                    retry(|| writer.unset(&key)).unwrap();
                }
            }
        });
        let mut writer = store.writer().unwrap();
        for round in 0..ROUNDS {
            let mut watcher = store.watch(&[GROUP]).unwrap();
            retry(|| writer.set(format!("go {round}"), b"1")).unwrap();
            std::thread::sleep(Duration::from_micros(round as u64 % 50));
            retry(|| writer.register_lasting(name(round), GROUP)).unwrap();
            if !store.contains(name(round)).unwrap() {
                let change = watcher.wait(late()).unwrap().expect("a signal");
                assert_eq!(change.key.unwrap().as_ref(), name(round).as_bytes());
            }
            retry(|| writer.unregister_lasting(name(round), GROUP)).unwrap();
            retry(|| writer.set(format!("done {round}"), b"1")).unwrap();
        }
        setter.join();
        assert_sound(&store, 0);
    });
}
