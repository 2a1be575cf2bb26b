//! Whether anybody has a file open for writing. Of the words that say who lives, those in a copy of a file and those of
//! a machine that was switched off speak of nobody: the first who opens such a file clears them, and has to know that
//! it is the first.
//!
//! Each who opens the file locks a byte, shared with the others, through an open file description that the program has
//! no descriptor of: a mapping keeps it. So the lock goes when the last mapping does, with the process and the children
//! that inherited it, whatever the program closes.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::backing::Backing;
use super::description::{Kept, reopen};
use super::sys::{self, ByteLock};

/// How long to wait for another who is the first, and clears what it found. It takes microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// A share in the lock; none where the file system knows no locks, or the file has no name by which it could be copied.
#[derive(Debug)]
pub(crate) struct Presence(#[allow(dead_code, reason = "it is held, not used")] Option<Kept>);

impl Presence {
    /// Takes a share in the lock on the byte at `offset`. Calls `clear` if nobody else has one, before anybody else can
    /// get one.
    ///
    /// # Errors
    /// The kernel's, when the file cannot be opened once more, for which it takes `/proc` or the file's name;
    /// `TimedOut` when another keeps the lock for itself.
    pub(crate) fn enter(backing: &Backing, offset: u64, clear: impl Fn()) -> io::Result<Self> {
        let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let own = reopen(backing)?;
        let since = Instant::now();
        loop {
            let alone = sys::lock_byte(own.as_fd(), offset, ByteLock::Alone);
            let shared = match alone {
                Ok(()) => {
                    clear();
                    // The kernel turns one lock into the other: nobody comes between.
                    sys::lock_byte(own.as_fd(), offset, ByteLock::Shared)
                }
                // A descriptor for reading only gets a share and no more.
                Err(e) if is_taken(&e) || e.raw_os_error() == Some(libc::EBADF) => {
                    sys::lock_byte(own.as_fd(), offset, ByteLock::Shared)
                }
                Err(e) if knows_no_locks(&e) => return Ok(Self(None)),
                Err(e) => return Err(e),
            };
            match shared {
                Ok(()) => return Ok(Self(Some(Kept::new(own.as_fd())?))),
                Err(e) if !is_taken(&e) => return Err(e),
                Err(_) if since.elapsed() > PATIENCE => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Stands for a file that cannot be copied.
    pub(crate) const fn none() -> Self {
        Self(None)
    }
}

fn knows_no_locks(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::EINVAL))
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}
