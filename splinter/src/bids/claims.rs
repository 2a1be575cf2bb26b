//! Claiming, renewing, releasing and looking at bids: the table as an open store offers it.

use super::election::{Offer, elect};
use super::error::BidError;
use super::table::{Bidder, Refusal, Table};
use super::terms::{Bid, BidTerms};
use crate::error::StoreError;
use crate::kernel::{cycles, futex};
use crate::open::{Inner, Store};
use crate::sync::Release;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

impl Bidder for Inner {
    fn try_hold(&self, entry: usize) -> Result<bool, StoreError> {
        self.bid_locks.try_hold(&self.backing, entry)
    }

    fn let_go(&self, entry: usize) {
        self.bid_locks.let_go(entry);
    }

    fn holds(&self, entry: usize) -> bool {
        self.bid_locks.holds(entry)
    }

    fn is_held(&self, entry: usize) -> bool {
        self.bid_locks.is_held(&self.backing, entry)
    }

    fn now(&self) -> u64 {
        cycles()
    }

    fn pause(&self, round: usize) {
        match round {
            0..8 => (0..1 << round).for_each(|_| std::hint::spin_loop()),
            8..32 => std::thread::yield_now(),
            _ => std::thread::sleep(Duration::from_micros(500)),
        }
    }
}

impl Store {
    /// Bids for advice on the store's memory, under an `id` of the caller's choice that nobody else bids
    /// for. The bid lasts until it is released, or it expires, or the last clone of this store
    /// is dropped, or the process ends. A child made by a fork has no part in it.
    ///
    /// ```
    /// use splinter::{BidTerms, Config, Intent, Store};
    ///
    /// let store = Store::anonymous(&Config::default())?;
    /// store.claim_bid(7, BidTerms { intent: Intent::WillNeed, ..BidTerms::default() })?;
    /// assert!(store.is_sovereign(7)?);
    /// assert_eq!(store.bids()?[0].pid, std::process::id());
    /// store.release_bid(7)?;
    /// assert_eq!(store.election()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BidError::Taken`] while a bid holds the id, be it the caller's; [`BidError::TableFull`];
    /// [`BidError::Again`]; [`BidError::ZeroId`]; [`BidError::Store`] for a store that was opened for
    /// reading only.
    pub fn claim_bid(&self, id: u32, terms: BidTerms) -> Result<(), BidError> {
        self.claim_bid_as(id, terms, std::process::id(), cycles())
    }

    /// Bids as [`Self::claim_bid`] does, on behalf of process `pid` and as of `claimed_at`, which
    /// [`cycles`] counts. Elections go by both; but it is this store, and no process of that
    /// number, that owns the bid and has to live for it.
    ///
    /// # Errors
    /// As [`Self::claim_bid`].
    pub fn claim_bid_as(&self, id: u32, terms: BidTerms, pid: u32, claimed_at: u64) -> Result<(), BidError> {
        let offer = Offer { id, pid, claimed_at, terms };
        self.change_bids(id, |table| table.claim(&offer))
    }

    /// Replaces the terms of this store's bid for `id`, which counts as made now. A bid that has expired
    /// comes back to life, unless another was claimed for its id meanwhile. Until the new terms hold
    /// the old ones do.
    ///
    /// ```
    /// use splinter::{BidTerms, Config, Store};
    ///
    /// let store = Store::anonymous(&Config::default())?;
    /// store.claim_bid(7, BidTerms { duration: 0, ..BidTerms::default() })?;
    /// assert!(!store.is_sovereign(7)?);
    /// store.rebid(7, BidTerms::default())?;
    /// assert!(store.is_sovereign(7)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BidError::NotOwner`], [`BidError::Unknown`], [`BidError::Again`]; [`BidError::Taken`] when the
    /// bid had expired and its id went to another; otherwise as [`Self::claim_bid`].
    pub fn rebid(&self, id: u32, terms: BidTerms) -> Result<(), BidError> {
        // 0: it stays with the process it is for.
        self.rebid_as(id, terms, 0, cycles())
    }

    /// Renews this store's bid for `id` as [`Self::rebid`] does, on behalf of process `pid` and as of
    /// `claimed_at`, as [`Self::claim_bid_as`] has it.
    ///
    /// # Errors
    /// As [`Self::rebid`].
    pub fn rebid_as(&self, id: u32, terms: BidTerms, pid: u32, claimed_at: u64) -> Result<(), BidError> {
        let offer = Offer { id, pid, claimed_at, terms };
        self.change_bids(id, |table| table.renew(&offer))
    }

    /// Releases this store's bid for `id`, expired or not.
    ///
    /// # Errors
    /// [`BidError::NotOwner`], [`BidError::Unknown`]; otherwise as [`Self::claim_bid`].
    pub fn release_bid(&self, id: u32) -> Result<(), BidError> {
        self.change_bids(id, |table| table.release(id))
    }

    /// Releases the bid for `id` whoever made it, for those who answer for all of a store's users. The
    /// owner finds out when it next uses the bid, which is then unknown. Until it does, or ends, the
    /// entry is left for it to claim again, and counts as taken in the table.
    ///
    /// ```
    /// use splinter::{BidError, BidTerms, Config, Store};
    ///
    /// let owner = Store::anonymous(&Config::default())?;
    /// let other = Store::from_fd(owner.fd().try_clone_to_owned()?)?;
    /// owner.claim_bid(7, BidTerms::default())?;
    /// assert!(matches!(other.release_bid(7), Err(BidError::NotOwner { id: 7, .. })));
    /// other.release_bid_as_supervisor(7)?;
    /// other.claim_bid(7, BidTerms::default())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BidError::Unknown`]; otherwise as [`Self::claim_bid`].
    pub fn release_bid_as_supervisor(&self, id: u32) -> Result<(), BidError> {
        self.change_bids(id, |table| table.revoke(id))
    }

    /// Finds the sovereign bid, if there is one. Out of the living bids that have not expired it is that of the highest
    /// priority, of several the earliest, of several the one with the lowest process id. A bid to do without
    /// memory ([`DontNeed`](crate::Intent::DontNeed)) is never elected while some bid needs it
    /// ([`WillNeed`](crate::Intent::WillNeed), [`Sequential`](crate::Intent::Sequential)).
    ///
    /// # Errors
    /// [`BidError::Store`] when the kernel does not tell who lives.
    pub fn election(&self) -> Result<Option<Bid>, BidError> {
        Ok(self.bids()?.into_iter().find(|bid| bid.sovereign))
    }

    /// Tells whether the sovereign bid is that for `id`.
    ///
    /// # Errors
    /// As [`Self::election`].
    pub fn is_sovereign(&self, id: u32) -> Result<bool, BidError> {
        Ok(self.election()?.is_some_and(|bid| bid.id == id))
    }

    /// Lists the bids whose owners live, expired ones too. There are at most 32.
    ///
    /// # Errors
    /// As [`Self::election`].
    pub fn bids(&self) -> Result<Vec<Bid>, BidError> {
        let standing = self.bid_table().standing();
        let offers: Vec<_> = standing.iter().map(|seen| seen.offer).collect();
        let now = cycles();
        let sovereign = elect(&offers, now);
        let bids = offers.iter().enumerate();
        Ok(bids.map(|(index, offer)| offer.show(now, Some(index) == sovereign)).collect())
    }

    pub(super) fn bid_table(&self) -> Table<'_, Inner> {
        Table { records: &self.arena().header.bids, bidder: &self.inner }
    }

    /// Keeps other threads of this store from changing the table.
    pub(super) fn bid_turn(&self) -> MutexGuard<'_, ()> {
        self.inner.bid_turn.get().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the table, and wakes those who wait for it to change.
    fn change_bids(
        &self,
        id: u32,
        change: impl FnOnce(&Table<'_, Inner>) -> Result<(), Refusal>,
    ) -> Result<(), BidError> {
        self.check_writable()?;
        if id == 0 {
            return Err(BidError::ZeroId);
        }
        let table = self.bid_table();
        let turn = self.bid_turn();
        change(&table).map_err(|refusal| BidError::of(id, refusal))?;
        drop(turn);
        let changes = &self.arena().header.bid_changes;
        // Release pairs with the acquire of who waits: it sees the change that it was woken for.
        changes.fetch_add(1, Release);
        futex::wake(changes, u32::MAX);
        Ok(())
    }
}

impl BidError {
    /// Says of which id the table refused something.
    pub(super) fn of(id: u32, refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::TableFull,
            Refusal::Taken { pid } => Self::Taken { id, pid },
            Refusal::Again => Self::Again { id },
            Refusal::Unknown => Self::Unknown { id },
            Refusal::NotOwner { pid } => Self::NotOwner { id, pid },
            Refusal::Failed(error) => Self::Store(error),
        }
    }
}
