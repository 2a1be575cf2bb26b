//! Advises the kernel on a store's memory (`madvise`) on behalf of a bid, and waits until that bid is sovereign.

use super::claims::Bids;
use super::election::{Offer, elect};
use super::error::BidError;
use super::table::Refusal;
use crate::error::StoreError;
use crate::kernel::{self, cycles, futex};
use crate::sync::Acquire;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Advice to the kernel on a range of a store's memory, as in `madvise(2)`. No advice changes a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// Read ahead as usual.
    Normal,
    /// Do not read ahead.
    Random,
    /// Read far ahead.
    Sequential,
    /// Bring the range into memory.
    WillNeed,
    /// Drop the range from this process's page table. A store is a shared mapping, so its bytes stay where they are,
    /// in memory too. The next touch of each page maps it again.
    DontNeed,
}

/// What to do while another bid is sovereign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// Give up at once.
    Defer,
    /// Wait until this moment.
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

impl Bids<'_> {
    /// Advises the kernel on the pages that `range` touches, once this store's bid for `id` is sovereign.
    ///
    /// `range` is in bytes from the beginning of the arena. The advice may differ from the bid's intent. The bid may
    /// stop being sovereign between the check and the call: bids are an agreement, not a lock.
    ///
    /// ```
    /// use splinter::{Advice, BidError, BidTerms, Config, Patience, Store};
    ///
    /// let store = Store::anonymous(&Config::default())?;
    /// store.bids().claim(7, BidTerms::default())?;
    /// store.bids().advise(7, 0..store.arena_len(), Advice::WillNeed, Patience::Defer)?;
    ///
    /// store.bids().claim(8, BidTerms { priority: 1, ..BidTerms::default() })?;
    /// let deferred = store.bids().advise(7, 0..4096, Advice::Random, Patience::Defer);
    /// assert!(matches!(deferred, Err(BidError::Deferred { id: 7, to: 8 })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BidError::Deferred`] or [`BidError::TimedOut`], as `patience` says. [`BidError::OutOfRange`].
    /// [`BidError::Expired`], [`BidError::NotOwner`] or [`BidError::Unknown`], also when the bid becomes so during
    /// the wait. [`BidError::Store`] when the kernel refuses the advice, or a program truncated the file.
    pub fn advise(
        &self,
        id: u32,
        range: Range<u64>,
        advice: Advice,
        patience: Patience,
    ) -> Result<(), BidError> {
        let arena_len = self.store.arena_len();
        if range.start > range.end || range.end > arena_len {
            return Err(BidError::OutOfRange { arena_len });
        }
        self.await_sovereignty(id, patience)?;
        self.store.check_whole()?;
        let range = range.start as usize..range.end as usize;
        let failed = |e| StoreError::os("advise on", self.store.location().to_string(), e);
        Ok(self.store.inner.mapping.advise_pages(range, advice.into()).map_err(failed)?)
    }

    fn await_sovereignty(&self, id: u32, patience: Patience) -> Result<(), BidError> {
        let clock = WaitClock::start();
        let changes = &self.store.arena().header.bid_changes;
        loop {
            // Loaded before the table is read: a later change leaves another number, on which the futex does not sleep.
            let seen = changes.load(Acquire) as u32;
            let now = cycles();
            let (offers, mine) = self.live_offers(id)?;
            if offers[mine].has_expired(now) {
                return Err(BidError::Expired { id });
            }
            // Our bid is valid, so some bid is elected. If none were, this store would have none to defer to.
            let Some(sovereign) = elect(&offers, now).filter(|index| *index != mine) else {
                return Ok(());
            };
            let slice = Instant::now() + clock.until_next_expiry(&offers, now);
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
            // Whatever ended the sleep, the loop reads the table again.
            futex::wait(changes, seen, u32::MAX, Some(until));
        }
    }

    /// Lists the live bids, and the index of this store's bid for `id` among them.
    fn live_offers(&self, id: u32) -> Result<(Vec<Offer>, usize), BidError> {
        let table = self.table();
        // No read succeeds while a thread of this store renews the bid.
        let guard = self.lock_bids();
        let live = table.live_bids();
        let own = table.find_own(&live, id);
        drop(guard);
        let mine = own.map_err(|refusal: Refusal| BidError::of(id, refusal))?;
        Ok((live.iter().map(|seen| seen.offer).collect(), mine))
    }
}

/// Bounds one sleep. Neither the expiry of a bid nor the death of its owner wakes a sleeper. The wait itself measures
/// the rate of the cycle counter.
struct WaitClock {
    start: Instant,
    start_ticks: u64,
}

impl WaitClock {
    /// The longest sleep, after which the loop looks for dead bidders.
    const LONGEST: Duration = Duration::from_millis(50);
    /// The shortest sleep.
    const SHORTEST: Duration = Duration::from_micros(100);
    /// The first sleep, and the time after which the measured rate is good enough.
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
