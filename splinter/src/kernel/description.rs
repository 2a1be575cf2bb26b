//! Keeps open file descriptions without a descriptor: a mapping keeps them. File locks belong to a description, so
//! these locks last until the mapping goes, whatever descriptors the program closes.

// Opts in to unsafe code for mapping a page.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use super::backing::Backing;
use super::sys::{self, ByteLock};

/// Opens a file once more, with an open file description of its own. It uses the file's descriptor, or its name if the
/// program closed the descriptor or there is no `/proc`.
///
/// # Errors
/// The kernel's error, when neither leads to the file.
pub(super) fn reopen(backing: &Backing) -> io::Result<OwnedFd> {
    let either = |path: &std::ffi::CStr, flags| {
        sys::open_existing(path, libc::O_RDWR | flags)
            .or_else(|_| sys::open_existing(path, libc::O_RDONLY | flags))
    };
    // The number or the name may be another file's by now.
    let ours = |fd: &OwnedFd| sys::file_id(fd.as_fd()).is_ok_and(|id| id == backing.fd.file());
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let by_number = backing.fd.open().and_then(|fd| either(&sys::descriptor_path(fd), flags));
    let by_number = by_number.map(|fd| Some(fd).filter(ours));
    if let Ok(Some(fd)) = by_number {
        return Ok(fd);
    }
    let error = by_number.err().unwrap_or_else(|| io::Error::from_raw_os_error(libc::EBADF));
    let Some(path) = backing.location.c_path() else { return Err(error) };
    let named = either(&path, libc::O_NOFOLLOW | flags);
    named.ok().filter(ours).ok_or(error)
}

/// A page of a file, mapped only to keep the open file description by which it was mapped.
#[derive(Debug)]
pub(super) struct MappedDescription {
    page: NonNull<u8>,
    len: usize,
}

// SAFETY: it is an address range of the process, whose bytes no code reads.
unsafe impl Send for MappedDescription {}
// SAFETY: as above.
unsafe impl Sync for MappedDescription {}

impl MappedDescription {
    /// Keeps a description as long as this lives, or a child that inherited it.
    pub(super) fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let len = sys::hugetlb_page_bytes(fd)?.unwrap_or_else(sys::page_bytes);
        let (nowhere, access) = (ptr::null_mut(), libc::PROT_READ);
        // SAFETY: without MAP_FIXED the kernel picks a free range.
        let page = unsafe { libc::mmap(nowhere, len, access, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let page = NonNull::new(page.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { page, len })
    }

    /// Locks a byte through a description, and closes its descriptor. The lock lasts as long as the returned mapping.
    ///
    /// # Errors
    /// The kernel's error. `Unsupported` where the mapping does not keep the description, as on overlayfs.
    pub(super) fn locked(backing: &Backing, own: OwnedFd, offset: i64, how: ByteLock) -> io::Result<Self> {
        let unsupported = || {
            let why = "on this file system no mapping keeps a file lock, which liveness checks need";
            io::Error::new(io::ErrorKind::Unsupported, why)
        };
        // Checked first: if another thread forks now, its child has the descriptor, and the lock would seem to be kept.
        if !sys::keeps_descriptions(own.as_fd()) {
            return Err(unsupported());
        }
        let mapped = Self::new(own.as_fd())?;
        sys::lock_byte(own.as_fd(), offset, how)?;
        drop(own);
        if sys::is_lockable(reopen(backing)?.as_fd(), offset, ByteLock::Alone)? {
            return Err(unsupported());
        }
        Ok(mapped)
    }

    /// Excludes the mapping from children, so that they hold no lock.
    pub(super) fn for_this_process(self) -> io::Result<Self> {
        let page = self.page.as_ptr().cast();
        // SAFETY: the range is this page.
        sys::check(unsafe { libc::madvise(page, self.len, libc::MADV_DONTFORK) })?;
        Ok(self)
    }
}

impl Drop for MappedDescription {
    fn drop(&mut self) {
        // SAFETY: the range is this page, whose bytes no code reads.
        unsafe { libc::munmap(self.page.as_ptr().cast(), self.len) };
    }
}
