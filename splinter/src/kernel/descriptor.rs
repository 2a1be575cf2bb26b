//! A descriptor in a program that may close any descriptor: by `closefrom`, by `dup2` over it, by mistake. The number
//! may then lead to another file, which must be neither used nor closed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};

use super::sys;

/// A descriptor that is used and closed only while it leads to the file for which it was made.
#[derive(Debug)]
pub(crate) struct Descriptor {
    /// `None` once dropped.
    fd: Option<OwnedFd>,
    file: sys::FileId,
}

impl Descriptor {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let file = sys::file_id(fd.as_fd())?;
        Ok(Self { fd: Some(fd), file })
    }

    /// Borrows the descriptor, unless the program closed it.
    pub(crate) fn get(&self) -> Option<BorrowedFd<'_>> {
        let fd = self.fd.as_ref()?.as_fd();
        sys::file_id(fd).is_ok_and(|file| file == self.file).then_some(fd)
    }

    /// Borrows the descriptor, if it leads to the file for reading and writing.
    pub(crate) fn writable(&self) -> Option<BorrowedFd<'_>> {
        self.get().filter(|fd| sys::is_read_write(*fd))
    }

    /// Borrows the descriptor.
    ///
    /// # Errors
    /// `EBADF` once the program has closed it.
    pub(crate) fn open(&self) -> io::Result<BorrowedFd<'_>> {
        self.get().ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    /// Returns the file for which it was made.
    pub(crate) fn file(&self) -> sys::FileId {
        self.file
    }
}

impl AsFd for Descriptor {
    /// Borrows the number, whatever it leads to by now.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("it is taken when dropped").as_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.get().is_none()
            && let Some(fd) = self.fd.take()
        {
            // The number belongs to other code, or to none.
            let _ = fd.into_raw_fd();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing;
    use std::fs::File;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_number_that_leads_elsewhere_by_now_is_neither_lent_nor_closed() {
        let descriptor = Descriptor::new(sys::memory_file(c"test", 0).unwrap()).unwrap();
        assert!(descriptor.get().is_some());
        let other = File::from(sys::memory_file(c"other", 0).unwrap());
        let number = descriptor.as_fd().as_raw_fd();
        testing::duplicate_over(other.as_fd(), number);
        assert!(descriptor.get().is_none() && descriptor.open().is_err());
        drop(descriptor);
        let taken = testing::take(number);
        assert_eq!(sys::file_id(taken.as_fd()).unwrap(), sys::file_id(other.as_fd()).unwrap());
    }

    #[test]
    fn a_number_that_was_closed_is_not_closed_again() {
        let descriptor = Descriptor::new(sys::memory_file(c"test", 0).unwrap()).unwrap();
        let number = descriptor.as_fd().as_raw_fd();
        drop(testing::take(number));
        assert_eq!(descriptor.open().unwrap_err().raw_os_error(), Some(libc::EBADF));
        drop(descriptor);
    }
}
