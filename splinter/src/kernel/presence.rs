//! Whether somebody still has a file open for writing. Each keeps one byte of the file locked, far behind its end, and goes
//! by that byte's number. So words in a file that speak of somebody can be held against the kernel: in a copy of the file,
//! or after its machine was switched off, nobody has the byte locked.
//!
//! Nobody waits for anybody here, so one who is stopped is in nobody's way. The lock belongs to an open file description
//! that a mapping keeps: it goes when the last mapping does, with the process and the children that inherited it,
//! whatever the program closes.

use std::cell::OnceCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::backing::Backing;
use super::description::{Kept, reopen};
use super::sys::{self, ByteLock};

/// Where byte 0 would be. No file that can be mapped reaches as far.
const BASE: i64 = 1 << 62;

/// A locked byte; none where the file system knows no locks.
#[derive(Debug)]
pub(crate) struct Presence {
    /// 0: none.
    byte: u32,
    #[allow(dead_code, reason = "it is held, not used")]
    kept: Option<Kept>,
}

impl Presence {
    /// Locks a byte, drawn from so many that nobody else has it.
    ///
    /// # Errors
    /// The kernel's, when it leads to the file neither by its descriptor nor by its name.
    pub(crate) fn enter(backing: &Backing) -> io::Result<Self> {
        let own = reopen(backing);
        // One without the right to open the file once more, to whom its descriptor was passed, shares a description with
        // whoever passed it: the lock lasts until both are gone.
        let ways = own.iter().map(AsFd::as_fd).chain(backing.fd.get());
        let mut failed = None;
        for way in ways {
            match Self::by(way) {
                Ok(presence) => return Ok(presence),
                Err(e) if knows_no_locks(&e) => return Ok(Self::none()),
                Err(e) => failed = Some(e),
            }
        }
        Err(failed.or_else(|| own.err()).unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    fn by(way: BorrowedFd<'_>) -> io::Result<Self> {
        let byte = (sys::secret() as u32).max(1);
        let kept = Kept::new(way)?;
        // One who may only read could lock all bytes, and be in the way of a lock that is not shared.
        sys::lock_byte(way, offset(byte), ByteLock::Shared)?;
        Ok(Self { byte, kept: Some(kept) })
    }

    /// Stands for a mapping that is for reading, and for a file system without locks.
    pub(crate) const fn none() -> Self {
        Self { byte: 0, kept: None }
    }
}

/// All who have a file open for writing, as one of them sees them.
pub(crate) struct Present<'a> {
    own: &'a Presence,
    backing: &'a Backing,
    /// A description that has no locks, to ask by: the kernel tells nobody of its own.
    asking: OnceCell<Option<OwnedFd>>,
}

impl<'a> Present<'a> {
    pub(crate) const fn new(own: &'a Presence, backing: &'a Backing) -> Self {
        Self { own, backing, asking: OnceCell::new() }
    }

    /// Returns the asker's own byte, 0 if it has none.
    pub(crate) fn own(&self) -> u32 {
        self.own.byte
    }

    /// Tells whether somebody has the byte locked. Where that cannot be known, somebody does.
    pub(crate) fn has(&self, byte: u32) -> bool {
        if byte == 0 || byte == self.own.byte {
            return true;
        }
        let asking = self.asking.get_or_init(|| reopen(self.backing).ok());
        let ask = |fd: &OwnedFd| sys::is_lockable(fd.as_fd(), offset(byte), ByteLock::Alone);
        !matches!(asking.as_ref().map(ask), Some(Ok(true)))
    }
}

fn offset(byte: u32) -> i64 {
    BASE + i64::from(byte)
}

fn knows_no_locks(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::EINVAL))
}
