//! Locks on bytes of a file that a process holds for as long as it lives and keeps them: the kernel's answer to
//! whether somebody is still there. Each is held through an open file description of its own that a mapping keeps, so
//! that the program has no descriptor of it to close; and the mapping is not inherited, so that a child holds none.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::backing::Backing;
use super::description::{Kept, reopen};
use super::process::PerProcess;
use super::sys::{self, ByteLock};
use crate::error::StoreError;

/// The locks of one open store on `count` bytes: the first at `base`, `stride` apart.
#[derive(Debug)]
pub(crate) struct ByteLocks {
    base: u64,
    stride: u64,
    /// What this process holds. A child begins with none.
    held: PerProcess<Mutex<Vec<(usize, Kept)>>>,
}

impl ByteLocks {
    pub(crate) const fn new(base: u64, stride: u64) -> Self {
        Self { base, stride, held: PerProcess::new() }
    }

    fn held(&self) -> MutexGuard<'_, Vec<(usize, Kept)>> {
        self.held.get().lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offset(&self, byte: usize) -> io::Result<i64> {
        let offset = (byte as u64).checked_mul(self.stride).and_then(|at| at.checked_add(self.base));
        offset.and_then(|at| i64::try_from(at).ok()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Takes a lock, and tells whether nobody had it, this process included.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] when the file may not be written, [`StoreError::Os`] when the kernel cannot lock or the
    /// file cannot be opened once more.
    pub(crate) fn try_lock(&self, backing: &Backing, byte: usize) -> Result<bool, StoreError> {
        let failed = |e| StoreError::os("lock a byte of", backing.location.to_string(), e);
        let mut held = self.held();
        if held.iter().any(|(other, _)| *other == byte) {
            return Ok(false);
        }
        let offset = self.offset(byte).map_err(failed)?;
        let own = reopen(backing).map_err(failed)?;
        let kept = Kept::locked(backing, own, offset, ByteLock::Alone);
        match kept.and_then(Kept::for_this_process) {
            Ok(kept) => {
                held.push((byte, kept));
                Ok(true)
            }
            Err(e) => match e.raw_os_error() {
                Some(libc::EAGAIN | libc::EACCES) => Ok(false),
                Some(libc::EBADF) => Err(StoreError::ReadOnly),
                _ => Err(failed(e)),
            },
        }
    }

    /// Gives a lock back. Does nothing for one that is not held here.
    pub(crate) fn unlock(&self, byte: usize) {
        self.held().retain(|(other, _)| *other != byte);
    }

    /// Tells whether this process holds a lock, through this open store.
    pub(crate) fn holds(&self, byte: usize) -> bool {
        self.held().iter().any(|(other, _)| *other == byte)
    }

    /// Tells whether anybody holds a lock. When that cannot be known, somebody does.
    pub(crate) fn is_locked(&self, backing: &Backing, byte: usize) -> bool {
        if self.holds(byte) {
            return true;
        }
        let own = reopen(backing);
        // A shared lock, for which it takes no more than the right to read, is nobody's bid.
        let free = |own: OwnedFd| sys::is_lockable(own.as_fd(), self.offset(byte)?, ByteLock::Shared);
        !own.and_then(free).unwrap_or(false)
    }
}
