//! Forked children: a process with one thread makes hundreds of them a second, with all memory mapped. No child outlives its
//! parent, and a panic becomes an exit code.
#![allow(unsafe_code)] // Forks, leaves without running the parent's destructors, sets the alarm.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm, fork, getpid, getppid};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Exit code of a child that panicked.
pub const PANICKED: i32 = 101;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited, with this code.
    Code(i32),
    /// This signal ended it.
    Signal(Signal),
}

/// A forked child, killed and waited for when dropped.
#[derive(Debug)]
pub struct Forked {
    pid: Pid,
    end: Cell<Option<End>>,
}

impl Forked {
    /// Forks a child that runs `body` and ends with the code that it returns, or with [`PANICKED`].
    /// The calling process must have no other thread.
    ///
    /// # Errors
    /// One line if the kernel refuses.
    pub fn new(body: impl FnOnce() -> i32) -> Result<Self, String> {
        let parent = getpid();
        // SAFETY: this process has one thread, so the child finds no lock held by another; it leaves
        // by `_exit`, so that nothing of the parent's is flushed or dropped twice.
        match unsafe { fork() } {
            Ok(ForkResult::Parent { child }) => Ok(Self { pid: child, end: Cell::new(None) }),
            Ok(ForkResult::Child) => {
                alarm::cancel();
                let followed = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).is_ok();
                let code = if followed && getppid() == parent {
                    catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANICKED)
                } else {
                    PANICKED
                };
                // SAFETY: takes no pointer, and runs nothing of the parent's.
                unsafe { libc::_exit(code) }
            }
            Err(error) => {
                Err(format!("a process could not be forked: {error}; let fewer run, or raise the limit"))
            }
        }
    }

    /// Returns the child's process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Gives the child up: another owner ends it and waits for it.
    pub fn release(self) {
        std::mem::forget(self);
    }

    /// Kills the child, and does not wait for its end.
    pub fn kill(&self) {
        if self.end.get().is_none() {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }

    /// Waits for the end.
    pub fn wait(&self) -> End {
        loop {
            if let Some(end) = self.end.get() {
                return end;
            }
            self.look(None);
        }
    }

    /// Tells how the child ended, if it has.
    pub fn ended(&self) -> Option<End> {
        if self.end.get().is_none() {
            self.look(Some(WaitPidFlag::WNOHANG));
        }
        self.end.get()
    }

    fn look(&self, flags: Option<WaitPidFlag>) {
        let end = match waitpid(self.pid, flags) {
            Ok(WaitStatus::Exited(_, code)) => Some(End::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(End::Signal(signal)),
            // Only this process waits for it, so it is gone.
            Err(nix::Error::ECHILD) => Some(End::Code(PANICKED)),
            _ => None,
        };
        self.end.set(end);
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        self.kill();
        self.wait();
    }
}

/// Ends this process with a line on stderr and `FAILED` if this is not called again within `seconds`, so that a call that
/// never returns is reported.
pub fn expect_progress_within(seconds: u32) {
    let action = SigAction::new(SigHandler::Handler(hang), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler makes two system calls, which is safe at any moment.
    let installed = unsafe { sigaction(Signal::SIGALRM, &action) };
    debug_assert!(installed.is_ok(), "SIGALRM can be handled");
    alarm::set(seconds);
}

/// Exit code of a process that hung: a broken invariant.
const FAILED: i32 = 1;

extern "C" fn hang(_: libc::c_int) {
    const LINE: &[u8] = b"splinter-stress: a call did not return, and was given up: a hang\n";
    // SAFETY: the bytes are static.
    let _ = unsafe { libc::write(2, LINE.as_ptr().cast(), LINE.len()) };
    // SAFETY: takes no pointer.
    unsafe { libc::_exit(FAILED) }
}
