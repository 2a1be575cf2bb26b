//! The table: who may change which word of it when. Over borrowed records and nothing else; who lives,
//! what time it is and how time passes is asked through [`Bidder`].
//!
//! An entry belongs to whoever holds its lock, which ends with its holder. *One id has one owner* because
//! a claim is put down before it is looked for others, and counts only after. Of two that race for
//! one id, one stored its proposal before the other began to look, whatever the processors make of it: the
//! stores and the looks of both are parted by sequentially consistent fences, of which one is first.

use super::election::Offer;
use super::terms::{BidTerms, Intent};
use crate::arena::records::{BIDS, Bid as Record};
use crate::error::StoreError;
use crate::sync::{AcqRel, Acquire, Ordering, Relaxed, Release, fence, load_acquire, spin_loop};

/// What the table asks of the world, on behalf of one open store, whose calls that change the table come
/// one at a time.
pub(super) trait Bidder {
    /// Takes an entry's lock, unless it is held, by whomever.
    fn try_hold(&self, entry: usize) -> Result<bool, StoreError>;
    /// Gives the lock back.
    fn let_go(&self, entry: usize);
    /// Tells whether this store holds the lock.
    fn holds(&self, entry: usize) -> bool;
    /// Tells whether anybody does. When that cannot be known, somebody does.
    fn is_held(&self, entry: usize) -> bool;
    /// Reads the clock.
    fn now(&self) -> u64;
    /// Passes some time, more of it in later rounds.
    fn pause(&self, round: usize);
}

/// Why the table refused.
#[derive(Debug)]
pub(super) enum Refusal {
    Full,
    Taken { pid: u32 },
    Again,
    Unknown,
    NotOwner { pid: u32 },
    Failed(StoreError),
}

/// How far a bid has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    /// There is no bid.
    Free,
    /// It keeps others from its id, but has not won it, and is in no election.
    Proposed,
    /// It holds its id and is in elections, until it expires.
    Settled,
    /// As settled, but it keeps others from its id even if it has expired.
    Renewing,
}

/// The subject word. The layout is documented at its field.
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
            2 => Stage::Settled,
            _ => Stage::Renewing,
        }
    }

    /// Whether the bid has won its id.
    fn stands(self) -> bool {
        self.id() != 0 && matches!(self.stage(), Stage::Settled | Stage::Renewing)
    }

    fn at(self, stage: Stage) -> Self {
        Self(self.0 & !(3 << 32) | (stage as u64) << 32)
    }

    fn freed(self) -> Self {
        Self(self.0 >> Self::SERIAL << Self::SERIAL)
    }

    /// The proposal that follows whatever bid was here.
    fn successor(self, id: u32) -> Self {
        let serial = (self.0 >> Self::SERIAL).wrapping_add(1) << Self::SERIAL;
        Self(serial | u64::from(id)).at(Stage::Proposed)
    }

    /// Whether both words tell of one bid, be it at different stages.
    fn is_same_bid(self, other: Self) -> bool {
        self.at(Stage::Free) == other.at(Stage::Free)
            && (self.stage() == Stage::Free) == (other.stage() == Stage::Free)
    }
}

/// An entry as it was at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    entry: usize,
    subject: Subject,
    pub(super) offer: Offer,
}

/// Who else is after an id.
enum Rival {
    None,
    /// A bid that holds it.
    Holder {
        pid: u32,
    },
    /// One that may come to hold it, in this entry; of several, in the first.
    Contender(usize),
}

/// How looking for rivals ended, when it did not end well.
enum Contest {
    /// A rival before us in the table goes on; we make room, and try again.
    Yield,
    Lost(Refusal),
}

/// The table, as one bidder sees it.
pub(super) struct Table<'a, B> {
    pub(super) records: &'a [Record; BIDS],
    pub(super) bidder: &'a B,
}

impl<B: Bidder> Table<'_, B> {
    /// How often what others change meanwhile is tried again.
    const ROUNDS: usize = if cfg!(loom) { 2 } else { 64 };

    /// Claims `offer.id` for as long as the offer says.
    pub(super) fn claim(&self, offer: &Offer) -> Result<(), Refusal> {
        self.free_own_expired(|id| id == offer.id);
        let mut refusal = Refusal::Again;
        for round in 0..Self::ROUNDS {
            match self.attempt(offer) {
                Ok(()) => return Ok(()),
                Err(Contest::Lost(Refusal::Full)) if !self.is_full() => refusal = Refusal::Full,
                Err(Contest::Lost(refusal)) => return Err(refusal),
                Err(Contest::Yield) => refusal = Refusal::Again,
            }
            self.bidder.pause(round);
        }
        Err(refusal)
    }

    /// Renews the bid for `offer.id` with other terms, from `offer.claimed_at` on; if `offer.pid` is 0, it stays
    /// with the process it is for. One that has expired is renewed if nobody else has claimed its id, and
    /// that it has not cannot be relied on: it may expire the next moment, while we stand still, and be
    /// claimed. So every renewal is as careful as a claim.
    pub(super) fn renew(&self, offer: &Offer) -> Result<(), Refusal> {
        for round in 0..Self::ROUNDS {
            let own = self.own(offer.id)?;
            let (settled, renewing) = (own.subject.at(Stage::Settled), own.subject.at(Stage::Renewing));
            if !self.turn(own.entry, own.subject, renewing) {
                continue;
            }
            let contest = self.contest(own.entry, offer.id);
            if contest.is_ok() {
                let pid = if offer.pid == 0 { own.offer.pid } else { offer.pid };
                self.write(own.entry, &Offer { pid, ..*offer });
            }
            let is_ours = self.turn(own.entry, renewing, settled);
            match contest {
                // A supervisor released the bid meanwhile.
                _ if !is_ours => {
                    self.bidder.let_go(own.entry);
                    return Err(Refusal::Unknown);
                }
                Ok(()) => return Ok(()),
                Err(Contest::Lost(refusal)) => return Err(refusal),
                Err(Contest::Yield) => self.bidder.pause(round),
            }
        }
        Err(Refusal::Again)
    }

    /// Releases the bid for `id`, which is this store's.
    pub(super) fn release(&self, id: u32) -> Result<(), Refusal> {
        let own = self.own(id)?;
        let released = self.turn(own.entry, own.subject, own.subject.freed());
        self.bidder.let_go(own.entry);
        if released { Ok(()) } else { Err(Refusal::Unknown) }
    }

    /// Releases the bid for `id`, and expired ones for it, whoever made them.
    ///
    /// All are looked up before the first is released, so that none is hit that was claimed only because
    /// of that. Nor is a later bid in an entry: what is exchanged is the very subject that was seen, serial
    /// number and all. The owner keeps its lock on what is a free entry now, for its next claim.
    pub(super) fn revoke(&self, id: u32) -> Result<(), Refusal> {
        let subjects = self.records.each_ref().map(|record| Subject(load_acquire(&record.subject)));
        let mut answer = Err(Refusal::Unknown);
        for (entry, subject) in subjects.into_iter().enumerate() {
            if subject.id() != id {
                continue;
            }
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
            if !subject.stands() || !subject.is_same_bid(bid) || !self.is_live(entry, bid) {
                return Err(Refusal::Unknown);
            }
            if self.turn(entry, subject, subject.freed()) {
                if self.bidder.holds(entry) {
                    self.bidder.let_go(entry);
                }
                return Ok(());
            }
            // The owner renews it just now.
            spin_loop();
        }
        Err(Refusal::Again)
    }

    /// Lists the bids of the living that hold an id or did until they expired. One that is
    /// being written is left out: nobody waits for its writer, who may be stopped.
    pub(super) fn standing(&self) -> Vec<Seen> {
        (0..BIDS)
            .filter_map(|entry| self.read(entry))
            .filter(|seen| seen.subject.stands() && self.is_live(seen.entry, seen.subject))
            .collect()
    }

    /// Finds this store's bid for `id` among those that stand.
    pub(super) fn find_own(&self, standing: &[Seen], id: u32) -> Result<usize, Refusal> {
        let mut bids = (0..standing.len()).filter(|index| standing[*index].offer.id == id);
        match bids.clone().find(|index| self.bidder.holds(standing[*index].entry)) {
            Some(own) => Ok(own),
            None => Err(match bids.next() {
                Some(other) => Refusal::NotOwner { pid: standing[other].offer.pid },
                None => Refusal::Unknown,
            }),
        }
    }

    fn own(&self, id: u32) -> Result<Seen, Refusal> {
        let standing = self.standing();
        self.find_own(&standing, id).map(|index| standing[index])
    }

    /// Tries once to take an entry, propose, and settle.
    fn attempt(&self, offer: &Offer) -> Result<(), Contest> {
        // Whoever finds the id taken needs no entry, and takes none from others.
        match self.rival(None, offer.id) {
            Rival::Holder { pid } => return Err(Contest::Lost(Refusal::Taken { pid })),
            Rival::Contender(_) => return Err(Contest::Yield),
            Rival::None => {}
        }
        let entry = match self.take_entry().map_err(Contest::Lost)? {
            Some(entry) => entry,
            None => return Err(Contest::Lost(Refusal::Full)),
        };
        let record = &self.records[entry];
        let last = Subject(record.subject.load(Relaxed));
        // The entry is free but where it changed hands between our look at it and our lock (`bury`). The
        // terms follow the free word, so that nobody takes them for those of an older bid.
        record.subject.store(last.freed().0, Relaxed);
        self.write(entry, offer);
        let proposed = last.successor(offer.id);
        record.subject.store(proposed.0, Release);
        let contest = self.contest(entry, offer.id);
        // Nobody but us turns a proposal, so this succeeds in any honest table.
        let next = if contest.is_ok() { proposed.at(Stage::Settled) } else { proposed.freed() };
        let is_ours = self.turn(entry, proposed, next);
        if contest.is_err() || !is_ours {
            self.bidder.let_go(entry);
        }
        contest.and(if is_ours { Ok(()) } else { Err(Contest::Yield) })
    }

    /// Looks for rivals, after this store has put down in `entry` that it is after `id`.
    ///
    /// The fence parts that store from the looks below. Say two bidders, A and B, are after one id, and A's
    /// fence is first: then B's look at A's entry sees what A put down, or what A put there later. If B
    /// finds A's proposal, or its renewal, or its bid settled, B does not settle. If B finds it withdrawn, or
    /// expired, or A dead, A did not settle or it no longer counts. So not both settle. An expired bid
    /// comes back to life by a renewal only, which is such a proposal itself.
    ///
    /// Of two that see each other the one first in the table stays, and waits for the other to make
    /// room: otherwise both could withdraw for ever. It does not wait for long, as the other may be stopped.
    fn contest(&self, entry: usize, id: u32) -> Result<(), Contest> {
        fence(Ordering::SeqCst);
        for round in 0..Self::ROUNDS {
            match self.rival(Some(entry), id) {
                Rival::None => return Ok(()),
                Rival::Holder { pid } => return Err(Contest::Lost(Refusal::Taken { pid })),
                Rival::Contender(other) if other < entry => return Err(Contest::Yield),
                Rival::Contender(_) => self.bidder.pause(round),
            }
        }
        Err(Contest::Lost(Refusal::Again))
    }

    /// Looks once for others that are after `id`, but for what is in `mine`.
    fn rival(&self, mine: Option<usize>, id: u32) -> Rival {
        // Before the looks: what has expired by then has for everybody who looks later.
        let now = self.bidder.now();
        let mut rival = Rival::None;
        for (entry, record) in self.records.iter().enumerate() {
            // The id is one word with the stage, and is read without waiting for the terms: a bidder
            // that is stopped while it writes those keeps nobody from other ids.
            let subject = Subject(load_acquire(&record.subject));
            let is_after = subject.id() == id && subject.stage() != Stage::Free;
            // A bid that is gone by now, or whose bidder is, is no rival. Nor is the next one in that
            // entry: it was put down after our look, so its fence comes after ours, and it sees us.
            if mine == Some(entry) || !is_after || !self.is_live(entry, subject) {
                continue;
            }
            match self.read(entry) {
                Some(seen) if !seen.subject.is_same_bid(subject) => {}
                Some(seen) if seen.subject.stands() && !seen.offer.has_expired(now) => {
                    return Rival::Holder { pid: seen.offer.pid };
                }
                Some(seen) if seen.subject.stage() == Stage::Settled => {}
                // Proposed, or being renewed although it expired, or its terms are being written.
                _ if matches!(rival, Rival::None) => rival = Rival::Contender(entry),
                _ => {}
            }
        }
        rival
    }

    /// Takes an entry for a new bid: one that a supervisor freed under this store's lock, one that
    /// nobody holds, or that of an expired bid of this store.
    fn take_entry(&self) -> Result<Option<usize>, Refusal> {
        let is_free =
            |entry: &usize| Subject(self.records[*entry].subject.load(Relaxed)).stage() == Stage::Free;
        let holds = |entry: &usize| self.bidder.holds(*entry);
        if let Some(freed) = (0..BIDS).filter(holds).find(is_free) {
            return Ok(Some(freed));
        }
        let seek = || {
            for entry in (0..BIDS).filter(|entry| !holds(entry)) {
                self.bury(entry);
                if self.bidder.try_hold(entry).map_err(Refusal::Failed)? {
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

    /// Frees an entry whose bidder is dead. Locking it alone would make the dead bid look alive until
    /// the new one is written, and the new bidder may be stopped before. The bid that was seen is dead for
    /// good if the lock is free, whoever takes it now, and the exchange hits no other.
    fn bury(&self, entry: usize) {
        let subject = Subject(load_acquire(&self.records[entry].subject));
        if subject.freed() != subject && !self.bidder.is_held(entry) {
            self.turn(entry, subject, subject.freed());
        }
    }

    /// Frees and unlocks this store's expired bids for ids that `wanted` selects. Tells whether there were any.
    fn free_own_expired(&self, wanted: impl Fn(u32) -> bool) -> bool {
        let now = self.bidder.now();
        let mut freed = false;
        for seen in (0..BIDS).filter(|&entry| self.bidder.holds(entry)).filter_map(|e| self.read(e)) {
            if seen.subject.stands() && wanted(seen.offer.id) && seen.offer.has_expired(now) {
                self.turn(seen.entry, seen.subject, seen.subject.freed());
                self.bidder.let_go(seen.entry);
                freed = true;
            }
        }
        freed
    }

    /// Whether every entry has a bid that won its id, so that there is no use in trying again.
    fn is_full(&self) -> bool {
        self.records.iter().all(|record| Subject(record.subject.load(Relaxed)).stands())
    }

    /// Whether the bidder of what was seen in an entry lives.
    fn is_live(&self, entry: usize, subject: Subject) -> bool {
        // Looked at again after the lock: it may be another bidder's by now.
        self.bidder.is_held(entry) && Subject(load_acquire(&self.records[entry].subject)).is_same_bid(subject)
    }

    /// Replaces the subject word, unless it is not `from` any more.
    fn turn(&self, entry: usize, from: Subject, to: Subject) -> bool {
        let subject = &self.records[entry].subject;
        subject.compare_exchange(from.0, to.0, AcqRel, Relaxed).is_ok()
    }

    /// Writes the terms. The entry is locked by this store, and free or being renewed.
    fn write(&self, entry: usize, offer: &Offer) {
        let record = &self.records[entry];
        let Offer { pid, claimed_at, terms: BidTerms { intent, priority, duration }, .. } = *offer;
        let terms = u64::from(pid) << 32 | u64::from(priority) << 8 | intent as u64;
        // Odd, and not what it was, even where a dead bidder left an odd one.
        let writing = record.version.load(Relaxed).wrapping_add(1) | 1;
        record.version.store(writing, Relaxed);
        // Pairs with the acquire fence in `read`: who sees a new term sees the odd version.
        fence(Release);
        record.terms.store(terms, Relaxed);
        record.claimed_at.store(claimed_at, Relaxed);
        record.duration.store(duration, Relaxed);
        record.version.store(writing.wrapping_add(1), Release);
    }

    /// Reads an entry as it was at one moment; nothing if it keeps being written.
    fn read(&self, entry: usize) -> Option<Seen> {
        let record = &self.records[entry];
        for _ in 0..Self::ROUNDS {
            // Acquire pairs with the last store in `write`, and that of the subject with those of
            // `attempt` and `turn`, which come after the terms they go with.
            let version = load_acquire(&record.version);
            let subject = Subject(load_acquire(&record.subject));
            let terms = record.terms.load(Relaxed);
            let claimed_at = record.claimed_at.load(Relaxed);
            let duration = record.duration.load(Relaxed);
            fence(Acquire);
            let same = record.version.load(Relaxed) == version && record.subject.load(Relaxed) == subject.0;
            if same && version.is_multiple_of(2) {
                let intent = Intent::from_number(terms as u8).unwrap_or_default();
                let terms_in_force = BidTerms { intent, priority: (terms >> 8) as u8, duration };
                let pid = (terms >> 32) as u32;
                let offer = Offer { id: subject.id(), pid, claimed_at, terms: terms_in_force };
                return Some(Seen { entry, subject, offer });
            }
            spin_loop();
        }
        None
    }
}
