//! The bid table: which bidder may change which word of it, and when. It works on borrowed records. Locks, clock and
//! pauses come from [`Environment`]. `docs/protocol.md` explains the protocol.
//!
//! An entry belongs to the bidder that holds its lock, and the lock ends with its holder. *One id has one owner*: a
//! bidder first stores its proposal, then looks for competitors, and only then commits its bid. Sequentially consistent
//! fences separate the store from the looks of each bidder, and one fence comes first. So of two bidders for one id,
//! one stored its proposal before the other began to look.

use super::election::Offer;
use super::terms::{BidTerms, Intent};
use crate::arena::records::{BIDS, Bid as Record};
use crate::error::StoreError;
use crate::sync::{AcqRel, Acquire, Ordering, Relaxed, Release, fence, load_acquire, spin_loop};

/// What the table asks of the outside on behalf of one open store. That store's calls that change the table come one at
/// a time.
pub(super) trait Environment {
    /// Takes an entry's lock. Returns `false` if any store, this one included, holds it.
    fn try_lock(&self, entry: usize) -> Result<bool, StoreError>;
    /// Releases the lock.
    fn unlock(&self, entry: usize);
    /// Tells whether this store holds the lock.
    fn holds_lock(&self, entry: usize) -> bool;
    /// Tells whether any store holds the lock. If that cannot be known, the answer is yes.
    fn is_locked(&self, entry: usize) -> bool;
    /// Reads the clock.
    fn now(&self) -> u64;
    /// Lets some time pass, more of it in later rounds.
    fn pause(&self, round: usize);
}

/// Why the table refused an operation.
#[derive(Debug)]
pub(super) enum Refusal {
    Full,
    Taken { pid: u32 },
    Again,
    Unknown,
    NotOwner { pid: u32 },
    Failed(StoreError),
}

/// The stage of a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    /// The entry has no bid.
    Free,
    /// The bid keeps others from its id, but has not won it, and takes part in no election.
    Proposed,
    /// The bid holds its id and takes part in elections, until it expires.
    Committed,
    /// As committed, but the bid keeps others from its id even after it has expired.
    Renewing,
}

/// The subject word: serial number, stage and id. Its field in the record documents the bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subject(u64);

impl Subject {
    const SERIAL: u32 = 34;

    fn id(self) -> u32 {
        self.0 as u32
    }

    fn stage(self) -> Stage {
        match self.0 >> 32 & 3 {
            0 => Stage::Free,
            1 => Stage::Proposed,
            2 => Stage::Committed,
            _ => Stage::Renewing,
        }
    }

    /// Tells whether the bid has won its id. It may have expired since.
    fn has_won(self) -> bool {
        self.id() != 0 && matches!(self.stage(), Stage::Committed | Stage::Renewing)
    }

    fn at(self, stage: Stage) -> Self {
        Self(self.0 & !(3 << 32) | (stage as u64) << 32)
    }

    fn freed(self) -> Self {
        Self(self.0 >> Self::SERIAL << Self::SERIAL)
    }

    /// Returns the proposal that follows the last bid of this entry.
    fn successor(self, id: u32) -> Self {
        let serial = (self.0 >> Self::SERIAL).wrapping_add(1) << Self::SERIAL;
        Self(serial | u64::from(id)).at(Stage::Proposed)
    }

    /// Tells whether both words are of one bid, possibly at different stages.
    fn is_same_bid(self, other: Self) -> bool {
        self.at(Stage::Free) == other.at(Stage::Free)
            && (self.stage() == Stage::Free) == (other.stage() == Stage::Free)
    }
}

/// An entry as it was at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot {
    entry: usize,
    subject: Subject,
    pub(super) offer: Offer,
}

/// What else is after an id.
enum Competitor {
    None,
    /// A bid that holds the id.
    Holder {
        pid: u32,
    },
    /// The first entry whose bid may come to hold the id.
    Contender(usize),
}

/// Why a claim or renewal did not succeed.
enum Failure {
    /// A competitor in an earlier entry goes on. This bidder makes room, and tries again.
    Yield,
    Refused(Refusal),
}

/// The table, as one bidder sees it.
pub(super) struct Table<'a, B> {
    pub(super) records: &'a [Record; BIDS],
    pub(super) env: &'a B,
}

impl<B: Environment> Table<'_, B> {
    /// How often an operation tries again when others change the table meanwhile.
    const ROUNDS: usize = if cfg!(loom) { 2 } else { 64 };

    /// Claims `offer.id` for the duration of the offer.
    pub(super) fn claim(&self, offer: &Offer) -> Result<(), Refusal> {
        self.free_own_expired(|id| id == offer.id);
        let mut refusal = Refusal::Again;
        for round in 0..Self::ROUNDS {
            match self.try_claim(offer) {
                Ok(()) => return Ok(()),
                Err(Failure::Refused(Refusal::Full)) if !self.is_full() => refusal = Refusal::Full,
                Err(Failure::Refused(refusal)) => return Err(refusal),
                Err(Failure::Yield) => refusal = Refusal::Again,
            }
            self.env.pause(round);
        }
        Err(refusal)
    }

    /// Renews the bid for `offer.id` with other terms, from `offer.claimed_at` on. If `offer.pid` is 0, the bid keeps
    /// its process.
    ///
    /// An expired bid is renewed if no other bidder has claimed its id. A valid bid may expire the next moment, while
    /// this thread is stopped, and another bidder may claim its id. So every renewal checks as a claim does.
    pub(super) fn renew(&self, offer: &Offer) -> Result<(), Refusal> {
        for round in 0..Self::ROUNDS {
            let own = self.own_bid(offer.id)?;
            let (committed, renewing) = (own.subject.at(Stage::Committed), own.subject.at(Stage::Renewing));
            if !self.exchange(own.entry, own.subject, renewing) {
                continue;
            }
            let outcome = self.check_competitors(own.entry, offer.id);
            if outcome.is_ok() {
                let pid = if offer.pid == 0 { own.offer.pid } else { offer.pid };
                self.write(own.entry, &Offer { pid, ..*offer });
            }
            let is_ours = self.exchange(own.entry, renewing, committed);
            match outcome {
                // A supervisor released the bid meanwhile.
                _ if !is_ours => {
                    self.env.unlock(own.entry);
                    return Err(Refusal::Unknown);
                }
                Ok(()) => return Ok(()),
                Err(Failure::Refused(refusal)) => return Err(refusal),
                Err(Failure::Yield) => self.env.pause(round),
            }
        }
        Err(Refusal::Again)
    }

    /// Releases this store's bid for `id`.
    pub(super) fn release(&self, id: u32) -> Result<(), Refusal> {
        let own = self.own_bid(id)?;
        let released = self.exchange(own.entry, own.subject, own.subject.freed());
        self.env.unlock(own.entry);
        if released { Ok(()) } else { Err(Refusal::Unknown) }
    }

    /// Releases the bid for `id`, and expired bids for it, whichever store made them.
    ///
    /// It looks up all of them before it releases the first, so it hits no bid that was claimed because of that
    /// release. It exchanges the very subject that it saw, with its serial number, so it hits no later bid in an entry
    /// either. The owner keeps its lock on the freed entry, for its next claim.
    pub(super) fn revoke(&self, id: u32) -> Result<(), Refusal> {
        let subjects = self.records.each_ref().map(|record| Subject(load_acquire(&record.subject)));
        let mut answer = Err(Refusal::Unknown);
        for (entry, subject) in subjects.into_iter().enumerate().filter(|(_, subject)| subject.id() == id) {
            match self.revoke_one(entry, subject) {
                Ok(()) => answer = Ok(()),
                Err(Refusal::Unknown) => {}
                refused if answer.is_err() => answer = refused,
                Err(_) => {}
            }
        }
        answer
    }

    fn revoke_one(&self, entry: usize, bid: Subject) -> Result<(), Refusal> {
        for _ in 0..Self::ROUNDS {
            let subject = Subject(load_acquire(&self.records[entry].subject));
            if !subject.has_won() || !subject.is_same_bid(bid) || !self.is_live(entry, bid) {
                return Err(Refusal::Unknown);
            }
            if self.exchange(entry, subject, subject.freed()) {
                if self.env.holds_lock(entry) {
                    self.env.unlock(entry);
                }
                return Ok(());
            }
            // The owner renews the bid right now.
            spin_loop();
        }
        Err(Refusal::Again)
    }

    /// Lists the bids of live owners that hold an id, or did until they expired. It leaves out an entry that is being
    /// written: its writer may be stopped, and no reader waits for it.
    pub(super) fn live_bids(&self) -> Vec<Snapshot> {
        (0..BIDS)
            .filter_map(|entry| self.read(entry))
            .filter(|seen| seen.subject.has_won() && self.is_live(seen.entry, seen.subject))
            .collect()
    }

    /// Finds this store's bid for `id` among the live ones.
    pub(super) fn find_own(&self, live: &[Snapshot], id: u32) -> Result<usize, Refusal> {
        let mut bids = (0..live.len()).filter(|index| live[*index].offer.id == id);
        match bids.clone().find(|index| self.env.holds_lock(live[*index].entry)) {
            Some(own) => Ok(own),
            None => Err(match bids.next() {
                Some(other) => Refusal::NotOwner { pid: live[other].offer.pid },
                None => Refusal::Unknown,
            }),
        }
    }

    fn own_bid(&self, id: u32) -> Result<Snapshot, Refusal> {
        let live = self.live_bids();
        self.find_own(&live, id).map(|index| live[index])
    }

    /// Tries once to take an entry, propose, and commit.
    fn try_claim(&self, offer: &Offer) -> Result<(), Failure> {
        // If the id is taken, this bidder needs no entry, and takes none from others.
        match self.find_competitor(None, offer.id) {
            Competitor::Holder { pid } => return Err(Failure::Refused(Refusal::Taken { pid })),
            Competitor::Contender(_) => return Err(Failure::Yield),
            Competitor::None => {}
        }
        let found = self.take_entry().and_then(|found| found.ok_or(Refusal::Full));
        let entry = found.map_err(Failure::Refused)?;
        let record = &self.records[entry];
        let last = Subject(record.subject.load(Relaxed));
        // The entry is free, unless it changed hands between `free_dead_entry` and our lock. The terms follow the free
        // word, so no reader takes them for those of an older bid.
        record.subject.store(last.freed().0, Relaxed);
        self.write(entry, offer);
        let proposed = last.successor(offer.id);
        record.subject.store(proposed.0, Release);
        let outcome = self.check_competitors(entry, offer.id);
        // Only this bidder changes its proposal, so this succeeds unless a program damaged the table.
        let next = if outcome.is_ok() { proposed.at(Stage::Committed) } else { proposed.freed() };
        let is_ours = self.exchange(entry, proposed, next);
        if outcome.is_err() || !is_ours {
            self.env.unlock(entry);
        }
        outcome.and(if is_ours { Ok(()) } else { Err(Failure::Yield) })
    }

    /// Looks for competitors, after this store has stored in `entry` that it is after `id`.
    ///
    /// The fence separates that store from the looks below. Say bidders A and B are after one id, and A's fence is
    /// first. Then B's look at A's entry sees what A stored, or what A stored there later:
    ///
    /// - B finds A's proposal, its renewal, or its committed bid: B does not commit.
    /// - B finds the bid withdrawn or expired, or A dead: A did not commit, or its bid no longer counts.
    ///
    /// So not both commit. An expired bid becomes valid again only by a renewal, which is such a proposal itself.
    ///
    /// If both see each other, the one in the earlier entry stays and waits for the other to make room. Otherwise both
    /// could withdraw for ever. The wait is bounded, as the other bidder may be stopped.
    fn check_competitors(&self, entry: usize, id: u32) -> Result<(), Failure> {
        fence(Ordering::SeqCst);
        for round in 0..Self::ROUNDS {
            match self.find_competitor(Some(entry), id) {
                Competitor::None => return Ok(()),
                Competitor::Holder { pid } => return Err(Failure::Refused(Refusal::Taken { pid })),
                Competitor::Contender(other) if other < entry => return Err(Failure::Yield),
                Competitor::Contender(_) => self.env.pause(round),
            }
        }
        Err(Failure::Refused(Refusal::Again))
    }

    /// Looks once for other bids that are after `id`, except in entry `mine`.
    fn find_competitor(&self, mine: Option<usize>, id: u32) -> Competitor {
        // Read before the looks: what has expired by then has expired for every later look.
        let now = self.env.now();
        let mut competitor = Competitor::None;
        for (entry, record) in self.records.iter().enumerate() {
            // The id shares a word with the stage, so this needs no wait for the terms. A bidder that is stopped while
            // it writes terms keeps none from other ids.
            let subject = Subject(load_acquire(&record.subject));
            let is_after = subject.id() == id && subject.stage() != Stage::Free;
            // A bid that is gone by now, or whose bidder is dead, is no competitor. Nor is the next bid in that entry:
            // its bidder stored it after our look, so its fence comes after ours, and it sees our bid.
            if mine == Some(entry) || !is_after || !self.is_live(entry, subject) {
                continue;
            }
            match self.read(entry) {
                Some(seen) if !seen.subject.is_same_bid(subject) => {}
                Some(seen) if seen.subject.has_won() && !seen.offer.has_expired(now) => {
                    return Competitor::Holder { pid: seen.offer.pid };
                }
                Some(seen) if seen.subject.stage() == Stage::Committed => {}
                // Proposed, or renewed after it expired, or its terms are being written.
                _ if matches!(competitor, Competitor::None) => competitor = Competitor::Contender(entry),
                _ => {}
            }
        }
        competitor
    }

    /// Takes an entry for a new bid: one that a supervisor freed while this store holds its lock, one that no store
    /// holds, or that of an expired bid of this store.
    fn take_entry(&self) -> Result<Option<usize>, Refusal> {
        let is_free =
            |entry: &usize| Subject(self.records[*entry].subject.load(Relaxed)).stage() == Stage::Free;
        let holds = |entry: &usize| self.env.holds_lock(*entry);
        if let Some(freed) = (0..BIDS).filter(holds).find(is_free) {
            return Ok(Some(freed));
        }
        let seek = || {
            for entry in (0..BIDS).filter(|entry| !holds(entry)) {
                self.free_dead_entry(entry);
                if self.env.try_lock(entry).map_err(Refusal::Failed)? {
                    return Ok(Some(entry));
                }
            }
            Ok(None)
        };
        match seek()? {
            None if self.free_own_expired(|_| true) => seek(),
            found => Ok(found),
        }
    }

    /// Frees an entry whose bidder is dead. If this store locked it first, the dead bid would look alive until the new
    /// bid is written, and the new bidder may be stopped before that. If the lock is free, the bid is dead for good,
    /// whichever store takes the lock now. The exchange hits no other bid.
    fn free_dead_entry(&self, entry: usize) {
        let subject = Subject(load_acquire(&self.records[entry].subject));
        if subject.freed() != subject && !self.env.is_locked(entry) {
            self.exchange(entry, subject, subject.freed());
        }
    }

    /// Frees and unlocks this store's expired bids for ids that `wanted` selects. Tells whether there were any.
    fn free_own_expired(&self, wanted: impl Fn(u32) -> bool) -> bool {
        let now = self.env.now();
        let mut freed = false;
        for seen in (0..BIDS).filter(|&entry| self.env.holds_lock(entry)).filter_map(|e| self.read(e)) {
            if seen.subject.has_won() && wanted(seen.offer.id) && seen.offer.has_expired(now) {
                self.exchange(seen.entry, seen.subject, seen.subject.freed());
                self.env.unlock(seen.entry);
                freed = true;
            }
        }
        freed
    }

    /// Tells whether every entry has a bid that won its id, so that another try is of no use.
    fn is_full(&self) -> bool {
        self.records.iter().all(|record| Subject(record.subject.load(Relaxed)).has_won())
    }

    /// Tells whether the bidder of a subject that was seen in an entry lives.
    fn is_live(&self, entry: usize, subject: Subject) -> bool {
        // Loads the subject again after the lock: the entry may be another bidder's by now.
        self.env.is_locked(entry) && Subject(load_acquire(&self.records[entry].subject)).is_same_bid(subject)
    }

    /// Replaces the subject word, if it is still `from`.
    fn exchange(&self, entry: usize, from: Subject, to: Subject) -> bool {
        let subject = &self.records[entry].subject;
        subject.compare_exchange(from.0, to.0, AcqRel, Relaxed).is_ok()
    }

    /// Writes the terms. This store holds the entry's lock, and the entry is free or being renewed.
    fn write(&self, entry: usize, offer: &Offer) {
        let record = &self.records[entry];
        let Offer { pid, claimed_at, terms: BidTerms { intent, priority, duration }, .. } = *offer;
        let terms = u64::from(pid) << 32 | u64::from(priority) << 8 | intent as u64;
        // Odd, and another number than before, even where a dead bidder left an odd one.
        let writing = record.version.load(Relaxed).wrapping_add(1) | 1;
        record.version.store(writing, Relaxed);
        // Pairs with the acquire fence in `read`: a reader that sees a new term sees the odd version.
        fence(Release);
        record.terms.store(terms, Relaxed);
        record.claimed_at.store(claimed_at, Relaxed);
        record.duration.store(duration, Relaxed);
        record.version.store(writing.wrapping_add(1), Release);
    }

    /// Reads an entry as it was at one moment, as a sequence lock does. Returns `None` if writers keep changing it.
    fn read(&self, entry: usize) -> Option<Snapshot> {
        let record = &self.records[entry];
        for _ in 0..Self::ROUNDS {
            // Acquire pairs with the last store in `write`. That of the subject pairs with the stores of `try_claim`
            // and `exchange`, which come after the terms they go with.
            let version = load_acquire(&record.version);
            let subject = Subject(load_acquire(&record.subject));
            let terms = record.terms.load(Relaxed);
            let claimed_at = record.claimed_at.load(Relaxed);
            let duration = record.duration.load(Relaxed);
            fence(Acquire);
            let same = record.version.load(Relaxed) == version && record.subject.load(Relaxed) == subject.0;
            if same && version.is_multiple_of(2) {
                let intent = Intent::from_number(terms as u8).unwrap_or_default();
                let current = BidTerms { intent, priority: (terms >> 8) as u8, duration };
                let pid = (terms >> 32) as u32;
                let offer = Offer { id: subject.id(), pid, claimed_at, terms: current };
                return Some(Snapshot { entry, subject, offer });
            }
            spin_loop();
        }
        None
    }
}
