//! Claims, renews, releases and lists bids: the bid table as methods of [`Store`].

use super::election::{Offer, elect};
use super::error::BidError;
use super::table::{Environment, Refusal, Table};
use super::terms::{Bid, BidTerms};
use crate::error::StoreError;
use crate::kernel::{cycles, futex};
use crate::open::{Inner, Store};
use crate::sync::Release;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

impl Environment for Inner {
    fn try_lock(&self, entry: usize) -> Result<bool, StoreError> {
        self.bid_locks.try_lock(&self.backing, entry)
    }

    fn unlock(&self, entry: usize) {
        self.bid_locks.unlock(entry);
    }

    fn holds_lock(&self, entry: usize) -> bool {
        self.bid_locks.holds(entry)
    }

    fn is_locked(&self, entry: usize) -> bool {
        self.bid_locks.is_locked(&self.backing, entry)
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
    /// Borrows the store's table of bids for advice on its memory.
    pub fn bids(&self) -> Bids<'_> {
        Bids { store: self }
    }
}

/// The table of bids of a store, from [`Store::bids`]. Processes that share the store agree in it on who advises the
/// kernel on the store's memory.
#[derive(Clone, Copy, Debug)]
pub struct Bids<'s> {
    pub(super) store: &'s Store,
}

impl Bids<'_> {
    /// Claims a bid for advice on the store's memory. The caller chooses `id`; no other live bid may have it.
    ///
    /// The bid lasts until it is released or expires, the last clone of this store is dropped, or the process ends.
    /// A forked child does not own it.
    ///
    /// ```
    /// use splinter::{BidTerms, Config, Intent, Store};
    ///
    /// let store = Store::anonymous(&Config::default())?;
    /// store.bids().claim(7, BidTerms { intent: Intent::WillNeed, ..BidTerms::default() })?;
    /// assert!(store.bids().is_sovereign(7)?);
    /// assert_eq!(store.bids().list()?[0].pid, std::process::id());
    /// store.bids().release(7)?;
    /// assert_eq!(store.bids().election()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BidError::Taken`] while a bid, also one of the caller's, holds the id. [`BidError::TableFull`].
    /// [`BidError::Again`]. [`BidError::ZeroId`]. [`BidError::Store`] for a store that was opened for reading only.
    pub fn claim(&self, id: u32, terms: BidTerms) -> Result<(), BidError> {
        self.claim_as(id, terms, std::process::id(), cycles())
    }

    /// Claims a bid as [`Self::claim`] does, for process `pid` and as of `claimed_at`, in ticks of [`cycles`].
    /// Elections use both numbers. This store owns the bid, not the process `pid`: the bid ends with this store.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub fn claim_as(&self, id: u32, terms: BidTerms, pid: u32, claimed_at: u64) -> Result<(), BidError> {
        let offer = Offer { id, pid, claimed_at, terms };
        self.change_bids(id, |table| table.claim(&offer))
    }

    /// Replaces the terms of this store's bid for `id`, as if it were claimed now.
    ///
    /// An expired bid becomes valid again, unless another bid was claimed for its id meanwhile. The old terms hold
    /// until the new ones do.
    ///
    /// ```
    /// use splinter::{BidTerms, Config, Store};
    ///
    /// let store = Store::anonymous(&Config::default())?;
    /// store.bids().claim(7, BidTerms { duration: 0, ..BidTerms::default() })?;
    /// assert!(!store.bids().is_sovereign(7)?);
    /// store.bids().renew(7, BidTerms::default())?;
    /// assert!(store.bids().is_sovereign(7)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BidError::NotOwner`], [`BidError::Unknown`], [`BidError::Again`]. [`BidError::Taken`] when the bid had
    /// expired and another bid took its id. Otherwise as [`Self::claim`].
    pub fn renew(&self, id: u32, terms: BidTerms) -> Result<(), BidError> {
        // 0: the bid stays with its process.
        self.renew_as(id, terms, 0, cycles())
    }

    /// Renews this store's bid for `id` as [`Self::renew`] does, for process `pid` and as of `claimed_at`, as in
    /// [`Self::claim_as`].
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub fn renew_as(&self, id: u32, terms: BidTerms, pid: u32, claimed_at: u64) -> Result<(), BidError> {
        let offer = Offer { id, pid, claimed_at, terms };
        self.change_bids(id, |table| table.renew(&offer))
    }

    /// Releases this store's bid for `id`, expired or not.
    ///
    /// # Errors
    /// [`BidError::NotOwner`], [`BidError::Unknown`]; otherwise as [`Self::claim`].
    pub fn release(&self, id: u32) -> Result<(), BidError> {
        self.change_bids(id, |table| table.release(id))
    }

    /// Releases the bid for `id`, whichever store made it. It is for programs that are responsible for all users of a
    /// store.
    ///
    /// The owner learns it when it next uses the bid, which is then unknown. Until then, or until the owner ends,
    /// the entry counts as taken: the owner keeps it for its next claim.
    ///
    /// ```
    /// use splinter::{BidError, BidTerms, Config, Store};
    ///
    /// let owner = Store::anonymous(&Config::default())?;
    /// let other = Store::from_fd(owner.fd().try_clone_to_owned()?)?;
    /// owner.bids().claim(7, BidTerms::default())?;
    /// assert!(matches!(other.bids().release(7), Err(BidError::NotOwner { id: 7, .. })));
    /// other.bids().release_as_supervisor(7)?;
    /// other.bids().claim(7, BidTerms::default())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BidError::Unknown`]; otherwise as [`Self::claim`].
    pub fn release_as_supervisor(&self, id: u32) -> Result<(), BidError> {
        self.change_bids(id, |table| table.revoke(id))
    }

    /// Finds the sovereign bid, if there is one.
    ///
    /// Among live bids that have not expired, the highest priority wins. Ties go to the earliest, then to the lowest
    /// process id. A bid to do without memory ([`DontNeed`](crate::Intent::DontNeed)) is never elected while another
    /// bid needs memory ([`WillNeed`](crate::Intent::WillNeed), [`Sequential`](crate::Intent::Sequential)).
    ///
    /// # Errors
    /// [`BidError::Store`] when the kernel does not tell which owners live.
    pub fn election(&self) -> Result<Option<Bid>, BidError> {
        Ok(self.list()?.into_iter().find(|bid| bid.sovereign))
    }

    /// Tells whether the bid for `id` is sovereign.
    ///
    /// # Errors
    /// As [`Self::election`].
    pub fn is_sovereign(&self, id: u32) -> Result<bool, BidError> {
        Ok(self.election()?.is_some_and(|bid| bid.id == id))
    }

    /// Lists the bids whose owners live, expired bids too. There are at most 32.
    ///
    /// # Errors
    /// As [`Self::election`].
    pub fn list(&self) -> Result<Vec<Bid>, BidError> {
        let live = self.table().live_bids();
        let offers: Vec<_> = live.iter().map(|seen| seen.offer).collect();
        let now = cycles();
        let sovereign = elect(&offers, now);
        let bids = offers.iter().enumerate();
        Ok(bids.map(|(index, offer)| offer.show(now, Some(index) == sovereign)).collect())
    }

    pub(super) fn table(&self) -> Table<'_, Inner> {
        Table { records: &self.store.arena().header.bids, env: &self.store.inner }
    }

    /// Locks the table against other threads of this store.
    pub(super) fn lock_bids(&self) -> MutexGuard<'_, ()> {
        self.store.inner.bid_turn.get().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the table, and wakes the threads and processes that wait for a change.
    fn change_bids(
        &self,
        id: u32,
        change: impl FnOnce(&Table<'_, Inner>) -> Result<(), Refusal>,
    ) -> Result<(), BidError> {
        self.store.check_writable()?;
        if id == 0 {
            return Err(BidError::ZeroId);
        }
        let table = self.table();
        let guard = self.lock_bids();
        change(&table).map_err(|refusal| BidError::of(id, refusal))?;
        drop(guard);
        let changes = &self.store.arena().header.bid_changes;
        // Release pairs with the acquire load of the waiter, which then sees the change that woke it.
        changes.fetch_add(1, Release);
        futex::wake(changes, u32::MAX);
        Ok(())
    }
}

impl BidError {
    /// Turns the table's refusal into an error about `id`.
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
