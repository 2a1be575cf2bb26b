//! Files cut short under a live mapping. Invariant 16 has damaged bytes lead to errors. A process that touches bytes that
//! are gone gets SIGBUS, and nothing else: the kernel has no other answer. Calls that ask the kernel anyway return an
//! error, and no other process is affected.

use splinter::{Advice, BidError, BidTerms, Location, Patience, Scrub, Store, StoreError};
use splinter_testkit::process::{Forked, alone};
use splinter_testkit::{Folder, Named, config, geometry, raw::Raw, value};
use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

const LEN: usize = 5000;
const SLOTS: u64 = 8;

/// Makes a store in which the last key's value lies in the last pages.
fn fill(location: &Location) -> Store {
    let config = config(geometry(SLOTS, LEN as u64, 0, 3), Scrub::Hybrid);
    let store = Store::create(location, &config).unwrap();
    let mut writer = store.writer().unwrap();
    for n in 0..SLOTS {
        let key = format!("key{n}");
        writer.set(&key, &value(&key, n, LEN)).unwrap();
    }
    drop(writer);
    store
}

fn cut(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn is_whole(store: &Store, n: u64) -> bool {
    let key = format!("key{n}");
    store.get_vec(&key) == Ok(value(&key, n, LEN))
}

/// Has a child read what is gone, and asserts that it ends by SIGBUS.
fn ends_by_sigbus(read: impl FnOnce()) {
    let status = Forked::new(read).end();
    assert_eq!(status.signal(), Some(libc::SIGBUS), "{status}");
}

/// A file, and shared memory by its name.
fn both(test: &str, check: impl Fn(&Location, &Path)) {
    alone(test, || {
        let (directory, name) = (Folder::new(), Named::new());
        let path = directory.join("store");
        check(&Location::file(&path), &path);
        check(&name.0, &name.path());
    });
}

#[test]
fn a_reader_of_truncated_bytes_ends_by_sigbus_and_others_go_on() {
    both("a_reader_of_truncated_bytes_ends_by_sigbus_and_others_go_on", |location, path| {
        let (store, directory) = (fill(location), Folder::new());
        let other = fill(&Location::file(directory.join("other")));
        let raw = Raw::new(&store);
        let last = (0..SLOTS).max_by_key(|n| raw.slot(&store, format!("key{n}"))).unwrap();
        let first = (0..SLOTS).min_by_key(|n| raw.slot(&store, format!("key{n}"))).unwrap();
        // The last slot's buffers are gone, and no more.
        let at = store.snapshot(format!("key{last}")).unwrap().value_offset;
        cut(path, at / 4096 * 4096);
        Forked::new(|| assert!(is_whole(&store, first) && is_whole(&other, last))).join();
        ends_by_sigbus(|| drop(store.get_vec(format!("key{last}"))));
        ends_by_sigbus(|| {
            let _ = store.view(format!("key{last}")).map(|view| view.word(0));
        });
        // Where a value is, is not yet touching it.
        Forked::new(|| assert_eq!(store.value_len(format!("key{last}")), Ok(LEN))).join();
        // With everything gone the first touch is enough.
        cut(path, 0);
        ends_by_sigbus(|| drop(store.get_vec(format!("key{first}"))));
        ends_by_sigbus(|| {
            let _ = store.header();
        });
        assert!((0..SLOTS).all(|n| is_whole(&other, n)));
    });
}

#[test]
fn a_writer_at_work_ends_by_sigbus_and_others_of_its_stores_go_on() {
    both("a_writer_at_work_ends_by_sigbus_and_others_of_its_stores_go_on", |location, path| {
        let (store, directory) = (fill(location), Folder::new());
        let other = fill(&Location::file(directory.join("other")));
        ends_by_sigbus(|| {
            let mut writers = [&store, &other].map(|store| store.writer().unwrap());
            writers[1].set("key0", b"from the dying").unwrap();
            cut(path, 0);
            for n in 0.. {
                let _ = writers[0].set(format!("key{}", n % SLOTS), b"too late");
            }
        });
        assert_eq!(other.get_vec("key0").unwrap(), b"from the dying");
        assert_eq!(other.writer().unwrap().set("key0", b"from the living"), Ok(()));
    });
}

#[test]
fn calls_that_ask_the_kernel_refuse_a_store_that_was_cut_short() {
    both("calls_that_ask_the_kernel_refuse_a_store_that_was_cut_short", |location, path| {
        let store = fill(location);
        store.bids().claim(7, BidTerms::default()).unwrap();
        let advise = || store.bids().advise(7, 0..4096, Advice::WillNeed, Patience::Defer);
        assert!(advise().is_ok() && store.flush().is_ok());
        cut(path, store.arena_len() - 1);
        let answers = [
            store.writer().map(drop),
            store.inspect().map(drop),
            store.flush(),
            store.residency().map(drop),
            match advise() {
                Err(BidError::Store(error)) => Err(error),
                other => panic!("{other:?}"),
            },
        ];
        for (place, answer) in answers.into_iter().enumerate() {
            match answer {
                Err(StoreError::NotAStore { reason, .. }) => {
                    assert_eq!(reason, "it was cut short while it was open: 1 bytes are missing");
                }
                other => panic!("{place}: {other:?}"),
            }
        }
        for opened in [Store::open(location), Store::open_read_only(location)] {
            assert!(matches!(opened, Err(StoreError::NotAStore { .. })));
        }
        // As long again, it is a store again: of the last byte nothing was used.
        cut(path, store.arena_len());
        assert!(store.writer().is_ok() && (0..SLOTS).all(|n| is_whole(&store, n)));
    });
}

#[test]
fn anonymous_stores_cannot_be_cut() {
    let store = Store::anonymous(&config(geometry(4, 64, 0, 1), Scrub::Hybrid)).unwrap();
    if !store.is_sealed() {
        return assert!(!store.notes().is_empty(), "unsealed, and nothing says so");
    }
    let file = File::from(store.fd().try_clone_to_owned().unwrap());
    for len in [0, store.arena_len() - 1, store.arena_len() + 1] {
        assert!(file.set_len(len).is_err(), "{len}");
    }
    assert!(store.inspect().is_ok());
}
