//! Caches: insertions into a full one evict, and what must stay stays. Invariant 22.

use splinter::{
    Config, Error, Eviction, Expect, Geometry, IntegerOp, Lifetime, Location, OpenOptions, Store,
    Transaction, Writer, retry,
};
use splinter_testkit::{Folder, valgrind};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

fn config(slots: u64, eviction: Eviction) -> Config {
    let geometry = Geometry { slots, max_value_len: 64, vector_dim: 0, max_writers: 16 };
    Config { geometry, eviction, hash_seed: Some(7), ..Config::default() }
}

fn cache(slots: u64, eviction: Eviction) -> (Store, Writer) {
    let store = Store::anonymous(&config(slots, eviction)).unwrap();
    let writer = store.writer().unwrap();
    (store, writer)
}

fn name(number: u64) -> String {
    format!("key {number}")
}

/// Returns a transaction that sets all these keys.
fn setting(names: &[String]) -> Transaction<'_> {
    let mut transaction = Transaction::new();
    for name in names {
        transaction.key(name).set(b"new");
    }
    transaction
}

/// Draws numbers (xorshift); small ones are likelier.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn skewed(&mut self, end: u64) -> u64 {
        let first = self.below(end);
        self.below(first + 1)
    }
}

/// SIEVE by its paper: keys in the order in which they came, a bit each, and a hand.
#[derive(Default)]
struct Sieve {
    /// The oldest key first.
    keys: VecDeque<(u64, bool)>,
    /// The place at which the hand looks next.
    hand: usize,
    slots: usize,
}

impl Sieve {
    /// Visits a key, or inserts it. Returns whether it was there, and which key had to go.
    fn access(&mut self, key: u64) -> (bool, Option<u64>) {
        if let Some(found) = self.keys.iter_mut().find(|(other, _)| *other == key) {
            found.1 = true;
            return (true, None);
        }
        let victim = (self.keys.len() == self.slots).then(|| self.evict());
        self.keys.push_back((key, false));
        (false, victim)
    }

    fn evict(&mut self) -> u64 {
        loop {
            let is_visited = std::mem::take(&mut self.keys[self.hand].1);
            let victim = (!is_visited).then(|| self.keys.remove(self.hand).unwrap().0);
            self.hand += usize::from(is_visited);
            // Past the newest key it goes on with the oldest, also if a newer one comes before it moves again.
            if self.hand == self.keys.len() {
                self.hand = 0;
            }
            if let Some(victim) = victim {
                return victim;
            }
        }
    }
}

/// Gets a key, or sets it if it is missing, as users of a cache do. Returns whether it was there.
fn access(writer: &mut Writer, key: u64) -> bool {
    match writer.get_vec(name(key)) {
        Ok(value) => {
            assert_eq!(value, key.to_le_bytes());
            true
        }
        Err(Error::NotFound) => {
            writer.set(name(key), &key.to_le_bytes()).unwrap();
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn sieve_evicts_as_the_paper_says_access_by_access() {
    for slots in [1, 2, 3, 10, 64, 200] {
        let (store, mut writer) = cache(slots, Eviction::Sieve);
        let mut model = Sieve { slots: slots as usize, ..Sieve::default() };
        let mut draw = Draw(slots + 1);
        for round in 0..valgrind::rounds(20_000) {
            let key = draw.skewed(slots * 4);
            let (was_there, victim) = model.access(key);
            assert_eq!(access(&mut writer, key), was_there, "{slots} slots, access {round}");
            if let Some(victim) = victim {
                // Listing is no visit.
                let is_there = store.keys().any(|key| key.as_ref() == name(victim).as_bytes());
                assert!(round % 16 != 0 || !is_there, "{slots} slots, access {round}");
            }
        }
        assert_eq!(store.len(), slots);
        assert!(store.inspect().unwrap().is_sound());
    }
}

#[test]
fn the_hand_goes_on_with_the_oldest_key_after_the_newest() {
    let (store, mut writer) = cache(3, Eviction::Sieve);
    for key in ["a", "b", "c"] {
        writer.set(key, b"value").unwrap();
    }
    assert!(store.contains("a").unwrap() && store.contains("b").unwrap());
    // The hand passes both and evicts the newest.
    writer.set("d", b"value").unwrap();
    writer.set("e", b"value").unwrap();
    let kept = ["a", "b", "c", "d", "e"].map(|key| store.contains(key).unwrap());
    assert_eq!(kept, [false, true, false, true, true]);
}

#[test]
fn a_key_that_comes_again_is_a_new_one() {
    let (store, mut writer) = cache(3, Eviction::Sieve);
    for key in ["a", "b", "c"] {
        writer.set(key, b"value").unwrap();
    }
    writer.unset("a").unwrap();
    writer.set("a", b"value").unwrap();
    writer.set("d", b"value").unwrap();
    let kept = ["a", "b", "c", "d"].map(|key| store.contains(key).unwrap());
    assert_eq!(kept, [true, false, true, true]);
}

#[test]
fn keys_that_come_and_go_all_the_while_do_not_wear_the_queues_out() {
    let (store, mut writer) = cache(50, Eviction::Sieve);
    for round in 0..valgrind::rounds(5000) {
        writer.set(name(round % 40), b"value").unwrap();
        if round % 3 != 0 {
            let _ = writer.unset(name((round * 7) % 40));
        }
    }
    // New keys that are visited have the hand come past all of them.
    let all: Vec<_> = store.keys().collect();
    for number in 100..300 {
        writer.set(name(number), b"value").unwrap();
        assert!(store.contains(name(number)).unwrap());
    }
    assert!(all.iter().all(|key| !store.contains(key.as_ref()).unwrap()));
    assert_eq!(store.len(), 50);
}

#[test]
fn a_store_that_is_opened_again_goes_on_with_its_order() {
    let folder = Folder::new();
    let location = Location::file(folder.join("cache"));
    let mut model = Sieve { slots: 16, ..Sieve::default() };
    drop(Store::create(&location, &config(16, Eviction::Sieve)).unwrap());
    let mut draw = Draw(11);
    for _ in 0..20 {
        let store = Store::open(&location).unwrap();
        assert_eq!(store.eviction(), Eviction::Sieve);
        let mut writer = store.writer().unwrap();
        for _ in 0..50 {
            let key = draw.skewed(64);
            assert_eq!(access(&mut writer, key), model.access(key).0);
        }
    }
}

#[test]
fn what_is_visited_all_the_while_stays_by_lru() {
    for slots in [2, 10, 100] {
        let (store, mut writer) = cache(slots, Eviction::Lru);
        writer.set("popular", b"value").unwrap();
        for number in 0..1000 {
            assert!(store.contains("popular").unwrap(), "{slots} slots, key {number}");
            writer.set(name(number), b"value").unwrap();
        }
        assert_eq!((store.len(), store.header().evicted), (slots, 1001 - slots));
    }
}

#[test]
fn lru_prefers_what_was_visited_long_ago() {
    let (store, mut writer) = cache(1000, Eviction::Lru);
    for number in 0..1000 {
        writer.set(name(number), b"value").unwrap();
    }
    // The later half is visited while a quarter as many keys come.
    for number in 1000..1250 {
        writer.set(name(number), b"value").unwrap();
        for other in (500..1000).filter(|other| other % 25 == number % 25) {
            let _ = store.contains(name(other));
        }
    }
    let kept = |numbers: std::ops::Range<u64>| numbers.filter(|n| store.contains(name(*n)).unwrap()).count();
    let (old, visited) = (kept(0..500), kept(500..1000));
    assert!(visited > 450 && old < 300, "{old} of 500 old keys and {visited} of 500 visited ones stayed");
}

#[test]
fn sets_and_numbers_are_visits_as_gets_are() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let (store, mut writer) = cache(8, eviction);
        writer.set("set", b"value").unwrap();
        writer.set_u64("number", 0).unwrap();
        writer.set("handle", b"value").unwrap();
        writer.set("together", b"value").unwrap();
        let handle = store.resolve("handle").unwrap();
        for number in 0..200 {
            writer.set("set", b"value").unwrap();
            writer.integer("number", IntegerOp::Inc(1)).unwrap();
            store.get(handle, &mut [0; 64]).unwrap();
            store.read_consistent(&["together", "handle"], &mut [0; 128], 64, &mut [Ok(0), Ok(0)]).unwrap();
            writer.set(name(number), b"value").unwrap();
        }
        for key in ["set", "number", "handle", "together"] {
            assert!(store.contains(key).unwrap(), "{key} by {eviction}");
        }
    }
}

#[test]
fn pinned_keys_stay_and_a_store_of_them_alone_is_full() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let (store, mut writer) = cache(4, eviction);
        for number in 0..4 {
            writer.set(name(number), b"value").unwrap();
            let before = store.epoch(name(number)).unwrap();
            writer.pin(name(number)).unwrap();
            assert_eq!(store.epoch(name(number)).unwrap(), before);
            assert!(store.snapshot(name(number)).unwrap().pinned);
        }
        assert_eq!(writer.set("one more", b"value"), Err(Error::Full));
        writer.unpin(name(2)).unwrap();
        writer.set("one more", b"value").unwrap();
        assert_eq!(store.contains(name(2)), Ok(false));
        // The next key in the slot of a pinned one is not pinned.
        writer.unset(name(0)).unwrap();
        writer.set("another", b"value").unwrap();
        assert!(!store.snapshot("another").unwrap().pinned);
        assert_eq!(writer.pin("missing"), Err(Error::NotFound));
        assert!(store.inspect().unwrap().is_sound());
        assert_eq!(store.header().evicted, 1);
    }
}

#[test]
fn keys_whose_deadline_has_passed_go_first() {
    let (store, mut writer) = cache(100, Eviction::Sieve);
    for number in 0..100 {
        let lifetime = if number == 70 { Lifetime::Until(0) } else { Lifetime::Endless };
        writer.set_with(name(number), b"value", Expect::Any, lifetime).unwrap();
    }
    writer.set("one more", b"value").unwrap();
    let header = store.header();
    assert_eq!((header.evicted, header.expired, store.len()), (0, 1, 100));
}

#[test]
fn no_key_is_evicted_from_the_moment_that_it_is_pinned() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let (store, mut writer) = cache(3, eviction);
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut inserter = store.writer().unwrap();
                for number in 0.. {
                    if is_done.load(Relaxed) {
                        break;
                    }
                    let _ = inserter.set(name(number), b"passes");
                }
            });
            let mut again = |change: &mut dyn FnMut(&mut Writer) -> Result<(), Error>| {
                retry(Duration::from_secs(60), || change(&mut writer))
            };
            let mut lost = 0;
            for _ in 0..valgrind::rounds(50_000) {
                match again(&mut |writer| writer.pin("key")) {
                    Ok(()) => {
                        // To look is no visit, which would keep the key.
                        lost += u64::from(store.snapshot("key") == Err(Error::NotFound));
                        let _ = again(&mut |writer| writer.unpin("key"));
                    }
                    Err(_) => drop(again(&mut |writer| writer.set("key", b"value"))),
                }
            }
            is_done.store(true, Relaxed);
            assert_eq!(lost, 0, "pinned keys were evicted by {eviction}");
        });
    }
}

#[test]
fn stores_without_eviction_answer_full_as_before() {
    let (store, mut writer) = cache(2, Eviction::Expired);
    writer.set("a", b"value").unwrap();
    writer.set("b", b"value").unwrap();
    assert_eq!(writer.set("c", b"value"), Err(Error::Full));
    assert_eq!(store.header().evicted, 0);
}

#[test]
fn a_transaction_evicts_other_keys_than_its_own_and_no_more_than_it_needs() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let (store, mut writer) = cache(20, eviction);
        for number in 0..19 {
            writer.set(name(number), b"old").unwrap();
        }
        // The oldest keys are its own, and one slot is free.
        let names: Vec<String> = (0..5).chain(100..110).map(name).collect();
        writer.commit(&setting(&names)).unwrap();
        for number in (0..5).chain(100..110) {
            assert_eq!(store.get_vec(name(number)).unwrap(), b"new");
        }
        assert_eq!((store.len(), store.header().evicted), (20, 9));
        assert!(store.inspect().unwrap().is_sound());
    }
}

#[test]
fn a_transaction_in_a_large_cache_evicts_no_more_than_it_needs() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let (store, mut writer) = cache(3000, eviction);
        for number in 0..3000 {
            writer.set(name(number), b"old").unwrap();
        }
        // Victims lie far apart.
        for number in (0..3000).filter(|number| number % 7 != 0) {
            assert!(store.contains(name(number)).unwrap());
        }
        for round in 1..=3 {
            let names: Vec<String> = (0..255).map(|n| name(round * 10_000 + n)).collect();
            writer.commit(&setting(&names)).unwrap();
            assert_eq!((store.len(), store.header().evicted), (3000, round * 255), "{eviction}");
        }
    }
}

#[test]
fn a_free_slot_is_found_before_a_pinned_store_is_full() {
    let (store, mut writer) = cache(2000, Eviction::Sieve);
    for number in 0..2000 {
        writer.set(name(number), b"value").unwrap();
        writer.pin(name(number)).unwrap();
    }
    assert_eq!(writer.set("one more", b"value"), Err(Error::Full));
    let mut other = store.writer().unwrap();
    other.unset(name(1900)).unwrap();
    drop(other);
    writer.set("one more", b"value").unwrap();
    writer.pin("one more").unwrap();
    assert_eq!(store.header().evicted, 0);
    assert_eq!(writer.set("another", b"value"), Err(Error::Full));
    // A deadline holds of pinned keys, too.
    writer.set_lifetime(name(1500), Lifetime::Until(0)).unwrap();
    writer.set("another", b"value").unwrap();
}

#[test]
fn free_slots_elsewhere_are_found_before_many_keys_are_evicted() {
    let (store, mut writer) = cache(20_000, Eviction::Sieve);
    for number in 0..20_001 {
        writer.set(name(number), b"value").unwrap();
    }
    let mut other = store.writer().unwrap();
    for number in 10_000..20_000 {
        let _ = other.unset(name(number));
    }
    for number in 0..9_000 {
        writer.set(name(100_000 + number), b"value").unwrap();
    }
    let evicted = store.header().evicted;
    assert!(evicted < 100, "{evicted} keys were evicted beside 10,000 free slots");
}

#[test]
fn a_transaction_that_removes_a_missing_key_of_a_full_cache_holds_its_place() {
    let (store, mut writer) = cache(3, Eviction::Sieve);
    for number in 0..3 {
        writer.set(name(number), b"value").unwrap();
    }
    let missing = name(9);
    let mut transaction = Transaction::new();
    transaction.key(&missing).unset();
    writer.commit(&transaction).unwrap();
    // It evicted one, so that nobody else could insert the key meanwhile. Where all are pinned, nobody can.
    assert_eq!((store.len(), store.header().evicted), (2, 1));
    writer.set("third", b"value").unwrap();
    for key in store.keys() {
        writer.pin(key.as_ref()).unwrap();
    }
    writer.commit(&transaction).unwrap();
    assert_eq!((store.len(), store.header().evicted), (3, 1));
}

#[test]
fn a_transaction_that_sets_one_key_and_removes_a_missing_one_takes_the_only_slot_that_may_go() {
    let (store, mut writer) = cache(3, Eviction::Sieve);
    for key in ["own", "may go", "pinned"] {
        writer.set(key, b"old").unwrap();
    }
    writer.pin("pinned").unwrap();
    let mut transaction = Transaction::new();
    transaction.key("own").set(b"new");
    transaction.key("new").set(b"new");
    transaction.key("missing").unset();
    writer.commit(&transaction).unwrap();
    let kept = ["own", "new", "pinned", "may go"].map(|key| store.contains(key).unwrap());
    assert_eq!(kept, [true, true, true, false]);
}

#[test]
fn a_store_with_one_key_that_may_go_is_full_for_none_of_many_writers() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        let (store, mut writer) = cache(64, eviction);
        for number in 0..62 {
            writer.set(name(number), b"value").unwrap();
            writer.pin(name(number)).unwrap();
        }
        thread::scope(|scope| {
            for thread in 0..3 {
                let store = &store;
                scope.spawn(move || {
                    let mut writer = store.writer().unwrap();
                    for round in 0..valgrind::rounds(2000) {
                        let key = format!("{thread} {round}");
                        retry(Duration::from_secs(60), || writer.set(&key, b"value")).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.len(), 64);
    }
}

#[test]
fn a_transaction_that_cannot_have_room_evicts_nothing() {
    let (store, mut writer) = cache(4, Eviction::Sieve);
    for number in 0..4 {
        writer.set(name(number), b"old").unwrap();
    }
    let names: Vec<String> = (10..15).map(name).collect();
    assert_eq!(writer.commit(&setting(&names)).map_err(|refused| refused.error), Err(Error::Full));
    assert_eq!((store.len(), store.header().evicted), (4, 0));
}

#[test]
fn a_transaction_that_meets_a_busy_key_evicts_nothing() {
    let (store, mut writer) = cache(4, Eviction::Sieve);
    let mut other = store.writer().unwrap();
    for number in 0..4 {
        writer.set(name(number), b"old").unwrap();
    }
    let names = [name(0), name(1)];
    let transaction = setting(&names);
    let refused = writer.update(name(0), |_, new| {
        new.extend_from_slice(b"mine");
        Ok::<_, Error>(other.commit(&transaction).map(drop).map_err(|refused| refused.error))
    });
    assert_eq!(refused, Ok(Err(Error::Again)));
    assert_eq!((store.len(), store.header().evicted), (4, 0));
}

#[test]
fn watchers_hear_of_evictions() {
    let (store, mut writer) = cache(1, Eviction::Sieve);
    writer.set("first", b"value").unwrap();
    writer.register("first", 3).unwrap();
    assert_eq!(store.signal_count(3), Some(0));
    writer.set("second", b"value").unwrap();
    assert_eq!(store.signal_count(3), Some(1));
}

#[test]
fn readers_that_may_not_write_visit_nothing() {
    let folder = Folder::new();
    let location = Location::file(folder.join("cache"));
    let store = Store::create(&location, &config(2, Eviction::Sieve)).unwrap();
    let reader =
        Store::open_with(&location, &OpenOptions { read_only: true, ..OpenOptions::default() }).unwrap();
    let mut writer = store.writer().unwrap();
    writer.set("old", b"value").unwrap();
    writer.set("new", b"value").unwrap();
    assert_eq!(reader.get_vec("old").unwrap(), b"value");
    writer.set("newest", b"value").unwrap();
    assert_eq!(store.contains("old"), Ok(false));
    assert_eq!((reader.eviction(), reader.header().evicted), (Eviction::Sieve, 1));
}

#[test]
fn many_writers_fill_a_cache_and_none_is_told_that_it_is_full() {
    for eviction in [Eviction::Sieve, Eviction::Lru] {
        for slots in [1, 5, 300] {
            let (store, _) = cache(slots, eviction);
            thread::scope(|scope| {
                for seed in 1..=4 {
                    let store = &store;
                    scope.spawn(move || {
                        let (mut writer, mut draw) = (store.writer().unwrap(), Draw(seed));
                        for _ in 0..valgrind::rounds(3000) {
                            let key = draw.skewed(slots * 3);
                            let found = retry(Duration::from_secs(60), || writer.get_vec(name(key)));
                            match found {
                                Ok(value) => assert_eq!(value, key.to_le_bytes()),
                                Err(Error::NotFound) => {
                                    let set = || writer.set(name(key), &key.to_le_bytes());
                                    retry(Duration::from_secs(60), set).unwrap();
                                }
                                Err(error) => panic!("{error}"),
                            }
                        }
                    });
                }
            });
            assert!(store.inspect().unwrap().is_sound());
            assert!(store.len() <= slots);
            let mut writer = store.writer().unwrap();
            for number in 0..3 * slots {
                writer.set(name(number), b"value").unwrap();
            }
            assert_eq!(store.len(), slots);
        }
    }
}

#[test]
fn an_insertion_into_a_large_full_cache_does_not_look_at_every_slot() {
    let slots = valgrind::rounds(200_000);
    let (_store, mut writer) = cache(slots, Eviction::Sieve);
    let time = |writer: &mut Writer, numbers: std::ops::Range<u64>| {
        let start = Instant::now();
        numbers.for_each(|number| writer.set(name(number), b"value").unwrap());
        start.elapsed()
    };
    let filling = time(&mut writer, 0..slots);
    let evicting = time(&mut writer, slots..slots + slots / 10);
    // A tenth as many insertions; looking at every slot would take hundreds of times as long.
    assert!(evicting < filling * 5, "{evicting:?} for a tenth of what took {filling:?}");
}
