//! Changes of several keys that happen together or not at all. Invariant 11.

use splinter::{Error, Expect, IntegerOp, Lifetime, Scrub, Store, Transaction, Type, Writer};
use splinter_testkit::{assert_every_slot_usable, assert_sound, geometry, retry, store};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

fn new(slots: u64) -> (Store, Writer) {
    let store = store(geometry(slots, 64, 3, 8));
    let writer = store.writer().unwrap();
    (store, writer)
}

#[test]
fn every_kind_of_change_happens_together() {
    for scrub in Scrub::ALL {
        let (store, mut writer) = new(8);
        store.set_scrub(scrub).unwrap();
        writer.set("text", b"old").unwrap();
        writer.set_u64("count", 40).unwrap();
        writer.set("gone", b"soon").unwrap();
        writer.set("marked", b"stays").unwrap();
        writer.label("marked", 0b110).unwrap();
        let epochs = ["text", "count", "marked"].map(|key| store.epoch(key).unwrap());
        let mut transaction = Transaction::new();
        transaction.key("text").expect(Expect::Epoch(epochs[0])).set(b"new").set_vector(&[1.0, 2.0, 3.0]);
        transaction.key("count").integer(IntegerOp::Inc(2));
        transaction
            .key("visits")
            .integer_or(IntegerOp::Inc(1), 9)
            .lifetime(Lifetime::For(Duration::from_secs(100)));
        transaction.key("gone").expect(Expect::Present).unset();
        transaction.key("marked").label(1).unlabel(0b100);
        transaction.key("absent").expect(Expect::Absent);
        transaction.key("nobody").unset();
        let outcomes = writer.commit(&transaction).unwrap();
        assert_eq!(store.get_vec("text").unwrap(), b"new");
        let mut vector = [0.0; 3];
        store.vector("text", &mut vector).unwrap();
        assert_eq!(vector, [1.0, 2.0, 3.0]);
        assert_eq!((store.get_u64("count"), store.get_u64("visits")), (Ok(42), Ok(10)));
        assert_eq!(
            outcomes.iter().map(|outcome| outcome.number).collect::<Vec<_>>()[1..3],
            [Some(42), Some(10)]
        );
        assert!(store.ttl("visits").unwrap().is_some() && store.ttl("count").unwrap().is_none());
        assert_eq!(store.contains("gone"), Ok(false));
        let marked = store.snapshot("marked").unwrap();
        assert_eq!((marked.labels, marked.epoch), (0b11, epochs[2]));
        assert_eq!([store.epoch("text"), store.epoch("count")], [Ok(epochs[0] + 2), Ok(epochs[1] + 2)]);
        assert_eq!(outcomes[0].version.map(|version| version.epoch), Some(epochs[0] + 2));
        let changed: Vec<_> = outcomes.iter().map(|outcome| outcome.version.is_some()).collect();
        assert_eq!(changed, [true, true, true, true, false, false, false]);
        assert_eq!(store.snapshot("count").unwrap().kind, Type::BigUint);
        assert_eq!(writer.integer("count", IntegerOp::Inc(1)), Ok(43));
        assert_sound(&store, 4);
        assert_every_slot_usable(&store, "other");
    }
}

#[test]
fn whatever_refuses_it_nothing_happens() {
    let (store, mut writer) = new(3);
    writer.set("a", b"1").unwrap();
    writer.set_u64("n", 7).unwrap();
    let epoch = store.epoch("a").unwrap();
    type Spoil = fn(&mut Transaction<'static>);
    let refusals: [(Spoil, usize, Error); 10] = [
        (
            |t| {
                t.key("a").expect(Expect::Absent);
            },
            0,
            Error::Changed { epoch: 2 },
        ),
        (
            |t| {
                t.key("b").expect(Expect::Present).set(b"2");
            },
            1,
            Error::NotFound,
        ),
        (
            |t| {
                t.key("b").expect(Expect::Epoch(4)).unset();
            },
            1,
            Error::NotFound,
        ),
        (
            |t| {
                t.key("b").label(1);
            },
            1,
            Error::NotFound,
        ),
        (
            |t| {
                t.key("b").expect(Expect::Absent).label(1);
            },
            1,
            Error::NotFound,
        ),
        (
            |t| {
                t.key("b").integer(IntegerOp::Inc(1));
            },
            1,
            Error::NotFound,
        ),
        (
            |t| {
                t.key("a").integer(IntegerOp::Inc(1));
            },
            0,
            Error::WrongType,
        ),
        (
            |t| {
                t.key("b").set(&[0; 65]);
            },
            1,
            Error::ValueTooLong,
        ),
        (
            |t| {
                t.key("b").set_vector(&[0.0]);
            },
            1,
            Error::WrongDimension,
        ),
        (
            |t| {
                t.key("b").set(b"2");
                t.key("c").set(b"3");
            },
            0,
            Error::Full,
        ),
    ];
    for (index, (spoil, place, error)) in refusals.into_iter().enumerate() {
        let mut transaction = Transaction::new();
        transaction.key("a").set(b"changed");
        transaction.key("b");
        transaction.key("n").set_u64(8);
        spoil(&mut transaction);
        let refused = writer.commit(&transaction).unwrap_err();
        assert_eq!(refused.error, error, "{index}");
        assert!(refused.place == place || error == Error::Full, "{index}: {refused}");
        assert_eq!((store.get_vec("a").unwrap(), store.epoch("a")), (b"1".to_vec(), Ok(epoch)), "{index}");
        assert_eq!((store.get_u64("n"), store.contains("b")), (Ok(7), Ok(false)), "{index}");
        assert_sound(&store, 2);
    }
    let keys: Vec<String> = (0..256).map(|number| format!("key{number}")).collect();
    let mut long = Transaction::new();
    for key in &keys {
        long.key(key).unset();
    }
    assert_eq!(writer.commit(&long).unwrap_err().error, Error::TooManyKeys);
    assert_eq!(writer.commit(&Transaction::new()), Ok(vec![]));
    let mut invalid = Transaction::new();
    invalid.key("a").set(b"x");
    invalid.key("").set(b"y");
    let refused = writer.commit(&invalid).unwrap_err();
    assert_eq!((refused.place, refused.error), (1, Error::KeyEmpty));
    assert_eq!(refused.to_string(), "key 2 of the transaction: the key is empty; a key has 1 to 63 bytes");
}

#[test]
fn money_moves_between_accounts_and_none_is_made_or_lost() {
    const ACCOUNTS: u64 = 6;
    let (store, mut writer) = new(16);
    let names: Vec<String> = (0..ACCOUNTS).map(|number| format!("account.{number}")).collect();
    for name in &names {
        writer.set_u64(name, 100).unwrap();
    }
    drop(writer);
    let is_over = AtomicBool::new(false);
    let moved: u64 = thread::scope(|scope| {
        let movers: Vec<_> = (0..3_u64)
            .map(|mover| {
                let (store, names) = (&store, &names);
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    let mut moved = 0;
                    for round in 0..400 {
                        let (from, to) = ((round + mover) % ACCOUNTS, (round * 5 + mover + 1) % ACCOUNTS);
                        if from == to {
                            continue;
                        }
                        let (from, to) = (&names[from as usize], &names[to as usize]);
                        moved += retry(|| {
                            let mut balance = [0; 8];
                            let epoch = store.get_entry(from, &mut balance)?.version.epoch;
                            if balance == [0; 8] {
                                return Ok(0);
                            }
                            let mut transaction = Transaction::new();
                            transaction.key(from).expect(Expect::Epoch(epoch)).integer(IntegerOp::Dec(1));
                            transaction.key(to).integer(IntegerOp::Inc(1));
                            match writer.commit(&transaction).map_err(Error::from) {
                                Err(Error::Changed { .. }) => Ok(0),
                                other => other.map(|_| 1),
                            }
                        })
                        .unwrap();
                    }
                    moved
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(Relaxed) {
                seen += 1;
                for name in &names {
                    assert!(store.get_u64(name).unwrap_or(0) <= 100 * ACCOUNTS);
                }
            }
            seen
        });
        let moved = movers.into_iter().map(|mover| mover.join().unwrap()).sum();
        is_over.store(true, Relaxed);
        reader.join().unwrap();
        moved
    });
    let total: u64 = names.iter().map(|name| store.get_u64(name).unwrap()).sum();
    assert_eq!(total, 100 * ACCOUNTS);
    assert!(moved > 0);
    assert_sound(&store, ACCOUNTS);
}
