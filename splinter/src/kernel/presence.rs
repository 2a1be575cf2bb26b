//! Whether somebody still has a file open for writing. Each keeps one byte of the file locked, far behind its end, and goes
//! by that byte's number. So words in a file that speak of somebody can be held against the kernel: in a copy of the file,
//! or after its machine was switched off, nobody has the byte locked.
//!
//! Nobody waits for anybody here, so one who is stopped is in nobody's way. The lock belongs to an open file description
//! that a mapping keeps: it goes when the last mapping does, with the process and the children that inherited it,
//! whatever the program closes. Where that cannot be had, there is no byte, and nothing is held against anybody.

use std::cell::OnceCell;
use std::os::fd::{AsFd, OwnedFd};

use super::backing::Backing;
use super::description::{Kept, reopen};
use super::sys::{self, ByteLock};

/// Where byte 0 would be. No file that can be mapped reaches as far.
const BASE: i64 = 1 << 62;

/// A locked byte, or none.
#[derive(Debug)]
pub(crate) struct Presence {
    /// 0: none.
    byte: u32,
    #[allow(dead_code, reason = "it is held, not used")]
    kept: Option<Kept>,
}

impl Presence {
    /// Locks a byte, drawn from so many that nobody else has it. Returns none where no mapping keeps a lock, the file
    /// system has none, or the file can be opened neither by its descriptor nor by its name.
    pub(crate) fn enter(backing: &Backing) -> Self {
        let byte = (sys::secret() as u32).max(1);
        let by_own = |own: OwnedFd| Kept::locked(backing, own, offset(byte), ByteLock::Shared);
        match reopen(backing).and_then(by_own) {
            Ok(kept) => Self { byte, kept: Some(kept) },
            Err(_) => Self::by_given(backing, byte).unwrap_or(const { Self::none() }),
        }
    }

    /// Locks the byte by the store's descriptor: the way of one to whom it was passed, without the right to open the file.
    /// That one shares a description with whoever passed it, and the lock lasts until both are gone.
    fn by_given(backing: &Backing, byte: u32) -> Option<Self> {
        let given = backing.fd.get()?;
        if !sys::keeps_descriptions(given) {
            return None;
        }
        let kept = Kept::new(given).ok()?;
        sys::lock_byte(given, offset(byte), ByteLock::Shared).ok()?;
        Some(Self { byte, kept: Some(kept) })
    }

    /// Stands for one of which nobody knows.
    pub(crate) const fn none() -> Self {
        Self { byte: 0, kept: None }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.byte == 0
    }
}

/// All who have a file open for writing, as one of them sees them.
pub(crate) struct Present<'a> {
    own: u32,
    backing: &'a Backing,
    /// A description to ask by, once that was needed; none if the file cannot be opened once more.
    asking: OnceCell<Option<OwnedFd>>,
}

impl<'a> Present<'a> {
    pub(crate) const fn new(own: &Presence, backing: &'a Backing) -> Self {
        Self { own: own.byte, backing, asking: OnceCell::new() }
    }

    /// Returns the asker's own byte, 0 if it has none.
    pub(crate) fn own(&self) -> u32 {
        self.own
    }

    /// Tells whether somebody has the byte locked. Where that cannot be known, somebody does.
    pub(crate) fn has(&self, byte: u32) -> bool {
        if byte == 0 || byte == self.own {
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
