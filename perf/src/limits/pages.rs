//! Private memory of a chosen page size, for the limits to chase pointers through.
#![allow(unsafe_code)] // Only mmap with madvise says which pages memory is made of.

use crate::unit::Unit;
use std::io;
use std::ptr::{self, NonNull};

/// The size of a huge page, and the alignment of every region here.
pub const HUGE_PAGE: usize = 2 << 20;

/// What a region's pages should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// The processor's smallest pages (4 KiB), whatever the system's default is.
    Base,
    /// As [`Huge`](Self::Huge), for work that can do without them.
    HugeWhereHad,
    /// Huge pages of 2 MiB where the kernel grants them; ask [`Pages::huge_bytes`] whether it did.
    Huge,
}

/// A zeroed private region, 2 MiB aligned, unmapped when dropped.
pub struct Pages {
    start: NonNull<u8>,
    len: usize,
    mapping: NonNull<u8>,
    mapping_len: usize,
}

// SAFETY: the region is owned by this value alone, like the contents of a box.
unsafe impl Send for Pages {}

impl Pages {
    /// Maps `len` bytes and touches all of them.
    ///
    /// # Errors
    /// What the kernel said when it refused the memory. Huge pages that are refused are no error.
    pub fn new(len: usize, kind: PageKind) -> io::Result<Self> {
        let pages = Self::untouched(len, kind)?;
        pages.touch(kind);
        Ok(pages)
    }

    /// Maps `len` bytes of memory of one node alone, and touches all of them.
    ///
    /// # Errors
    /// What the kernel said when it refused the memory, or the node.
    pub fn on_node(len: usize, kind: PageKind, node: u32) -> io::Result<Self> {
        let pages = Self::untouched(len, kind)?;
        pages.bind(node)?;
        pages.touch(kind);
        Ok(pages)
    }

    /// Maps `len` bytes.
    fn untouched(len: usize, kind: PageKind) -> io::Result<Self> {
        let mapping_len = len.checked_add(HUGE_PAGE).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh private mapping at an address of the kernel's choice touches no existing memory.
        let mapped = unsafe {
            libc::mmap(ptr::null_mut(), mapping_len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let mapping = NonNull::new(mapped.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let skip = mapping.as_ptr().align_offset(HUGE_PAGE);
        // SAFETY: `skip` is below HUGE_PAGE, and the mapping is that much longer than `len`.
        let start = unsafe { mapping.add(skip) };
        let pages = Self { start, len, mapping, mapping_len };
        pages.advise(match kind {
            PageKind::Huge | PageKind::HugeWhereHad => libc::MADV_HUGEPAGE,
            PageKind::Base => libc::MADV_NOHUGEPAGE,
        });
        Ok(pages)
    }

    /// Has all of its pages come from a node; none of them may have been touched.
    fn bind(&self, node: u32) -> io::Result<()> {
        /// Nodes that the mask has room for: all that Linux can be built for.
        const NODES_MAX: usize = 1024;
        let mut mask = [0_u64; NODES_MAX / 64];
        let word = mask.get_mut(node as usize / 64).ok_or(io::ErrorKind::InvalidInput)?;
        *word |= 1 << (node % 64);
        let (base, len) = (self.mapping.as_ptr(), self.mapping_len);
        // The kernel wants one more than the bits of the mask.
        let (bits, bits_and_one) = (mask.as_ptr(), NODES_MAX + 1);
        // SAFETY: the range is this value's mapping, whose bytes the call leaves alone; the mask has as many bits as
        // it reads, and lives through it.
        let answer =
            unsafe { libc::syscall(libc::SYS_mbind, base, len, libc::MPOL_BIND, bits, bits_and_one, 0) };
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    fn touch(&self, kind: PageKind) {
        // SAFETY: the region is `len` writable bytes, and nothing else refers to it yet.
        unsafe { ptr::write_bytes(self.start.as_ptr(), 0, self.len) };
        if kind != PageKind::Base && self.huge_bytes() < self.len as u64 {
            // Collapses what is there already, even where transparent huge pages are switched off (Linux 6.1).
            self.advise(libc::MADV_COLLAPSE);
        }
    }

    /// Gives the kernel advice on the region's whole huge pages. Advice that is refused changes no meaning.
    fn advise(&self, advice: libc::c_int) {
        // SAFETY: the region is mapped, and the advice values used here keep its contents.
        let _ = unsafe {
            libc::madvise(self.start.as_ptr().cast(), self.len.next_multiple_of(HUGE_PAGE), advice)
        };
    }

    /// Returns the first byte; the region is [`Pages::len`] bytes from there.
    #[must_use]
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Returns the length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the region's bytes.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the region is `len` bytes, mapped and zeroed by `new`; a caller that writes through `start` does so
        // while it owns the region and holds no such slice.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// Returns the region's bytes, to be written.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the region is `len` bytes, mapped and zeroed by `new`, and borrowed by this caller alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Tells its size, and which pages it had.
    #[must_use]
    pub fn told(&self) -> String {
        let (len, huge) = (self.len as u64, self.huge_bytes());
        let pages = match huge {
            0 => "pages of 4 KiB".to_owned(),
            _ if huge >= len => "huge pages".to_owned(),
            _ => format!("huge pages for {} %", huge * 100 / len),
        };
        format!("{} on {pages}", Unit::Bytes.show(len as f64))
    }

    /// Returns how many bytes of the region lie on huge pages, as the kernel reports it.
    #[must_use]
    pub fn huge_bytes(&self) -> u64 {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        huge_bytes_at(&maps, self.start.addr().get() as u64)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no reference into it outlives it.
        let _ = unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.mapping_len) };
    }
}

/// Finds the `AnonHugePages` of the region that holds an address in the text of `/proc/self/smaps`.
fn huge_bytes_at(maps: &str, address: u64) -> u64 {
    let mut inside = false;
    for line in maps.lines() {
        let first = line.split(' ').next().unwrap_or_default();
        if let Some((from, to)) = first.split_once('-') {
            let parse = |text| u64::from_str_radix(text, 16).unwrap_or(0);
            inside = (parse(from)..parse(to)).contains(&address);
        } else if inside && first == "AnonHugePages:" {
            let kib = line.trim_start_matches("AnonHugePages:").trim().trim_end_matches("kB").trim();
            return kib.parse::<u64>().unwrap_or(0) << 10;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::{HUGE_PAGE, PageKind, Pages, huge_bytes_at};

    #[test]
    fn a_region_is_aligned_and_zeroed() {
        let pages = Pages::new(10_000, PageKind::Base).unwrap();
        assert_eq!(pages.start().addr().get() % HUGE_PAGE, 0);
        assert_eq!(pages.len(), 10_000);
        for at in [0, 5000, 9999] {
            // SAFETY: `at` is inside the region.
            let byte = unsafe { pages.start().add(at) };
            // SAFETY: the byte is mapped, initialised by the kernel, and nothing writes it.
            assert_eq!(unsafe { byte.read() }, 0);
        }
    }

    #[test]
    fn small_pages_are_small_whatever_the_default() {
        assert_eq!(Pages::new(2 * HUGE_PAGE, PageKind::Base).unwrap().huge_bytes(), 0);
    }

    #[test]
    fn the_share_of_huge_pages_is_read_from_the_right_region() {
        let maps = "1000-3000 rw-p 00000000 00:00 0\nSize: 8 kB\nAnonHugePages:      4 kB\n\
                    3000-5000 rw-p 00000000 00:00 0 [heap]\nAnonHugePages:   2048 kB\n";
        assert_eq!(huge_bytes_at(maps, 0x1000), 4096);
        assert_eq!(huge_bytes_at(maps, 0x3fff), 2 << 20);
        assert_eq!(huge_bytes_at(maps, 0x5000), 0);
    }
}
