//! A word whose accesses are annotated for Valgrind's DRD, under `--cfg splinter_drd`. DRD follows plain loads and
//! stores and knows nothing of atomic ones: to it every word is a race, and orders nothing. So DRD ignores each access
//! here, and is told which ordering it makes. It checks the data that the words protect: private memory that one thread
//! leaves to another through the arena must be ordered by a word.
//!
//! A release is announced before the store and an acquire after the load. So a reader that sees a value sees what was
//! announced before it. A reader that learns of a release before it sees the store counts as ordered as well. DRD may
//! miss a race that depends on that, and invents none.

use crabgrind::drd::{annotate_ignore_reads, annotate_ignore_writes};
use crabgrind::helgrind::{annotate_happens_after, annotate_happens_before};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

/// A 64-bit word of the arena.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Word(AtomicU64);

impl Word {
    pub(crate) fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.access(None, Some(order), || self.0.load(order))
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        self.access(Some(order), None, || self.0.store(value, order));
    }

    pub(crate) fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        self.access(Some(order), Some(order), || self.0.fetch_or(bits, order))
    }

    pub(crate) fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        self.access(Some(order), Some(order), || self.0.fetch_and(bits, order))
    }

    pub(crate) fn fetch_add(&self, by: u64, order: Ordering) -> u64 {
        self.access(Some(order), Some(order), || self.0.fetch_add(by, order))
    }

    pub(crate) fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let exchange = || self.0.compare_exchange(old, new, success, failure);
        self.access(Some(success), Some(success), exchange)
    }

    /// Accesses the word without DRD's notice, and tells DRD the ordering: of what it `stores`, if that is a release,
    /// and of what it `loads`, if that is an acquire.
    fn access<T>(&self, stores: Option<Ordering>, loads: Option<Ordering>, access: impl FnOnce() -> T) -> T {
        use Ordering::{AcqRel, Acquire, Release, SeqCst};
        let word = (&raw const self.0).cast();
        if let Some(Release | AcqRel | SeqCst) = stores {
            annotate_happens_before(word);
        }
        let result = {
            let _reads = annotate_ignore_reads();
            let _writes = annotate_ignore_writes();
            access()
        };
        if let Some(Acquire | AcqRel | SeqCst) = loads {
            annotate_happens_after(word);
        }
        result
    }
}

impl From<u64> for Word {
    fn from(value: u64) -> Self {
        Self::new(value)
    }
}

/// Has DRD ignore what this thread accesses, until what this returns is dropped.
pub(super) fn ignore() -> impl Sized {
    (annotate_ignore_reads(), annotate_ignore_writes())
}

/// For the kernel, which gets words to sleep on.
impl Deref for Word {
    type Target = AtomicU64;

    fn deref(&self) -> &AtomicU64 {
        &self.0
    }
}
