//! Descriptors that a forked child must not keep. A lock belongs to its open file description, which
//! a child inherits; a child that kept it would make a dead parent look alive. Here such descriptors
//! are on a list that is walked in every child before any of its own code runs. Knows nothing of
//! what they are for.

// Opts in for `pthread_atfork`, for `close` in the child, and for lending descriptors by number.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::sys;

/// How many forks lie between this process and the one that first asked.
static FORKS: AtomicU32 = AtomicU32::new(0);
/// Set while the list changes, or while a fork is under way: never both.
static BUSY: AtomicBool = AtomicBool::new(false);
/// The list. Entries are used again, and never freed.
static FIRST: Entry = Entry::new();

const NO_DESCRIPTOR: RawFd = -1;

/// Tells how many forks lie between this process and the one that first made a
/// [`LaneLocks`](super::LaneLocks) or a [`Pollable`](super::Pollable). A value kept and found changed means: this is a child.
///
/// Relaxed suffices: the only store is made in the child before its first thread runs any code.
#[inline]
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// One descriptor on the list.
struct Entry {
    /// The descriptor, or [`NO_DESCRIPTOR`]. Written while [`BUSY`] is held, or in a new child.
    fd: AtomicI32,
    /// Whether a [`Unshared`] owns the entry.
    used: AtomicBool,
    next: OnceLock<&'static Entry>,
}

impl Entry {
    const fn new() -> Self {
        Self {
            fd: AtomicI32::new(NO_DESCRIPTOR),
            used: AtomicBool::new(false),
            next: OnceLock::new(),
        }
    }
}

/// A descriptor that exists in one process only: every forked child finds it closed, and may open it
/// anew.
pub(super) struct Unshared(&'static Entry);

impl Unshared {
    /// Opens `path` with the first of `flags` that is permitted.
    pub(super) fn open(path: &CStr, flags: &[libc::c_int]) -> io::Result<Self> {
        count_forks()?;
        // Allocated before the list is held: an allocator's own fork handler could wait for us.
        let spare = Box::new(Entry::new());
        let held = Held::wait();
        let fd = open_permitted(path, flags)?;
        let (entry, spare) = free_entry(spare);
        entry.used.store(true, Ordering::Relaxed);
        entry.fd.store(fd.into_raw_fd(), Ordering::Release);
        drop(held);
        drop(spare);
        Ok(Self(entry))
    }

    /// Lends the descriptor, unless this is a child that has not opened it anew.
    pub(super) fn get(&self) -> Option<BorrowedFd<'_>> {
        // Acquire: whoever opened the descriptor anew did what goes with it before (`reopen`).
        let fd = self.0.fd.load(Ordering::Acquire);
        if fd == NO_DESCRIPTOR {
            return None;
        }
        // SAFETY: the entry owns the descriptor, and closes it only when `self` is dropped or in a
        // forked child, where no borrow made by the parent's threads runs on past the fork.
        Some(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Opens the descriptor anew in a child; `first` runs before, once, however many threads ask.
    pub(super) fn reopen(
        &self,
        path: &CStr,
        flags: &[libc::c_int],
        first: impl FnOnce(),
    ) -> io::Result<BorrowedFd<'_>> {
        let held = Held::wait();
        if self.get().is_none() {
            let fd = open_permitted(path, flags)?;
            first();
            self.0.fd.store(fd.into_raw_fd(), Ordering::Release);
        }
        drop(held);
        self.get().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Unshared {
    fn drop(&mut self) {
        let _held = Held::wait();
        // In a child the number may belong to somebody else by now; there it is gone from the entry.
        close_entry(self.0);
        self.0.used.store(false, Ordering::Relaxed);
    }
}

fn open_permitted(path: &CStr, flags: &[libc::c_int]) -> io::Result<OwnedFd> {
    let mut answer = Err(io::ErrorKind::InvalidInput.into());
    for &flags in flags {
        answer = sys::open_existing(path, flags);
        match &answer {
            Err(e)
                if matches!(e.raw_os_error(), Some(libc::EACCES | libc::EPERM | libc::EROFS)) => {}
            _ => break,
        }
    }
    answer
}

/// Finds an entry nobody owns, or appends the spare one; gives it back unused otherwise. The list
/// is held.
fn free_entry(spare: Box<Entry>) -> (&'static Entry, Option<Box<Entry>>) {
    let mut entry = &FIRST;
    while entry.used.load(Ordering::Relaxed) {
        match entry.next.get() {
            Some(next) => entry = next,
            None => return (entry.next.get_or_init(|| Box::leak(spare)), None),
        }
    }
    (entry, Some(spare))
}

fn close_entry(entry: &Entry) {
    let fd = entry.fd.swap(NO_DESCRIPTOR, Ordering::AcqRel);
    if fd != NO_DESCRIPTOR {
        // SAFETY: the entry owned this descriptor, and gave it up with the swap.
        unsafe { libc::close(fd) };
    }
}

/// The right to change the list, during which no fork happens.
struct Held;

impl Held {
    fn wait() -> Self {
        hold();
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let_go();
    }
}

fn hold() {
    // Acquire pairs with the release in `let_go`.
    while BUSY.swap(true, Ordering::Acquire) {
        std::thread::yield_now();
    }
}

fn let_go() {
    BUSY.store(false, Ordering::Release);
}

/// Has [`forks`] count from now on, and listed descriptors closed in children. Failure is the kernel's
/// or the C library's lack of memory.
pub(super) fn count_forks() -> io::Result<()> {
    static INSTALLED: OnceLock<libc::c_int> = OnceLock::new();
    let answer = *INSTALLED.get_or_init(|| {
        // SAFETY: the three functions live as long as the program, take nothing, and do not unwind.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) }
    });
    if answer == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(answer)) }
}

/// Waits until no descriptor is between being opened and being on the list.
extern "C" fn before_fork() {
    hold();
}

extern "C" fn in_parent() {
    let_go();
}

/// Closes every listed descriptor in a new child. Atomics and `close` only, as a child of a process
/// with threads may do no more.
extern "C" fn in_child() {
    let mut entry = Some(&FIRST);
    while let Some(this) = entry {
        close_entry(this);
        entry = this.next.get().copied();
    }
    FORKS.fetch_add(1, Ordering::Relaxed);
    let_go();
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;
    use crate::kernel::testing::{Forked, Sleepers};

    const ACCESS: [libc::c_int; 1] = [libc::O_RDWR];

    /// Whether a byte's lock is gone: perhaps not at once, since a child that another test has just forked
    /// may not have run its first instruction.
    fn is_let_go(file: &File, offset: i64) -> bool {
        (0..10_000).any(|_| {
            let locked = sys::byte_is_locked(file.as_fd(), offset).unwrap();
            if locked {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            !locked
        })
    }

    #[test]
    fn a_living_child_keeps_no_inherited_lock() {
        // Closing in the parent is what its death does.
        let file = File::from(sys::memory_file(c"test", 0).unwrap());
        let unshared = Unshared::open(&sys::descriptor_path(file.as_fd()), &ACCESS).unwrap();
        sys::lock_byte(unshared.get().unwrap(), 0, sys::ByteLock::Take).unwrap();
        let mut children = Sleepers::new();
        children.add();
        children.wait();
        assert!(sys::byte_is_locked(file.as_fd(), 0).unwrap());
        drop(unshared);
        assert!(is_let_go(&file, 0));
    }

    #[test]
    fn no_descriptor_escapes_a_fork_of_another_thread() {
        let file = File::from(sys::memory_file(c"test", 0).unwrap());
        let path = sys::descriptor_path(file.as_fd());
        let mut children = Sleepers::new();
        let forked = AtomicBool::new(false);
        let rounds = std::thread::scope(|scope| {
            let making = scope.spawn(|| {
                let mut offset = 0;
                while !forked.load(Ordering::Relaxed) {
                    let unshared = Unshared::open(&path, &ACCESS).unwrap();
                    let fd = unshared.get().unwrap();
                    sys::lock_byte(fd, offset, sys::ByteLock::Take).unwrap();
                    offset += 1;
                }
                offset
            });
            while children.count() < 200 && !making.is_finished() {
                children.add();
            }
            forked.store(true, Ordering::Relaxed);
            making.join().unwrap()
        });
        children.wait();
        for offset in 0..rounds {
            assert!(is_let_go(&file, offset), "byte {offset} of {rounds}");
        }
    }

    #[test]
    fn forks_wait_while_the_list_is_held() {
        count_forks().unwrap();
        let forked = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let held = Held::wait();
            scope.spawn(|| {
                let child = Forked::new(|| 0);
                forked.store(true, Ordering::Release);
                assert!(child.wait().success());
            });
            // Time for a fork that does not wait; one that does is not hurried by it.
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!forked.load(Ordering::Acquire));
            drop(held);
        });
        assert!(forked.load(Ordering::Acquire));
    }

    #[test]
    fn entries_are_used_again() {
        let file = File::from(sys::memory_file(c"test", 0).unwrap());
        let path = sys::descriptor_path(file.as_fd());
        let length = || std::iter::successors(Some(&FIRST), |e| e.next.get().copied()).count();
        for _ in 0..2_000 {
            drop([0; 4].map(|_| Unshared::open(&path, &ACCESS).unwrap()));
        }
        assert!(length() < 1_000, "the list grew to {}", length());
    }
}
