//! Refusals of the machine: no descriptors, no memory, no room, no writer ids, no permission. Each is an error with the
//! operation, its subject and a remedy. It loses nothing and leaves nothing behind.

use nix::sys::resource::Resource;
use splinter::{BidTerms, Config, Error, Location, Notifier, OpenOptions, Reserve, Scrub, Store, StoreError};
use splinter_testkit::faults::{Account, Mounts, is_left, limited, refused};
use splinter_testkit::process::{Forked, alone};
use splinter_testkit::{Folder, Named, assert_sound, config, geometry, retry};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

/// The remedies that errors of the kernel name.
const FEWER_FILES: &str = "raise the limit on open files (ulimit -n)";
const LESS_MEMORY: &str = "raise the limit on memory (ulimit -v), or make the store smaller";
const MORE_ROOM: &str = "free some room there, or make the store smaller";
const READ_ONLY: &str = "only reading is possible there";
const MODES: &str = "the modes of the file and of its folder decide who may";

fn small() -> Config {
    config(geometry(16, 100, 3, 4), Scrub::Hybrid)
}

/// Makes a store with a key in it, which is there throughout.
fn witness(location: &Location) -> Store {
    let store = Store::create(location, &small()).unwrap();
    store.writer().unwrap().set("witness", b"was there").unwrap();
    store
}

fn assert_untouched(store: &Store) {
    assert_eq!(store.get_vec("witness").unwrap(), b"was there");
    assert_sound(store, 1);
    let mut writer = store.writer().unwrap();
    writer.set("later", b"and goes on").unwrap();
    assert_eq!(store.get_vec("later").unwrap(), b"and goes on");
    writer.unset("later").unwrap();
}

/// One thing for which descriptors or memory are needed.
type Attempt<'a> = (&'a str, Box<dyn Fn() -> Result<(), StoreError> + 'a>);

fn attempts<'a>(store: &'a Store, name: &'a Location, new: &'a Location) -> Vec<Attempt<'a>> {
    let pollable = |by| move || store.watch(&[1])?.pollable_by(by).map(drop);
    vec![
        ("create", Box::new(|| Store::create(new, &small()).map(drop))),
        ("anonymous", Box::new(|| Store::anonymous(&small()).map(drop))),
        ("open", Box::new(|| Store::open(name).map(drop))),
        ("open_read_only", Box::new(|| Store::open_read_only(name).map(drop))),
        ("writer", Box::new(|| Store::open(name)?.writer().map(drop))),
        ("inspect", Box::new(|| Store::open(name)?.inspect().map(drop))),
        ("bids", Box::new(|| Store::open(name)?.bids().list().map(drop).map_err(of_store))),
        ("residency", Box::new(|| store.residency().map(drop))),
        ("helper", Box::new(pollable(Notifier::HelperThread))),
        ("ring", Box::new(pollable(Notifier::IoUring))),
    ]
}

fn of_store(error: splinter::BidError) -> StoreError {
    match error {
        splinter::BidError::Store(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn without_descriptors_every_call_says_so_and_leaves_none_behind() {
    alone("without_descriptors_every_call_says_so_and_leaves_none_behind", || {
        let (name, new) = (Named::new(), Named::new());
        let store = witness(&name.0);
        let mut writer = store.writer().unwrap();
        for (what, attempt) in attempts(&store, &name.0, &new.0) {
            // Calls that open more than one descriptor are refused the second, the third and so on.
            let (mut refusals, mut done) = (0, false);
            for limit in 4..24 {
                let before = Account::take();
                let answer = limited(Resource::RLIMIT_NOFILE, limit, &attempt);
                let _ = new.0.unlink();
                assert!(!done || answer.is_ok(), "{what} at {limit}: {answer:?}");
                match answer {
                    Ok(()) => done = true,
                    // A machine without io_uring says so.
                    Err(_) if what == "ring" => refusals += 1,
                    Err(error) => {
                        refusals += 1;
                        refused(&error, &["cannot ", FEWER_FILES]);
                    }
                }
                assert_eq!(Account::take(), before, "{what} at {limit}");
                // A store that is open needs none.
                writer.set("witness", b"was there").unwrap();
            }
            assert!(refusals > 0 && (done || what == "ring"), "{what}: {refusals} refusals");
        }
        drop(writer);
        assert_untouched(&store);
    });
}

#[test]
fn without_memory_every_call_says_so_and_leaves_none_mapped() {
    alone("without_memory_every_call_says_so_and_leaves_none_mapped", || {
        let (name, big, new) = (Named::new(), Named::new(), Named::new());
        let store = witness(&name.0);
        // Half a gigabyte of addresses, of which little is touched.
        let huge = config(geometry(1024, 1 << 18, 0, 4), Scrub::Hybrid);
        drop(Store::create(&big.0, &huge).unwrap());
        let allowed = Account::address_space() + (64 << 20);
        let attempts: [Attempt<'_>; 4] = [
            ("create", Box::new(|| Store::create(&new.0, &huge).map(drop))),
            ("anonymous", Box::new(|| Store::anonymous(&huge).map(drop))),
            ("open", Box::new(|| Store::open(&big.0).map(drop))),
            ("open_read_only", Box::new(|| Store::open_read_only(&big.0).map(drop))),
        ];
        for (what, attempt) in attempts {
            let before = Account::take();
            let error = limited(Resource::RLIMIT_AS, allowed, &attempt).expect_err(what);
            refused(&error, &["cannot map ", LESS_MEMORY]);
            assert_eq!(Account::take(), before, "{what}");
            assert!(!is_left(&new.0), "{what} left a file");
            limited(Resource::RLIMIT_AS, allowed, &|| Store::open(&name.0).map(drop)).expect(what);
        }
        drop(Store::open(&big.0).unwrap());
        assert_untouched(&store);
    });
}

#[test]
fn a_store_that_does_not_fit_is_refused_at_once_and_one_that_fits_never_runs_short() {
    alone("a_store_that_does_not_fit_is_refused_at_once_and_one_that_fits_never_runs_short", || {
        let Some(mounts) = Mounts::try_new() else { return };
        Forked::new(|| {
            mounts.tmpfs("/dev/shm", "size=1m");
            let names: [Location; 2] =
                [Location::shared("full").unwrap(), Location::file("/dev/shm/full-file")];
            let large = Config { reserve: Reserve::All, ..config(geometry(64, 20_000, 8, 4), Scrub::None) };
            let fits = Config { reserve: Reserve::All, ..config(geometry(4, 9_000, 8, 4), Scrub::None) };
            for name in &names {
                let error = Store::create(name, &large).unwrap_err();
                refused(&error, &["cannot reserve the memory of /dev/shm/full", MORE_ROOM]);
                assert_eq!(mounts.listing("/dev/shm"), Vec::<String>::new());
                let store = Store::create(name, &fits).unwrap();
                let filler = mounts.fill("/dev/shm");
                // Every page of it: both buffers of every slot, vectors, rings.
                let mut watcher = store.watch_all().unwrap();
                let mut writer = store.writer().unwrap();
                for round in 0..200_u64 {
                    let key = format!("key{}", round % 4);
                    writer.set(&key, &vec![round as u8; 9_000]).unwrap();
                    writer.set_vector(&key, &[round as f32; 8]).unwrap();
                    writer.register(&key, round as u8 % 64).unwrap();
                    while watcher.try_next().unwrap().is_some() {}
                }
                assert_eq!(writer.purge(), Ok(4));
                drop(writer);
                assert_sound(&store, 4);
                // Without any room there is no header either, and it is no signal that says so.
                let other = Location::file("/dev/shm/other");
                for config in [small(), fits.clone()] {
                    let error = Store::create(&other, &config).unwrap_err();
                    refused(&error, &["cannot reserve the memory of /dev/shm/other", MORE_ROOM]);
                }
                assert_eq!(mounts.listing("/dev/shm").len(), 2);
                drop(filler);
                name.unlink().unwrap();
            }
        })
        .join();
    });
}

#[test]
fn a_file_system_without_room_for_another_file_says_so() {
    alone("a_file_system_without_room_for_another_file_says_so", || {
        let Some(mounts) = Mounts::try_new() else { return };
        Forked::new(|| {
            mounts.tmpfs("/dev/shm", "size=1m,nr_inodes=3");
            let store = witness(&Location::shared("first").unwrap());
            File::create("/dev/shm/second").unwrap();
            let error = Store::create(&Location::shared("third").unwrap(), &small()).unwrap_err();
            refused(&error, &["cannot create /dev/shm/third", MORE_ROOM]);
            assert_eq!(mounts.listing("/dev/shm"), ["first", "second"]);
            assert_untouched(&store);
        })
        .join();
    });
}

#[test]
fn a_writer_that_dies_of_a_full_file_system_loses_nothing_that_was_published() {
    alone("a_writer_that_dies_of_a_full_file_system_loses_nothing_that_was_published", || {
        let Some(mounts) = Mounts::try_new() else { return };
        Forked::new(|| {
            mounts.tmpfs("/dev/shm", "size=1m");
            let name = Location::shared("sparse").unwrap();
            let sparse = config(geometry(64, 20_000, 0, 4), Scrub::Hybrid);
            let store = Store::create(&name, &sparse).unwrap();
            let mut writer = store.writer().unwrap();
            writer.set("witness", b"was there").unwrap();
            let filler = mounts.fill("/dev/shm");
            // Memory is taken as it is touched: the first touch of what is not to be had is a fatal signal. That
            // is what `reserve` is for.
            let mut victim = Forked::new(|| {
                let mut writer = store.writer().unwrap();
                for key in 0..64 {
                    writer.set(format!("key{key}"), &[1; 20_000]).unwrap();
                }
            });
            assert_eq!(victim.end().signal(), Some(nix::libc::SIGBUS));
            // The others are not disturbed: what was published is there, and its pages can be written again.
            assert_eq!(store.get_vec("witness").unwrap(), b"was there");
            assert_eq!(retry(|| writer.append("witness", b" and is")), Ok(16));
            let keys = store.len();
            for key in store.keys().filter(|key| key.as_ref() != b"witness") {
                assert_eq!(store.get_vec(key).unwrap(), [1; 20_000]);
            }
            // With room again, the key that it died on can be written. Its recovery takes no memory: see `extents`.
            drop(filler);
            let mut writer = Store::open(&name).unwrap().writer().unwrap();
            for key in 0..20 {
                retry(|| writer.set(format!("key{key}"), &[2; 20_000])).unwrap();
            }
            drop(writer);
            assert!(store.len() >= keys);
            assert_sound(&store, store.len());
        })
        .join();
    });
}

#[test]
fn on_a_read_only_file_system_stores_are_read_and_nothing_else() {
    alone("on_a_read_only_file_system_stores_are_read_and_nothing_else", || {
        let Some(mounts) = Mounts::try_new() else { return };
        Forked::new(|| {
            let directory = Folder::new();
            let (writable, fixed) = (directory.join("writable"), directory.join("fixed"));
            mounts.tmpfs(&writable, "size=1m");
            let store = witness(&Location::file(writable.join("store")));
            mounts.read_only_view(&writable, &fixed);
            let name = Location::file(fixed.join("store"));
            let before = Account::take();
            let cannot = |what: &str| format!("cannot {what} {}", fixed.display());
            refused(&Store::open(&name).unwrap_err(), &[&cannot("open"), READ_ONLY]);
            let new = Location::file(fixed.join("new"));
            refused(&Store::create(&new, &small()).unwrap_err(), &[&cannot("create"), READ_ONLY]);
            refused(&name.unlink().unwrap_err(), &[&cannot("remove"), READ_ONLY]);
            let reader = Store::open_read_only(&name).unwrap();
            assert_eq!(reader.get_vec("witness").unwrap(), b"was there");
            assert!(matches!(reader.writer(), Err(StoreError::ReadOnly)));
            assert!(matches!(reader.set_scrub(Scrub::Full), Err(StoreError::ReadOnly)));
            assert_eq!(reader.inspect().unwrap().keys, 1);
            drop(reader);
            assert_eq!((Account::take(), mounts.listing(&fixed)), (before, vec!["store".into()]));
            assert_untouched(&store);
            mounts.unmount(&fixed);
            mounts.unmount(&writable);
        })
        .join();
    });
}

#[test]
fn calls_without_permission_fail_and_change_nothing() {
    alone("calls_without_permission_fail_and_change_nothing", || {
        // The superuser may do everything, so the child drops its privileges first.
        Forked::new(|| {
            splinter_testkit::faults::become_nobody();
            let directory = Folder::new();
            let path = directory.join("store");
            let name = Location::file(&path);
            let store = witness(&name);
            let mode = |path: &Path, mode| {
                std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
            };
            let cannot = |what: &str| format!("cannot {what} {}", path.display());
            mode(&path, 0o000);
            let before = Account::take();
            refused(&Store::open(&name).unwrap_err(), &[&cannot("open"), MODES]);
            refused(&Store::open_read_only(&name).unwrap_err(), &[&cannot("open"), MODES]);
            mode(&path, 0o400);
            refused(&Store::open(&name).unwrap_err(), &[&cannot("open"), MODES]);
            let options = OpenOptions { read_only: true, ..OpenOptions::default() };
            let reader = Store::open_with(&name, &options).unwrap();
            assert_eq!(reader.get_vec("witness").unwrap(), b"was there");
            drop(reader);
            mode(&path, 0o600);
            let folder = path.parent().unwrap();
            mode(folder, 0o500);
            let new = Location::file(directory.join("new"));
            let error = Store::create(&new, &small()).unwrap_err();
            refused(&error, &[&format!("cannot create {}", folder.display()), MODES]);
            refused(&name.unlink().unwrap_err(), &[&cannot("remove"), MODES]);
            assert_eq!(Account::take(), before);
            mode(folder, 0o700);
            assert_eq!(directory.names(), ["store"]);
            assert_untouched(&store);
        })
        .join();
    });
}

#[test]
fn a_full_store_says_so_and_changes_nothing() {
    // Invariant 13.
    let store = splinter_testkit::store(geometry(3, 100, 3, 2));
    let mut writer = store.writer().unwrap();
    for key in ["witness", "b", "c"] {
        writer.set(key, key.as_bytes()).unwrap();
    }
    let epoch = store.header().epoch;
    let answers = [
        writer.set("d", b"x"),
        writer.set_u64("d", 1),
        writer.set_tandem("d", &[b"x"]),
        writer.set_tandem("witness", &[b"changed", b"x"]),
    ];
    assert_eq!(answers, [Err(Error::Full); 4]);
    assert!(Error::Full.to_string().contains("full"));
    assert_eq!(store.header().epoch, epoch);
    for key in ["witness", "b", "c"] {
        assert_eq!(store.get_vec(key).unwrap(), key.as_bytes());
    }
    assert_sound(&store, 3);
    // All else goes on, and room for one is room for one.
    writer.append("b", b"!").unwrap();
    writer.unset("c").unwrap();
    writer.set("d", b"x").unwrap();
    assert_eq!(writer.set("e", b"x"), Err(Error::Full));
}

#[test]
fn a_full_writer_table_is_reported_and_disturbs_nobody() {
    alone("a_full_writer_table_is_reported_and_disturbs_nobody", || {
        let name = Named::new();
        let store = Store::create(&name.0, &config(geometry(8, 100, 0, 2), Scrub::Full)).unwrap();
        let mut writers = [store.writer().unwrap(), store.writer().unwrap()];
        writers[0].set("witness", b"was there").unwrap();
        let refuse = |store: &Store| {
            let error = store.writer().unwrap_err();
            assert!(matches!(error, StoreError::TooManyWriters { max_writers: 2 }));
            refused(&error, &["all 2 writer ids are taken", "create the store with more"]);
        };
        let before = Account::take();
        for _ in 0..100 {
            refuse(&store);
            // Bids have a table of their own.
            store.bids().claim(1, BidTerms::default()).unwrap();
            store.bids().release(1).unwrap();
        }
        Forked::new(|| {
            let other = Store::open(&name.0).unwrap();
            refuse(&other);
            assert_eq!(other.get_vec("witness").unwrap(), b"was there");
        })
        .join();
        // The first bid opened its locks.
        assert!(Account::take().descriptors <= before.descriptors + 2);
        writers[1].set("other", b"too").unwrap();
        let [first, second] = writers;
        drop(first);
        assert!(store.writer().is_ok());
        drop(second);
        assert_sound(&store, 2);
    });
}
