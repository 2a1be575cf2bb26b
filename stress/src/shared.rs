//! Words that processes share: a memfd, mapped as atomics by everyone who has its descriptor. It is
//! gone when the last who maps it ends, however that happens. What the words mean is not its business.
#![allow(unsafe_code)] // Interprets a mapping as atomic words.

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;

/// The mapping.
#[derive(Debug)]
pub(crate) struct SharedWords {
    map: MmapRaw,
    fd: OwnedFd,
}

impl SharedWords {
    /// Makes `count` words of zero.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn create(count: usize) -> io::Result<Self> {
        let fd = memfd_create(c"splinter-stress", MFdFlags::MFD_CLOEXEC)?;
        File::from(fd.try_clone()?).set_len(count as u64 * 8)?;
        Self::from_fd(fd, count)
    }

    /// Maps the words that another process made.
    ///
    /// # Errors
    /// What the kernel says, and `InvalidData` if there are not `count` words.
    pub(crate) fn from_fd(fd: OwnedFd, count: usize) -> io::Result<Self> {
        let file = File::from(fd.try_clone()?);
        if file.metadata()?.len() != count as u64 * 8 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "control block of another run",
            ));
        }
        let map = MmapOptions::new().len(count * 8).map_raw(&file)?;
        Ok(Self { map, fd })
    }

    /// Lends the descriptor, for handing it to another process.
    #[must_use]
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Returns the words.
    #[inline]
    #[must_use]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        let start: *const AtomicU64 = self.map.as_ptr().cast();
        // SAFETY: the mapping is page-aligned, readable and writable, `len` bytes long (a multiple
        // of 8) and lives as long as `self`; nobody shrinks the memfd; every process accesses it
        // through this function only, so all accesses are atomic.
        unsafe { std::slice::from_raw_parts(start, self.map.len() / 8) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::futex::{sleep_on, wake_sleepers};
    use std::sync::atomic::Ordering::{Acquire, Release};

    #[test]
    fn a_second_mapping_sees_the_words_and_wakes_who_sleeps_on_them() {
        let words = SharedWords::create(3).unwrap();
        let fd = words.fd().try_clone_to_owned().unwrap();
        let other = SharedWords::from_fd(fd, 3).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while words.words()[2].load(Acquire) == 0 {
                    sleep_on(&words.words()[2], 0, None);
                }
            });
            other.words()[2].store(7, Release);
            wake_sleepers(&other.words()[2], i32::MAX);
        });
        let fd = words.fd().try_clone_to_owned().unwrap();
        assert!(SharedWords::from_fd(fd, 4).is_err());
    }
}
