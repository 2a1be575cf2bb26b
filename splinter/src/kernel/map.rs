//! A shared mapping of a region, aligned for huge pages, and the calls that concern mapped memory.
//! Knows addresses and lengths; what lies at them is not its business.

// Mapping memory is unsafe by nature; the type's bounds keep every later call inside the mapping.
#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;

use super::sys;
use crate::error::StoreError;

/// The size and alignment of a huge page, in bytes.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;

/// A shared mapping of a region's first bytes; its base is a multiple of 2 MiB.
///
/// Other threads and processes change the bytes at any time, so they may only be reached through
/// atomics.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// `len`, rounded up to whole pages.
    mapped: usize,
    page_bytes: usize,
    writable: bool,
    /// Which file it is: its device and its number there.
    file: (u64, u64),
    subject: String,
}

// SAFETY: a mapping belongs to the process and not to a thread, and the type hands out no more
// than its address.
unsafe impl Send for Mapping {}
// SAFETY: as above; all methods take `&self` and make calls the kernel serialises.
unsafe impl Sync for Mapping {}

/// What the kernel may be told of a range. None of these changes a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Advice {
    /// Read ahead as ever.
    Normal,
    /// Read nothing ahead.
    Random,
    /// Read far ahead, and expect pages to be done with once they were used.
    Sequential,
    /// Bring the range into memory.
    WillNeed,
    /// Drop the range from this process's page table. The mapping is shared, so its bytes stay, in
    /// the page cache or the shared memory they are in; the next touch enters them again.
    DontNeed,
    /// Use huge pages for what is touched from now on.
    HugePages,
    /// Gather the range into huge pages now, allocating what is not there.
    Collapse,
    /// Enter the pages into this process's page table, as reading each would do.
    PopulateRead,
}

impl Mapping {
    /// Maps the first `len` bytes of a file. No page is touched, and no memory is set aside, so that
    /// hundreds of gigabytes are mapped as fast as one.
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
        let metadata = sys::metadata(fd).map_err(failed)?;
        let (file_len, file) = (metadata.len(), (metadata.dev(), metadata.ino()));
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
        Ok(Self { base, len, mapped, page_bytes, writable, file, subject: subject.to_owned() })
    }

    /// Gives the address of the first byte, a multiple of 2 MiB.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Tells how many bytes were asked for.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Tells whether the bytes may be written.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Writes what changed to the file's storage, and returns when it is there. Shared memory has no
    /// storage, and is done at once.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let base = self.base.as_ptr().cast();
        // SAFETY: the range is this mapping, whole pages of it; msync changes no byte of it.
        sys::check(unsafe { libc::msync(base, self.mapped, libc::MS_SYNC) })?;
        Ok(())
    }

    /// Names what is mapped, for messages.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    /// Tells which file is mapped: its device and its number there.
    pub(super) fn file(&self) -> (u64, u64) {
        self.file
    }

    /// Tells the size of the pages the file is made of, in bytes.
    pub(super) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Tells how many bytes are mapped: `len`, rounded up to whole pages.
    pub(super) fn mapped(&self) -> usize {
        self.mapped
    }

    /// Tells the kernel something about a range.
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
        // SAFETY: the range lies in this mapping, which is shared, so that none of these numbers
        // changes a byte of it: what `DontNeed` drops is found again in the file.
        sys::check(unsafe { libc::madvise(start, len, number) })?;
        Ok(())
    }

    /// Tells the kernel something about every page that a range touches.
    pub(crate) fn advise_pages(&self, range: Range<usize>, advice: Advice) -> io::Result<()> {
        self.inside(range.start, range.len())?;
        let start = range.start - range.start % self.page_bytes;
        // What is mapped is whole pages, so this ends inside it.
        let end = range.end.max(start).next_multiple_of(self.page_bytes);
        self.advise(start, end - start, advice)
    }

    /// Asks, for the page at `offset` and those after it, which are in memory, whoever put them
    /// there: bit 0 of each byte. Touches none.
    pub(super) fn in_memory(&self, offset: usize, pages: &mut [u8]) -> io::Result<()> {
        let len = pages.len() * sys::page_bytes();
        let start = self.inside(offset, len)?.cast();
        // SAFETY: the range lies in this mapping, and `pages` has a byte for each of its pages.
        sys::check(unsafe { libc::mincore(start, len, pages.as_mut_ptr()) })?;
        Ok(())
    }

    /// Gives the address of a range, after checking that it is mapped.
    pub(super) fn inside(&self, offset: usize, len: usize) -> io::Result<*mut u8> {
        match offset.checked_add(len) {
            Some(end) if end <= self.mapped => Ok(self.base.as_ptr().wrapping_add(offset)),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping, and whoever owned it keeps no reference into it.
        unsafe { unmap(self.base.as_ptr(), self.mapped) };
    }
}

/// Tries whether a file can be mapped as a whole, and leaves it unmapped. For files of reserved huge
/// pages this sets the pages aside.
pub(super) fn can_map(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let at = View { fd, len, writable: true, reserve: true }.map_anywhere()?;
    // SAFETY: the range was mapped just now, and nobody else knows of it.
    unsafe { unmap(at, len) };
    Ok(())
}

/// What to map, and how.
struct View<'a> {
    fd: BorrowedFd<'a>,
    /// In bytes; whole pages.
    len: usize,
    writable: bool,
    /// Whether all memory is to be set aside now. Reserved huge pages want it: without, touching one
    /// that is not to be had is a fatal signal.
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
        // SAFETY: without MAP_FIXED the kernel picks a free range, so no memory in use is replaced.
        let at = unsafe { libc::mmap(nowhere, self.len, protection, flags, fd, 0) };
        mapped(at)
    }

    fn map_aligned(&self, alignment: usize) -> io::Result<NonNull<u8>> {
        // Mostly this first mapping is aligned already. Otherwise it has shown that the kernel
        // agrees to the file, the access and the length, before anything is reserved.
        let first = self.map_anywhere()?;
        if first.addr().is_multiple_of(alignment) {
            return NonNull::new(first).ok_or_else(|| io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: the range was mapped just now, and nobody else knows of it.
        unsafe { unmap(first, self.len) };

        let reserved = self.len.checked_add(alignment).ok_or(io::ErrorKind::OutOfMemory)?;
        let start = reserve(reserved)?;
        let head = start.addr().next_multiple_of(alignment) - start.addr();
        let tail = alignment - head;
        let base = start.wrapping_add(head);
        let (protection, flags) = (self.protection(), self.flags() | libc::MAP_FIXED);
        let fd = self.fd.as_raw_fd();
        // SAFETY: the range replaced lies inside the reservation above, which is ours alone.
        let at = unsafe { libc::mmap(base.cast(), self.len, protection, flags, fd, 0) };
        let at = mapped(at);
        // SAFETY: the head of the reservation, which nobody uses.
        unsafe { unmap(start, head) };
        // SAFETY: the tail of the reservation, which nobody uses.
        unsafe { unmap(base.wrapping_add(self.len), tail) };
        // On failure the middle stays reserved: the kernel may have left a gap there, which another
        // thread's mapping may fill by now, so unmapping it would not be ours to do.
        NonNull::new(at?).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

/// Reserves addresses, and no memory.
fn reserve(len: usize) -> io::Result<*mut u8> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: without MAP_FIXED the kernel picks a free range, so no memory in use is replaced.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
    mapped(at)
}

fn mapped(at: *mut libc::c_void) -> io::Result<*mut u8> {
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(at.cast()) }
}

/// Unmaps a range; an empty one is left alone.
///
/// # Safety
///
/// The range is whole pages that the caller mapped, and nothing refers to it any more.
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
        // SAFETY: the eight bytes lie in the mapping, which outlives the reference, and are aligned;
        // all access to them is atomic.
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
        // Section 8, 16: a touch beyond the end would be a fatal signal.
        let file = sparse(4096);
        let refused = Mapping::new(file.as_fd(), 4097, true, "test");
        assert!(matches!(refused, Err(StoreError::NotAStore { .. })));
    }

    #[test]
    fn refusals_name_what_was_to_be_mapped() {
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
