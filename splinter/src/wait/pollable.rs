//! A watcher for event loops: a descriptor that is readable when there may be a change to take.

use crate::error::StoreError;
use crate::kernel::{IdleCall, Notifier, Pollable, WakeWord};
use crate::open::RECOVERY_INTERVAL;
use crate::sync::Relaxed;
use crate::wait::{Change, Lagged, Watcher};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

/// A [`Watcher`] with a descriptor, for `epoll`, `poll`, `select`, and what is built on them, such as tokio's
/// `AsyncFd` and mio.
///
/// The descriptor is readable, by level, while there may be a change to take; [`Self::try_next`] takes them,
/// and makes it unreadable by finding none. Being readable is a hint: another group's signal or a moving
/// thread may cause it as well. Nothing is to be read from the descriptor itself.
///
/// Wherever possible the kernel waits by itself, through io_uring, otherwise a thread does;
/// [`Self::notifier`] tells. Neither can hear of a change whose writer was stopped or killed after it could be
/// read and before anybody was told: an event loop that wants to know even of those within some time calls
/// [`Self::try_next`] that often, as [`Watcher::wait`] does once a second.
///
/// ```
/// use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
///
/// # let store = splinter::Store::anonymous(&splinter::Config::default())?;
/// let mut writer = store.writer()?;
/// writer.set("sensor", b"20.1")?;
/// writer.register("sensor", 7)?;
/// let mut watcher = store.watch(&[7])?.pollable()?;
/// writer.set("sensor", b"20.4")?;
/// let epoll = Epoll::new(EpollCreateFlags::empty())?;
/// epoll.add(&watcher, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
/// assert_eq!(epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE)?, 1);
/// while let Some(change) = watcher.try_next()? {
///     assert_eq!(change.key.unwrap().as_ref(), b"sensor");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PollableWatcher {
    watcher: Watcher,
    pollable: Pollable,
}

/// Why a [`PollableWatcher`] has no change to give.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchError {
    /// Changes were overwritten before they were taken.
    Lagged(Lagged),
    /// The kernel did not arm the descriptor, which is of no use then: in a forked child, whose watchers are
    /// to be made anew, or when no thread could be started.
    Descriptor(io::Error),
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lagged(lagged) => lagged.fmt(f),
            Self::Descriptor(error) => {
                write!(f, "the watcher's descriptor cannot be armed: {error}")
            }
        }
    }
}

impl std::error::Error for WatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Lagged(_) => None,
            Self::Descriptor(error) => Some(error),
        }
    }
}

impl Watcher {
    /// Gives the watcher a descriptor, by the best way there is.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]: writers have to be told that somebody waits. [`StoreError::Os`] when there
    /// is no descriptor or thread left.
    pub fn pollable(self) -> Result<PollableWatcher, StoreError> {
        PollableWatcher::new(self, None)
    }

    /// Gives the watcher a descriptor by one way only.
    ///
    /// # Errors
    /// As [`Self::pollable`]; [`StoreError::Os`] when that way does not work here.
    pub fn pollable_by(self, notifier: Notifier) -> Result<PollableWatcher, StoreError> {
        PollableWatcher::new(self, Some(notifier))
    }
}

impl PollableWatcher {
    fn new(watcher: Watcher, prefer: Option<Notifier>) -> Result<Self, StoreError> {
        let store = watcher.store.clone();
        store.check_writable()?;
        let arena = store.inner.arena;
        let wake_word = WakeWord::new(&arena.header.wake_word, watcher.bits, Arc::clone(&store.inner) as _);
        let subject = store.location().to_string();
        let operation = match prefer {
            Some(Notifier::IoUring) => "wait by io_uring for changes of",
            _ => "watch",
        };
        let failed = |error| StoreError::os(operation, subject.as_str(), error);
        let look_after = move || store.look_after();
        let idle = IdleCall { every: RECOVERY_INTERVAL, call: Arc::new(look_after) };
        let mut pollable = Pollable::new(wake_word, idle, prefer).map_err(failed)?;
        // Readable at first, for what was signalled since the watch began.
        let reading = arena.header.wake_word.load(Relaxed);
        pollable.arm(!reading as u32).map_err(failed)?;
        Ok(Self { watcher, pollable })
    }

    /// Tells what makes the descriptor readable at present.
    pub fn notifier(&self) -> Notifier {
        self.pollable.notifier()
    }

    /// Takes the next change. When there is none, the descriptor is unreadable until there is.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn try_next(&mut self) -> Result<Option<Change>, WatchError> {
        if let Some(change) = self.watcher.try_next().map_err(WatchError::Lagged)? {
            return Ok(Some(change));
        }
        self.watcher.store.look_after();
        self.pollable.drain();
        let store = &self.watcher.store;
        let wake_word = store.arena().take_tickets(&self.watcher.cursors);
        if !self.watcher.has_nothing() {
            // Readable at once, whatever comes of the look below.
            self.pollable.arm(!wake_word as u32).map_err(WatchError::Descriptor)?;
            return self.watcher.try_next().map_err(WatchError::Lagged);
        }
        self.pollable.arm(wake_word as u32).map_err(WatchError::Descriptor)?;
        Ok(None)
    }

    /// Tells of every key that is watched as it is now, as [`Watcher::resync`] does. A change of a key that a
    /// writer holds at that moment may be found by a later [`Self::try_next`] only.
    pub fn resync(&mut self, visit: impl FnMut(Change)) {
        self.watcher.resync(visit);
    }

    /// Borrows the watcher: a clone of it hears of what this one has not taken yet.
    pub fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// Gives the descriptor up.
    #[must_use]
    pub fn into_watcher(self) -> Watcher {
        self.watcher
    }
}

impl AsFd for PollableWatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pollable.as_fd()
    }
}

impl AsRawFd for PollableWatcher {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for PollableWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollableWatcher")
            .field("watcher", &self.watcher)
            .field("notifier", &self.notifier())
            .finish_non_exhaustive()
    }
}
