//! Labels, times, flags and subscriptions: changes of these are never lost, are read as of one moment, and leave the
//! key's epoch alone.

use splinter_testkit::{SetAtEnd, geometry, retry, store};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

#[test]
fn flags_and_labels_of_many_writers_are_all_set() {
    // Invariant 4. Each writer owns some bits, and sets and clears them beside the others and beside sets of the value.
    let store = store(geometry(4, 64, 0, 8));
    store.writer().unwrap().set("k", b"value").unwrap();
    let done = AtomicBool::new(false);
    let value = thread::scope(|scope| {
        let setter = scope.spawn(|| {
            let mut writer = store.writer().unwrap();
            let mut sets = 0_u64;
            while !done.load(Relaxed) {
                retry(|| writer.set("k", &[sets as u8; 32])).unwrap();
                sets += 1;
            }
            sets
        });
        let markers: Vec<_> = (0..4_u16)
            .map(|mine| {
                let store = &store;
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    for round in 0..3_000_u64 {
                        let bit = mine * 4 + (round % 4) as u16;
                        let flags = retry(|| writer.set_slot_flags("k", 1 << bit)).unwrap();
                        assert_ne!(flags & 1 << bit, 0);
                        retry(|| writer.label("k", 1 << bit)).unwrap();
                        let seen = retry(|| store.snapshot("k")).unwrap();
                        assert_eq!(seen.user_flags & 1 << bit, 1 << bit, "round {round}");
                        assert_eq!(seen.labels & 1 << bit, 1 << bit, "round {round}");
                        retry(|| writer.clear_slot_flags("k", 1 << bit)).unwrap();
                        retry(|| writer.unlabel("k", 1 << bit)).unwrap();
                        let seen = retry(|| store.snapshot("k")).unwrap();
                        assert_eq!((seen.user_flags & 1 << bit, seen.labels & 1 << bit), (0, 0));
                    }
                })
            })
            .collect();
        let end = SetAtEnd(&done);
        markers.into_iter().for_each(|marker| marker.join().unwrap());
        drop(end);
        setter.join().unwrap()
    });
    let seen = store.snapshot("k").unwrap();
    assert_eq!((seen.user_flags, seen.labels), (0, 0));
    // One epoch for each set, and none for anything else.
    assert_eq!(seen.epoch, 2 * (value + 1));
}

#[test]
fn labels_and_times_are_read_of_one_moment() {
    // One writer sets the label of a round, and then the times of that round: none may be read ahead of the one before.
    let store = store(geometry(4, 64, 0, 4));
    let mut writer = store.writer().unwrap();
    writer.set("k", b"value").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..100_000_u64 {
                writer.set_ctime("k", round, 0).unwrap();
                writer.set_atime("k", round, 0).unwrap();
            }
            done.store(true, Relaxed);
        });
        let mut reads = 0_u64;
        while !done.load(Relaxed) {
            let seen = retry(|| store.snapshot("k")).unwrap();
            assert!(
                seen.ctime == seen.atime || seen.ctime == seen.atime + 1,
                "{} {}",
                seen.ctime,
                seen.atime
            );
            reads += 1;
        }
        assert!(reads > 0);
    });
    assert_eq!(store.epoch("k"), Ok(2));
}
