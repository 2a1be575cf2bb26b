//! The wake word that a pollable waits for, and the eventfd that it raises. Both ways to wait share them.

use std::any::Any;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::kernel::sys;

/// A wake word: a futex in shared memory, and the signal groups whose wakes count.
#[derive(Clone)]
pub(crate) struct WakeWord {
    /// The lower half is the futex.
    pub(super) word: &'static AtomicU64,
    pub(super) mask: u32,
    /// Never read: it keeps the word mapped.
    _keep: Arc<dyn Any + Send + Sync>,
}

impl WakeWord {
    /// Takes a word that stays mapped as long as `keep` lives, and a mask of at least one group.
    pub(crate) fn new(word: &'static AtomicU64, mask: u32, keep: Arc<dyn Any + Send + Sync>) -> Self {
        Self { word, mask, _keep: keep }
    }

    /// Loads the lower half.
    pub(super) fn reading(&self) -> u32 {
        // Acquire: a thread that sees the wake sees what the waker stored before it.
        self.word.load(Ordering::Acquire) as u32
    }
}

/// What a helper thread calls while no wake comes.
#[derive(Clone)]
pub(crate) struct IdleCall {
    /// How long it waits for a wake before each call.
    pub(crate) every: Duration,
    /// The function to call. It must not own the [`Pollable`](super::Pollable) that calls it.
    pub(crate) call: Arc<dyn Fn() + Send + Sync>,
}

/// The eventfd of a pollable.
pub(super) struct EventFd(File);

impl EventFd {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(File::from(sys::event_descriptor()?)))
    }

    /// Makes it readable. Only a counter near 2⁶⁴ refuses, and that one is readable already.
    pub(super) fn raise(&self) {
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable, and tells whether it was readable.
    pub(super) fn lower(&self) -> bool {
        (&self.0).read(&mut [0; 8]).is_ok()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
