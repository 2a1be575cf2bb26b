//! Finds which parts of a sparse file hold data (`SEEK_DATA`), and touches no page. So a question about a store of 64
//! GiB with one key is as cheap as the one key.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::backing::Backing;
use super::description::reopen;
use super::map::Mapping;
use super::sys;

/// How many pages one `mincore` call asks about.
const PAGES: usize = 1 << 16;

/// A mapped file that tells which parts of it hold data, as long as it is mapped. The program may have closed the
/// descriptor by which the file was mapped, or the number may lead to another file.
#[derive(Debug)]
pub(crate) struct AllocatedRanges {
    mapping: Arc<Mapping>,
    backing: Arc<Backing>,
}

impl AllocatedRanges {
    /// Prepares questions about the mapped file.
    pub(crate) fn new(mapping: Arc<Mapping>, backing: Arc<Backing>) -> Self {
        Self { mapping, backing }
    }

    /// Lists the parts of a range of the mapped bytes that hold data, in bytes and ascending. All other bytes read as
    /// zero.
    pub(crate) fn parts(&self, bytes: Range<usize>) -> Vec<Range<usize>> {
        // Without `/proc`, the offset that seeking moves may belong to another holder of the descriptor, too.
        let own = reopen(&self.backing).or_else(|e| self.backing.fd.get().ok_or(e)?.try_clone_to_owned());
        let by_file =
            own.and_then(|file| Extents::within(file, bytes.clone(), self.mapping.page_bytes()).collect());
        by_file.unwrap_or_else(|_| self.in_memory(&bytes))
    }

    /// Lists the parts of a range that are in memory. Without a descriptor, this is all that the kernel can tell.
    ///
    /// It misses pages that were swapped out, and pages of a disk file that were written back and dropped. A dead
    /// writer's bytes there survive, although scrub level full promises zeroes. If the process has lost the right to
    /// write the file, the kernel calls every page present, and the caller may touch a page that is not there.
    fn in_memory(&self, bytes: &Range<usize>) -> Vec<Range<usize>> {
        let page = sys::page_bytes();
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut states = vec![0; PAGES.min(bytes.len() / page + 2)];
        let (mut at, end) = (bytes.start / page * page, bytes.end.next_multiple_of(page));
        while at < end {
            let states = &mut states[..((end - at) / page).min(PAGES)];
            if self.mapping.in_memory(at, states).is_err() {
                break;
            }
            for state in &*states {
                if state & 1 != 0 {
                    match found.last_mut() {
                        Some(last) if last.end == at => last.end += page,
                        _ => found.push(at..at + page),
                    }
                }
                at += page;
            }
        }
        let within = |part: Range<usize>| part.start.max(bytes.start)..part.end.min(bytes.end);
        found.into_iter().map(within).filter(|part| !part.is_empty()).collect()
    }
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
        // Seeking moves the offset, which belongs to the open file description. A description of our own leaves the
        // offset of other holders of a passed descriptor as it was.
        let own = sys::open_existing(&sys::descriptor_path(fd), libc::O_RDONLY);
        let is_it = |own: &OwnedFd| Some(sys::file_id(own.as_fd()).ok()? == sys::file_id(fd).ok()?);
        let own = own.and_then(|own| match is_it(&own) {
            Some(true) => Ok(own),
            _ => Err(io::ErrorKind::NotFound.into()),
        });
        let fd = own.or_else(|_| fd.try_clone_to_owned())?;
        Ok(Self::within(fd, 0..len, page_bytes))
    }

    /// Walks some bytes of a file, by a descriptor whose offset no other code uses.
    fn within(fd: OwnedFd, bytes: Range<usize>, page_bytes: usize) -> Self {
        Self { fd, at: bytes.start as u64, end: bytes.end as u64, page_bytes: page_bytes as u64 }
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
        // File systems may count in smaller blocks than pages. No page is listed twice.
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
    use crate::kernel::location::Location;
    use crate::kernel::testing::{self, Directory};
    use std::os::fd::AsRawFd;

    /// Asserts that `used` lists the one page of a file of eight that holds data, and allocates no memory.
    fn assert_one_page(used: &AllocatedRanges, file: &File) {
        let (page, before) = (sys::page_bytes(), blocks(file));
        let expect = |bytes, part: Range<usize>| assert!(used.parts(bytes).into_iter().eq([part]));
        expect(0..8 * page, 2 * page..3 * page);
        expect(2 * page + 8..2 * page + 16, 2 * page + 8..2 * page + 16);
        expect(2 * page - 8..2 * page + 8, 2 * page..2 * page + 8);
        assert!(used.parts(3 * page..8 * page).is_empty());
        assert_eq!(blocks(file), before);
    }

    fn blocks(file: &File) -> u64 {
        std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap())
    }

    fn sparse(file: &File) -> Arc<Mapping> {
        let page = sys::page_bytes();
        file.set_len(8 * page as u64).unwrap();
        file.write_at(b"x", 2 * page as u64 + 100).unwrap();
        Arc::new(Mapping::new(file.as_fd(), 8 * page, true, "test").unwrap())
    }

    #[test]
    fn parts_with_data_are_listed_without_a_descriptor_of_the_file() {
        let directory = Directory::new();
        let path = directory.join("sparse");
        let create = || File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let (pipe, _other_end) = std::io::pipe().unwrap();
        let files = [create().unwrap(), File::from(sys::memory_file(c"test", 0).unwrap())];
        let names = [Location::file(&path), Location::Anonymous];
        for (file, name) in files.iter().zip(names) {
            let mapping = sparse(file);
            let used = |name: &Location| {
                let fd = file.as_fd().try_clone_to_owned().unwrap();
                let backing = Arc::new(Backing::new(fd, name.clone(), None).unwrap());
                (AllocatedRanges::new(Arc::clone(&mapping), Arc::clone(&backing)), backing)
            };
            assert_one_page(&used(&name).0, file);
            // The number leads elsewhere; then the name is another file's as well; then the number was closed.
            let (elsewhere, backing) = used(&name);
            testing::duplicate_over(pipe.as_fd(), backing.fd.as_fd().as_raw_fd());
            assert_one_page(&elsewhere, file);
            let (other, backing) = used(&Location::file("/proc/self/exe"));
            testing::duplicate_over(pipe.as_fd(), backing.fd.as_fd().as_raw_fd());
            assert_one_page(&other, file);
            let (closed, backing) = used(&name);
            drop(testing::take(backing.fd.as_fd().as_raw_fd()));
            assert_one_page(&closed, file);
            assert_eq!(sys::seek(file.as_fd(), 0, libc::SEEK_CUR).unwrap(), Some(0));
        }
    }

    #[test]
    fn only_parts_with_data_are_listed_and_offsets_stay() {
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
        // Kernels may give the writes larger pages than they need, never smaller ones.
        let found = all(len);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains(&(5 * page)) && found[0].contains(&(7 * page - 1)));
        assert_eq!(found[1].end, len);
        assert!(all(5 * page).iter().all(|extent| extent.end <= 5 * page));
        assert_eq!(sys::seek(file.as_fd(), 0, libc::SEEK_CUR).unwrap(), Some(0));
    }
}
