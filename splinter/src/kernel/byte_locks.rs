//! Locks on bytes of a file that last as long as their process, to tell whether an owner lives. Each lock belongs to
//! an open file description of its own, which a mapping keeps: the program has no descriptor of it to close. A child
//! does not inherit the mapping, so it holds no lock.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::backing::Backing;
use super::description::{MappedDescription, reopen};
use super::process::PerProcess;
use super::sys::{self, ByteLock};
use crate::error::StoreError;

/// The byte locks of one open store: the first byte is at `base`, the others `stride` bytes apart.
#[derive(Debug)]
pub(crate) struct ByteLocks {
    base: u64,
    stride: u64,
    /// The locks that this process holds. A child begins with none.
    held: PerProcess<Mutex<Vec<(usize, MappedDescription)>>>,
}

impl ByteLocks {
    pub(crate) const fn new(base: u64, stride: u64) -> Self {
        Self { base, stride, held: PerProcess::new() }
    }

    fn held(&self) -> MutexGuard<'_, Vec<(usize, MappedDescription)>> {
        self.held.get().lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offset(&self, byte: usize) -> io::Result<i64> {
        let offset = (byte as u64).checked_mul(self.stride).and_then(|at| at.checked_add(self.base));
        offset.and_then(|at| i64::try_from(at).ok()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Takes a lock. Returns `false` if any process, also this one, has it.
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
        let description = MappedDescription::locked(backing, own, offset, ByteLock::Alone);
        match description.and_then(MappedDescription::for_this_process) {
            Ok(description) => {
                held.push((byte, description));
                Ok(true)
            }
            Err(e) => match e.raw_os_error() {
                Some(libc::EAGAIN | libc::EACCES) => Ok(false),
                Some(libc::EBADF) => Err(StoreError::ReadOnly),
                _ => Err(failed(e)),
            },
        }
    }

    /// Releases a lock. Does nothing if this process does not hold it.
    pub(crate) fn unlock(&self, byte: usize) {
        self.held().retain(|(other, _)| *other != byte);
    }

    /// Tells whether this process holds a lock through this open store.
    pub(crate) fn holds(&self, byte: usize) -> bool {
        self.held().iter().any(|(other, _)| *other == byte)
    }

    /// Tells whether any process holds a lock. If that cannot be known, the answer is yes.
    pub(crate) fn is_locked(&self, backing: &Backing, byte: usize) -> bool {
        if self.holds(byte) {
            return true;
        }
        let own = reopen(backing);
        // The query asks for a shared lock, which needs only the right to read. No bid uses one.
        let free = |own: OwnedFd| sys::is_lockable(own.as_fd(), self.offset(byte)?, ByteLock::Shared);
        !own.and_then(free).unwrap_or(false)
    }
}
