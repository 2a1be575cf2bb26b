//! Models of the table: bidders that race for one id in every order, and that die at any store. What
//! must hold is that at no time two bids hold one id. A bid that is settled stays so in these models, so
//! it suffices to look in the end.

use super::election::Offer;
use super::table::{Bidder, Refusal, Table};
use super::terms::BidTerms;
use crate::arena::records::{BIDS, Bid as Record};
use crate::error::StoreError;
use crate::protocol::models::{explore, explore_deaths, explore_within};
use crate::sync::{AcqRel, Acquire, crash};
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use std::collections::HashSet;

/// The id that all are after.
const ID: u32 = 5;

/// The table and its locks. Whoever takes or asks for a lock sees all that those did who had it: so it is
/// with the kernel's. Therefore even questions are exchanges.
#[derive(Default)]
struct Room {
    records: [Record; BIDS],
    /// Who holds each entry's lock, or 0.
    locks: [AtomicUsize; BIDS],
}

/// One who bids, by number, from 1 on.
struct Member<'a> {
    room: &'a Room,
    number: usize,
    now: u64,
}

impl Bidder for Member<'_> {
    fn try_hold(&self, entry: usize) -> Result<bool, StoreError> {
        let lock = &self.room.locks[entry];
        Ok(lock.compare_exchange(0, self.number, AcqRel, Acquire).is_ok())
    }

    fn let_go(&self, entry: usize) {
        let _ = self.room.locks[entry].compare_exchange(self.number, 0, AcqRel, Acquire);
    }

    fn holds(&self, entry: usize) -> bool {
        self.room.locks[entry].load(Acquire) == self.number
    }

    fn is_held(&self, entry: usize) -> bool {
        self.room.locks[entry].fetch_add(0, AcqRel) != 0
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn pause(&self, _: usize) {
        loom::thread::yield_now();
    }
}

/// What became of a claim.
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

impl Room {
    /// Runs `deed` as member `number`, for whom it is `now`.
    fn with<R>(&self, number: usize, now: u64, deed: impl FnOnce(&Table<'_, Member<'_>>) -> R) -> R {
        let bidder = Member { room: self, number, now };
        deed(&Table { records: &self.records, bidder: &bidder })
    }

    fn claim(&self, number: usize, now: u64, duration: u64) -> Answer {
        self.with(number, now, |table| answer(table.claim(&offer(number, now, duration))))
    }

    fn renew(&self, number: usize, now: u64) -> Answer {
        self.with(number, now, |table| answer(table.renew(&offer(number, now, u64::MAX))))
    }

    /// Ends member `number`, as its process does: all of its locks are gone.
    fn end(&self, number: usize) {
        for lock in &self.locks {
            let _ = lock.compare_exchange(number, 0, AcqRel, Acquire);
        }
    }

    fn holders_of(&self, id: u32) -> usize {
        let standing = self.with(9, 100, |table| table.standing());
        standing.iter().filter(|seen| seen.offer.id == id).count()
    }

    /// Returns who holds the id at `now`. There is one at most.
    fn holder(&self, now: u64) -> Option<u32> {
        let standing = self.with(9, now, |table| table.standing());
        let mut valid = standing.iter().map(|seen| seen.offer).filter(|offer| !offer.has_expired(now));
        let first = valid.next();
        assert!(valid.next().is_none(), "one id, one owner: {standing:?}");
        first.map(|offer| offer.pid)
    }
}

fn offer(number: usize, now: u64, duration: u64) -> Offer {
    let terms = BidTerms { duration, ..BidTerms::default() };
    Offer { id: ID, pid: number as u32, claimed_at: now, terms }
}

fn spawn<R: 'static>(
    room: &Arc<Room>,
    deed: impl FnOnce(&Room) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let room = Arc::clone(room);
    loom::thread::spawn(move || deed(&room))
}

/// Checks that the holder is who was told to have won, if any was.
fn check_won(room: &Room, now: u64, answers: &[(usize, Answer)]) {
    let holder = room.holder(now);
    let winners: Vec<_> = answers.iter().filter(|(_, answer)| *answer == Answer::Won).collect();
    assert!(winners.len() <= 1, "{answers:?}");
    assert_eq!(holder, winners.first().map(|(number, _)| *number as u32), "{answers:?}");
}

#[test]
fn bid_claims_racing_for_one_id_leave_one_owner() {
    let seen = explore(|| {
        let room = Arc::new(Room::default());
        let other = spawn(&room, |room| room.claim(2, 100, u64::MAX));
        let mine = room.claim(1, 100, u64::MAX);
        let answers = [(1, mine), (2, other.join().unwrap())];
        check_won(&room, 100, &answers);
        answers.map(|(_, answer)| answer)
    });
    assert!(seen.contains(&[Answer::Won, Answer::Taken(1)]));
    assert!(seen.contains(&[Answer::Taken(2), Answer::Won]));
}

#[test]
fn a_bid_that_expires_while_it_is_renewed_goes_to_its_owner_or_to_one_other() {
    let seen = explore(|| {
        let room = Arc::new(Room::default());
        assert_eq!(room.claim(1, 50, 50), Answer::Won);
        // The owner has looked at the clock just before the bid expired, the other just after.
        let other = spawn(&room, |room| room.claim(2, 100, u64::MAX));
        let mine = room.renew(1, 99);
        let answers = [(1, mine), (2, other.join().unwrap())];
        check_won(&room, 100, &answers);
        answers.map(|(_, answer)| answer)
    });
    assert!(seen.contains(&[Answer::Won, Answer::Taken(1)]));
    assert!(seen.contains(&[Answer::Taken(2), Answer::Won]));
}

#[test]
fn a_bid_that_is_renewed_never_lets_a_claim_by_and_never_shows_half_its_terms() {
    let seen = explore(|| {
        let room = Arc::new(Room::default());
        assert_eq!(room.claim(1, 50, 100), Answer::Won);
        let other = spawn(&room, |room| {
            let claim = room.claim(2, 100, u64::MAX);
            let standing = room.with(2, 100, |table| table.standing());
            let terms = standing.first().map(|seen| (seen.offer.claimed_at, seen.offer.terms.duration));
            assert!(matches!(terms, None | Some((50, 100) | (100, u64::MAX))), "{terms:?}");
            claim
        });
        let renewed = room.renew(1, 100);
        let other = other.join().unwrap();
        assert_eq!(room.holder(100), Some(1));
        assert_ne!(other, Answer::Won);
        (renewed, other)
    });
    assert!(seen.contains(&(Answer::Won, Answer::Taken(1))));
}

#[test]
fn a_supervisor_releases_a_bid_that_is_renewed_or_lets_it_be() {
    let seen = explore(|| {
        let room = Arc::new(Room::default());
        assert_eq!(room.claim(1, 100, u64::MAX), Answer::Won);
        let supervisor = spawn(&room, |room| answer(room.with(3, 100, |table| table.revoke(ID))));
        let renewed = room.renew(1, 100);
        let revoked = supervisor.join().unwrap();
        match revoked {
            Answer::Won => assert_eq!(room.holder(100), None),
            _ => assert_eq!(room.holder(100), Some(1), "{renewed:?}"),
        }
        // What it left is free to be claimed, by whomever.
        let next = room.claim(2, 100, u64::MAX);
        assert_eq!(next, if revoked == Answer::Won { Answer::Won } else { Answer::Taken(1) });
        (renewed, revoked)
    });
    assert!(seen.contains(&(Answer::Unknown, Answer::Won)));
    assert!(seen.contains(&(Answer::Won, Answer::Won)));
}

#[test]
fn a_supervisor_releases_one_bid_and_no_later_one_with_it() {
    let seen = explore(|| {
        let room = Arc::new(Room::default());
        assert_eq!(room.claim(1, 100, u64::MAX), Answer::Won);
        let supervisor = spawn(&room, |room| answer(room.with(3, 100, |table| table.revoke(ID))));
        let released = answer(room.with(1, 100, |table| table.release(ID)));
        let claimed = room.claim(2, 100, u64::MAX);
        let revoked = supervisor.join().unwrap();
        assert_eq!(claimed, Answer::Won);
        let ends = [released, revoked].into_iter().filter(|answer| *answer == Answer::Won).count();
        assert_eq!(room.holder(100), (ends == 1).then_some(2), "two bids, and as many less held");
        (released, revoked)
    });
    let won = [(Answer::Won, Answer::Unknown), (Answer::Unknown, Answer::Won)];
    assert!(won.iter().all(|answers| seen.contains(answers)), "{seen:?}");
}

#[test]
fn a_bid_claim_that_dies_anywhere_beside_another_leaves_one_owner_and_the_id_free_to_claim() {
    let seen = explore_deaths(|stores| {
        let room = Arc::new(Room::default());
        let victim = spawn(&room, move |room| {
            let end = crash::run(stores, || room.claim(1, 100, u64::MAX));
            assert!(end != Some(Answer::Won) || matches!(room.holder(100), Some(1)));
            room.end(1);
            end
        });
        let other = room.claim(2, 100, u64::MAX);
        let end = victim.join().unwrap();
        // The dead one's bid is gone, whatever it was told.
        check_won(&room, 100, &[(2, other)]);
        let next = room.claim(3, 100, u64::MAX);
        assert_eq!(next, if other == Answer::Won { Answer::Taken(2) } else { Answer::Won });
        (end.is_some(), other)
    });
    let expected = HashSet::from([Answer::Won, Answer::Taken(1)]);
    assert!(expected.is_subset(&seen), "{seen:?}");
}

#[test]
fn a_bid_renewal_that_dies_anywhere_leaves_its_id_free_to_claim() {
    explore_deaths(|stores| {
        let room = Arc::new(Room::default());
        assert_eq!(room.claim(1, 50, 50), Answer::Won);
        let victim = spawn(&room, move |room| {
            let end = crash::run(stores, || room.renew(1, 99));
            room.end(1);
            end
        });
        let other = room.claim(2, 100, u64::MAX);
        let end = victim.join().unwrap();
        check_won(&room, 100, &[(2, other)]);
        let next = room.claim(3, 100, u64::MAX);
        assert_eq!(next, if other == Answer::Won { Answer::Taken(2) } else { Answer::Won });
        (end.is_some(), ())
    });
}

#[test]
fn two_who_take_a_dead_bidders_entry_for_one_id_leave_one_owner() {
    explore_within(1, || {
        let room = Arc::new(Room::default());
        assert_eq!(room.claim(1, 100, u64::MAX), Answer::Won);
        room.end(1);
        let other = spawn(&room, |room| room.claim(3, 100, u64::MAX));
        let mine = room.claim(2, 100, u64::MAX);
        let answers = [(2, mine), (3, other.join().unwrap())];
        check_won(&room, 100, &answers);
    });
}

#[test]
fn a_dead_bid_does_not_come_back_while_its_entry_is_taken_for_another() {
    explore(|| {
        let room = Arc::new(Room::default());
        assert_eq!(room.claim(1, 100, u64::MAX), Answer::Won);
        room.end(1);
        let other = spawn(&room, |room| {
            let other = Offer { id: ID + 1, ..offer(2, 100, u64::MAX) };
            answer(room.with(2, 100, |table| table.claim(&other)))
        });
        assert_eq!(room.holders_of(ID), 0);
        assert_eq!(other.join().unwrap(), Answer::Won);
        assert_eq!(room.holders_of(ID + 1), 1);
    });
}
