//! Helpers for the tests of this folder: names that are removed afterwards, children with a watchdog, threads to which
//! the kernel denies a call.

// Opts in to unsafe code for fork, seccomp and the like, which tests of system calls need.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::location::Location;
use super::map::Mapping;
use super::pollable::WakeWord;
use super::sys;

/// How many seconds a child may live before its own alarm kills it: a watchdog, not a measurement.
const WATCHDOG_S: u32 = 60;

/// Maps anonymous memory of a length in bytes, and returns its file as well.
pub(super) fn mapped(len: usize) -> (File, Mapping) {
    let file = File::from(sys::memory_file(c"test", 0).expect("a file in memory"));
    file.set_len(len as u64).expect("a length");
    let mapping = Mapping::new(file.as_fd(), len, true, "test").expect("a mapping");
    (file, mapping)
}

/// A new directory, removed with all its contents when dropped.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        let name = format!("splinter-test-{}-{:016x}", std::process::id(), sys::random());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a temporary directory");
        Self(path)
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn names(&self) -> Vec<String> {
        names_in(&self.0, "")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A new name in shared memory, removed when dropped.
pub(super) struct Named(pub(super) Location);

impl Named {
    pub(super) fn new() -> Self {
        Self(Location::generated())
    }

    /// Lists everything in shared memory whose name contains this one.
    pub(super) fn traces(&self) -> Vec<String> {
        let path = self.0.path().expect("a good name");
        let name = path.file_name().expect("a name").to_str().expect("text");
        names_in(path.parent().expect("a directory"), name)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.0.unlink();
    }
}

fn names_in(directory: &Path, part: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    names.map(|name| name.expect("text")).filter(|name| name.contains(part)).collect()
}

/// A word in shared memory. A thread may sleep on it or wake it by a mapping at another address.
pub(super) struct SharedWord {
    file: File,
    mapping: Arc<Mapping>,
}

impl SharedWord {
    /// Makes a word that reads zero.
    pub(super) fn new() -> Self {
        let file = File::from(sys::memory_file(c"test", 0).expect("memory"));
        file.set_len(4096).expect("a page");
        Self::of(file.as_fd(), true)
    }

    /// Maps the word of `fd` once more.
    pub(super) fn of(fd: BorrowedFd<'_>, writable: bool) -> Self {
        let file = File::from(fd.try_clone_to_owned().expect("a descriptor"));
        let mapping = Arc::new(Mapping::new(fd, 4096, writable, "test").expect("a mapping"));
        Self { file, mapping }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Borrows the word, which stays mapped as long as `self` lives.
    pub(super) fn word(&self) -> &AtomicU64 {
        // SAFETY: the first bytes of the mapping are aligned, all access to them is atomic, and `self` keeps them
        // mapped.
        unsafe { AtomicU64::from_ptr(self.mapping.base().as_ptr().cast()) }
    }

    /// Returns the word as the wake word of a pollable.
    pub(super) fn wake_word(&self, mask: u32) -> WakeWord {
        // SAFETY: as in `word`, except that the wake word keeps the bytes mapped.
        let word = unsafe { AtomicU64::from_ptr(self.mapping.base().as_ptr().cast()) };
        WakeWord::new(word, mask, Arc::clone(&self.mapping) as _)
    }
}

/// A forked child, killed and reaped when dropped.
pub(super) struct Forked(libc::pid_t);

impl Forked {
    /// Runs `body` in a child, whose exit status is what `body` returns.
    pub(super) fn new(body: impl FnOnce() -> i32) -> Self {
        // SAFETY: the child runs only `body` and leaves by `_exit`. The C library in use keeps its allocator usable in
        // a child, and the bodies use no other lock that threads share.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: alarm takes no pointer.
            unsafe { libc::alarm(WATCHDOG_S) };
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
            // SAFETY: _exit takes no pointer, and runs no code of the parent's.
            unsafe { libc::_exit(code) };
        }
        assert!(pid > 0, "fork failed");
        Self(pid)
    }

    /// Waits for the child's end.
    pub(super) fn wait(mut self) -> ExitStatus {
        self.reap()
    }

    /// Stops the child, and returns when it has stopped.
    pub(super) fn stop(&self) {
        // SAFETY: kill takes no pointer, and the process is a child that was not reaped.
        unsafe { libc::kill(self.0, libc::SIGSTOP) };
        let mut status = 0;
        // SAFETY: the pointer is to an integer that lives through the call.
        let answer = unsafe { libc::waitpid(self.0, &raw mut status, libc::WUNTRACED) };
        assert!(answer == self.0 && libc::WIFSTOPPED(status), "the child did not stop");
    }

    /// Lets a stopped child continue.
    pub(super) fn resume(&self) {
        // SAFETY: kill takes no pointer, and the process is a child that was not reaped.
        unsafe { libc::kill(self.0, libc::SIGCONT) };
    }

    /// Kills the child with `SIGKILL`, and waits for its end.
    pub(super) fn kill(self) {
        drop(self);
    }

    fn reap(&mut self) -> ExitStatus {
        let mut status = 0;
        // SAFETY: the pointer is to an integer that lives through the call.
        let answer = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        assert_eq!(answer, self.0, "waitpid failed");
        self.0 = 0;
        ExitStatus::from_raw(status)
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if self.0 > 0 {
            kill(self.0);
            self.reap();
        }
    }
}

/// Runs `body` in a child that the C library does not know of, and returns the child's exit status.
pub(super) fn raw_clone(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: without flags this is a fork, whose child runs only `body` and leaves by `_exit`.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if pid == 0 {
        // SAFETY: alarm takes no pointer.
        unsafe { libc::alarm(WATCHDOG_S) };
        let code = body();
        // SAFETY: _exit takes no pointer, and runs no code of the parent's.
        unsafe { libc::_exit(code) };
    }
    let child = Forked(libc::pid_t::try_from(pid).expect("a process id"));
    child.wait().code().expect("an exit status")
}

/// Makes a descriptor's number lead to another file, as a program does with `dup2`.
pub(super) fn duplicate_over(fd: BorrowedFd<'_>, number: i32) {
    // SAFETY: dup2 takes no pointer.
    assert_eq!(unsafe { libc::dup2(fd.as_raw_fd(), number) }, number);
}

/// Takes a descriptor by its number, as a program does that closes descriptors of others.
pub(super) fn take(number: i32) -> OwnedFd {
    // SAFETY: the number is open, and its owner detects that it no longer has it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

pub(super) fn kill(pid: libc::pid_t) {
    // SAFETY: kill takes no pointer; the process is a child of this test.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Waits until a descriptor is readable. Returns `false` if that takes longer than `within_ms`.
pub(super) fn is_readable(fd: BorrowedFd<'_>, within_ms: i32) -> bool {
    let mut asked = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one whole `pollfd` that lives through the call.
    let answer = unsafe { libc::poll(&raw mut asked, 1, within_ms) };
    let why = std::io::Error::last_os_error();
    assert!(answer >= 0, "poll failed: {why}");
    answer == 1 && asked.revents == libc::POLLIN
}

/// Makes the kernel deny this thread a system call with `EPERM`, for good, as sandboxes do.
pub(super) fn deny(call: libc::c_long) {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut steps = [
        // The number of the call is the first word that the filter sees (`seccomp_data.nr`).
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: this option takes integers only.
    let answer = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(answer, 0);
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the filter and its steps are whole and live through the call, which copies them.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

/// Sets the umask of this thread only.
pub(super) fn own_umask(umask: libc::mode_t) {
    // SAFETY: unshare takes no pointer.
    let answer = unsafe { libc::unshare(libc::CLONE_FS) };
    assert_eq!(answer, 0);
    // SAFETY: umask takes no pointer.
    unsafe { libc::umask(umask) };
}
