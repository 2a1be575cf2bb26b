//! Processes for tests: a test that runs alone in a process of its own, forked children that cannot outlive it, and memory that
//! all of them share.

#![allow(unsafe_code, reason = "fork, signals and shared memory have no safe interface here")]

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Names the test that a process runs alone.
const ALONE: &str = "SPLINTER_TEST_ALONE";
/// After how many seconds a process is killed by its own alarm: a watchdog, not a measurement.
const PATIENCE_S: u32 = 120;

/// Runs `body` in a process of its own that has no other test's threads, so that it may fork. To be
/// called by the test named `test`, with nothing else in it.
pub fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var(ALONE).is_ok_and(|name| name == test) {
        arm();
        return body();
    }
    let output = rerun(test).env(ALONE, test).output().expect("a process");
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().filter(|line| line.starts_with("SKIPPED")).for_each(|line| eprintln!("{line}"));
}

/// Prepares another run of this program that runs the one test, and dies with the thread that starts it.
pub fn rerun(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).stdin(Stdio::null());
    // SAFETY: the closure makes one system call and touches no memory.
    unsafe { command.pre_exec(die_with_parent) };
    command
}

fn die_with_parent() -> std::io::Result<()> {
    // SAFETY: this option takes an integer only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    Ok(())
}

fn arm() {
    // SAFETY: alarm takes no pointer.
    unsafe { libc::alarm(PATIENCE_S) };
}

/// A forked child, killed and waited for when dropped.
pub struct Forked(libc::pid_t);

impl Forked {
    /// Runs `body` in a child; the child fails if it panics.
    pub fn new(body: impl FnOnce()) -> Self {
        // SAFETY: the process that forks has no other running thread (`alone`), and the child leaves
        // by `_exit`.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let _ = die_with_parent();
            arm();
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: _exit takes no pointer, and runs nothing of the parent's.
            unsafe { libc::_exit(i32::from(done.is_err())) };
        }
        assert!(pid > 0, "fork failed");
        Self(pid)
    }

    /// Returns its process id.
    pub fn id(&self) -> libc::pid_t {
        self.0
    }

    /// Waits for the end, and asserts that it was a good one.
    pub fn join(mut self) {
        let status = self.reap(0);
        assert!(status.success(), "a child ended with {status}");
    }

    /// Waits until the process ends in any way.
    pub fn end(&mut self) -> ExitStatus {
        self.reap(0)
    }

    /// Kills the child if it still runs, and asserts that it did.
    pub fn kill(mut self) {
        self.signal(libc::SIGKILL);
        let status = self.reap(0);
        assert_eq!(status.signal(), Some(libc::SIGKILL), "a child ended with {status} before it was killed");
    }

    /// Stops the child, and returns once it stands still.
    pub fn stop(&mut self) {
        self.signal(libc::SIGSTOP);
        assert!(self.pause(), "a child ended instead of stopping");
    }

    /// Waits until the child stands still. Returns whether it did, and has not ended.
    pub fn pause(&mut self) -> bool {
        let pid = self.0;
        let status = self.reap(libc::WUNTRACED);
        let stopped = status.stopped_signal().is_some();
        self.0 = if stopped { pid } else { 0 };
        stopped
    }

    /// Lets a stopped child go on.
    pub fn go_on(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill takes no pointer; the process is a child that was not waited for.
        unsafe { libc::kill(self.0, signal) };
    }

    fn reap(&mut self, options: libc::c_int) -> ExitStatus {
        let mut status = 0;
        // SAFETY: the pointer is to an integer that lives through the call.
        let answer = unsafe { libc::waitpid(self.0, &raw mut status, options) };
        assert_eq!(answer, self.0, "waitpid failed");
        self.0 = 0;
        ExitStatus::from_raw(status)
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if self.0 > 0 {
            self.signal(libc::SIGKILL);
            self.signal(libc::SIGCONT);
            self.reap(0);
        }
    }
}

/// Asks the kernel whether a thread sleeps until another wakes it, or until a timeout.
pub fn is_asleep(process: libc::pid_t, thread: libc::pid_t) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/syscall"));
    let sleeps = [libc::SYS_futex, libc::SYS_epoll_wait].map(|number| number.to_string());
    call.is_ok_and(|call| call.split(' ').next().is_some_and(|it| sleeps.iter().any(|s| s == it)))
}

/// Returns the number by which the kernel knows this thread.
pub fn thread_id() -> libc::pid_t {
    // SAFETY: gettid takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Makes `count` zero words that this process and its future children share, for the rest of its life.
pub fn shared_words(count: usize) -> &'static [AtomicU64] {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel picks a free range.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), count * 8, access, flags, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED);
    // SAFETY: the range holds `count` words, is never unmapped, and is only used atomically.
    unsafe { std::slice::from_raw_parts(at.cast(), count) }
}

/// Passes the time without sleeping, which would take a timer's tick.
pub fn spin(us: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(us) {
        std::hint::spin_loop();
    }
}
