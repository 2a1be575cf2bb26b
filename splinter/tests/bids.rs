//! The table of bids: one owner for each id, elections among the living, and advice in a bid's name. Each
//! test that forks has a process of its own, whose alarm turns a hang into a failure.

use splinter::{Advice, Bid, BidError, BidTerms, Intent, OpenOptions, Patience, Store, StoreError, cycles};
use splinter_testkit::process::{Forked, alone, shared_words, spin};
use splinter_testkit::{Named, Rng, geometry, store, wait_until};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

/// Entries of the table.
const ENTRIES: u32 = 32;
/// Where the table lies, as the format says, and how long an entry is.
const TABLE_AT: u64 = 1536;
const ENTRY_LEN: u64 = 64;

fn tiny() -> Store {
    store(geometry(4, 64, 0, 4))
}

/// Opens the store once more, as another process would.
fn other(store: &Store) -> Store {
    Store::from_fd(store.fd().try_clone_to_owned().unwrap()).unwrap()
}

fn terms(intent: Intent, priority: u8) -> BidTerms {
    BidTerms { intent, priority, ..BidTerms::default() }
}

fn lasting(duration: u64) -> BidTerms {
    BidTerms { duration, ..BidTerms::default() }
}

fn sovereign(store: &Store) -> Option<u32> {
    store.bids().election().unwrap().map(|bid| bid.id)
}

/// Repeats an attempt while another bid is being made, for a long time but not for ever.
fn retry_bid(mut attempt: impl FnMut() -> Result<(), BidError>) -> Result<(), BidError> {
    for _ in 0..10_000 {
        match attempt() {
            Err(BidError::Again { .. }) => std::thread::yield_now(),
            result => return result,
        }
    }
    panic!("the id stayed busy");
}

/// Goes on until killed.
fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_bid_says_what_it_was_claimed_with() {
    let store = tiny();
    let before = cycles();
    let made = BidTerms { intent: Intent::Random, priority: 200, duration: u64::MAX - 1 };
    store.bids().claim(u32::MAX, made).unwrap();
    store.bids().claim_as(9, terms(Intent::WillNeed, 3), 4321, 77).unwrap();
    let bids = store.bids().list().unwrap();
    assert_eq!(bids.len(), 2);
    assert_eq!((bids[0].id, bids[0].pid), (u32::MAX, std::process::id()));
    assert!(bids[0].claimed_at >= before && bids[0].claimed_at <= cycles());
    let said = BidTerms { intent: bids[0].intent, priority: bids[0].priority, duration: bids[0].duration };
    assert_eq!((said, bids[0].expired, bids[0].sovereign), (made, false, true));
    assert_eq!((bids[1].id, bids[1].pid, bids[1].claimed_at), (9, 4321, 77));
    assert_eq!((bids[1].intent, bids[1].sovereign), (Intent::WillNeed, false));
    assert_eq!(store.bids().election().unwrap(), Some(bids[0]));
    assert_eq!(other(&store).bids().list().unwrap(), bids, "all stores see the same");
}

#[test]
fn elections_go_by_priority_then_time_then_process() {
    let store = tiny();
    assert_eq!(sovereign(&store), None);
    store.bids().claim_as(1, terms(Intent::Random, 5), 30, 100).unwrap();
    store.bids().claim_as(2, terms(Intent::Random, 4), 10, 50).unwrap();
    assert_eq!(sovereign(&store), Some(1), "priority first");
    store.bids().claim_as(3, terms(Intent::None, 5), 40, 99).unwrap();
    assert_eq!(sovereign(&store), Some(3), "then the earliest");
    store.bids().claim_as(4, terms(Intent::None, 5), 39, 99).unwrap();
    assert_eq!(sovereign(&store), Some(4), "then the lowest process");
    store.bids().release(4).unwrap();
    assert!(store.bids().is_sovereign(3).unwrap() && !store.bids().is_sovereign(4).unwrap());
}

#[test]
fn a_bid_to_do_without_memory_waits_for_those_that_need_it() {
    let store = tiny();
    store.bids().claim(1, terms(Intent::DontNeed, 255)).unwrap();
    assert_eq!(sovereign(&store), Some(1));
    for intent in [Intent::WillNeed, Intent::Sequential] {
        store.bids().claim(2, terms(intent, 0)).unwrap();
        assert_eq!(sovereign(&store), Some(2));
        store.bids().renew(2, BidTerms { duration: 0, ..terms(intent, 0) }).unwrap();
        assert_eq!(sovereign(&store), Some(1), "an expired need is none");
        store.bids().release(2).unwrap();
    }
}

#[test]
fn a_bid_of_no_duration_has_expired_at_once() {
    let store = tiny();
    store.bids().claim(1, lasting(0)).unwrap();
    let bids = store.bids().list().unwrap();
    assert!(bids.len() == 1 && bids[0].expired && !bids[0].sovereign);
    assert_eq!(sovereign(&store), None);
    let advised = store.bids().advise(1, 0..4096, Advice::Normal, Patience::Forever);
    assert!(matches!(advised, Err(BidError::Expired { id: 1 })));
    store.bids().release(1).unwrap();
    assert!(store.bids().list().unwrap().is_empty());
}

#[test]
fn an_expired_bid_no_longer_holds_its_id() {
    let watcher = tiny();
    // The owner may lie before or behind the other in the table.
    for spare in [0, 1] {
        let (owner, other) = (other(&watcher), other(&watcher));
        if spare == 1 {
            watcher.bids().claim(9, BidTerms::default()).unwrap();
        }
        owner.bids().claim(1, lasting(1 << 22)).unwrap();
        if spare == 1 {
            watcher.bids().release(9).unwrap();
        }
        wait_until("the bid expires", || watcher.bids().list().unwrap()[0].expired);
        other.bids().claim(1, BidTerms::default()).unwrap();
        // The old owner cannot come back to life beside the new one.
        let by = std::process::id();
        let rebid = owner.bids().renew(1, BidTerms::default());
        assert!(matches!(rebid, Err(BidError::Taken { id: 1, pid }) if pid == by), "{rebid:?}");
        let valid = |bid: &&Bid| !bid.expired;
        assert_eq!(watcher.bids().list().unwrap().iter().filter(valid).count(), 1);
        assert!(matches!(owner.bids().claim(1, BidTerms::default()), Err(BidError::Taken { .. })));
        other.bids().release(1).unwrap();
        owner.bids().claim(1, BidTerms::default()).unwrap();
        assert_eq!(sovereign(&other), Some(1));
        drop(owner);
    }
}

#[test]
fn a_rebid_replaces_the_terms_and_revives_what_expired() {
    let store = tiny();
    store.bids().claim_as(1, lasting(0), 4321, 5).unwrap();
    store.bids().claim(2, terms(Intent::Random, 1)).unwrap();
    let start = cycles();
    store.bids().renew(1, terms(Intent::Sequential, 2)).unwrap();
    let bid = store.bids().election().unwrap().unwrap();
    assert_eq!((bid.id, bid.pid, bid.intent, bid.priority), (1, 4321, Intent::Sequential, 2));
    assert!(bid.claimed_at >= start && bid.duration == u64::MAX);
    store.bids().renew(1, terms(Intent::Sequential, 0)).unwrap();
    assert_eq!(sovereign(&store), Some(2));
    assert_eq!(store.bids().list().unwrap().len(), 2);
}

#[test]
fn the_33rd_bid_finds_the_table_full() {
    let store = tiny();
    for id in 1..=ENTRIES {
        store.bids().claim(id, BidTerms::default()).unwrap();
    }
    let other = other(&store);
    for bidder in [&store, &other] {
        let refused = bidder.bids().claim(99, BidTerms::default());
        assert!(matches!(refused, Err(BidError::TableFull)), "{refused:?}");
        let taken = bidder.bids().claim(7, BidTerms::default());
        assert!(matches!(taken, Err(BidError::Taken { id: 7, .. })), "{taken:?}");
    }
    assert_eq!(store.bids().list().unwrap().len(), 32);
    store.bids().release(13).unwrap();
    other.bids().claim(99, BidTerms::default()).unwrap();
    assert!(matches!(store.bids().claim(13, BidTerms::default()), Err(BidError::TableFull)));
    // An expired bid makes room for its own store.
    store.bids().renew(5, lasting(0)).unwrap();
    assert!(matches!(other.bids().claim(13, BidTerms::default()), Err(BidError::TableFull)));
    store.bids().claim(13, BidTerms::default()).unwrap();
    assert!(matches!(store.bids().renew(5, BidTerms::default()), Err(BidError::Unknown { id: 5 })));
}

#[test]
fn only_the_owner_or_a_supervisor_releases() {
    let store = tiny();
    let (other, clone) = (other(&store), store.clone());
    store.bids().claim_as(1, BidTerms::default(), 4321, 1).unwrap();
    for refused in [other.bids().release(1), other.bids().renew(1, BidTerms::default())] {
        assert!(matches!(refused, Err(BidError::NotOwner { id: 1, pid: 4321 })), "{refused:?}");
    }
    let refused = other.bids().advise(1, 0..1, Advice::Normal, Patience::Forever);
    assert!(matches!(refused, Err(BidError::NotOwner { .. })));
    assert!(matches!(store.bids().release(2), Err(BidError::Unknown { id: 2 })));
    assert!(matches!(other.bids().release_as_supervisor(2), Err(BidError::Unknown { .. })));
    assert_eq!(sovereign(&other), Some(1));
    // A clone is the same store.
    clone.bids().renew(1, terms(Intent::Random, 2)).unwrap();
    clone.bids().release(1).unwrap();
    assert!(matches!(store.bids().release(1), Err(BidError::Unknown { .. })));
    store.bids().claim(1, BidTerms::default()).unwrap();
    other.bids().release_as_supervisor(1).unwrap();
    other.bids().claim(1, BidTerms::default()).unwrap();
    for gone in [store.bids().release(1), store.bids().renew(1, BidTerms::default())] {
        assert!(matches!(gone, Err(BidError::NotOwner { .. })), "{gone:?}");
    }
    assert_eq!(sovereign(&store), Some(1));
}

#[test]
fn entries_that_a_supervisor_freed_are_used_again_by_their_stores() {
    let store = tiny();
    let supervisor = other(&store);
    for round in 0..100 {
        for id in 1..=ENTRIES {
            retry_bid(|| store.bids().claim(id, BidTerms::default())).unwrap();
        }
        for id in 1..=ENTRIES {
            if id % 2 == round % 2 {
                supervisor.bids().release_as_supervisor(id).unwrap();
            } else {
                store.bids().release_as_supervisor(id).unwrap();
            }
        }
        assert_eq!(supervisor.bids().list().unwrap(), []);
    }
    drop(store);
    for id in 1..=ENTRIES {
        supervisor.bids().claim(id, BidTerms::default()).unwrap();
    }
}

#[test]
fn bids_go_with_the_last_clone_of_their_store() {
    let store = tiny();
    let watcher = other(&store);
    let clone = store.clone();
    store.bids().claim(1, BidTerms::default()).unwrap();
    drop(store);
    assert_eq!(sovereign(&watcher), Some(1));
    drop(clone);
    assert_eq!(sovereign(&watcher), None);
    assert!(watcher.bids().list().unwrap().is_empty());
    watcher.bids().claim(1, BidTerms::default()).unwrap();
}

#[test]
fn bids_are_refused_for_no_id_and_by_stores_that_are_only_read() {
    let named = Named::new();
    let config = splinter_testkit::config(geometry(4, 64, 0, 4), splinter::Scrub::default());
    let store = Store::create(&named.0, &config).unwrap();
    assert!(matches!(store.bids().claim(0, BidTerms::default()), Err(BidError::ZeroId)));
    assert!(matches!(store.bids().release(0), Err(BidError::ZeroId)));
    store.bids().claim(1, BidTerms::default()).unwrap();
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    let reader = Store::open_with(&named.0, &options).unwrap();
    let refusals = [
        reader.bids().claim(2, BidTerms::default()),
        reader.bids().renew(1, BidTerms::default()),
        reader.bids().release(1),
        reader.bids().release_as_supervisor(1),
    ];
    for refused in refusals {
        let is_reported = matches!(refused, Err(BidError::Store(StoreError::ReadOnly)));
        assert!(is_reported, "{refused:?}");
    }
    assert_eq!(sovereign(&reader), Some(1));
    let advised = reader.bids().advise(1, 0..1, Advice::Normal, Patience::Defer);
    assert!(matches!(advised, Err(BidError::NotOwner { .. })));
}

#[test]
fn only_the_sovereign_advises_and_others_defer_or_time_out() {
    let store = tiny();
    let other = other(&store);
    let all = 0..store.arena_len();
    store.writer().unwrap().set("key", b"value").unwrap();
    store.bids().claim(1, terms(Intent::WillNeed, 5)).unwrap();
    other.bids().claim(2, terms(Intent::Random, 1)).unwrap();
    use Advice::{DontNeed, Normal, Random, Sequential, WillNeed};
    for advice in [Normal, Random, Sequential, WillNeed, DontNeed] {
        store.bids().advise(1, all.clone(), advice, Patience::Defer).unwrap();
        store.bids().advise(1, 4097..4099, advice, Patience::Forever).unwrap();
        let deferred = other.bids().advise(2, all.clone(), advice, Patience::Defer);
        assert!(matches!(deferred, Err(BidError::Deferred { id: 2, to: 1 })), "{deferred:?}");
    }
    assert_eq!(store.get_vec("key").unwrap(), b"value", "no advice changes a byte");
    for ms in [0, 20] {
        let end = Instant::now() + Duration::from_millis(ms);
        let late = other.bids().advise(2, all.clone(), Normal, Patience::Until(end));
        assert!(matches!(late, Err(BidError::TimedOut { id: 2 })), "{late:?}");
        assert!(Instant::now() >= end);
    }
    let unknown = store.bids().advise(3, all.clone(), Normal, Patience::Forever);
    assert!(matches!(unknown, Err(BidError::Unknown { id: 3 })));
    for outside in [0..all.end + 1, all.end + 1..all.end + 1, 0..u64::MAX] {
        let refused = store.bids().advise(1, outside, Normal, Patience::Defer);
        assert!(matches!(refused, Err(BidError::OutOfRange { arena_len }) if arena_len == all.end));
    }
    #[allow(clippy::reversed_empty_ranges, reason = "this is what is to be refused")]
    let refused = store.bids().advise(1, 5..4, Normal, Patience::Defer);
    assert!(matches!(refused, Err(BidError::OutOfRange { .. })));
}

/// Lets a bid of low priority wait in `other` for ever while one of higher priority is sovereign in `store`, until `change`.
/// Returns how the wait ended.
fn wait_until_ended(change: impl FnOnce(&Store, &Store)) -> Result<(), BidError> {
    let store = tiny();
    let other = other(&store);
    store.bids().claim(1, terms(Intent::None, 5)).unwrap();
    other.bids().claim(2, terms(Intent::None, 1)).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| other.bids().advise(2, 0..4096, Advice::Normal, Patience::Forever));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        change(&store, &other);
        waiting.join().unwrap()
    })
}

#[test]
fn a_wait_ends_when_the_sovereign_makes_way_or_the_waiting_bid_does() {
    wait_until_ended(|store, _| store.bids().release(1).unwrap()).unwrap();
    wait_until_ended(|store, _| store.bids().renew(1, terms(Intent::None, 0)).unwrap()).unwrap();
    wait_until_ended(|_, other| other.bids().renew(2, terms(Intent::None, 9)).unwrap()).unwrap();
    wait_until_ended(|_, other| other.bids().release_as_supervisor(1).unwrap()).unwrap();
    // This wakes no waiter.
    wait_until_ended(|store, _| {
        store.bids().renew(1, BidTerms { duration: 1 << 26, ..terms(Intent::None, 5) }).unwrap();
    })
    .unwrap();
    let ended = wait_until_ended(|_, other| other.bids().release(2).unwrap());
    assert!(matches!(ended, Err(BidError::Unknown { id: 2 })), "{ended:?}");
    let ended = wait_until_ended(|store, _| store.bids().release_as_supervisor(2).unwrap());
    assert!(matches!(ended, Err(BidError::Unknown { id: 2 })), "{ended:?}");
    let ended = wait_until_ended(|_, other| other.bids().renew(2, lasting(1 << 24)).unwrap());
    assert!(matches!(ended, Err(BidError::Expired { id: 2 })), "{ended:?}");
}

#[test]
fn threads_racing_for_one_id_leave_one_owner() {
    let store = tiny();
    let others: Vec<_> = (0..4).map(|_| other(&store)).collect();
    for round in 1..=100 {
        let wins: usize = std::thread::scope(|scope| {
            let racing: Vec<_> = (0..8)
                .map(|n| &others[n % others.len()])
                .map(|store| {
                    scope.spawn(move || retry_bid(|| store.bids().claim(round, BidTerms::default())).is_ok())
                })
                .collect();
            racing.into_iter().map(|one| usize::from(one.join().unwrap())).sum()
        });
        assert_eq!(wins, 1);
        assert_eq!(store.bids().list().unwrap().len(), 1);
        store.bids().release_as_supervisor(round).unwrap();
    }
}

#[test]
fn processes_racing_for_one_id_leave_one_owner() {
    alone("processes_racing_for_one_id_leave_one_owner", || {
        const RACERS: u64 = 12;
        const ROUNDS: u64 = 60;
        let store = tiny();
        let words = shared_words(4);
        let [round, done, wins, released] = [0, 1, 2, 3].map(|word| &words[word]);
        let racers: Vec<_> = (0..RACERS)
            .map(|_| {
                Forked::new(|| {
                    for now in 1..=ROUNDS {
                        wait_until("the round begins", || round.load(Acquire) == now);
                        match retry_bid(|| store.bids().claim(77, BidTerms::default())) {
                            Ok(()) => {
                                wins.fetch_add(1, Relaxed);
                                done.fetch_add(1, Release);
                                wait_until("all are done", || done.load(Acquire) == now * RACERS);
                                store.bids().release(77).unwrap();
                                released.store(now, Release);
                            }
                            Err(refused) => {
                                let is_reported = matches!(refused, BidError::Taken { id: 77, .. });
                                assert!(is_reported, "{refused:?}");
                                done.fetch_add(1, Release);
                            }
                        }
                    }
                })
            })
            .collect();
        for now in 1..=ROUNDS {
            round.store(now, Release);
            wait_until("the winner releases", || released.load(Acquire) == now);
            assert_eq!(wins.load(Relaxed), now, "exactly one wins");
            assert_eq!(done.load(Acquire), now * RACERS);
        }
        racers.into_iter().for_each(Forked::join);
        assert!(store.bids().list().unwrap().is_empty());
    });
}

#[test]
fn a_killed_sovereign_hands_over_to_the_next() {
    alone("a_killed_sovereign_hands_over_to_the_next", || {
        let store = tiny();
        store.bids().claim(1, terms(Intent::Random, 1)).unwrap();
        for round in 0..10 {
            let child = Forked::new(|| {
                store.bids().claim(2, terms(Intent::WillNeed, 9)).unwrap();
                sleep_for_ever()
            });
            wait_until("the child bids", || sovereign(&store) == Some(2));
            let deferred = store.bids().advise(1, 0..1, Advice::Normal, Patience::Defer);
            assert!(matches!(deferred, Err(BidError::Deferred { to: 2, .. })));
            if round % 2 == 0 {
                child.kill();
                assert_eq!(sovereign(&store), Some(1));
            } else {
                std::thread::scope(|scope| {
                    let waiting =
                        scope.spawn(|| store.bids().advise(1, 0..1, Advice::Normal, Patience::Forever));
                    std::thread::sleep(Duration::from_millis(5));
                    assert!(!waiting.is_finished());
                    child.kill();
                    waiting.join().unwrap().unwrap();
                });
            }
            assert!(matches!(store.bids().release(2), Err(BidError::Unknown { .. })));
            // Any process can claim the dead one's id.
            store.bids().claim(2, BidTerms::default()).unwrap();
            store.bids().release(2).unwrap();
        }
    });
}

#[test]
fn a_child_has_no_part_in_its_parents_bids() {
    alone("a_child_has_no_part_in_its_parents_bids", || {
        let store = tiny();
        store.bids().claim(1, BidTerms::default()).unwrap();
        Forked::new(|| {
            let refused = store.bids().release(1);
            assert!(matches!(refused, Err(BidError::NotOwner { id: 1, .. })), "{refused:?}");
            assert!(matches!(store.bids().renew(1, lasting(0)), Err(BidError::NotOwner { .. })));
            store.bids().claim(2, terms(Intent::None, 3)).unwrap();
            assert_eq!(sovereign(&store), Some(2));
        })
        .join();
        assert_eq!(sovereign(&store), Some(1));
        assert_eq!(store.bids().list().unwrap().len(), 1);
    });
}

/// Bids, renews and releases in turns, under ids from `first` on, and never stops.
fn bid_for_ever(store: &Store, first: u32) -> ! {
    for round in 0.. {
        let id = first + round % 3;
        let _ = store.bids().claim(id, terms(Intent::Random, 200));
        let _ = store.bids().renew(id, terms(Intent::Random, 201));
        let _ = store.bids().release(id);
    }
    unreachable!()
}

#[test]
fn a_stopped_bidder_blocks_neither_other_ids_nor_elections() {
    alone("a_stopped_bidder_blocks_neither_other_ids_nor_elections", || {
        let store = tiny();
        let mut rng = Rng(7);
        store.bids().claim(1, terms(Intent::Random, 1)).unwrap();
        for round in 0..200 {
            let mut child = Forked::new(|| bid_for_ever(&store, 100));
            spin(200 + rng.below(2000));
            child.stop();
            for _ in 0..3 {
                // Nothing here is tried twice.
                store.bids().claim(50, terms(Intent::WillNeed, 100)).unwrap();
                store.bids().renew(50, terms(Intent::WillNeed, 202)).unwrap();
                assert_eq!(sovereign(&store), Some(50));
                store.bids().advise(50, 0..4096, Advice::Normal, Patience::Defer).unwrap();
                store.bids().release(50).unwrap();
                assert!(matches!(sovereign(&store), Some(1 | 100..103)));
                assert!(store.bids().list().unwrap().len() <= 2);
            }
            if round % 8 == 0 {
                // A claim may have to wait for it, and is answered in the end.
                match store.bids().claim(100, BidTerms::default()) {
                    Ok(()) => store.bids().release(100).unwrap(),
                    Err(BidError::Taken { id: 100, .. } | BidError::Again { id: 100 }) => {}
                    Err(refused) => panic!("{refused:?}"),
                }
            }
            if round % 2 == 0 {
                child.go_on();
            }
            child.kill();
            assert_eq!(sovereign(&store), Some(1));
            for id in 100..103 {
                store.bids().claim(id, BidTerms::default()).unwrap();
                store.bids().release(id).unwrap();
            }
        }
    });
}

#[test]
fn bidders_killed_at_any_moment_leave_every_entry_usable() {
    alone("bidders_killed_at_any_moment_leave_every_entry_usable", || {
        let store = tiny();
        let mut rng = Rng(11);
        for _ in 0..60 {
            let children: Vec<_> = (0..4).map(|_| Forked::new(|| bid_for_ever(&store, 100))).collect();
            spin(200 + rng.below(3000));
            children.into_iter().for_each(Forked::kill);
            assert!(store.bids().list().unwrap().is_empty());
        }
        for id in 1..=ENTRIES {
            store.bids().claim(id, BidTerms::default()).unwrap();
        }
        assert!(matches!(store.bids().claim(99, BidTerms::default()), Err(BidError::TableFull)));
    });
}

#[test]
fn hostile_bytes_in_the_table_lead_to_answers() {
    // Invariant 16.
    alone("hostile_bytes_in_the_table_lead_to_answers", || {
        let mut rng = Rng(3);
        for round in 0..300 {
            let store = tiny();
            let other = other(&store);
            let file = File::from(store.fd().try_clone_to_owned().unwrap());
            for id in 1..=rng.below(33) as u32 {
                let _ = store.bids().claim(id, BidTerms::default());
            }
            for _ in 0..20 {
                let at = TABLE_AT + rng.below(ENTRIES.into()) * ENTRY_LEN + rng.below(8) * 8;
                let plain = [0, 1, u64::MAX, 5 | 1 << 32, 5 | 2 << 32, 5 | 3 << 32];
                let word = if round % 2 == 0 { rng.next() } else { *rng.pick(&plain) };
                file.write_all_at(&word.to_le_bytes(), at).unwrap();
                if round % 8 == 7 {
                    let garbage = rng.bytes((u64::from(ENTRIES) * ENTRY_LEN) as usize);
                    file.write_all_at(&garbage, TABLE_AT).unwrap();
                }
                let id = rng.below(8) as u32;
                let bidder = if rng.below(2) == 0 { &store } else { &other };
                let made = BidTerms { intent: *rng.pick(&Intent::ALL), ..lasting(rng.next()) };
                let soon = Patience::Until(Instant::now() + Duration::from_micros(50));
                match rng.below(6) {
                    0 => drop(bidder.bids().claim(id, made)),
                    1 => drop(bidder.bids().renew(id, made)),
                    2 => drop(bidder.bids().release(id)),
                    3 => drop(bidder.bids().release_as_supervisor(id)),
                    4 => drop(bidder.bids().advise(id, 0..4096, Advice::Normal, soon)),
                    _ => drop(bidder.bids().election()),
                }
                assert!(bidder.bids().list().unwrap().len() <= 32);
            }
        }
    });
}
