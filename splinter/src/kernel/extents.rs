//! Which parts of a sparse file hold data, without touching any: what makes questions about a store
//! of 64 GiB with one key as cheap as the one key.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::map::Mapping;
use super::sys;

/// Lists the parts of a mapped file that hold data, in bytes from its beginning.
///
/// # Errors
/// The kernel's, where the file system does not tell.
pub(crate) fn with_data(mapping: &Mapping, fd: BorrowedFd<'_>) -> io::Result<Vec<Range<usize>>> {
    Extents::new(fd, mapping.len(), mapping.page_bytes())?.collect()
}

/// The parts of a file that hold data, as ranges of whole pages in ascending order.
pub(super) struct Extents {
    fd: OwnedFd,
    at: u64,
    end: u64,
    page_bytes: u64,
}

impl Extents {
    /// Walks the first `len` bytes of a file.
    pub(super) fn new(fd: BorrowedFd<'_>, len: usize, page_bytes: usize) -> io::Result<Self> {
        // Seeking moves the offset, which belongs to the description: other holders of a passed
        // descriptor keep theirs where it was.
        let own = sys::open_existing(&sys::descriptor_path(fd), libc::O_RDONLY);
        let fd = own.or_else(|_| fd.try_clone_to_owned())?;
        Ok(Self { fd, at: 0, end: len as u64, page_bytes: page_bytes as u64 })
    }

    fn advance(&mut self) -> io::Result<Option<Range<usize>>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let whence = i64::try_from(self.at).map_err(|_| io::ErrorKind::InvalidInput)?;
        let Some(data) = sys::seek(self.fd.as_fd(), whence, libc::SEEK_DATA)? else {
            self.at = self.end;
            return Ok(None);
        };
        let whence = i64::try_from(data).map_err(|_| io::ErrorKind::InvalidInput)?;
        let hole = sys::seek(self.fd.as_fd(), whence, libc::SEEK_HOLE)?.unwrap_or(self.end);
        // File systems may count in smaller blocks than pages: no page is told twice.
        let start = (data / self.page_bytes * self.page_bytes).max(self.at);
        let end = hole.max(data + 1).next_multiple_of(self.page_bytes).min(self.end);
        self.at = end;
        Ok((start < end).then_some(start as usize..end as usize))
    }
}

impl Iterator for Extents {
    type Item = io::Result<Range<usize>>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.advance();
        if found.is_err() {
            self.at = self.end;
        }
        found.transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn only_parts_with_data_are_told_and_offsets_stay() {
        let page = sys::page_bytes();
        let len = 64_usize << 30;
        let file = File::from(sys::memory_file(c"test", 0).unwrap());
        file.set_len(len as u64).unwrap();
        let all = |end| -> Vec<Range<usize>> {
            let found = Extents::new(file.as_fd(), end, page).unwrap();
            found.collect::<io::Result<_>>().unwrap()
        };
        assert!(all(len).is_empty());
        file.write_at(b"x", 5 * page as u64 + 17).unwrap();
        file.write_at(b"x", 6 * page as u64).unwrap();
        file.write_at(b"x", len as u64 - 1).unwrap();
        // Kernels may have given the writes larger pages than asked for, never less.
        let found = all(len);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains(&(5 * page)) && found[0].contains(&(7 * page - 1)));
        assert_eq!(found[1].end, len);
        assert!(all(5 * page).iter().all(|extent| extent.end <= 5 * page));
        assert_eq!(sys::seek(file.as_fd(), 0, libc::SEEK_CUR).unwrap(), Some(0));
    }
}
