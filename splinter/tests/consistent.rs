//! Reads of several keys as they were at one moment. Invariant 11.

use splinter::{Error, Expect, IntegerOp, Lifetime, Scrub, Store, Transaction, Writer};
use splinter_testkit::{SetAtEnd, geometry, retry, store};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

fn new(slots: u64) -> (Store, Writer) {
    let store = store(geometry(slots, 512, 3, 8));
    let writer = store.writer().unwrap();
    (store, writer)
}

/// Reads the number of every account, none if it is missing.
fn amounts(store: &Store, accounts: &[String]) -> Vec<Option<u64>> {
    let mut amounts = vec![None; accounts.len()];
    retry(|| {
        store.read_consistent_with(accounts, |place, account| {
            amounts[place] = account.map(|account| account.word(0));
        })
    })
    .unwrap();
    amounts
}

#[test]
fn the_sum_of_accounts_is_constant_in_every_read_while_others_move_amounts() {
    const ACCOUNTS: usize = 12;
    let (store, mut writer) = new(64);
    let accounts: Vec<_> = (0..ACCOUNTS).map(|number| format!("account:{number}")).collect();
    for account in &accounts {
        writer.set_u64(account, 1_000).unwrap();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for mover in 0..2_usize {
            let (store, accounts, done) = (&store, &accounts, &done);
            scope.spawn(move || {
                let mut writer = store.writer().unwrap();
                for step in 0.. {
                    let (from, to) = ((step * 5 + mover) % ACCOUNTS, (step * 7 + 3) % ACCOUNTS);
                    if from != to {
                        let mut moved = Transaction::new();
                        moved.key(&accounts[from]).integer(IntegerOp::Dec(3));
                        moved.key(&accounts[to]).integer(IntegerOp::Inc(3));
                        retry(|| writer.commit(&moved).map_err(Error::from)).unwrap();
                    }
                    if done.load(Relaxed) {
                        break;
                    }
                }
            });
        }
        let _end = SetAtEnd(&done);
        for round in 0..2_000 {
            // Few keys are read without an allocation, more with one.
            let count = if round % 2 == 0 { ACCOUNTS } else { 2 };
            let amounts = amounts(&store, &accounts[..count]);
            assert!(amounts.iter().all(Option::is_some));
            let sum = amounts.into_iter().flatten().fold(0, u64::wrapping_add);
            assert!(count < ACCOUNTS || sum == 1_000 * ACCOUNTS as u64, "{sum}");
        }
    });
}

#[test]
fn a_few_keys_are_never_read_of_two_transactions() {
    let (store, mut writer) = new(8);
    let set_all = |writer: &mut Writer, value: &[u8]| {
        let mut both = Transaction::new();
        both.key("one").set(value);
        both.key("two").set(value);
        retry(|| writer.commit(&both).map_err(Error::from)).unwrap();
    };
    set_all(&mut writer, &[0; 400]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..=u8::MAX).cycle().take_while(|_| !done.load(Relaxed)) {
                set_all(&mut writer, &[number; 400]);
            }
        });
        let _end = SetAtEnd(&done);
        let (mut values, mut lens) = ([0; 800], [Ok(0); 2]);
        for _ in 0..20_000 {
            retry(|| store.read_consistent(&["one", "two"], &mut values, 400, &mut lens)).unwrap();
            assert!(values.iter().all(|byte| *byte == values[0]), "{} and {}", values[0], values[799]);
        }
    });
}

#[test]
fn a_value_that_wanders_is_under_one_key_in_every_read() {
    for scrub in [Scrub::None, Scrub::Full] {
        let (store, mut writer) = new(8);
        store.set_scrub(scrub).unwrap();
        writer.set("0", &[0; 400]).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let keys = ["0", "1", "2"];
                for step in 1_usize.. {
                    let value = [step as u8; 400];
                    let mut moved = Transaction::new();
                    moved.key(keys[(step - 1) % 3]).expect(Expect::Present).unset();
                    moved.key(keys[step % 3]).expect(Expect::Absent).set(&value);
                    retry(|| writer.commit(&moved).map_err(Error::from)).unwrap();
                    if done.load(Relaxed) {
                        break;
                    }
                }
            });
            let _end = SetAtEnd(&done);
            for _ in 0..5_000 {
                let (mut bufs, mut results) = ([0; 3 * 400], [Ok(0); 3]);
                retry(|| store.read_consistent(&["2", "0", "1"], &mut bufs, 400, &mut results)).unwrap();
                let there: Vec<_> = (0..3).filter(|place| results[*place] == Ok(400)).collect();
                assert_eq!(there.len(), 1, "{results:?}");
                assert!(results.iter().all(|result| matches!(result, Ok(400) | Err(Error::NotFound))));
                let value = &bufs[there[0] * 400..][..400];
                assert!(value.iter().all(|byte| *byte == value[0]));
            }
        });
    }
}

#[test]
fn of_two_keys_one_is_there_while_plain_sets_and_removals_alternate() {
    let (store, mut writer) = new(8);
    writer.set("b", b"1").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for step in 0.. {
                let [come, gone] = if step % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
                writer.set(come, b"1").unwrap();
                writer.unset(gone).unwrap();
                if done.load(Relaxed) {
                    break;
                }
            }
        });
        let _end = SetAtEnd(&done);
        for _ in 0..100_000 {
            let mut present = [false; 2];
            let read =
                store.read_consistent_with(&["a", "b"], |place, value| present[place] = value.is_some());
            assert!(read == Err(Error::Again) || present != [false; 2]);
        }
    });
}

#[test]
fn values_errors_and_handles_are_those_of_plain_reads() {
    let (store, mut writer) = new(32);
    let far = Lifetime::For(Duration::from_secs(1_000));
    writer.set("bytes", b"value").unwrap();
    writer.set_u64("number", 7).unwrap();
    writer.set("long", &[5; 64]).unwrap();
    writer.set("empty", b"").unwrap();
    writer.set_with("lasting", b"stays", Expect::Any, far).unwrap();
    writer.set_with("past", b"gone", Expect::Any, Lifetime::For(Duration::ZERO)).unwrap();
    let keys =
        ["bytes", "number", "missing", "long", "empty", "lasting", "past", "bytes", "number", "missing"];
    for count in [0, 1, 5, 8, 9, keys.len()] {
        let (mut bufs, mut results) = (vec![0; keys.len() * 16], vec![Err(Error::Again); keys.len()]);
        let (mut each, mut expected) = (bufs.clone(), results.clone());
        store.read_consistent(&keys[..count], &mut bufs, 16, &mut results).unwrap();
        store.get_many(&keys[..count], &mut each, 16, &mut expected);
        assert_eq!((bufs, results), (each, expected));
    }
    let handles = ["bytes", "number"].map(|key| store.resolve(key).unwrap());
    let mut results = [Ok(0); 2];
    store.read_consistent(&handles, &mut [0; 32], 16, &mut results).unwrap();
    assert_eq!(results, [Ok(5), Ok(8)]);
    // Whatever comes to the slot of a key that was removed, and the key itself, the handle finds nothing there.
    writer.unset("bytes").unwrap();
    writer.set("other", b"1").unwrap();
    store.read_consistent(&handles, &mut [0; 32], 16, &mut results).unwrap();
    assert_eq!(results, [Err(Error::NotFound), Ok(8)]);
    let refused = store.read_consistent(&["bytes", ""], &mut [0; 32], 16, &mut results);
    assert_eq!(refused, Err(Error::KeyEmpty));
}
