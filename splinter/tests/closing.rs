//! Closing: each object that the caller still has keeps the mapping alive. That a view or an iterator
//! cannot outlive its store is a test of the documentation, since it does not compile.

use splinter::{Error, Scrub, Store, StoreError};
use splinter_testkit::{Named, config, geometry, sequence, store, value};

fn fill(store: &Store) {
    let mut writer = store.writer().unwrap();
    for key in ["a", "b", "c"] {
        writer.set(key, &value(key, 1, 3000)).unwrap();
    }
}

#[test]
fn a_writer_outlives_every_handle_of_its_store() {
    // Invariant 17.
    let store = store(geometry(64, 4096, 0, 4));
    fill(&store);
    let mut writer = store.writer().unwrap();
    drop(store);
    writer.set("d", &value("d", 2, 4000)).unwrap();
    assert_eq!(sequence("a", &writer.get_vec("a").unwrap()), 1);
    assert_eq!(sequence("d", &writer.get_vec("d").unwrap()), 2);
    // A clone taken from the writer is as good as any.
    let clone = Store::clone(&writer);
    drop(writer);
    assert_eq!(clone.len(), 4);
    assert_eq!(clone.writer().unwrap().id(), 0);
}

#[test]
fn views_and_iterators_are_good_for_as_long_as_one_handle_lives() {
    // Invariant 17.
    let store = store(geometry(64, 4096, 0, 4));
    fill(&store);
    let clone = store.clone();
    let view = clone.view("a").unwrap();
    let mut keys = clone.keys();
    drop(store);
    let bytes: Vec<u8> = view.bytes().collect();
    assert!(view.validate() && sequence("a", &bytes) == 1);
    assert_eq!(keys.by_ref().count(), 3);
}

#[test]
fn a_handle_of_one_store_is_harmless_in_another() {
    // Invariant 17: it is only a number and a key.
    let (one, other) = (store(geometry(64, 64, 0, 4)), store(geometry(1, 64, 0, 4)));
    let mut writer = one.writer().unwrap();
    for n in 0..64 {
        writer.set(format!("{n}"), b"x").unwrap();
    }
    let handles: Vec<_> = one.keys().map(|key| one.resolve(key).unwrap()).collect();
    drop((writer, one));
    let mut writer = other.writer().unwrap();
    writer.set("0", b"y").unwrap();
    for handle in handles {
        match other.get(handle, &mut [0; 8]) {
            Ok(len) => assert_eq!((len, handle.key().as_ref()), (1, &b"0"[..])),
            Err(error) => assert_eq!(error, Error::NotFound),
        }
        let answer = writer.set(handle, b"z");
        assert!(matches!(answer, Ok(()) | Err(Error::NotFound)));
    }
}

#[test]
fn a_removed_name_leaves_open_stores_alone() {
    // Invariant 17.
    let name = Named::new();
    let store = Store::create(&name.0, &config(geometry(8, 64, 0, 4), Scrub::Hybrid)).unwrap();
    let mut writer = store.writer().unwrap();
    writer.set("key", b"before").unwrap();
    name.0.unlink().unwrap();
    assert!(matches!(Store::open(&name.0), Err(StoreError::Missing(_))));
    writer.set("key", b"after").unwrap();
    assert_eq!(store.get_vec("key").unwrap(), b"after");
    // A new store of that name is another one.
    let second = Store::create(&name.0, &config(geometry(8, 64, 0, 4), Scrub::Hybrid)).unwrap();
    assert!(second.is_empty());
    assert!(matches!(second.writer().map(|writer| writer.id()), Ok(0)));
    let third = Store::from_fd(store.fd().try_clone_to_owned().unwrap()).unwrap();
    assert_eq!(third.get_vec("key").unwrap(), b"after");
}

#[test]
fn stores_opened_and_closed_in_threads_leave_no_descriptor_and_no_lane() {
    // Invariant 17.
    let name = Named::new();
    let store = Store::create(&name.0, &config(geometry(8, 64, 0, 4), Scrub::Hybrid)).unwrap();
    store.writer().unwrap().set("key", &value("key", 3, 64)).unwrap();
    let open = |_| {
        for _ in 0..200 {
            let store = Store::open(&name.0).unwrap();
            let mut writer = store.writer().unwrap();
            drop(store);
            let _ = writer.bump("key");
            assert_eq!(sequence("key", &writer.get_vec("key").unwrap()), 3);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || open(thread))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let here = std::fs::canonicalize(name.path()).unwrap();
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = descriptors.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    let mine = links.filter(|link| *link == here).count();
    // The one that is open still, and its locks.
    assert!(mine <= 3, "{mine} descriptors are left");
    let writers: Vec<_> = (0..4).map(|_| store.writer().unwrap()).collect();
    assert_eq!(writers.len(), 4);
}
