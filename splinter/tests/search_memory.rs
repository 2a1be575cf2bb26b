//! How often a search asks for memory: not for any slot that it scans. The allocator counts, so the test has a program of
//! its own.

#![allow(unsafe_code, reason = "an allocator's methods are unsafe")]

use splinter::{Scrub, Store};
use splinter_testkit::vectors::random;
use splinter_testkit::{Rng, config, geometry};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: each call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn filled(slots: u64) -> Store {
    let store = Store::anonymous(&config(geometry(slots, 8, 64, 2), Scrub::None)).unwrap();
    let (mut writer, mut rng) = (store.writer().unwrap(), Rng(slots));
    for number in 0..slots {
        let key = format!("k{number}");
        writer.set(&key, b"").unwrap();
        writer.set_vector(&key, &random(&mut rng, 64)).unwrap();
        writer.label(&key, number & 1).unwrap();
    }
    store
}

#[test]
fn a_search_of_many_slots_takes_memory_as_often_as_one_of_few() {
    let stores = [1_500, 5_000].map(filled);
    let query = random(&mut Rng(1), 64);
    for way in 0..6 {
        let counts = stores.each_ref().map(|store| {
            let run = || {
                let search = store.search(&query).unwrap();
                let search = match way {
                    0 => search,
                    1 => search.exact(true),
                    2 => search.labels_all(1).prefix("k"),
                    3 => search.exact(true).labels_all(1),
                    4 => search.exact(true).group_orders(true),
                    _ => search.rescore(|found| found.score),
                };
                search.run().unwrap()
            };
            // What is made at first use is there already.
            assert_eq!(run().len(), 10);
            let before = COUNT.get();
            drop(run());
            COUNT.get() - before
        });
        assert_eq!(counts[0], counts[1], "way {way}");
        // The count counts.
        assert!((3..100).contains(&counts[0]), "way {way}: {counts:?}");
    }
}
