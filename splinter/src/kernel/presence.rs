//! Presence: tells whether a process still has a file open for writing. Each store that opens a file locks one byte of
//! it, far behind its end, under a random number. Words in a file that name such a number can be checked against the
//! kernel. In a copy of the file, or after the machine was switched off, no process holds the byte.
//!
//! Nothing waits here, so a stopped process delays no other. The lock belongs to an open file description that a
//! mapping keeps. So the lock ends with the last mapping, that is with the process and the children that inherited it,
//! whatever descriptors the program closes. Where no such lock is possible, a store has no byte, and counts as present.

use std::cell::OnceCell;
use std::os::fd::{AsFd, OwnedFd};

use super::backing::Backing;
use super::description::{MappedDescription, reopen};
use super::sys::{self, ByteLock};

/// The offset of byte 0. No file that can be mapped reaches so far.
const BASE: i64 = 1 << 62;

/// A locked byte, or none.
#[derive(Debug)]
pub(crate) struct Presence {
    /// The byte's number; 0 for none.
    byte: u32,
    #[allow(dead_code, reason = "it is held, not used")]
    description: Option<MappedDescription>,
}

impl Presence {
    /// Locks a byte with a random number, so that no other process has it. Returns none where no mapping keeps a lock,
    /// the file system has no locks, or neither the descriptor nor the name opens the file again.
    pub(crate) fn enter(backing: &Backing) -> Self {
        let byte = (sys::secret() as u32).max(1);
        let lock = |own: OwnedFd| MappedDescription::locked(backing, own, offset(byte), ByteLock::Shared);
        match reopen(backing).and_then(lock) {
            Ok(description) => Self { byte, description: Some(description) },
            Err(_) => Self::lock_by_descriptor(backing, byte).unwrap_or(const { Self::none() }),
        }
    }

    /// Locks the byte by the store's own descriptor. A process without the right to open the file uses this, if another
    /// passed the descriptor to it. Both share the open file description, and the lock lasts until both are gone.
    fn lock_by_descriptor(backing: &Backing, byte: u32) -> Option<Self> {
        let fd = backing.fd.get()?;
        if !sys::keeps_descriptions(fd) {
            return None;
        }
        let description = MappedDescription::new(fd).ok()?;
        sys::lock_byte(fd, offset(byte), ByteLock::Shared).ok()?;
        Some(Self { byte, description: Some(description) })
    }

    /// Returns the presence of a store that holds no byte.
    pub(crate) const fn none() -> Self {
        Self { byte: 0, description: None }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.byte == 0
    }
}

/// All processes that have a file open for writing, as one of them sees them.
pub(crate) struct Present<'a> {
    own: u32,
    backing: &'a Backing,
    /// A description to ask by, opened on first use; none if the file cannot be opened again.
    asking: OnceCell<Option<OwnedFd>>,
}

impl<'a> Present<'a> {
    pub(crate) const fn new(own: &Presence, backing: &'a Backing) -> Self {
        Self { own: own.byte, backing, asking: OnceCell::new() }
    }

    /// Returns this process's own byte, 0 if it has none.
    pub(crate) fn own(&self) -> u32 {
        self.own
    }

    /// Tells whether a process has the byte locked. If that cannot be known, the answer is yes.
    pub(crate) fn has(&self, byte: u32) -> bool {
        if byte == 0 || byte == self.own {
            return true;
        }
        let asking = self.asking.get_or_init(|| {
            // Where mappings keep no locks, a byte that nobody has locked says nothing.
            reopen(self.backing).ok().filter(|fd| sys::keeps_descriptions(fd.as_fd()))
        });
        let ask = |fd: &OwnedFd| sys::is_lockable(fd.as_fd(), offset(byte), ByteLock::Alone);
        !matches!(asking.as_ref().map(ask), Some(Ok(true)))
    }
}

fn offset(byte: u32) -> i64 {
    BASE + i64::from(byte)
}
