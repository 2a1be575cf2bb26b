//! What both ways to wait share: the word that is waited for, and the descriptor that is raised.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::kernel::sys;

/// What is waited for: a word, and the groups whose rings count.
#[derive(Clone)]
pub(crate) struct WakeWord {
    /// Its lower half is the futex.
    pub(super) word: &'static AtomicU64,
    pub(super) mask: u32,
    /// Not looked at: it keeps the word mapped.
    _keep: Arc<dyn Any + Send + Sync>,
}

impl WakeWord {
    /// Names the word, which stays mapped for as long as `keep` lives, and at least one group.
    pub(crate) fn new(word: &'static AtomicU64, mask: u32, keep: Arc<dyn Any + Send + Sync>) -> Self {
        Self { word, mask, _keep: keep }
    }

    /// Reads the lower half, as it was at the last ring or later.
    pub(super) fn reading(&self) -> u32 {
        // Acquire: what the ringer did before it rang is seen by whoever sees that it rang.
        self.word.load(Ordering::Acquire) as u32
    }
}

/// What a helper thread does when nothing happens.
#[derive(Clone)]
pub(crate) struct Idle {
    /// After how long without a ring.
    pub(crate) every: Duration,
    /// What to call. It must not own the [`Pollable`] that calls it.
    pub(crate) call: Arc<dyn Fn() + Send + Sync>,
}

/// The descriptor: an eventfd.
pub(super) struct Ready(File);

impl Ready {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(File::from(sys::event_descriptor()?)))
    }

    /// Makes it readable. Only a counter near 2⁶⁴ would refuse, and that one is readable already.
    pub(super) fn raise(&self) {
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable, and tells whether it was readable.
    pub(super) fn lower(&self) -> bool {
        (&self.0).read(&mut [0; 8]).is_ok()
    }
}

impl AsFd for Ready {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
