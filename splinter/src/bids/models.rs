//! Models of the bid table: bidders race for one id in every order, and die at any store. No id may ever have two
//! bids. A committed bid stays committed in these models, so it suffices to check at the end.

use super::election::Offer;
use super::table::{Environment, Refusal, Table};
use super::terms::BidTerms;
use crate::arena::records::{BIDS, Bid as Record};
use crate::error::StoreError;
use crate::protocol::models::{explore, explore_deaths, explore_within};
use crate::sync::{AcqRel, Acquire, crash};
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use std::collections::HashSet;

/// The id that all bidders claim.
const ID: u32 = 5;

/// The table and its locks. A bidder that takes or queries a lock sees everything that earlier holders did, as with
/// the kernel's locks. So even a query is an exchange.
#[derive(Default)]
struct SharedTable {
    records: [Record; BIDS],
    /// The number of the bidder that holds each entry's lock, or 0.
    locks: [AtomicUsize; BIDS],
}

/// A bidder, with its number from 1 on.
struct TestBidder<'a> {
    shared: &'a SharedTable,
    number: usize,
    now: u64,
}

impl Environment for TestBidder<'_> {
    fn try_lock(&self, entry: usize) -> Result<bool, StoreError> {
        let lock = &self.shared.locks[entry];
        Ok(lock.compare_exchange(0, self.number, AcqRel, Acquire).is_ok())
    }

    fn unlock(&self, entry: usize) {
        let _ = self.shared.locks[entry].compare_exchange(self.number, 0, AcqRel, Acquire);
    }

    fn holds_lock(&self, entry: usize) -> bool {
        self.shared.locks[entry].load(Acquire) == self.number
    }

    fn is_locked(&self, entry: usize) -> bool {
        self.shared.locks[entry].fetch_add(0, AcqRel) != 0
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn pause(&self, _: usize) {
        loom::thread::yield_now();
    }
}

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Won,
    Taken(u32),
    Again,
    Unknown,
}

fn answer(result: Result<(), Refusal>) -> Answer {
    match result {
        Ok(()) => Answer::Won,
        Err(Refusal::Taken { pid }) => Answer::Taken(pid),
        Err(Refusal::Again) => Answer::Again,
        Err(Refusal::Unknown) => Answer::Unknown,
        Err(other) => panic!("{other:?}"),
    }
}

impl SharedTable {
    /// Runs `operation` as bidder `number`, whose clock reads `now`.
    fn with<R>(&self, number: usize, now: u64, operation: impl FnOnce(&Table<'_, TestBidder<'_>>) -> R) -> R {
        let bidder = TestBidder { shared: self, number, now };
        operation(&Table { records: &self.records, env: &bidder })
    }

    fn claim(&self, number: usize, now: u64, duration: u64) -> Answer {
        self.with(number, now, |table| answer(table.claim(&offer(number, now, duration))))
    }

    fn renew(&self, number: usize, now: u64) -> Answer {
        self.with(number, now, |table| answer(table.renew(&offer(number, now, u64::MAX))))
    }

    /// Kills bidder `number`, as when its process ends: it holds no lock any more.
    fn kill(&self, number: usize) {
        for lock in &self.locks {
            let _ = lock.compare_exchange(number, 0, AcqRel, Acquire);
        }
    }

    fn holders_of(&self, id: u32) -> usize {
        let live = self.with(9, 100, |table| table.live_bids());
        live.iter().filter(|seen| seen.offer.id == id).count()
    }

    /// Returns the bidder that holds the id at `now`. There is one at most.
    fn holder(&self, now: u64) -> Option<u32> {
        let live = self.with(9, now, |table| table.live_bids());
        let mut valid = live.iter().map(|seen| seen.offer).filter(|offer| !offer.has_expired(now));
        let first = valid.next();
        assert!(valid.next().is_none(), "one id, one owner: {live:?}");
        first.map(|offer| offer.pid)
    }
}

fn offer(number: usize, now: u64, duration: u64) -> Offer {
    let terms = BidTerms { duration, ..BidTerms::default() };
    Offer { id: ID, pid: number as u32, claimed_at: now, terms }
}

fn spawn<R: 'static>(
    shared: &Arc<SharedTable>,
    operation: impl FnOnce(&SharedTable) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let shared = Arc::clone(shared);
    loom::thread::spawn(move || operation(&shared))
}

/// Checks that the holder is the bidder that won, if any did.
fn check_won(shared: &SharedTable, now: u64, answers: &[(usize, Answer)]) {
    let holder = shared.holder(now);
    let winners: Vec<_> = answers.iter().filter(|(_, answer)| *answer == Answer::Won).collect();
    assert!(winners.len() <= 1, "{answers:?}");
    assert_eq!(holder, winners.first().map(|(number, _)| *number as u32), "{answers:?}");
}

#[test]
fn bid_claims_racing_for_one_id_leave_one_owner() {
    let seen = explore(|| {
        let shared = Arc::new(SharedTable::default());
        let other = spawn(&shared, |shared| shared.claim(2, 100, u64::MAX));
        let mine = shared.claim(1, 100, u64::MAX);
        let answers = [(1, mine), (2, other.join().unwrap())];
        check_won(&shared, 100, &answers);
        answers.map(|(_, answer)| answer)
    });
    assert!(seen.contains(&[Answer::Won, Answer::Taken(1)]));
    assert!(seen.contains(&[Answer::Taken(2), Answer::Won]));
}

#[test]
fn a_bid_that_expires_while_it_is_renewed_goes_to_its_owner_or_to_one_other() {
    let seen = explore(|| {
        let shared = Arc::new(SharedTable::default());
        assert_eq!(shared.claim(1, 50, 50), Answer::Won);
        // The owner read the clock just before the bid expired, the other bidder just after.
        let other = spawn(&shared, |shared| shared.claim(2, 100, u64::MAX));
        let mine = shared.renew(1, 99);
        let answers = [(1, mine), (2, other.join().unwrap())];
        check_won(&shared, 100, &answers);
        answers.map(|(_, answer)| answer)
    });
    assert!(seen.contains(&[Answer::Won, Answer::Taken(1)]));
    assert!(seen.contains(&[Answer::Taken(2), Answer::Won]));
}

#[test]
fn a_bid_that_is_renewed_never_lets_a_claim_by_and_never_shows_half_its_terms() {
    let seen = explore(|| {
        let shared = Arc::new(SharedTable::default());
        assert_eq!(shared.claim(1, 50, 100), Answer::Won);
        let other = spawn(&shared, |shared| {
            let claim = shared.claim(2, 100, u64::MAX);
            let live = shared.with(2, 100, |table| table.live_bids());
            let terms = live.first().map(|seen| (seen.offer.claimed_at, seen.offer.terms.duration));
            assert!(matches!(terms, None | Some((50, 100) | (100, u64::MAX))), "{terms:?}");
            claim
        });
        let renewed = shared.renew(1, 100);
        let other = other.join().unwrap();
        assert_eq!(shared.holder(100), Some(1));
        assert_ne!(other, Answer::Won);
        (renewed, other)
    });
    assert!(seen.contains(&(Answer::Won, Answer::Taken(1))));
}

#[test]
fn a_supervisor_releases_a_bid_that_is_renewed_or_lets_it_be() {
    let seen = explore(|| {
        let shared = Arc::new(SharedTable::default());
        assert_eq!(shared.claim(1, 100, u64::MAX), Answer::Won);
        let supervisor = spawn(&shared, |shared| answer(shared.with(3, 100, |table| table.revoke(ID))));
        let renewed = shared.renew(1, 100);
        let revoked = supervisor.join().unwrap();
        match revoked {
            Answer::Won => assert_eq!(shared.holder(100), None),
            _ => assert_eq!(shared.holder(100), Some(1), "{renewed:?}"),
        }
        // Any bidder may claim the entry that the supervisor freed.
        let next = shared.claim(2, 100, u64::MAX);
        assert_eq!(next, if revoked == Answer::Won { Answer::Won } else { Answer::Taken(1) });
        (renewed, revoked)
    });
    assert!(seen.contains(&(Answer::Unknown, Answer::Won)));
    assert!(seen.contains(&(Answer::Won, Answer::Won)));
}

#[test]
fn a_supervisor_releases_one_bid_and_no_later_one_with_it() {
    let seen = explore(|| {
        let shared = Arc::new(SharedTable::default());
        assert_eq!(shared.claim(1, 100, u64::MAX), Answer::Won);
        let supervisor = spawn(&shared, |shared| answer(shared.with(3, 100, |table| table.revoke(ID))));
        let released = answer(shared.with(1, 100, |table| table.release(ID)));
        let claimed = shared.claim(2, 100, u64::MAX);
        let revoked = supervisor.join().unwrap();
        assert_eq!(claimed, Answer::Won);
        let ends = [released, revoked].into_iter().filter(|answer| *answer == Answer::Won).count();
        assert_eq!(shared.holder(100), (ends == 1).then_some(2), "two bids, and as many less held");
        (released, revoked)
    });
    let won = [(Answer::Won, Answer::Unknown), (Answer::Unknown, Answer::Won)];
    assert!(won.iter().all(|answers| seen.contains(answers)), "{seen:?}");
}

#[test]
fn a_bid_claim_that_dies_anywhere_beside_another_leaves_one_owner_and_the_id_free_to_claim() {
    let seen = explore_deaths(|stores| {
        let shared = Arc::new(SharedTable::default());
        let victim = spawn(&shared, move |shared| {
            let end = crash::run(stores, || shared.claim(1, 100, u64::MAX));
            assert!(end != Some(Answer::Won) || matches!(shared.holder(100), Some(1)));
            shared.kill(1);
            end
        });
        let other = shared.claim(2, 100, u64::MAX);
        let end = victim.join().unwrap();
        // The dead bidder's bid is gone, whatever its claim returned.
        check_won(&shared, 100, &[(2, other)]);
        let next = shared.claim(3, 100, u64::MAX);
        assert_eq!(next, if other == Answer::Won { Answer::Taken(2) } else { Answer::Won });
        (end.is_some(), other)
    });
    let expected = HashSet::from([Answer::Won, Answer::Taken(1)]);
    assert!(expected.is_subset(&seen), "{seen:?}");
}

#[test]
fn a_bid_renewal_that_dies_anywhere_leaves_its_id_free_to_claim() {
    explore_deaths(|stores| {
        let shared = Arc::new(SharedTable::default());
        assert_eq!(shared.claim(1, 50, 50), Answer::Won);
        let victim = spawn(&shared, move |shared| {
            let end = crash::run(stores, || shared.renew(1, 99));
            shared.kill(1);
            end
        });
        let other = shared.claim(2, 100, u64::MAX);
        let end = victim.join().unwrap();
        check_won(&shared, 100, &[(2, other)]);
        let next = shared.claim(3, 100, u64::MAX);
        assert_eq!(next, if other == Answer::Won { Answer::Taken(2) } else { Answer::Won });
        (end.is_some(), ())
    });
}

#[test]
fn two_bidders_that_take_a_dead_bidders_entry_for_one_id_leave_one_owner() {
    explore_within(1, || {
        let shared = Arc::new(SharedTable::default());
        assert_eq!(shared.claim(1, 100, u64::MAX), Answer::Won);
        shared.kill(1);
        let other = spawn(&shared, |shared| shared.claim(3, 100, u64::MAX));
        let mine = shared.claim(2, 100, u64::MAX);
        let answers = [(2, mine), (3, other.join().unwrap())];
        check_won(&shared, 100, &answers);
    });
}

#[test]
fn a_dead_bid_does_not_come_back_while_its_entry_is_taken_for_another() {
    explore(|| {
        let shared = Arc::new(SharedTable::default());
        assert_eq!(shared.claim(1, 100, u64::MAX), Answer::Won);
        shared.kill(1);
        let other = spawn(&shared, |shared| {
            let other = Offer { id: ID + 1, ..offer(2, 100, u64::MAX) };
            answer(shared.with(2, 100, |table| table.claim(&other)))
        });
        assert_eq!(shared.holders_of(ID), 0);
        assert_eq!(other.join().unwrap(), Answer::Won);
        assert_eq!(shared.holders_of(ID + 1), 1);
    });
}
