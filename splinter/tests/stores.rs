//! What concerns a store as a whole: creating and opening, writer ids, flags, listing, diagnostics.

use splinter::{Config, Error, Geometry, Key, Location, OpenOptions, Placement, Scrub, Store, StoreError};
use splinter_testkit::{Folder, Named, config, geometry, store};

#[test]
fn creating_and_opening_answer_by_what_is_there() {
    for location in
        [Named::new().0.clone(), Location::file(std::env::temp_dir().join(splinter_testkit::unique()))]
    {
        let config = config(geometry(8, 64, 3, 2), Scrub::None);
        assert!(matches!(Store::open(&location), Err(StoreError::Missing(_))));
        assert!(matches!(Store::open_read_only(&location), Err(StoreError::Missing(_))));
        assert!(matches!(location.unlink(), Err(StoreError::Missing(_))));
        let store = Store::create(&location, &config).unwrap();
        store.writer().unwrap().set("key", b"v").unwrap();
        assert!(matches!(Store::create(&location, &config), Err(StoreError::Exists(_))));
        let options = OpenOptions { read_only: true, ..OpenOptions::default() };
        assert_eq!(Store::open(&location).unwrap().location(), &location);
        for other in [
            Store::open(&location),
            Store::open_read_only(&location),
            Store::open_with(&location, &options),
            Store::open_or_create(&location, &Config::default()),
            Store::create_or_open(&location, &Config::default()),
            store.fd().try_clone_to_owned().map_err(|_| StoreError::ReadOnly).and_then(Store::from_fd),
        ] {
            let other = other.unwrap();
            assert_eq!(other.get_vec("key").unwrap(), b"v");
            assert_eq!((other.geometry(), other.scrub()), (config.geometry, Scrub::None));
            assert_eq!(other.arena_len(), store.arena_len());
            assert!(!other.is_sealed() && other.notes().is_empty());
        }
        location.unlink().unwrap();
        assert!(matches!(Store::open(&location), Err(StoreError::Missing(_))));
    }
}

#[test]
fn names_that_cannot_be_are_refused() {
    for name in ["", "/", "a/b", ".", "..", "a\0b", &"n".repeat(224)] {
        assert!(matches!(Location::shared(name), Err(StoreError::BadName(_))), "{name:?}");
        let unchecked = Location::Shared(name.into());
        assert!(matches!(Store::create(&unchecked, &Config::default()), Err(StoreError::BadName(_))));
        assert!(matches!(Store::open(&unchecked), Err(StoreError::BadName(_))));
    }
    assert!(matches!(Store::open(&Location::Anonymous), Err(StoreError::BadName(_))));
    assert!(matches!(Location::Anonymous.unlink(), Err(StoreError::BadName(_))));
}

#[test]
fn anonymous_stores_are_sealed_and_shared_by_descriptor() {
    let store = store(geometry(8, 64, 0, 2));
    assert!(store.is_sealed() && !store.is_read_only());
    assert_eq!(store.location(), &Location::Anonymous);
    let file = std::fs::File::from(store.fd().try_clone_to_owned().unwrap());
    assert!(file.set_len(1).is_err() && file.set_len(1 << 30).is_err());
    let other = Store::from_fd(file.into()).unwrap();
    other.writer().unwrap().set("key", b"v").unwrap();
    assert_eq!(store.get_vec("key").unwrap(), b"v");
}

#[test]
fn a_store_opened_for_reading_refuses_every_change() {
    // Invariant 13.
    let name = Named::new();
    let writable = Store::create(&name.0, &config(geometry(8, 64, 3, 2), Scrub::Hybrid)).unwrap();
    let mut writer = writable.writer().unwrap();
    writer.set("key", b"v").unwrap();
    let store = Store::open_read_only(&name.0).unwrap();
    assert!(store.is_read_only() && !writable.is_read_only());
    let read_only = |error| matches!(error, StoreError::ReadOnly);
    assert!(store.writer().is_err_and(read_only));
    assert!(store.set_scrub(Scrub::Full).is_err_and(read_only));
    assert!(store.set_scrub(Scrub::Full).is_err_and(read_only));
    assert!(store.flags().set_user(1).is_err_and(read_only));
    assert!(store.flags().clear_user(1).is_err_and(read_only));
    assert!(store.report_parse_failure().is_err_and(read_only));
    store.flush().unwrap();
    // All of reading works, and sees what others write.
    writer.set("key", b"new").unwrap();
    assert_eq!(store.get_vec("key").unwrap(), b"new");
    assert_eq!(store.header(), writable.header());
    assert_eq!(store.inspect().unwrap(), writable.inspect().unwrap());
    assert_eq!(store.keys().count(), 1);
}

#[test]
fn every_writer_id_is_taken_once_and_given_back() {
    let store = store(geometry(8, 64, 0, 5));
    let second = Store::from_fd(store.fd().try_clone_to_owned().unwrap()).unwrap();
    for _ in 0..3 {
        let mut writers: Vec<_> =
            (0..5).map(|n| if n % 2 == 0 { &store } else { &second }.writer().unwrap()).collect();
        for store in [&store, &second] {
            let refused = store.writer();
            assert!(matches!(refused, Err(StoreError::TooManyWriters { max_writers: 5 })));
        }
        let mut numbers: Vec<_> = writers.iter().map(splinter::Writer::id).collect();
        numbers.sort();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        let freed = writers.remove(2).id();
        assert_eq!(second.writer().unwrap().id(), freed);
        for writer in &mut writers {
            let id = writer.id();
            writer.set(format!("key{id}"), b"v").unwrap();
        }
    }
    assert_eq!(store.len(), 4);
}

#[test]
fn flags_and_diagnostics_are_shared() {
    let store = store(geometry(8, 64, 0, 2));
    let other = Store::from_fd(store.fd().try_clone_to_owned().unwrap()).unwrap();
    assert_eq!(store.flags().set_user(0x8001).unwrap(), 0x8001);
    assert_eq!(other.flags().set_user(0x0010).unwrap(), 0x8011);
    assert_eq!(store.flags().clear_user(0x8000).unwrap(), 0x0011);
    assert_eq!((other.flags().user(), store.scrub()), (0x0011, Scrub::Hybrid));
    let mut writer = other.writer().unwrap();
    writer.set("key", b"v").unwrap();
    store.report_parse_failure().unwrap();
    writer.set("key", b"w").unwrap();
    writer.set("key", b"x").unwrap();
    other.report_parse_failure().unwrap();
    let header = store.header();
    assert_eq!((header.parse_failures, header.last_failure_epoch), (2, 3));
    assert_eq!((header.epoch, header.user_flags), (3, 0x0011));
    assert_eq!((header.recoveries, header.geometry), (0, store.geometry()));
    assert_eq!(header, other.header());
}

#[test]
fn keys_and_labels_are_listed() {
    let store = store(geometry(100, 64, 0, 2));
    assert!(store.is_empty());
    let mut writer = store.writer().unwrap();
    for n in 0..90_u64 {
        writer.set(format!("key{n}"), b"v").unwrap();
        writer.label(format!("key{n}"), n).unwrap();
    }
    assert_eq!((store.len(), store.is_empty()), (90, false));
    let mut listed: Vec<Key> = store.keys().collect();
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), 90);
    for mask in [0, 1, 2, 3, 64, 65, 1 << 63] {
        let mut found = Vec::new();
        store.for_each_label(mask, |key, epoch| found.push((key.to_string(), epoch)));
        let expected = (0..90_u64).filter(|n| n & mask == mask).count();
        assert_eq!(found.len(), expected, "{mask}");
        for (key, epoch) in found {
            assert_eq!(store.epoch(key), Ok(epoch));
        }
    }
}

#[test]
fn residency_reports_how_much_memory_is_where() {
    let store = store(geometry(1 << 16, 4096, 0, 2));
    let before = store.residency().unwrap();
    let mut writer = store.writer().unwrap();
    for n in 0..50 {
        writer.set(format!("key{n}"), &[1; 4096]).unwrap();
    }
    let after = store.residency().unwrap();
    assert!(after.untouched < before.untouched);
    assert!(splinter::numa_nodes().contains(&0));
    let config =
        Config { placement: Placement::Bind(4096), geometry: Geometry::default(), ..Config::default() };
    assert!(matches!(Store::anonymous(&config), Err(StoreError::Placement(_))));
    let directory = Folder::new();
    let location = Location::file(directory.join("store"));
    assert!(matches!(Store::create(&location, &config), Err(StoreError::Placement(_))));
    assert_eq!(directory.names(), Vec::<String>::new());
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let location = Location::shared(splinter_testkit::unique()).unwrap();
    let missing = Store::open(&location).unwrap_err().to_string();
    assert!(missing.contains(&location.to_string()) && missing.contains("create"), "{missing}");
    assert_eq!(
        Error::BufferTooSmall { needed: 77 }.to_string(),
        "the buffer is too small; the value has 77 bytes"
    );
    let errors = [Error::Again, Error::NotFound, Error::Full, Error::ValueTooLong, Error::Forked];
    assert!(errors.iter().all(|error| error.to_string().len() > 8));
    assert_eq!("HYBRID".parse::<Scrub>().ok(), Some(Scrub::Hybrid));
    assert!("half".parse::<Scrub>().unwrap_err().to_string().contains("hybrid"));
}
