//! Makes the file of a new store, as an unlinked file: it gets its length and mode first and its name last, so no
//! program ever opens an incomplete one. This module knows nothing of the file's contents.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::backing::Backing;
use super::location::{Location, temporary_beside};
use super::map::{self, HUGE_PAGE_BYTES};
use super::sys;
use super::unlinked::{Temporary, UnlinkedFile};
use crate::error::StoreError;

/// The environment variable that widens the mode of new stores: octal, as in `022`.
const UMASK_VARIABLE: &str = "SPLINTER_DEFAULT_UMASK";
/// The bits that a store's mode may have. No store is executable.
const MODE_BITS: u32 = 0o666;
/// The mode of a store when neither the caller nor the environment sets one.
const MODE_DEFAULT: u32 = 0o600;

/// A new file, complete except for its contents. It is unlinked: no other program sees it yet.
///
/// Dropping it instead of publishing it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    location: Location,
    /// Which fallback was taken, in words.
    note: Option<String>,
    unlinked: UnlinkedFile,
}

impl NewFile {
    /// Makes a file of `len` bytes of zeroes for `location`. It takes no memory yet.
    ///
    /// `mode` is the exact mode of the file, whatever the process's umask. Without it the mode is 0600, or what
    /// `SPLINTER_DEFAULT_UMASK` leaves of 0666. `hugetlb` asks for pages of the kernel's reserved pool. Only an
    /// anonymous file whose length is a multiple of 2 MiB can have them; the note tells when it did not get
    /// them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when the name is taken, [`StoreError::BadName`] when it is no valid name,
    /// [`StoreError::Os`] when the kernel refuses, also when it refuses the length.
    pub(crate) fn create(
        location: &Location,
        len: u64,
        mode: Option<u32>,
        hugetlb: bool,
    ) -> Result<Self, StoreError> {
        refuse_taken(location)?;
        Self::create_over(location, len, mode, hugetlb)
    }

    /// Makes a file as [`Self::create`] does, which may replace the file that has the name.
    pub(crate) fn create_over(
        location: &Location,
        len: u64,
        mode: Option<u32>,
        hugetlb: bool,
    ) -> Result<Self, StoreError> {
        let mode = mode_for(mode, std::env::var_os(UMASK_VARIABLE).as_deref())?;
        let mut new_file = match location {
            Location::Anonymous => anonymous(len, hugetlb)?,
            _ => named(location)?,
        };
        if hugetlb && *location != Location::Anonymous {
            new_file.note = Some("reserved huge pages are for anonymous stores only".into());
        }
        new_file.prepare(len, mode)?;
        Ok(new_file)
    }

    /// Returns the descriptor, to map and to fill the file.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Allocates the memory or the disk blocks of the first `len` bytes now, where the policy of the mappings has them.
    /// Returns `false` if the file system cannot.
    ///
    /// # Errors
    ///
    /// [`StoreError::Os`] when there is too little memory or disk space.
    pub(crate) fn reserve(&self, len: u64) -> Result<bool, StoreError> {
        match sys::allocate(self.fd(), len) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => Ok(false),
            taken => taken
                .map(|()| true)
                .map_err(|e| StoreError::os("reserve the memory of", self.location.to_string(), e)),
        }
    }

    /// Gives the file its name, or seals its length if it is anonymous.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when another program took the name meanwhile.
    #[cfg(test)]
    pub(crate) fn publish(self) -> Result<Backing, StoreError> {
        let (backing, unlinked) = self.hidden()?;
        unlinked.reveal(&backing, super::unlinked::IfTaken::Refuse)?;
        Ok(backing)
    }

    /// Splits this into the open file, to fill it, and the [`UnlinkedFile`], to name it later.
    ///
    /// # Errors
    ///
    /// [`StoreError::Os`] when the kernel does not tell the file's inode.
    pub(crate) fn hidden(self) -> Result<(Backing, UnlinkedFile), StoreError> {
        let Self { file, location, note, unlinked } = self;
        Ok((Backing::new(OwnedFd::from(file), location, note)?, unlinked))
    }

    fn prepare(&mut self, len: u64, mode: u32) -> Result<(), StoreError> {
        let failed = |operation, e| StoreError::os(operation, self.location.to_string(), e);
        self.file.set_len(len).map_err(|e| failed("size", e))?;
        let permissions = Permissions::from_mode(mode);
        self.file.set_permissions(permissions).map_err(|e| failed("set the mode of", e))
    }
}

/// Makes a memory file, or named shared memory where the kernel denies memory files.
fn anonymous(len: u64, hugetlb: bool) -> Result<NewFile, StoreError> {
    let mut note = None;
    if hugetlb {
        match reserved_huge_pages(len) {
            Ok(file) => return Ok(nameless(file, None)),
            Err(why) => note = Some(format!("no reserved huge pages: {why}; using small pages")),
        }
    }
    match sys::memory_file(c"splinter", 0) {
        Ok(fd) => Ok(nameless(File::from(fd), note)),
        Err(e) if denied(&e) => {
            let mut new_file = generated()?;
            let fallback = format!("memfd_create was denied ({e}); using {}", new_file.location);
            new_file.note = Some(note.map_or_else(String::new, |note| format!("{note}; ")) + &fallback);
            Ok(new_file)
        }
        Err(e) => Err(StoreError::os("create", Location::Anonymous.to_string(), e)),
    }
}

fn nameless(file: File, note: Option<String>) -> NewFile {
    NewFile { file, location: Location::Anonymous, note, unlinked: UnlinkedFile::Nameless }
}

fn denied(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS))
}

/// Makes a memory file of reserved huge pages, and has the kernel reserve all of them.
fn reserved_huge_pages(len: u64) -> Result<File, String> {
    if len == 0 || !len.is_multiple_of(HUGE_PAGE_BYTES as u64) {
        return Err("the length is no multiple of 2 MiB".into());
    }
    let fd =
        sys::memory_file(c"splinter", libc::MFD_HUGETLB | libc::MFD_HUGE_2MB).map_err(|e| e.to_string())?;
    let file = File::from(fd);
    file.set_len(len).map_err(|e| e.to_string())?;
    // The mapping makes the kernel reserve the pages, and the reservation stays with the file. Without it, a touch of a
    // page that the kernel cannot provide would kill the process.
    map::can_map(file.as_fd(), len).map_err(|e| format!("mapping failed ({e})"))?;
    Ok(file)
}

/// Makes named shared memory under a new name.
fn generated() -> Result<NewFile, StoreError> {
    loop {
        let location = Location::generated();
        match refuse_taken(&location) {
            Err(StoreError::Exists(_)) => {}
            free_or_failed => return free_or_failed.and_then(|()| named(&location)),
        }
    }
}

fn refuse_taken(location: &Location) -> Result<(), StoreError> {
    let is_taken = match location {
        Location::Anonymous => false,
        _ => std::fs::symlink_metadata(location.path()?).is_ok(),
    };
    if is_taken { Err(StoreError::Exists(location.to_string())) } else { Ok(()) }
}

fn named(location: &Location) -> Result<NewFile, StoreError> {
    let target = location.path()?;
    if let Some(file) = unnamed_beside(&target) {
        let unlinked = UnlinkedFile::Unnamed { target };
        return Ok(NewFile { file, location: location.clone(), note: None, unlinked });
    }
    with_temporary_name(location, target)
}

/// Makes an unnamed file in the directory of `target`, if the file system supports that and /proc is there to name the
/// file later.
fn unnamed_beside(target: &Path) -> Option<File> {
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let opened = for_reading_and_writing().custom_flags(libc::O_TMPFILE).open(directory);
    let file = opened.ok()?;
    let by_proc = sys::descriptor_path(file.as_fd());
    std::fs::symlink_metadata(OsStr::new(by_proc.to_str().ok()?)).ok()?;
    Some(file)
}

/// Opens files of mode 0600 for reading and writing.
fn for_reading_and_writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(MODE_DEFAULT);
    options
}

/// Makes a file with a temporary name beside `target`.
fn with_temporary_name(location: &Location, target: PathBuf) -> Result<NewFile, StoreError> {
    loop {
        let path = temporary_beside(&target);
        let opened = for_reading_and_writing().create_new(true).custom_flags(libc::O_NOFOLLOW).open(&path);
        match opened {
            Ok(file) => {
                let unlinked = UnlinkedFile::Temporary { temporary: Temporary(path), target };
                return Ok(NewFile { file, location: location.clone(), note: None, unlinked });
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(StoreError::os("create", location.to_string(), e)),
        }
    }
}

/// Decides the mode of a new store from the caller's wish and the environment's umask.
fn mode_for(asked: Option<u32>, umask: Option<&OsStr>) -> Result<u32, StoreError> {
    let wrong = |operation, subject, text| {
        Err(StoreError::os(operation, subject, io::Error::new(io::ErrorKind::InvalidInput, text)))
    };
    if let Some(mode) = asked {
        if mode & !MODE_BITS == 0 {
            return Ok(mode);
        }
        let text = "a store's mode is made of reading and writing bits (0666) only";
        return wrong("use the mode", format!("{mode:#o}"), text);
    }
    let Some(text) = umask else { return Ok(MODE_DEFAULT) };
    let is_octal = |text: &&str| matches!(text.len(), 1..=4) && text.bytes().all(|b| b.is_ascii_digit());
    let umask = text.to_str().filter(is_octal).and_then(|text| u32::from_str_radix(text, 8).ok());
    let why = match umask {
        Some(umask @ ..=0o777) if umask & MODE_DEFAULT == 0 => return Ok(MODE_BITS & !umask),
        Some(..=0o777) => "it takes reading or writing from the store's owner, as 022 does not",
        _ => "it is no octal mask from 000 to 777, as 022 is",
    };
    wrong("use", format!("{UMASK_VARIABLE}={}", text.display()), why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::sync::Barrier;

    use super::*;
    use crate::kernel::backing;
    use crate::kernel::testing::{Directory, Named, deny, own_umask};
    use crate::kernel::unlinked::IfTaken;

    fn create(location: &Location) -> Result<NewFile, StoreError> {
        NewFile::create(location, 8192, None, false)
    }

    /// Makes a file in the way for file systems without unnamed files.
    fn create_by_name(location: &Location) -> NewFile {
        let mut new_file = with_temporary_name(location, location.path().unwrap()).unwrap();
        new_file.prepare(8192, MODE_DEFAULT).unwrap();
        new_file
    }

    fn in_directory() -> (Directory, Location) {
        let directory = Directory::new();
        let location = Location::file(directory.join("store"));
        (directory, location)
    }

    fn mode_of(backing: &Backing) -> u32 {
        sys::metadata(backing.fd.as_fd()).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_region_is_invisible_until_published() {
        // Invariant 15 of docs/protocol.md.
        let named = Named::new();
        let new_file = create(&named.0).unwrap();
        assert_eq!(named.traces(), Vec::<String>::new());
        assert!(matches!(backing::open(&named.0, false), Err(StoreError::Missing(_))));
        let published = new_file.publish().unwrap();
        assert_eq!(published.location, named.0);
        assert_eq!(published.note, None);
        assert_eq!(named.traces().len(), 1);
        assert_eq!(backing::open(&named.0, true).unwrap().len().unwrap(), 8192);
    }

    #[test]
    fn a_region_with_a_temporary_name_is_invisible_until_published() {
        // Invariant 15 of docs/protocol.md.
        let (directory, location) = in_directory();
        let new_file = create_by_name(&location);
        assert!(matches!(backing::open(&location, false), Err(StoreError::Missing(_))));
        let published = new_file.publish().unwrap();
        assert_eq!(directory.names(), ["store"]);
        assert_eq!(sys::metadata(published.fd.as_fd()).unwrap().nlink(), 1);
    }

    #[test]
    fn dropping_instead_of_publishing_leaves_nothing() {
        let (directory, location) = in_directory();
        drop(create(&location).unwrap());
        drop(create_by_name(&location));
        assert_eq!(directory.names(), Vec::<String>::new());
    }

    #[test]
    fn a_taken_name_is_refused_early_and_late() {
        let (directory, location) = in_directory();
        let late = [create(&location).unwrap(), create_by_name(&location)];
        create(&location).unwrap().publish().unwrap();
        assert!(matches!(create(&location), Err(StoreError::Exists(_))));
        for new_file in late {
            assert!(matches!(new_file.publish(), Err(StoreError::Exists(_))));
        }
        assert_eq!(directory.names(), ["store"]);
    }

    #[test]
    fn a_taken_name_is_replaced_if_that_is_asked_for_and_nothing_else_is_left() {
        let (directory, location) = in_directory();
        std::fs::write(directory.join("store"), "old").unwrap();
        for create in [create_over, create_by_name] {
            let (region, unlinked) = create(&location).hidden().unwrap();
            assert_ne!(inode(&backing::open(&location, false).unwrap()), inode(&region));
            unlinked.reveal(&region, IfTaken::Replace).unwrap();
            assert_eq!(inode(&backing::open(&location, false).unwrap()), inode(&region));
            assert_eq!(directory.names(), ["store"]);
        }
        // A folder is not replaced, and the file that was to replace it is gone.
        std::fs::create_dir(directory.join("folder")).unwrap();
        let location = Location::file(directory.join("folder"));
        for create in [create_over, create_by_name] {
            let (region, unlinked) = create(&location).hidden().unwrap();
            let refused = unlinked.reveal(&region, IfTaken::Replace);
            assert!(matches!(refused, Err(StoreError::Os { .. })), "{refused:?}");
            assert_eq!(directory.names().len(), 2);
        }
    }

    fn create_over(location: &Location) -> NewFile {
        NewFile::create_over(location, 8192, None, false).unwrap()
    }

    fn inode(region: &Backing) -> u64 {
        sys::metadata(region.fd.as_fd()).unwrap().ino()
    }

    #[test]
    fn a_dangling_symbolic_link_counts_as_taken() {
        let directory = Directory::new();
        std::os::unix::fs::symlink(directory.join("away"), directory.join("store")).unwrap();
        let location = Location::file(directory.join("store"));
        assert!(matches!(create(&location), Err(StoreError::Exists(_))));
        assert!(matches!(create_by_name(&location).publish(), Err(StoreError::Exists(_))));
        assert_eq!(directory.names(), ["store"]);
    }

    #[test]
    fn of_many_threads_that_create_one_name_exactly_one_succeeds() {
        for by_name in [false, true] {
            let named = Named::new();
            let barrier = Barrier::new(8);
            let create_and_publish = || {
                barrier.wait();
                let new_file = if by_name { create_by_name(&named.0) } else { create(&named.0)? };
                new_file.publish().map(drop)
            };
            let answers: Vec<Result<(), StoreError>> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(create_and_publish)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
            let refused = |answer: &&_| matches!(answer, Err(StoreError::Exists(_)));
            assert_eq!(answers.iter().filter(refused).count(), 7);
            assert_eq!(named.traces().len(), 1);
        }
    }

    #[test]
    fn modes_are_exact_whatever_the_umask() {
        for (umask, mode) in [(0o077, 0o664), (0o777, 0o600), (0, 0o600), (0, 0o640)] {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    own_umask(umask);
                    let named = Named::new();
                    for location in [&named.0, &Location::Anonymous] {
                        let new_file = NewFile::create(location, 4096, Some(mode), false).unwrap();
                        assert_eq!(mode_of(&new_file.publish().unwrap()), mode, "{location}");
                    }
                });
            });
        }
    }

    #[test]
    fn modes_come_from_the_caller_then_the_environment_then_the_default() {
        let mode = |asked, umask: Option<&str>| mode_for(asked, umask.map(OsStr::new)).ok();
        assert_eq!(mode(None, None), Some(0o600));
        assert_eq!(mode(None, Some("022")), Some(0o644));
        assert_eq!(mode(None, Some("0000")), Some(0o666));
        assert_eq!(mode(None, Some("177")), Some(0o600));
        // Nobody could open such a store.
        for bad in ["777", "0600", "400", "277"] {
            assert_eq!(mode(None, Some(bad)), None, "{bad:?}");
        }
        assert_eq!(mode(Some(0), Some("777")), Some(0));
        assert_eq!(mode(Some(0o640), Some("022")), Some(0o640));
        assert_eq!(mode(Some(0o640), Some("nonsense")), Some(0o640));
        for bad in ["", "8", "-1", "+7", "1000", "0o22", "00022", "u=rw"] {
            assert_eq!(mode(None, Some(bad)), None, "{bad:?}");
        }
        assert_eq!(mode(Some(0o700), None), None);
        assert_eq!(mode(Some(0o4600), None), None);
        let message = mode_for(None, Some(OsStr::new("u=rw"))).unwrap_err().to_string();
        assert!(message.contains("SPLINTER_DEFAULT_UMASK=u=rw"), "{message}");
    }

    #[test]
    fn an_anonymous_region_keeps_its_length_for_good() {
        let published = create(&Location::Anonymous).unwrap().publish().unwrap();
        assert_eq!(published.location, Location::Anonymous);
        assert!(published.seals().is_some_and(backing::Seals::fix_length));
        let file = File::from(published.fd.get().unwrap().try_clone_to_owned().unwrap());
        assert!(file.set_len(4096).is_err());
        assert!(file.set_len(16384).is_err());
    }

    #[test]
    fn a_denied_memory_file_becomes_named_shared_memory_and_says_so() {
        // A filter binds the thread that sets it.
        let thread = std::thread::spawn(|| {
            deny(libc::SYS_memfd_create);
            for hugetlb in [false, true] {
                let new_file = NewFile::create(&Location::Anonymous, 2 << 20, None, hugetlb).unwrap();
                assert!(new_file.note.as_ref().is_some_and(|note| note.contains("memfd_create was denied")));
                let published = new_file.publish().unwrap();
                let named = Named(published.location.clone());
                assert!(matches!(&named.0, Location::Shared(name) if name.starts_with("splinter-")));
                assert!(published.note.is_some_and(|note| note.contains(&named.0.to_string())));
                assert_eq!(backing::open(&named.0, true).unwrap().len().unwrap(), 2 << 20);
            }
        });
        thread.join().unwrap();
    }

    #[test]
    fn huge_regions_take_no_memory() {
        let named = Named::new();
        for location in [&named.0, &Location::Anonymous] {
            let new_file = NewFile::create(location, 1 << 40, None, false).unwrap();
            let metadata = sys::metadata(new_file.fd()).unwrap();
            assert_eq!((metadata.len(), metadata.blocks()), (1 << 40, 0));
        }
    }

    #[test]
    fn an_impossible_length_is_refused_and_leaves_nothing() {
        let directory = Directory::new();
        for location in [Location::Anonymous, Location::file(directory.join("store"))] {
            let refused = NewFile::create(&location, u64::MAX, None, false);
            assert!(matches!(refused, Err(StoreError::Os { operation: "size", .. })));
        }
        assert_eq!(directory.names(), Vec::<String>::new());
    }

    #[test]
    fn a_missing_directory_is_the_kernels_answer() {
        let directory = Directory::new();
        let location = Location::file(directory.join("missing/store"));
        assert!(matches!(create(&location), Err(StoreError::Os { operation: "create", .. })));
    }

    #[test]
    fn reserved_huge_pages_are_obtained_or_the_note_says_why_not() {
        for len in [4 << 20, (4 << 20) + 4096] {
            let new_file = NewFile::create(&Location::Anonymous, len, None, true).unwrap();
            let huge = sys::hugetlb_page_bytes(new_file.fd()).unwrap().is_some();
            assert_eq!(huge, new_file.note.is_none());
            assert!(!huge || len % (2 << 20) == 0);
            assert_eq!(new_file.publish().unwrap().len().unwrap(), len);
        }
        let named = Named::new();
        let new_file = NewFile::create(&named.0, 4 << 20, None, true).unwrap();
        assert!(new_file.note.is_some());
    }
}
