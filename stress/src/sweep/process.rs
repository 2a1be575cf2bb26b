//! What a sweep needs of the kernel: a fork server, a trap at which a traced process stops, a way to restore the bytes of a
//! store, and a watchdog. It knows nothing of operations or invariants.
#![allow(unsafe_code)] // Forks, traps, copies a quiet mapping, and installs a signal handler.

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm, fork};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Seconds after which a process counts as hung: a watchdog, not a measurement.
const PATIENCE_S: u64 = 20;

static TICKS: AtomicU64 = AtomicU64::new(0);

extern "C" fn tick(_: libc::c_int) {
    TICKS.fetch_add(1, Relaxed);
    alarm::set(1);
}

/// Interrupts the waits of this process once a second, so that none of them lasts for ever.
pub(super) fn start_watchdog() {
    let action = SigAction::new(SigHandler::Handler(tick), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler adds to an atomic and makes one system call, both of which are safe at any
    // moment.
    let installed = unsafe { sigaction(Signal::SIGALRM, &action) };
    debug_assert!(installed.is_ok(), "the alarm can be handled");
    alarm::set(1);
}

/// Tells whether a process that began to work at `since` hangs.
pub(super) fn is_overdue(since: u64) -> bool {
    TICKS.load(Relaxed) - since > PATIENCE_S
}

/// Returns the time, in seconds of the watchdog.
pub(super) fn ticks() -> u64 {
    TICKS.load(Relaxed)
}

/// Returns the name of the store that a worker creates, for as long as a scenario lasts.
pub(super) fn name_of(worker: Pid) -> String {
    format!("splinter-sweep-{worker}")
}

/// Stops this process until the tracer continues it.
#[inline(always)]
pub(super) fn trap() {
    // SAFETY: the trap changes no register and no memory; the calling process is traced; the trap would
    // end a process that is not.
    unsafe { std::arch::asm!("int3") };
}

/// Runs `body` and ends this process, even if `body` panics.
fn run_and_exit(body: impl FnOnce()) -> ! {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    // SAFETY: ends the process without running anything of the parent's.
    unsafe { libc::_exit(i32::from(done.is_err())) }
}

/// Kills a process that this one started or traces, and waits for its end.
pub(super) fn kill_and_wait(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL);
    loop {
        match waitpid(pid, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Signaled(..) | WaitStatus::Exited(..)) => return,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// Runs as a fork server: each time the tracer continues this process, it forks a child that runs `body`. It does not wait for
/// its children.
pub(super) fn serve_forks(body: impl Fn()) {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal runs no code.
    let ignored = unsafe { sigaction(Signal::SIGCHLD, &ignore) };
    if ignored.is_err() || ptrace::traceme().is_err() {
        return;
    }
    loop {
        trap();
        // SAFETY: this process has one thread, so the child can do what this one can.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => run_and_exit(&body),
            Ok(ForkResult::Parent { .. }) => {}
            Err(_) => return,
        }
    }
}

/// A second mapping of a store's bytes.
pub(super) struct ArenaBytes(MmapRaw);

impl ArenaBytes {
    pub(super) fn of(fd: BorrowedFd<'_>, len: u64) -> io::Result<Self> {
        let file = std::fs::File::from(fd.try_clone_to_owned()?);
        Ok(Self(MmapOptions::new().len(len as usize).map_raw(&file)?))
    }

    /// Copies them. No process may be writing.
    pub(super) fn copy(&self) -> Vec<u8> {
        let mut copy = vec![0; self.0.len()];
        self.copy_to(&mut copy);
        copy
    }

    /// Copies them over an older copy.
    pub(super) fn copy_to(&self, copy: &mut [u8]) {
        assert_eq!(copy.len(), self.0.len());
        // SAFETY: both ranges have this length; every process that writes to the mapping is stopped
        // while this one reads it.
        unsafe { std::ptr::copy_nonoverlapping(self.0.as_ptr(), copy.as_mut_ptr(), copy.len()) };
    }

    /// Restores them from a copy.
    pub(super) fn restore(&self, copy: &[u8]) {
        assert_eq!(copy.len(), self.0.len());
        // SAFETY: both ranges have this length; references to these bytes exist only as atomics,
        // and every process that uses them is stopped.
        unsafe { std::ptr::copy_nonoverlapping(copy.as_ptr(), self.0.as_mut_ptr(), copy.len()) };
    }
}
