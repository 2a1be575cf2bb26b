//! Changes that depend on what the key is: by an expectation, or by a function of the old value.

use splinter::{Error, Expect, IntegerOp, Scrub, Store, Type, Version, Writer};
use splinter_testkit::{assert_every_slot_usable, assert_sound, geometry, retry, store};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

const DIM: usize = 3;

fn new(scrub: Scrub) -> (Store, Writer) {
    let store = store(geometry(8, 100, DIM as u32, 40));
    store.set_scrub(scrub).unwrap();
    let writer = store.writer().unwrap();
    (store, writer)
}

type Change = fn(&mut Writer, Expect) -> Result<Version, Error>;

/// Every conditional change of a present key.
const CHANGES: [(&str, Change); 6] = [
    ("set", |writer, expect| writer.set_if("k", b"12", expect)),
    ("append", |writer, expect| writer.append_if("k", b"3", expect).map(|(_, version)| version)),
    ("vector", |writer, expect| writer.set_vector_if("k", &[1.0; DIM], expect)),
    ("type", |writer, expect| writer.set_type_if("k", Type::Json, expect)),
    ("number", |writer, expect| writer.set_u64_if("k", 7, expect)),
    ("unset", |writer, expect| writer.unset_if("k", expect).map(|(_, version)| version)),
];

#[test]
fn a_change_happens_if_and_only_if_the_key_is_as_expected() {
    for scrub in Scrub::ALL {
        for (name, change) in CHANGES {
            let (store, mut writer) = new(scrub);
            let first = writer.set_if("k", b"1", Expect::Absent).unwrap();
            for wrong in [Expect::Absent, Expect::Epoch(first.epoch + 2), Expect::Epoch(first.epoch - 2)] {
                let changed = Err(Error::Changed { epoch: first.epoch });
                assert_eq!(change(&mut writer, wrong), changed, "{name} {wrong:?}");
                assert_eq!(store.epoch("k"), Ok(first.epoch), "a refusal is no change");
                assert_eq!(store.get_vec("k").unwrap(), b"1");
            }
            let second = change(&mut writer, Expect::Epoch(first.epoch)).unwrap();
            assert_eq!(second.epoch, first.epoch + 2, "{name} at level {scrub:?}");
            // Labels, times and flags are not what is expected.
            if name != "unset" {
                writer.label("k", 1).unwrap();
                writer.set_slot_flags("k", 1).unwrap();
                writer.set_ctime("k", 5, 0).unwrap();
                writer.set_if("k", b"text", Expect::Epoch(second.epoch)).unwrap();
                writer.set_if("k", b"more", Expect::Present).unwrap();
                assert_eq!(store.get_vec("k").unwrap(), b"more");
            }
        }
    }
}

#[test]
fn only_sets_that_expect_no_key_create_one() {
    let (store, mut writer) = new(Scrub::None);
    for (name, change) in CHANGES {
        for expect in [Expect::Present, Expect::Epoch(2)] {
            assert_eq!(change(&mut writer, expect), Err(Error::NotFound), "{name} {expect:?}");
        }
        assert_eq!(store.len(), 0, "{name}");
    }
    writer.set_u64_if("n", 1, Expect::Absent).unwrap();
    assert_eq!(store.get_u64("n"), Ok(1));
    let handle = store.resolve("n").unwrap();
    writer.unset("n").unwrap();
    // A handle never inserts.
    assert_eq!(writer.set_if(handle, b"1", Expect::Absent), Err(Error::NotFound));
    assert_sound(&store, 0);
}

#[test]
fn one_of_many_writers_gets_each_turn() {
    // A lock, a counter made of text, and an increment of a number that is missing at first.
    let (store, mut writer) = new(Scrub::Hybrid);
    writer.set("turn", b"0").unwrap();
    let (threads, rounds) = (4, 500);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut writer = store.writer().unwrap();
                for _ in 0..rounds {
                    loop {
                        let mut buf = [0; 20];
                        let read = retry(|| store.get_entry("turn", &mut buf)).unwrap();
                        let turn: u64 = std::str::from_utf8(&buf[..read.len]).unwrap().parse().unwrap();
                        let next = (turn + 1).to_string();
                        match writer.set_if("turn", next.as_bytes(), Expect::Epoch(read.version.epoch)) {
                            Ok(_) => break,
                            Err(Error::Again | Error::Changed { .. }) => thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    let next = |old: Option<&[u8]>, new: &mut Vec<u8>| {
                        let old = old.map_or(0, |old| std::str::from_utf8(old).unwrap().parse().unwrap());
                        let next: u64 = old + 1;
                        new.extend_from_slice(next.to_string().as_bytes());
                        Ok::<u64, Error>(next)
                    };
                    retry(|| writer.update("updates", next)).unwrap();
                    retry(|| writer.integer_or("count", IntegerOp::Inc(1), 1000)).unwrap();
                }
            });
        }
    });
    let all = threads * rounds;
    assert_eq!(store.get_vec("turn").unwrap(), all.to_string().as_bytes());
    assert_eq!(store.get_vec("updates").unwrap(), all.to_string().as_bytes());
    assert_eq!(store.get_u64("count"), Ok(1000 + all));
    assert_sound(&store, 3);
}

#[test]
fn an_update_that_fails_or_panics_leaves_everything_as_it_was() {
    for scrub in Scrub::ALL {
        let (store, mut writer) = new(scrub);
        let first = writer.set_if("k", b"old", Expect::Any).unwrap();
        for key in ["k", "missing"] {
            let refuse = |_: Option<&[u8]>, new: &mut Vec<u8>| {
                new.extend_from_slice(b"half");
                Err::<(), Error>(Error::WrongType)
            };
            assert_eq!(writer.update(key, refuse), Err(Error::WrongType));
            let too_long = writer.update(key, |_, new| {
                new.resize(101, 1);
                Ok::<(), Error>(())
            });
            assert_eq!(too_long, Err(Error::ValueTooLong));
            let panicking = AssertUnwindSafe(|| {
                writer.update(key, |_, new| -> Result<(), Error> {
                    new.extend_from_slice(b"half");
                    panic!("amid an update")
                })
            });
            assert!(catch_unwind(panicking).is_err());
        }
        assert_eq!(store.get_vec("k").unwrap(), b"old");
        assert_eq!((store.epoch("k"), store.len()), (Ok(first.epoch), 1));
        assert_sound(&store, 1);
        assert_eq!(writer.swap("k", b"new"), Ok(Some(b"old".to_vec())));
        assert_eq!(writer.swap("other", b"first"), Ok(None));
        writer.set_u64("n", 258).unwrap();
        assert_eq!(writer.swap("n", b"bytes"), Ok(Some(258_u64.to_le_bytes().to_vec())));
        assert_every_slot_usable(&store, "fill");
    }
}

#[test]
fn an_operation_on_a_missing_number_begins_with_the_initial_one() {
    let (store, mut writer) = new(Scrub::Full);
    assert_eq!(writer.integer_or("n", IntegerOp::Dec(3), 10), Ok(7));
    assert_eq!(writer.integer_or("n", IntegerOp::Dec(3), 10), Ok(4));
    assert_eq!(store.snapshot("n").unwrap().kind, Type::BigUint);
    writer.set("text", b"words").unwrap();
    assert_eq!(writer.integer_or("text", IntegerOp::Inc(1), 0), Err(Error::WrongType));
    assert_eq!(store.get_vec("text").unwrap(), b"words");
    let handle = store.resolve("n").unwrap();
    writer.unset("n").unwrap();
    assert_eq!(writer.integer_or(handle, IntegerOp::Inc(1), 0), Err(Error::NotFound));
}

#[test]
fn no_epoch_of_a_key_ever_comes_again_whichever_slot_has_it() {
    for scrub in Scrub::ALL {
        let store = store(geometry(8, 64, 0, 4));
        store.set_scrub(scrub).unwrap();
        let mut writer = store.writer().unwrap();
        let mut seen = std::collections::HashSet::new();
        for round in 0..50_u32 {
            let version = writer.set_if("k", b"one", Expect::Absent).unwrap();
            assert!(seen.insert(version.epoch), "round {round}: {version:?}");
            let early = *seen.iter().min().unwrap();
            match round % 5 {
                0 => drop(writer.unset("k").unwrap()),
                1 => drop(writer.unset_tandem("k", 1).unwrap()),
                2 => {
                    let mut removal = splinter::Transaction::new();
                    removal.key("k").unset();
                    writer.commit(&removal).unwrap();
                }
                3 => writer.set_lifetime("k", splinter::Lifetime::Until(0)).unwrap(),
                _ => {
                    writer.set_lifetime("k", splinter::Lifetime::Until(0)).unwrap();
                    assert_eq!(writer.sweep_expired(8), Ok(1));
                }
            }
            // The key's slot goes to another key, so that the key comes to another slot.
            let other = format!("other{}", round % 6);
            writer.set(&other, b"in its slot").unwrap();
            let late = writer.set_if("k", b"late", Expect::Epoch(early));
            assert_eq!(late, Err(Error::NotFound));
            writer.set("k", b"anew").unwrap();
            assert!(seen.insert(store.epoch("k").unwrap()), "round {round}");
            let late = writer.set_if("k", b"late", Expect::Epoch(early)).unwrap_err();
            assert!(matches!(late, Error::Changed { .. }), "{late}");
            writer.unset("k").unwrap();
            let _ = writer.unset(format!("other{}", (round + 3) % 6));
        }
    }
}
