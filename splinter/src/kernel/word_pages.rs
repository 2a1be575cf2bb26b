//! Two pages beside each other: one of a shared file, then one of this process's own. A list that the kernel walks has
//! the next entry's address at a fixed distance behind each word. Here the last words of the shared page have their
//! entries in the private one, where no other process can lead the kernel astray.

// Opts in for mapping memory.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;
use std::{io, ptr};

use super::map::Mapping;
use super::sys;

/// How far an entry lies behind its word: as in the C library's `pthread_mutex_t` on 64-bit Linux.
pub(super) const NODE_BEHIND_WORD: usize = 32;
/// How many words have their entries in the page behind: those in a page's last bytes.
const WORDS_A_PAGE: usize = NODE_BEHIND_WORD / 8;
/// The page that the format counts in.
pub(crate) const PAGE: usize = 4096;

/// Words whose entries the calling process can link.
pub(crate) struct WordPages {
    base: NonNull<u8>,
    /// Which of the two pages are this window's own to unmap.
    own: [bool; 2],
}

// SAFETY: a window is an address range of the process, and belongs to no thread.
unsafe impl Send for WordPages {}

impl WordPages {
    /// Opens a window on the page at `offset` of a mapping. What lies behind that page in the mapping is not used
    /// otherwise: where the file's pages are larger ones, the entries lie there.
    ///
    /// # Errors
    /// The kernel's, when it has no memory or address space.
    pub(crate) fn new(mapping: &Mapping, fd: Option<BorrowedFd<'_>>, offset: usize) -> io::Result<Self> {
        let shared = mapping.inside(offset, 2 * PAGE)?;
        if mapping.page_bytes() != PAGE {
            let base = NonNull::new(shared).ok_or(io::ErrorKind::InvalidInput)?;
            return Ok(Self { base, own: [false; 2] });
        }
        let pages = anonymous(ptr::null_mut(), 2 * PAGE, 0)?;
        let mut window = Self { base: pages, own: [true; 2] };
        window.show(shared, fd, offset)?;
        // A child gets none of it: its lists are empty.
        // SAFETY: the range is this window.
        let advised = unsafe { libc::madvise(pages.as_ptr().cast(), 2 * PAGE, libc::MADV_DONTFORK) };
        sys::check(advised)?;
        Ok(window)
    }

    /// Maps the shared page in place of the first one: by the file's descriptor, or by the mapping, if the program
    /// closed that.
    fn show(&mut self, shared: *mut u8, fd: Option<BorrowedFd<'_>>, offset: usize) -> io::Result<()> {
        let at = self.base.as_ptr().cast::<libc::c_void>();
        let shown = match fd {
            Some(fd) => {
                let access = libc::PROT_READ | libc::PROT_WRITE;
                let (flags, fd) = (libc::MAP_SHARED | libc::MAP_FIXED, fd.as_raw_fd());
                let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
                // SAFETY: the page replaced is this window's own.
                unsafe { libc::mmap(at, PAGE, access, flags, fd, offset) }
            }
            None => {
                let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
                // SAFETY: an old length of zero leaves the old page and maps it once more; the page replaced is this
                // window's own.
                unsafe { libc::mremap(shared.cast(), 0, PAGE, flags, at) }
            }
        };
        self.replaced(shown == at)
    }

    /// Where a page could not be replaced, there may be a gap by now, and another thread's memory in it.
    fn replaced(&mut self, done: bool) -> io::Result<()> {
        let error = io::Error::last_os_error();
        self.own[0] &= done;
        if done { Ok(()) } else { Err(error) }
    }

    /// Returns where the entry of the page's `index`-th word is.
    pub(super) fn entry(&self, index: usize) -> NonNull<AtomicUsize> {
        let index = index % WORDS_A_PAGE;
        // SAFETY: it lies in the second page.
        unsafe { self.base.add(PAGE + index * 8) }.cast()
    }

    /// Lets go of the shared page, which keeps a whole file in memory. A page of zeroes is in its place, and the entries
    /// stay.
    pub(super) fn empty(&mut self) {
        if self.own[0] {
            let emptied = anonymous(self.base.as_ptr(), PAGE, libc::MAP_FIXED);
            let _ = self.replaced(emptied.is_ok());
        }
    }
}

impl Drop for WordPages {
    fn drop(&mut self) {
        for (page, own) in self.own.into_iter().enumerate() {
            if own {
                let at = self.base.as_ptr().wrapping_add(page * PAGE);
                // SAFETY: the page is this window's own, and no list leads there any more.
                unsafe { libc::munmap(at.cast(), PAGE) };
            }
        }
    }
}

/// Maps zeroes, which with `MAP_FIXED` must be in place of what is the caller's own.
fn anonymous(at: *mut u8, len: usize, flags: libc::c_int) -> io::Result<NonNull<u8>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags;
    // SAFETY: without MAP_FIXED the kernel picks a free range; with it, the range is the caller's.
    let pages = unsafe { libc::mmap(at.cast(), len, access, flags, -1, 0) };
    if pages == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(pages.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}
