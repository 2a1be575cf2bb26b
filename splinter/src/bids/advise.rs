//! Advice to the kernel in the name of a bid, and waiting until that bid is sovereign.

use super::election::{Offer, elect};
use super::error::BidError;
use super::table::Refusal;
use crate::error::StoreError;
use crate::kernel::{self, cycles, futex};
use crate::open::Store;
use crate::sync::Acquire;
use std::ops::Range;
use std::time::{Duration, Instant};

/// What the kernel is told of a range of a store's memory (`madvise`, section 2 of the Linux manual).
/// None of it changes a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// To read ahead as ever.
    Normal,
    /// To read nothing ahead.
    Random,
    /// To read far ahead.
    Sequential,
    /// To bring the range into memory.
    WillNeed,
    /// To drop the range from this process's page table. A store is a shared mapping, so its bytes stay
    /// where they are, in memory too; the next touch of each page enters it again.
    DontNeed,
}

/// What to do while another bid is sovereign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// Give up at once.
    Defer,
    /// Wait until then.
    Until(Instant),
    /// Wait for as long as it takes.
    Forever,
}

impl From<Advice> for kernel::Advice {
    fn from(advice: Advice) -> Self {
        match advice {
            Advice::Normal => Self::Normal,
            Advice::Random => Self::Random,
            Advice::Sequential => Self::Sequential,
            Advice::WillNeed => Self::WillNeed,
            Advice::DontNeed => Self::DontNeed,
        }
    }
}

impl Store {
    /// Advises the kernel on the pages that `range` touches, bytes from the beginning of the arena on, once
    /// this store's bid for `id` is sovereign. The advice need not be what the bid intends. Sovereignty
    /// may end between being found out and the kernel's being told: bids are an agreement, not a lock.
    ///
    /// ```
    /// use splinter::{Advice, BidError, BidTerms, Config, Patience, Store};
    ///
    /// let store = Store::anonymous(&Config::default())?;
    /// store.claim_bid(7, BidTerms::default())?;
    /// store.advise(7, 0..store.arena_len(), Advice::WillNeed, Patience::Defer)?;
    ///
    /// store.claim_bid(8, BidTerms { priority: 1, ..BidTerms::default() })?;
    /// let deferred = store.advise(7, 0..4096, Advice::Random, Patience::Defer);
    /// assert!(matches!(deferred, Err(BidError::Deferred { id: 7, to: 8 })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BidError::Deferred`] or [`BidError::TimedOut`], as `patience` says; [`BidError::OutOfRange`];
    /// [`BidError::Expired`], [`BidError::NotOwner`] or [`BidError::Unknown`], also when the bid becomes so
    /// during the wait; [`BidError::Store`] when the kernel refuses the advice, or the file was cut short.
    pub fn advise(
        &self,
        id: u32,
        range: Range<u64>,
        advice: Advice,
        patience: Patience,
    ) -> Result<(), BidError> {
        let arena_len = self.arena_len();
        if range.start > range.end || range.end > arena_len {
            return Err(BidError::OutOfRange { arena_len });
        }
        self.await_sovereignty(id, patience)?;
        self.check_whole()?;
        let range = range.start as usize..range.end as usize;
        let failed = |e| StoreError::os("advise on", self.location().to_string(), e);
        Ok(self.inner.mapping.advise_pages(range, advice.into()).map_err(failed)?)
    }

    fn await_sovereignty(&self, id: u32, patience: Patience) -> Result<(), BidError> {
        let pace = Pace::start();
        let changes = &self.arena().header.bid_changes;
        loop {
            // Before the look: a change after it leaves another number, which is not slept on.
            let seen = changes.load(Acquire) as u32;
            let now = cycles();
            let (offers, mine) = self.standing_of(id)?;
            if offers[mine].has_expired(now) {
                return Err(BidError::Expired { id });
            }
            // Ours is a valid bid, so somebody is elected; if nobody were, nobody is to be deferred to.
            let Some(sovereign) = elect(&offers, now).filter(|index| *index != mine) else {
                return Ok(());
            };
            let slice = Instant::now() + pace.until_next_expiry(&offers, now);
            let until = match patience {
                Patience::Defer => {
                    return Err(BidError::Deferred { id, to: offers[sovereign].id });
                }
                Patience::Until(end) if end <= Instant::now() => {
                    return Err(BidError::TimedOut { id });
                }
                Patience::Until(end) => end.min(slice),
                Patience::Forever => slice,
            };
            // Whatever ended the sleep, the table is looked at again.
            futex::wait(changes, seen, u32::MAX, Some(until));
        }
    }

    /// Lists what all who live bid, and says which of it is this store's bid for `id`.
    fn standing_of(&self, id: u32) -> Result<(Vec<Offer>, usize), BidError> {
        let table = self.bid_table();
        // While a thread of this store renews the bid it cannot be read.
        let turn = self.bid_turn();
        let standing = table.standing();
        let own = table.find_own(&standing, id);
        drop(turn);
        let mine = own.map_err(|refusal: Refusal| BidError::of(id, refusal))?;
        Ok((standing.iter().map(|seen| seen.offer).collect(), mine))
    }
}

/// How long a sleep may last: the end of a bid wakes nobody, be it by expiry or by its owner's death. How fast
/// the cycle counter goes is measured by the wait itself.
struct Pace {
    start: Instant,
    start_ticks: u64,
}

impl Pace {
    /// The longest sleep, after which the dead are looked for.
    const LONGEST: Duration = Duration::from_millis(50);
    /// The shortest.
    const SHORTEST: Duration = Duration::from_micros(100);
    /// The first, and how long must have passed for the measurement to be good.
    const FIRST: Duration = Duration::from_millis(1);

    fn start() -> Self {
        Self { start: Instant::now(), start_ticks: cycles() }
    }

    fn until_next_expiry(&self, offers: &[Offer], now: u64) -> Duration {
        let valid = offers.iter().filter(|offer| !offer.has_expired(now));
        let Some(ticks) = valid.filter_map(|offer| offer.ticks_left(now)).min() else {
            return Self::LONGEST;
        };
        let elapsed = self.start.elapsed();
        if elapsed < Self::FIRST {
            return Self::FIRST;
        }
        let ticks_elapsed = now.saturating_sub(self.start_ticks).max(1);
        let ns = u128::from(ticks) * elapsed.as_nanos() / u128::from(ticks_elapsed);
        Duration::from_nanos(ns.try_into().unwrap_or(u64::MAX)).clamp(Self::SHORTEST, Self::LONGEST)
    }
}
