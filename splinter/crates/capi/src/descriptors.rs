//! This process's part of a store's event bus: watchers of the whole store, and the descriptors that the program opened.
//! It knows no open stores.

// Opts in for closing and examining descriptors.
#![allow(unsafe_code)]

use crate::errno::Failure;
use crate::fork::{self, ForkMutex};
use splinter::{PollableWatcher, Store, WatchError, Watcher};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many changes one call takes at most. If changes are left, the program calls again.
pub(crate) const MAX_CHANGES: usize = 1 << 16;

/// This process's part of a store's bus.
#[derive(Default)]
pub(crate) struct Bus {
    /// The process that made the watchers and descriptors, which are of no use to any other process.
    pub(crate) generation: u64,
    /// A watcher at the change where this process armed the bus. It stays there: only its clones take changes.
    pub(crate) start: Option<Watcher>,
    /// The watcher of `splinter_event_bus_get_dirty`.
    pub(crate) dirty: Option<Watcher>,
    pub(crate) descriptors: Vec<Arc<Descriptor>>,
}

/// A descriptor that the program opened.
pub(crate) struct Descriptor {
    /// The program's number: a duplicate of the watcher's own descriptor.
    pub(crate) fd: RawFd,
    /// The file that `fd` was when it was opened.
    file: Option<FileId>,
    pub(crate) watcher: ForkMutex<Option<PollableWatcher>>,
    pub(crate) closed: AtomicBool,
}

impl Bus {
    /// Closes all descriptors, and drops the watchers.
    pub(crate) fn close(&mut self) {
        if self.generation == fork::generation() {
            (self.start, self.dirty) = (None, None);
            self.descriptors.drain(..).for_each(|descriptor| descriptor.close());
        }
    }

    /// Returns a watcher that reports all changes since the bus was armed.
    pub(crate) fn watcher(&self, store: &Store) -> Watcher {
        self.start.clone().unwrap_or_else(|| store.watch_all_from_mark())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.close();
    }
}

/// The device and inode of an open file. All anonymous descriptors of the kernel, such as eventfds, share one.
type FileId = (libc::dev_t, libc::ino_t);

/// Returns the file that a descriptor refers to.
fn file_id(fd: RawFd) -> Option<FileId> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for one record, and the room outlives the call.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call filled the record.
    let stat = unsafe { stat.assume_init() };
    Some((stat.st_dev, stat.st_ino))
}

impl Descriptor {
    /// Makes a descriptor of the number `fd`, which duplicates that of `watcher`.
    pub(crate) fn new(fd: RawFd, watcher: PollableWatcher) -> Self {
        let descriptor =
            Self { fd, file: file_id(fd), watcher: ForkMutex::default(), closed: AtomicBool::new(false) };
        *descriptor.watcher.lock() = Some(watcher);
        descriptor
    }

    /// Closes the descriptor, unless the program closed it by close(2): the number may then belong to another file.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if file_id(self.fd) == self.file {
            // SAFETY: the number is a duplicate made for the program, which gives it back by this call.
            unsafe { libc::close(self.fd) };
        }
    }

    /// Takes all changes, so that the descriptor is unreadable until the next change.
    pub(crate) fn drain(&self) -> Result<(), Failure> {
        let mut watcher = self.watcher.lock();
        // Without a watcher there is nothing to take.
        let Some(watcher) = watcher.as_mut() else { return Ok(()) };
        for _ in 0..MAX_CHANGES {
            match watcher.try_next() {
                Ok(Some(_)) | Err(WatchError::Lagged(_)) => {}
                Ok(None) => break,
                Err(_) => return Err(Failure::of(libc::EOPNOTSUPP)),
            }
        }
        Ok(())
    }
}
