//! Listing agrees with reading, even when a writer died between making a key readable and noting that
//! its slot is in use.

use splinter_testkit::process::{Forked, alone, shared_words, spin};
use splinter_testkit::{Rng, geometry, store, wait_until};
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn keys_of_killed_writers_are_listed_if_and_only_if_they_are_there() {
    // Invariants 2 and 7: no key is lost to readers that list keys or search by label.
    alone("keys_of_killed_writers_are_listed_if_and_only_if_they_are_there", || {
        let mut rng = Rng(7);
        let mut wrong = 0;
        let ready = &shared_words(1)[0];
        for _ in 0..800 {
            let store = store(geometry(1, 64, 0, 2));
            let child = Forked::new(|| {
                let mut writer = store.writer().unwrap();
                ready.store(1, Relaxed);
                loop {
                    writer.set("key", b"x").unwrap();
                    writer.unset("key").unwrap();
                }
            });
            wait_until("the writer writes", || ready.swap(0, Relaxed) == 1);
            spin(rng.below(60));
            child.kill();
            // No process has written since, so the listing must agree with what is there.
            let present = u64::from(store.contains("key").unwrap());
            wrong += u64::from((store.keys().count() as u64, store.len()) != (present, present));
        }
        assert_eq!(wrong, 0, "of 800 killed writers so many left a listing that is wrong");
    });
}
