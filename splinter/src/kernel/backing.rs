//! Opens the file of a store, by name or by an inherited descriptor. It follows no symbolic link and accepts only a
//! regular file. Other modules judge the contents.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use super::descriptor::Descriptor;
use super::location::Location;
use super::sys;
use crate::error::StoreError;

/// An open file that backs a store.
#[derive(Debug)]
pub(crate) struct Backing {
    /// The descriptor.
    pub(crate) fd: Descriptor,
    /// Where the file is. This may differ from where the caller asked for it.
    pub(crate) location: Location,
    /// Which fallback was taken, in words.
    pub(crate) note: Option<String>,
}

/// The seals of a memory file (`F_GET_SEALS`): changes that the kernel refuses for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seals(libc::c_int);

impl Seals {
    /// Tells whether the length is fixed for good.
    pub(crate) fn fix_length(self) -> bool {
        let both = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
        self.0 & both == both
    }

    /// Tells whether new writable mappings are refused.
    pub(crate) fn forbid_writing(self) -> bool {
        self.0 & (libc::F_SEAL_WRITE | libc::F_SEAL_FUTURE_WRITE) != 0
    }
}

impl Backing {
    /// Wraps a descriptor that was opened just now.
    pub(super) fn new(fd: OwnedFd, location: Location, note: Option<String>) -> Result<Self, StoreError> {
        let failed = |e| StoreError::os("inspect", location.to_string(), e);
        let fd = Descriptor::new(fd).map_err(failed)?;
        Ok(Self { fd, location, note })
    }

    /// Returns the file's length, in bytes.
    ///
    /// # Errors
    /// [`StoreError::Os`], with `EBADF` once the program has closed the descriptor.
    pub(crate) fn len(&self) -> Result<u64, StoreError> {
        let metadata = self.fd.open().and_then(sys::metadata);
        metadata
            .map(|metadata| metadata.len())
            .map_err(|e| StoreError::os("measure", self.location.to_string(), e))
    }

    /// Tells whether the file is known to be lost when the machine is switched off.
    pub(crate) fn is_volatile(&self) -> bool {
        self.fd.get().is_some_and(sys::is_volatile)
    }

    /// Returns the seals, if the file can have any.
    pub(crate) fn seals(&self) -> Option<Seals> {
        sys::seals(self.fd.get()?).ok().map(Seals)
    }
}

/// Opens the file at `location`.
///
/// # Errors
///
/// [`StoreError::Missing`] when there is no such file, [`StoreError::NotAStore`] for anything but a regular file, also
/// for a symbolic link, [`StoreError::Os`] when the kernel refuses.
pub(crate) fn open(location: &Location, writable: bool) -> Result<Backing, StoreError> {
    let path = location.path()?;
    let subject = location.to_string();
    // O_NONBLOCK keeps a FIFO of that name from blocking this thread. Regular files ignore it.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = OpenOptions::new().read(true).write(writable).custom_flags(flags).open(path);
    let file = opened.map_err(|e| match e.raw_os_error() {
        Some(libc::ENOENT) => StoreError::Missing(subject.clone()),
        Some(libc::ELOOP) => {
            not_a_store(&subject, "it is a symbolic link, and symbolic links are not followed")
        }
        Some(libc::EISDIR | libc::ENXIO | libc::ENODEV) => not_a_store(&subject, NOT_REGULAR),
        _ => StoreError::os("open", subject.clone(), e),
    })?;
    let fd = OwnedFd::from(file);
    refuse_irregular(fd.as_fd(), &subject)?;
    Backing::new(fd, location.clone(), None)
}

/// Adopts a descriptor that was inherited or passed in. Tells as well whether its file may be written.
///
/// # Errors
///
/// [`StoreError::NotAStore`] for a descriptor that is not open for reading, or leads to no regular file.
pub(crate) fn adopt(fd: OwnedFd) -> Result<(Backing, bool), StoreError> {
    const SUBJECT: &str = "the descriptor";
    let flags = sys::status_flags(fd.as_fd()).map_err(|e| StoreError::os("inspect", SUBJECT, e))?;
    if flags & libc::O_PATH != 0 || flags & libc::O_ACCMODE == libc::O_WRONLY {
        return Err(not_a_store(SUBJECT, "it is not open for reading"));
    }
    refuse_irregular(fd.as_fd(), SUBJECT)?;
    sys::close_on_exec(fd.as_fd()).map_err(|e| StoreError::os("adopt", SUBJECT, e))?;
    let location = location_of(fd.as_fd());
    let backing = Backing::new(fd, location, None)?;
    let sealed = backing.seals().is_some_and(Seals::forbid_writing);
    Ok((backing, flags & libc::O_ACCMODE == libc::O_RDWR && !sealed))
}

/// Finds the name by which the file of a passed descriptor can be opened and removed, if it has one.
fn location_of(fd: BorrowedFd<'_>) -> Location {
    let link = PathBuf::from(sys::descriptor_path(fd).to_string_lossy().into_owned());
    let named = std::fs::read_link(link).ok().filter(|path| {
        match (std::fs::symlink_metadata(path), sys::metadata(fd)) {
            (Ok(there), Ok(here)) => there.dev() == here.dev() && there.ino() == here.ino(),
            _ => false,
        }
    });
    named.map_or(Location::Anonymous, Location::of_path)
}

const NOT_REGULAR: &str = "it is not a regular file";

fn refuse_irregular(fd: BorrowedFd<'_>, subject: &str) -> Result<(), StoreError> {
    match sys::metadata(fd) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(not_a_store(subject, NOT_REGULAR)),
        Err(e) => Err(StoreError::os("inspect", subject, e)),
    }
}

fn not_a_store(subject: &str, reason: &str) -> StoreError {
    StoreError::NotAStore { subject: subject.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::kernel::new_file::NewFile;
    use crate::kernel::testing::{Directory, Named};

    fn reason(answer: Result<Backing, StoreError>) -> String {
        match answer {
            Err(StoreError::NotAStore { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let directory = Directory::new();
        File::create(directory.join("real")).unwrap();
        symlink(directory.join("real"), directory.join("link")).unwrap();
        assert!(open(&Location::file(directory.join("real")), true).is_ok());
        for writable in [false, true] {
            let refused = open(&Location::file(directory.join("link")), writable);
            assert!(reason(refused).contains("symbolic link"));
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let directory = Directory::new();
        let socket = std::os::unix::net::UnixListener::bind(directory.join("socket")).unwrap();
        let fifo = directory.join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        let mut paths = vec![directory.join("."), directory.join("socket"), "/dev/null".into()];
        paths.extend(made.is_ok_and(|status| status.success()).then_some(fifo));
        for path in paths {
            for writable in [false, true] {
                let refused = open(&Location::file(&path), writable);
                assert_eq!(reason(refused), NOT_REGULAR, "{}", path.display());
            }
        }
        drop(socket);
    }

    #[test]
    fn a_file_that_is_not_there_is_missing() {
        assert!(matches!(open(&Named::new().0, true), Err(StoreError::Missing(_))));
        assert!(matches!(open(&Location::Anonymous, true), Err(StoreError::BadName(_))));
    }

    #[test]
    fn adopting_tells_access_and_name() {
        let named = Named::new();
        NewFile::create(&named.0, 4096, None, false).unwrap().publish().unwrap();
        for writable in [false, true] {
            let passed = open(&named.0, writable).unwrap().fd.get().unwrap().try_clone_to_owned().unwrap();
            let (backing, may_write) = adopt(passed).unwrap();
            assert_eq!(may_write, writable);
            assert_eq!(backing.location, named.0);
        }
        let opened = open(&named.0, true).unwrap().fd.get().unwrap().try_clone_to_owned().unwrap();
        named.0.unlink().unwrap();
        assert_eq!(adopt(opened).unwrap().0.location, Location::Anonymous);
    }

    #[test]
    fn adopting_a_memory_file_heeds_its_seals() {
        let anonymous = sys::memory_file(c"test", 0).unwrap();
        let copy = anonymous.try_clone().unwrap();
        let (backing, may_write) = adopt(copy).unwrap();
        assert!(may_write);
        assert_eq!(backing.location, Location::Anonymous);
        assert!(!backing.seals().unwrap().fix_length());
        sys::add_seals(anonymous.as_fd(), libc::F_SEAL_FUTURE_WRITE).unwrap();
        assert!(!adopt(anonymous).unwrap().1);
    }

    #[test]
    fn adopting_refuses_files_that_cannot_be_mapped() {
        let directory = Directory::new();
        let path = directory.join("file");
        let only_writing = File::create(&path).unwrap();
        let path_only = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&path);
        let (pipe, _other_end) = std::io::pipe().unwrap();
        let refused: [OwnedFd; 3] = [only_writing.into(), path_only.unwrap().into(), pipe.into()];
        for fd in refused {
            assert!(matches!(adopt(fd), Err(StoreError::NotAStore { .. })));
        }
    }
}
