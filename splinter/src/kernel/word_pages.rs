//! Two adjacent pages for words on a robust list: one of a shared file, then one private to this process. The kernel
//! finds the next entry's address at a fixed distance behind each word. So the words at the end of the shared page have
//! their entries in the private page, where no other process can mislead the kernel.

// Opts in to unsafe code for mapping memory.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;
use std::{io, ptr};

use super::map::Mapping;
use super::sys;

/// The distance from a word to its entry, in bytes, as in the C library's `pthread_mutex_t` on 64-bit Linux.
pub(super) const NODE_BEHIND_WORD: usize = 32;
/// How many words have their entries in the private page: those in the shared page's last bytes.
const WORDS_A_PAGE: usize = NODE_BEHIND_WORD / 8;
/// The page size of the file format, in bytes.
pub(crate) const PAGE: usize = 4096;

/// Two adjacent pages, with words whose entries the calling process can link.
pub(crate) struct WordPages {
    base: NonNull<u8>,
    /// Which of the two pages this value must unmap.
    own: [bool; 2],
}

// SAFETY: the pages are an address range of the process, and belong to no thread.
unsafe impl Send for WordPages {}

impl WordPages {
    /// Maps the page at `offset` of a mapping once more, and a private page behind it. Where the file's pages are
    /// larger, it uses the mapping itself: the bytes behind the page have no other use, and the entries lie there.
    ///
    /// # Errors
    /// The kernel's error, when it has no memory or address space.
    pub(crate) fn new(mapping: &Mapping, fd: Option<BorrowedFd<'_>>, offset: usize) -> io::Result<Self> {
        let shared = mapping.inside(offset, 2 * PAGE)?;
        if mapping.page_bytes() != PAGE {
            let base = NonNull::new(shared).ok_or(io::ErrorKind::InvalidInput)?;
            return Ok(Self { base, own: [false; 2] });
        }
        let base = anonymous(ptr::null_mut(), 2 * PAGE, 0)?;
        let mut pages = Self { base, own: [true; 2] };
        pages.map_shared(shared, fd, offset)?;
        // A child inherits neither page: its lists are empty.
        // SAFETY: the range is these pages.
        let advised = unsafe { libc::madvise(base.as_ptr().cast(), 2 * PAGE, libc::MADV_DONTFORK) };
        sys::check(advised)?;
        Ok(pages)
    }

    /// Maps the shared page in place of the first one: by the file's descriptor, or by the mapping if the program
    /// closed the descriptor.
    fn map_shared(&mut self, shared: *mut u8, fd: Option<BorrowedFd<'_>>, offset: usize) -> io::Result<()> {
        let at = self.base.as_ptr().cast::<libc::c_void>();
        let shown = match fd {
            Some(fd) => {
                let access = libc::PROT_READ | libc::PROT_WRITE;
                let (flags, fd) = (libc::MAP_SHARED | libc::MAP_FIXED, fd.as_raw_fd());
                let offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
                // SAFETY: the replaced page is this value's own.
                unsafe { libc::mmap(at, PAGE, access, flags, fd, offset) }
            }
            None => {
                let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
                // SAFETY: an old length of zero leaves the old page and maps it once more. The replaced page is this
                // value's own.
                unsafe { libc::mremap(shared.cast(), 0, PAGE, flags, at) }
            }
        };
        self.note_replaced(shown == at)
    }

    /// Notes whether a page was replaced. If not, there may be a gap by now, with another thread's memory in it.
    fn note_replaced(&mut self, done: bool) -> io::Result<()> {
        let error = io::Error::last_os_error();
        self.own[0] &= done;
        if done { Ok(()) } else { Err(error) }
    }

    /// Returns the address of the entry of the page's `index`-th word.
    pub(super) fn entry(&self, index: usize) -> NonNull<AtomicUsize> {
        let index = index % WORDS_A_PAGE;
        // SAFETY: the entry lies in the second page.
        unsafe { self.base.add(PAGE + index * 8) }.cast()
    }

    /// Replaces the shared page, which keeps a whole file in memory, by a page of zeroes. The entries stay.
    pub(super) fn release_shared(&mut self) {
        if self.own[0] {
            let zeroes = anonymous(self.base.as_ptr(), PAGE, libc::MAP_FIXED);
            let _ = self.note_replaced(zeroes.is_ok());
        }
    }
}

impl Drop for WordPages {
    fn drop(&mut self) {
        for (page, own) in self.own.into_iter().enumerate() {
            if own {
                let at = self.base.as_ptr().wrapping_add(page * PAGE);
                // SAFETY: the page is this value's own, and no list leads there any more.
                unsafe { libc::munmap(at.cast(), PAGE) };
            }
        }
    }
}

/// Maps zeroes. With `MAP_FIXED`, the caller must own the replaced range.
fn anonymous(at: *mut u8, len: usize, flags: libc::c_int) -> io::Result<NonNull<u8>> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags;
    // SAFETY: without MAP_FIXED the kernel picks a free range. With it, the range is the caller's.
    let pages = unsafe { libc::mmap(at.cast(), len, access, flags, -1, 0) };
    if pages == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(pages.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}
