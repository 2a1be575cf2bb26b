//! Single system calls on descriptors and paths that the standard library lacks, each behind a safe function. Calls on
//! mapped memory are in [`Mapping`](super::map::Mapping), which knows what is mapped. This module maps nothing.

// Opts in to unsafe code for calls into the C library, so that the callers need none.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Forbids execution for good, and allows sealing; Linux 6.3, `linux/memfd.h`.
const MFD_NOEXEC_SEAL: libc::c_uint = 0x8;

/// Turns the C convention (-1 and errno) into a result.
pub(super) fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Returns the size of a page, in bytes.
pub(super) fn page_bytes() -> usize {
    static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);
    let known = PAGE_BYTES.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    // SAFETY: sysconf reads no memory of ours.
    let answer = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let bytes = usize::try_from(answer).ok().filter(|bytes| bytes.is_power_of_two()).unwrap_or(4096);
    PAGE_BYTES.store(bytes, Ordering::Relaxed);
    bytes
}

/// Draws 64 bits that make names unique. They are no secret.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Draws 64 bits that nobody can guess.
pub(crate) fn secret() -> u64 {
    let mut bytes = [0_u8; 8];
    // SAFETY: the kernel writes at most the 8 bytes that are there.
    let drawn = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    // If a sandbox denies the call: the standard library's keys come from the same source, if there is any.
    if drawn == bytes.len() as isize { u64::from_le_bytes(bytes) } else { random() }
}

/// Reads a descriptor's metadata (`fstat`). It opens no other descriptor.
pub(super) fn metadata(fd: BorrowedFd<'_>) -> io::Result<Metadata> {
    // SAFETY: the descriptor is open as long as it is borrowed, and `ManuallyDrop` keeps `file` from closing it.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd.as_raw_fd()) });
    file.metadata()
}

/// A file's device and inode, which no other file of the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

/// Returns the identity of the file to which a descriptor leads.
pub(super) fn file_id(fd: BorrowedFd<'_>) -> io::Result<FileId> {
    metadata(fd).map(|found| FileId { device: found.dev(), inode: found.ino() })
}

/// Returns the page size in bytes of a file on hugetlbfs, and `None` for any other file.
pub(super) fn hugetlb_page_bytes(fd: BorrowedFd<'_>) -> io::Result<Option<usize>> {
    let statfs = filesystem(fd)?;
    if i128::from(statfs.f_type) != i128::from(libc::HUGETLBFS_MAGIC) {
        return Ok(None);
    }
    Ok(usize::try_from(statfs.f_bsize).ok().filter(|bytes| bytes.is_power_of_two()))
}

/// Tells whether a file is shared memory (a memfd, or a file on tmpfs).
pub(super) fn is_shared_memory(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(i128::from(filesystem(fd)?.f_type) == i128::from(libc::TMPFS_MAGIC))
}

/// Tells whether a file is lost when the machine is switched off: shared memory, or a file on hugetlbfs.
pub(crate) fn is_volatile(fd: BorrowedFd<'_>) -> bool {
    is_shared_memory(fd).unwrap_or(false) || hugetlb_page_bytes(fd).is_ok_and(|bytes| bytes.is_some())
}

fn filesystem(fd: BorrowedFd<'_>) -> io::Result<libc::statfs> {
    let mut statfs = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the pointer is to a whole `statfs` that lives through the call.
    check(unsafe { libc::fstatfs(fd.as_raw_fd(), statfs.as_mut_ptr()) })?;
    // SAFETY: all bytes of a `statfs` may be zero, and the call only wrote over such bytes.
    Ok(unsafe { statfs.assume_init() })
}

/// Makes an anonymous memory file that can be sealed and, if the kernel supports that, never executed.
pub(super) fn memory_file(name: &CStr, extra: libc::c_uint) -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | extra;
    match memfd_create(name, flags | MFD_NOEXEC_SEAL) {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => memfd_create(name, flags),
        made => made,
    }
}

fn memfd_create(name: &CStr, flags: libc::c_uint) -> io::Result<OwnedFd> {
    // SAFETY: `name` is a NUL-terminated string that lives through the call.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), flags) })?;
    // SAFETY: the call just made this descriptor, and no other code owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes an eventfd: a counter that is readable while it is not zero. Reads and writes never block.
pub(super) fn event_descriptor() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes no pointer.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
    // SAFETY: the call just made this descriptor, and no other code owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads the status flags (`F_GETFL`): access mode, `O_PATH`.
pub(super) fn status_flags(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: F_GETFL takes no pointer.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })
}

/// Makes `exec` close the descriptor.
pub(super) fn close_on_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: F_SETFD takes an integer, no pointer.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(())
}

/// Reads the seals. Fails if the file can have none.
pub(super) fn seals(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: F_GET_SEALS takes no pointer.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) })
}

/// Adds seals, for good.
pub(super) fn add_seals(fd: BorrowedFd<'_>, seals: libc::c_int) -> io::Result<()> {
    // SAFETY: F_ADD_SEALS takes an integer, no pointer.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(())
}

/// Gives an unnamed file the name `target`, which must be free.
pub(super) fn link_descriptor(fd: BorrowedFd<'_>, target: &CStr) -> io::Result<()> {
    let by_proc = descriptor_path(fd);
    let followed = link(libc::AT_FDCWD, &by_proc, target, libc::AT_SYMLINK_FOLLOW);
    match followed {
        Err(e) if e.raw_os_error() != Some(libc::EEXIST) => {
            // Without /proc. This needs a privilege on kernels older than 6.10.
            link(fd.as_raw_fd(), c"", target, libc::AT_EMPTY_PATH)
                .map_err(|second| if second.raw_os_error() == Some(libc::EEXIST) { second } else { e })
        }
        linked_or_taken => linked_or_taken,
    }
}

fn link(dir: libc::c_int, from: &CStr, to: &CStr, flags: libc::c_int) -> io::Result<()> {
    let here = libc::AT_FDCWD;
    // SAFETY: both names are NUL-terminated strings that live through the call.
    check(unsafe { libc::linkat(dir, from.as_ptr(), here, to.as_ptr(), flags) })?;
    Ok(())
}

/// Renames `from` to `to`. Fails with `EEXIST` instead of replacing a file.
pub(super) fn rename_new(from: &CStr, to: &CStr) -> io::Result<()> {
    // SAFETY: both names are NUL-terminated strings that live through the call. The numbers are those that renameat2
    // takes.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Allocates the memory or disk blocks of the first `len` bytes of a file. Bytes that were never written read as zero.
pub(super) fn allocate(fd: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    let page = page_bytes() as u64;
    // A signal makes the kernel give up and undo its work. Under many signals, only small steps succeed.
    let (mut at, mut step) = (0, len.max(1));
    while at < len {
        let piece = step.min(len - at);
        let (start, piece_len) = (at.cast_signed(), piece.cast_signed());
        // SAFETY: fallocate takes no pointer.
        match check(unsafe { libc::fallocate(fd.as_raw_fd(), 0, start, piece_len) }) {
            Ok(_) => (at, step) = (at + piece, piece.saturating_mul(2)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => step = (piece / 2).max(page),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Returns the path of a descriptor of this thread in /proc. A thread may have descriptors that its process lacks,
/// hence `thread-self`. Opening the path makes a new open file description.
pub(super) fn descriptor_path(fd: BorrowedFd<'_>) -> std::ffi::CString {
    std::ffi::CString::new(format!("/proc/thread-self/fd/{}", fd.as_raw_fd())).unwrap_or_default()
}

/// Opens a file that exists.
pub(super) fn open_existing(path: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    loop {
        // SAFETY: `path` is a NUL-terminated string that lives through the call. Without O_CREAT, the call reads no
        // third argument.
        match check(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) }) {
            // SAFETY: the call just made this descriptor, and no other code owns it.
            Ok(fd) => return Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Tells whether a mapping keeps the open file description by which it was made. File systems that map another one's
/// file (overlayfs, FUSE) keep that file's description instead.
pub(super) fn keeps_descriptions(fd: BorrowedFd<'_>) -> bool {
    /// `linux/magic.h`: overlayfs and FUSE.
    const PASSING: [u64; 2] = [0x794c_7630, 0x6573_5546];
    filesystem(fd).is_ok_and(|found| !PASSING.contains(&(found.f_type as u64)))
}

/// Tells whether a descriptor is open for reading and writing.
pub(super) fn is_read_write(fd: BorrowedFd<'_>) -> bool {
    status_flags(fd).is_ok_and(|flags| flags & libc::O_ACCMODE == libc::O_RDWR)
}

/// The kind of a byte lock.
#[derive(Clone, Copy)]
pub(super) enum ByteLock {
    /// Exclusive: no other description may hold a lock on the byte.
    Alone,
    /// Shared with other descriptions that hold shared locks.
    Shared,
}

/// Takes the open-file-description lock on one byte, without waiting.
pub(super) fn lock_byte(fd: BorrowedFd<'_>, offset: i64, how: ByteLock) -> io::Result<()> {
    let request = one_byte(offset, how);
    loop {
        // SAFETY: the pointer is to a whole `flock` that lives through the call.
        match check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const request) }) {
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Tells whether the byte could be locked: no other open file description holds a conflicting lock.
pub(super) fn is_lockable(fd: BorrowedFd<'_>, offset: i64, how: ByteLock) -> io::Result<bool> {
    let mut question = one_byte(offset, how);
    // SAFETY: the pointer is to a whole `flock` that lives through the call.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_GETLK, &raw mut question) })?;
    Ok(libc::c_int::from(question.l_type) == libc::F_UNLCK)
}

fn one_byte(offset: i64, how: ByteLock) -> libc::flock {
    let kind = match how {
        ByteLock::Alone => libc::F_WRLCK,
        ByteLock::Shared => libc::F_RDLCK,
    };
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset,
        l_len: 1,
        // The kernel requires zero here for open-file-description locks.
        l_pid: 0,
    }
}

/// Moves a descriptor's offset by a rule such as `SEEK_DATA`. Returns `None` if there is no more data.
pub(super) fn seek(fd: BorrowedFd<'_>, offset: i64, whence: libc::c_int) -> io::Result<Option<u64>> {
    // SAFETY: lseek takes no pointer.
    let answer = unsafe { libc::lseek(fd.as_raw_fd(), offset, whence) };
    match u64::try_from(answer) {
        Ok(found) => Ok(Some(found)),
        Err(_) => match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            e => Err(e),
        },
    }
}
