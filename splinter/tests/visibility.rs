//! Becoming visible: a store has its name once it is complete, and not before. It replaces no file, and has the mode that
//! its creator asked for. Invariant 15.

use splinter::{Config, Draft, Location, Scrub, Store, StoreError};
use splinter_testkit::process::{Forked, alone, rerun, shared_words};
use splinter_testkit::{Folder, Named, config, geometry};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Relaxed;

fn small() -> Config {
    config(geometry(37, 333, 5, 7), Scrub::Full)
}

/// Asserts that all of an opened store is there, from its first byte to its last.
fn assert_complete(store: &Store) {
    assert_eq!(store.geometry(), small().geometry);
    assert_eq!(store.scrub(), Scrub::Full);
    let file = std::fs::File::from(store.fd().try_clone_to_owned().unwrap());
    assert!(file.metadata().unwrap().len() >= store.arena_len());
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
}

/// Races creators and openers over one name that comes and goes.
fn race(location: &Location) {
    let created = shared_words(1);
    let run = |process: u64| {
        let config = small();
        for round in 0..400 {
            let store = match (process + round) % 4 {
                0 => Store::create(location, &config),
                1 => Store::open(location),
                2 => Store::open_or_create(location, &config),
                _ => Store::create_or_open(location, &config),
            };
            match store {
                Ok(store) => {
                    assert_complete(&store);
                    created[0].fetch_add(1, Relaxed);
                    if let Ok(mut writer) = store.writer() {
                        let _ = writer.set(format!("key{process}"), b"x");
                    }
                }
                Err(StoreError::Exists(_) | StoreError::Missing(_)) => {}
                Err(error) => panic!("{error}"),
            }
            if round % 3 == process % 3 {
                match location.unlink() {
                    Ok(()) | Err(StoreError::Missing(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let children: Vec<_> = (0..4).map(|process| Forked::new(|| run(process))).collect();
    children.into_iter().for_each(Forked::join);
    assert!(created[0].load(Relaxed) > 100);
}

#[test]
fn racing_processes_never_see_half_a_store_in_shared_memory() {
    alone("racing_processes_never_see_half_a_store_in_shared_memory", || race(&Named::new().0));
}

#[test]
fn racing_processes_never_see_half_a_store_in_a_directory() {
    alone("racing_processes_never_see_half_a_store_in_a_directory", || {
        let directory = Folder::new();
        let location = Location::file(directory.join("store"));
        race(&location);
        let _ = location.unlink();
        assert_eq!(directory.names(), Vec::<String>::new(), "nothing is left behind");
    });
}

#[test]
fn one_of_many_creators_wins_and_openers_share_what_it_made() {
    let name = Named::new();
    let stores: Vec<_> = std::thread::scope(|scope| {
        let create = |_| scope.spawn(|| Store::create(&name.0, &small()));
        let threads: Vec<_> = (0..8).map(create).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let made: Vec<_> = stores.iter().flatten().collect();
    assert_eq!(made.len(), 1);
    assert!(stores.iter().all(|store| matches!(store, Ok(_) | Err(StoreError::Exists(_)))));
    made[0].writer().unwrap().set("key", b"v").unwrap();
    for store in [
        Store::open(&name.0),
        Store::open_or_create(&name.0, &small()),
        Store::create_or_open(&name.0, &small()),
    ] {
        assert_eq!(store.unwrap().get_vec("key").unwrap(), b"v");
    }
}

#[test]
fn nothing_that_exists_is_replaced() {
    let directory = Folder::new();
    for (file, bytes) in [("empty", &b""[..]), ("text", b"precious")] {
        let path = directory.join(file);
        std::fs::write(&path, bytes).unwrap();
        let refused = Store::create(&Location::file(&path), &small());
        assert!(matches!(refused, Err(StoreError::Exists(_))));
        for answer in [
            Store::open_or_create(&Location::file(&path), &small()),
            Store::create_or_open(&Location::file(&path), &small()),
        ] {
            assert!(matches!(answer, Err(StoreError::NotAStore { .. })));
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    let link = directory.join("link");
    std::os::unix::fs::symlink(directory.join("nowhere"), &link).unwrap();
    assert!(matches!(Store::create(&Location::file(&link), &small()), Err(StoreError::Exists(_))));
    assert!(!directory.join("nowhere").exists());
    let missing = Location::file(directory.join("no/such/directory"));
    assert!(matches!(Store::create(&missing, &small()), Err(StoreError::Os { .. })));
    assert!(matches!(Store::open(&missing), Err(StoreError::Missing(_))));
}

#[test]
fn a_draft_is_seen_with_all_that_it_holds_once_it_is_published() {
    let (name, directory) = (Named::new(), Folder::new());
    for location in [&name.0, &Location::file(directory.join("store"))] {
        let filled = |draft: Draft, value: &[u8]| {
            draft.store().writer().unwrap().set("key", value).unwrap();
            draft
        };
        let first = filled(Draft::new(location, &small()).unwrap(), b"first");
        let late = filled(Draft::new(location, &small()).unwrap(), b"late");
        assert!(matches!(Store::open(location), Err(StoreError::Missing(_))));
        let first = first.publish().unwrap();
        assert_eq!(
            (first.location(), Store::open(location).unwrap().get_vec("key")),
            (location, Ok(b"first".to_vec()))
        );
        assert!(matches!(late.publish(), Err(StoreError::Exists(_))));
        assert!(matches!(Draft::new(location, &small()), Err(StoreError::Exists(_))));
        let second = filled(Draft::replacing(location, &small()).unwrap(), b"second");
        drop(filled(Draft::replacing(location, &small()).unwrap(), b"given up"));
        assert_eq!(Store::open(location).unwrap().get_vec("key").unwrap(), b"first");
        second.publish().unwrap();
        assert_complete(&Store::open(location).unwrap());
        assert_eq!(Store::open(location).unwrap().get_vec("key").unwrap(), b"second");
        // A handle of the first store stays valid.
        assert_eq!(first.get_vec("key").unwrap(), b"first");
    }
    assert_eq!(directory.names(), ["store"]);
}

fn mode_of(config: &Config) -> u32 {
    let name = Named::new();
    let store = Store::create(&name.0, config).unwrap();
    drop(store);
    std::fs::metadata(name.path()).unwrap().mode() & 0o7777
}

#[test]
fn the_mode_is_0600_or_what_the_configuration_says() {
    assert_eq!(mode_of(&small()), 0o600);
    for mode in [0o600, 0o640, 0o644, 0o660, 0o666, 0o400] {
        let config = Config { mode: Some(mode), ..small() };
        assert_eq!(mode_of(&config), mode);
    }
    let name = Named::new();
    for mode in [0o700, 0o4600, 0o1666, u32::MAX] {
        let config = Config { mode: Some(mode), ..small() };
        assert!(matches!(Store::create(&name.0, &config), Err(StoreError::Os { .. })));
        assert!(!name.path().exists());
    }
}

#[test]
fn the_environment_widens_the_mode() {
    const VARIABLE: &str = "SPLINTER_DEFAULT_UMASK";
    const EXPECTED: &str = "SPLINTER_TEST_EXPECTED";
    if let Ok(expected) = std::env::var(EXPECTED) {
        if expected == "refused" {
            let name = Named::new();
            let refused = Store::create(&name.0, &small());
            assert!(refused.unwrap_err().to_string().contains(VARIABLE));
            return assert!(!name.path().exists());
        }
        assert_eq!(format!("{:o}", mode_of(&small())), expected);
        // The mode of the configuration comes first.
        let config = Config { mode: Some(0o600), ..small() };
        return assert_eq!(mode_of(&config), 0o600);
    }
    for (umask, expected) in [
        ("022", "644"),
        ("0007", "660"),
        ("000", "666"),
        ("177", "600"),
        ("777", "refused"),
        ("", "refused"),
        ("9", "refused"),
        ("1000", "refused"),
        ("u=rw", "refused"),
        ("-1", "refused"),
    ] {
        let mut command = rerun("the_environment_widens_the_mode");
        let output = command.env(VARIABLE, umask).env(EXPECTED, expected).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{umask:?}: {errors}");
    }
}
