//! A watcher for event loops: its descriptor is readable when there may be a change to take.

use crate::error::StoreError;
use crate::kernel::{IdleCall, Notifier, Pollable, WakeWord};
use crate::open::RECOVERY_INTERVAL;
use crate::sync::Relaxed;
use crate::wait::{Change, Lagged, Watcher};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

/// A [`Watcher`] with a descriptor, for `epoll`, `poll`, `select`, and libraries on top of them, such as tokio's
/// `AsyncFd` and mio.
///
/// The descriptor is level-triggered: it is readable while there may be a change to take. [`Self::try_next`] takes
/// changes, and makes the descriptor unreadable when it finds none. A readable descriptor is a hint: another group's
/// signal or a moving thread may cause it as well. The program reads nothing from the descriptor.
///
/// The kernel itself waits through io_uring where that works, otherwise a thread waits; [`Self::notifier`] tells which.
/// Neither learns of a change whose writer was stopped or killed after publishing it and before waking the sleepers. An
/// event loop that must learn of such changes within some time calls [`Self::try_next`] that often.
/// [`Watcher::wait`] does so once a second.
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
    /// Newer changes overwrote some that the program had not taken.
    Lagged(Lagged),
    /// The kernel did not arm the descriptor, which is useless then. This happens in a forked child, which must make
    /// new watchers, or when no thread could be started.
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
    /// Gives the watcher a descriptor, by the best way that works here.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`]: a watcher must tell writers that it waits. [`StoreError::Os`] when there is no
    /// descriptor or thread left.
    pub fn pollable(self) -> Result<PollableWatcher, StoreError> {
        PollableWatcher::new(self, None)
    }

    /// Gives the watcher a descriptor by one way only.
    ///
    /// # Errors
    /// As [`Self::pollable`], and [`StoreError::Os`] when that way does not work here.
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
        let recover_dead_writers = move || store.recover_dead_writers();
        let idle = IdleCall { every: RECOVERY_INTERVAL, call: Arc::new(recover_dead_writers) };
        let mut pollable = Pollable::new(wake_word, idle, prefer).map_err(failed)?;
        // Readable at first, for changes that were published since the watch began.
        let reading = arena.header.wake_word.load(Relaxed);
        pollable.arm(!reading as u32).map_err(failed)?;
        Ok(Self { watcher, pollable })
    }

    /// Tells what makes the descriptor readable at present.
    pub fn notifier(&self) -> Notifier {
        self.pollable.notifier()
    }

    /// Takes the next change. If there is none, the descriptor is unreadable until there is one.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn try_next(&mut self) -> Result<Option<Change>, WatchError> {
        if let Some(change) = self.watcher.try_next().map_err(WatchError::Lagged)? {
            return Ok(Some(change));
        }
        self.watcher.store.recover_dead_writers();
        self.pollable.drain();
        let store = &self.watcher.store;
        let wake_word = store.arena().take_tickets(&self.watcher.cursors);
        if !self.watcher.has_nothing() {
            // The descriptor is readable at once, whatever the look below finds.
            self.pollable.arm(!wake_word as u32).map_err(WatchError::Descriptor)?;
            return self.watcher.try_next().map_err(WatchError::Lagged);
        }
        self.pollable.arm(wake_word as u32).map_err(WatchError::Descriptor)?;
        Ok(None)
    }

    /// Passes every watched key to `visit`, as it is now, like [`Watcher::resync`]. If a writer holds a key at that
    /// moment, only a later [`Self::try_next`] may find its change.
    pub fn resync(&mut self, visit: impl FnMut(Change)) {
        self.watcher.resync(visit);
    }

    /// Borrows the watcher. A clone of it gets all changes that this one has not taken yet.
    pub fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// Drops the descriptor and returns the watcher.
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
