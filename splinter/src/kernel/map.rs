//! Maps a file as shared memory, aligned for huge pages, and makes the calls that concern mapped memory (`madvise`,
//! `mincore`, `msync`). It knows addresses and lengths, not what lies there.

// Opts in to unsafe code for mapping memory. The type's bounds checks keep every later call inside the mapping.
#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use super::sys;
use crate::error::StoreError;

/// The size and alignment of a huge page, in bytes.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// A shared mapping of a file's first bytes. Its base is a multiple of 2 MiB.
///
/// Other threads and processes change the bytes at any time, so all access to them must be atomic.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// `len`, rounded up to whole pages.
    mapped: usize,
    page_bytes: usize,
    writable: bool,
    subject: String,
}

// SAFETY: a mapping belongs to the process and not to a thread, and the type hands out only its address.
unsafe impl Send for Mapping {}
// SAFETY: as above; all methods take `&self`, and the kernel serialises their calls.
unsafe impl Sync for Mapping {}

/// Advice to the kernel on a range of a mapping (`madvise`). No advice changes a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Advice {
    /// Read ahead as usual.
    Normal,
    /// Do not read ahead.
    Random,
    /// Read far ahead, and expect that pages are not needed again after their use.
    Sequential,
    /// Bring the range into memory.
    WillNeed,
    /// Drop the range from this process's page table. The mapping is shared, so its bytes stay in the page cache or the
    /// shared memory. The next touch maps them again.
    DontNeed,
    /// Use huge pages for what is touched from now on.
    HugePages,
    /// Gather the range into huge pages now, and allocate what is not there.
    Collapse,
    /// Enter the pages into this process's page table, as reading each page would.
    PopulateRead,
}

impl Mapping {
    /// Maps the first `len` bytes of a file. This touches no page and reserves no memory, so it takes as long for
    /// hundreds of gigabytes as for one.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAStore`] when the file is shorter than `len`, [`StoreError::Os`] when the
    /// kernel refuses.
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        len: usize,
        writable: bool,
        subject: &str,
    ) -> Result<Self, StoreError> {
        let failed = |e| StoreError::os("map", subject, e);
        let file_len = sys::metadata(fd).map_err(failed)?.len();
        if (len as u64) > file_len {
            let reason = format!("it has {file_len} bytes where {len} are to be mapped");
            return Err(StoreError::NotAStore { subject: subject.to_owned(), reason });
        }
        let huge = sys::hugetlb_page_bytes(fd).map_err(failed)?;
        let page_bytes = huge.unwrap_or_else(sys::page_bytes);
        let alignment = page_bytes.max(HUGE_PAGE_BYTES);
        let mapped = len
            .checked_next_multiple_of(page_bytes)
            .ok_or_else(|| failed(io::ErrorKind::OutOfMemory.into()))?;
        let view = View { fd, len: mapped, writable, reserve: huge.is_some() };
        let base = view.map_aligned(alignment).map_err(failed)?;
        Ok(Self { base, len, mapped, page_bytes, writable, subject: subject.to_owned() })
    }

    /// Returns the address of the first byte, a multiple of 2 MiB.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Returns the length that was asked for, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Tells whether the bytes may be written.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Writes changed bytes to the file's storage, and returns when they are there (`msync`). Shared memory has no
    /// storage, so for it the call does nothing.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let base = self.base.as_ptr().cast();
        // SAFETY: the range is this mapping, in whole pages, and msync changes no byte of it.
        sys::check(unsafe { libc::msync(base, self.mapped, libc::MS_SYNC) })?;
        Ok(())
    }

    /// Returns the name of the mapped file, for messages.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the size of the file's pages, in bytes.
    pub(super) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Returns the number of mapped bytes: `len`, rounded up to whole pages.
    pub(super) fn mapped(&self) -> usize {
        self.mapped
    }

    /// Gives the kernel advice on a range, in bytes.
    pub(super) fn advise(&self, offset: usize, len: usize, advice: Advice) -> io::Result<()> {
        // Linux, uapi/asm-generic/mman-common.h.
        let number = match advice {
            Advice::Normal => 0,
            Advice::Random => 1,
            Advice::Sequential => 2,
            Advice::WillNeed => 3,
            Advice::DontNeed => 4,
            Advice::HugePages => 14,
            Advice::PopulateRead => 22,
            Advice::Collapse => 25,
        };
        let start = self.inside(offset, len)?.cast();
        // SAFETY: the range lies in this mapping. The mapping is shared, so none of these numbers changes a byte of it:
        // the file still has what `DontNeed` drops.
        sys::check(unsafe { libc::madvise(start, len, number) })?;
        Ok(())
    }

    /// Gives the kernel advice on every page that a range of bytes touches.
    pub(crate) fn advise_pages(&self, range: Range<usize>, advice: Advice) -> io::Result<()> {
        self.inside(range.start, range.len())?;
        let start = range.start - range.start % self.page_bytes;
        // Whole pages are mapped, so this ends inside the mapping.
        let end = range.end.max(start).next_multiple_of(self.page_bytes);
        self.advise(start, end - start, advice)
    }

    /// Asks which pages from `offset` on are in memory, whichever process put them there. Bit 0 of each byte of `pages`
    /// is the answer for one page. This touches no page.
    pub(super) fn in_memory(&self, offset: usize, pages: &mut [u8]) -> io::Result<()> {
        let len = pages.len() * sys::page_bytes();
        let start = self.inside(offset, len)?.cast();
        // SAFETY: the range lies in this mapping, and `pages` has a byte for each of its pages.
        sys::check(unsafe { libc::mincore(start, len, pages.as_mut_ptr()) })?;
        Ok(())
    }

    /// Returns the address of a range, after checking that it is mapped.
    pub(super) fn inside(&self, offset: usize, len: usize) -> io::Result<*mut u8> {
        match offset.checked_add(len) {
            Some(end) if end <= self.mapped => Ok(self.base.as_ptr().wrapping_add(offset)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping, and its owner keeps no reference into it.
        unsafe { unmap(self.base.as_ptr(), self.mapped) };
    }
}

/// Checks that a whole file can be mapped, and leaves it unmapped. For files of reserved huge pages, this makes the
/// kernel reserve the pages.
pub(super) fn can_map(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let at = View { fd, len, writable: true, reserve: true }.map_anywhere()?;
    // SAFETY: the range was mapped just now, and no other code has its address.
    unsafe { unmap(at, len) };
    Ok(())
}

/// The arguments of a mapping.
struct View<'a> {
    fd: BorrowedFd<'a>,
    /// In bytes; whole pages.
    len: usize,
    writable: bool,
    /// Whether to reserve all memory now. Reserved huge pages need it: otherwise touching a page that the kernel cannot
    /// provide is a fatal signal.
    reserve: bool,
}

impl View<'_> {
    fn protection(&self) -> libc::c_int {
        if self.writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ }
    }

    fn flags(&self) -> libc::c_int {
        libc::MAP_SHARED | if self.reserve { 0 } else { libc::MAP_NORESERVE }
    }

    fn map_anywhere(&self) -> io::Result<*mut u8> {
        let (protection, flags) = (self.protection(), self.flags());
        let (nowhere, fd) = (std::ptr::null_mut(), self.fd.as_raw_fd());
        // SAFETY: without MAP_FIXED the kernel picks a free range, so the call replaces no memory in use.
        let at = unsafe { libc::mmap(nowhere, self.len, protection, flags, fd, 0) };
        mapped(at)
    }

    fn map_aligned(&self, alignment: usize) -> io::Result<NonNull<u8>> {
        // Usually this first mapping is aligned already. Otherwise it has shown that the kernel accepts the file, the
        // access and the length, before any address is reserved.
        let first = self.map_anywhere()?;
        if first.addr().is_multiple_of(alignment) {
            return NonNull::new(first).ok_or_else(|| io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: the range was mapped just now, and no other code has its address.
        unsafe { unmap(first, self.len) };

        let reserved = self.len.checked_add(alignment).ok_or(io::ErrorKind::OutOfMemory)?;
        let start = reserve(reserved)?;
        let head = start.addr().next_multiple_of(alignment) - start.addr();
        let tail = alignment - head;
        let base = start.wrapping_add(head);
        let (protection, flags) = (self.protection(), self.flags() | libc::MAP_FIXED);
        let fd = self.fd.as_raw_fd();
        // SAFETY: the replaced range lies inside the reservation above, which only this function uses.
        let at = unsafe { libc::mmap(base.cast(), self.len, protection, flags, fd, 0) };
        let at = mapped(at);
        // SAFETY: the range is the head of the reservation, which no code uses.
        unsafe { unmap(start, head) };
        // SAFETY: the range is the tail of the reservation, which no code uses.
        unsafe { unmap(base.wrapping_add(self.len), tail) };
        // On failure the middle stays reserved. The kernel may have left a gap there, and another thread's mapping may
        // fill it by now, so this function must not unmap it.
        NonNull::new(at?).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

/// Reserves addresses, and no memory.
fn reserve(len: usize) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: without MAP_FIXED the kernel picks a free range, so the call replaces no memory in use.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
    mapped(at)
}

fn mapped(at: *mut libc::c_void) -> io::Result<*mut u8> {
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at.cast()) }
}

/// Unmaps a range. Does nothing for an empty one.
///
/// # Safety
///
/// The range is whole pages that the caller mapped, and no reference to it is left.
unsafe fn unmap(at: *mut u8, len: usize) {
    if len != 0 {
        // SAFETY: as the caller promises.
        unsafe { libc::munmap(at.cast(), len) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn sparse(len: u64) -> File {
        let file = File::from(sys::memory_file(c"test", 0).unwrap());
        file.set_len(len).unwrap();
        file
    }

    fn word(mapping: &Mapping, offset: usize) -> &AtomicU64 {
        let at = mapping.inside(offset, 8).unwrap().cast();
        // SAFETY: the eight bytes are aligned and lie in the mapping, which outlives the reference. All access to them
        // is atomic.
        unsafe { AtomicU64::from_ptr(at) }
    }

    #[test]
    fn mappings_are_aligned_for_huge_pages_whatever_their_length() {
        let page = sys::page_bytes();
        for len in [1, page, page + 1, HUGE_PAGE_BYTES - 1, HUGE_PAGE_BYTES, 3 * page, 5 << 20] {
            let file = sparse(len as u64);
            let maps: Vec<Mapping> =
                (0..4).map(|_| Mapping::new(file.as_fd(), len, true, "test").unwrap()).collect();
            for map in &maps {
                assert!(map.base().addr().get().is_multiple_of(HUGE_PAGE_BYTES));
                assert_eq!((map.len(), map.mapped()), (len, len.next_multiple_of(page)));
            }
        }
    }

    #[test]
    fn mappings_of_one_file_show_the_same_bytes() {
        let file = sparse(3 << 20);
        let writer = Mapping::new(file.as_fd(), 3 << 20, true, "test").unwrap();
        let reader = Mapping::new(file.as_fd(), 3 << 20, false, "test").unwrap();
        assert!(writer.is_writable() && !reader.is_writable());
        for offset in [0, (3 << 20) - 8] {
            word(&writer, offset).store(offset as u64 + 7, Ordering::Relaxed);
            assert_eq!(word(&reader, offset).load(Ordering::Relaxed), offset as u64 + 7);
        }
        writer.flush().unwrap();
        reader.flush().unwrap();
    }

    #[test]
    fn hundreds_of_gibibytes_are_mapped_without_memory() {
        use std::os::unix::fs::MetadataExt;
        for len in [64_usize << 30, 400 << 30] {
            let file = sparse(len as u64);
            let map = Mapping::new(file.as_fd(), len, true, "test").unwrap();
            word(&map, 0).store(1, Ordering::Relaxed);
            word(&map, len - 8).store(2, Ordering::Relaxed);
            map.flush().unwrap();
            assert!(file.metadata().unwrap().blocks() * 512 <= 4 * HUGE_PAGE_BYTES as u64);
        }
    }

    #[test]
    fn a_file_shorter_than_the_mapping_is_refused() {
        // Invariant 16 of docs/protocol.md: a touch beyond the end would be a fatal signal.
        let file = sparse(4096);
        let refused = Mapping::new(file.as_fd(), 4097, true, "test");
        assert!(matches!(refused, Err(StoreError::NotAStore { .. })));
    }

    #[test]
    fn refusals_name_the_file_to_map() {
        let file = sparse(4096);
        let readable = sys::open_existing(&sys::descriptor_path(file.as_fd()), libc::O_RDONLY);
        let refused = Mapping::new(readable.unwrap().as_fd(), 4096, true, "the thing").unwrap_err();
        assert!(refused.to_string().starts_with("cannot map the thing: "), "{refused}");
        let empty = Mapping::new(file.as_fd(), 0, true, "test");
        assert!(matches!(empty, Err(StoreError::Os { .. })));
    }

    #[test]
    fn ranges_outside_are_refused() {
        let file = sparse(8192);
        let map = Mapping::new(file.as_fd(), 8192, true, "test").unwrap();
        assert!(map.inside(0, 8192).is_ok());
        assert!(map.inside(8192, 0).is_ok());
        assert!(map.inside(1, 8192).is_err());
        assert!(map.inside(usize::MAX, 2).is_err());
        assert!(map.advise(4096, 8192, Advice::PopulateRead).is_err());
        assert!(map.in_memory(4096, &mut [0; 2]).is_err());
    }

    #[test]
    fn advice_changes_no_byte_and_takes_any_range_inside() {
        let file = sparse(3 << 20);
        let map = Mapping::new(file.as_fd(), 3 << 20, true, "test").unwrap();
        word(&map, 8192).store(7, Ordering::Relaxed);
        use Advice::{DontNeed, Normal, Random, Sequential, WillNeed};
        for advice in [Normal, Random, Sequential, WillNeed, DontNeed] {
            for range in [0..3 << 20, 8193..8200, 5..5, 4095..4097, (3 << 20) - 1..3 << 20] {
                map.advise_pages(range, advice).unwrap();
            }
            assert_eq!(word(&map, 8192).load(Ordering::Relaxed), 7);
        }
        assert!(map.advise_pages(1..(3 << 20) + 1, WillNeed).is_err());
    }

    #[test]
    fn asking_what_is_in_memory_touches_nothing() {
        use std::os::unix::fs::MetadataExt;
        let page = sys::page_bytes();
        let file = sparse(16 * page as u64);
        let map = Mapping::new(file.as_fd(), 16 * page, true, "test").unwrap();
        word(&map, 3 * page).store(1, Ordering::Relaxed);
        let mut pages = [0; 16];
        map.in_memory(0, &mut pages).unwrap();
        let present: Vec<usize> = (0..16).filter(|&page| pages[page] & 1 == 1).collect();
        assert_eq!(present, [3]);
        assert_eq!(file.metadata().unwrap().blocks() * 512, page as u64);
    }
}
