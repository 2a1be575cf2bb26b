//! A process under ptrace. Single steps record the trace of its instructions once; from then on a breakpoint brings it to any
//! of them at once. This module knows instructions, not what they are for.

use super::process::{is_overdue, kill_and_wait, ticks};
use nix::errno::Errno;
use nix::sys::ptrace::{self, AddressType, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use splinter_harness::forked::Forked;
use splinter_harness::task;
use std::ops::Range;

/// The instruction that traps.
const INT3: i64 = 0xcc;
/// The instruction that enters the kernel, lowest byte first.
const SYSCALL: i64 = 0x050f;

/// Why a tracee did not come to an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TraceError {
    /// It ended.
    Ended(String),
    /// It hangs.
    Hung,
    /// Its path differs from the trace.
    Diverged,
    /// The kernel refused a request.
    Refused(Errno),
}

impl From<Errno> for TraceError {
    fn from(error: Errno) -> Self {
        Self::Refused(error)
    }
}

/// The way to reach an instruction of a trace.
#[derive(Clone, Copy, Debug, Default)]
struct Approach {
    /// Where the breakpoint is, and how often it is passed; `None` for steps from the beginning.
    anchor: Option<(u64, u32)>,
    steps: u32,
    cost: u32,
}

/// The trace of one operation: each instruction in turn, and how to reach it.
pub(super) struct Trace {
    rips: Vec<u64>,
    /// The instructions that enter the kernel.
    calls: Vec<usize>,
    approaches: Vec<Approach>,
}

/// The rough costs of a breakpoint, of each pass of it, and of a step, in microseconds.
const BREAK: u32 = 20;
const PASS: u32 = 60;
const STEP: u32 = 30;

impl Trace {
    fn new(rips: Vec<u64>, calls: Vec<usize>, text: &Range<u64>) -> Self {
        let mut approaches: Vec<Approach> = Vec::with_capacity(rips.len());
        let mut met = std::collections::HashMap::new();
        for (at, rip) in rips.iter().enumerate() {
            let stepped = approaches.last().map_or(Approach::default(), |before| Approach {
                steps: before.steps + 1,
                cost: before.cost + STEP,
                ..*before
            });
            // A breakpoint stops once at a repeated instruction, steps stop at each repetition.
            let repeats = at > 0 && rips[at - 1] == *rip;
            let passed = met.entry(*rip).or_insert(0_u32);
            let broken = Approach { anchor: Some((*rip, *passed)), steps: 0, cost: BREAK + *passed * PASS };
            *passed += u32::from(!repeats);
            let usable = !repeats && at > 0 && text.contains(rip);
            approaches.push(if usable && broken.cost < stepped.cost { broken } else { stepped });
        }
        Self { rips, calls, approaches }
    }

    /// Returns the instruction of a point; a sleeping process is at the last one.
    pub(super) fn rip(&self, at: usize) -> u64 {
        self.rips.get(at).or(self.rips.last()).copied().unwrap_or_default()
    }

    /// Returns the instructions that enter the kernel.
    pub(super) fn calls(&self) -> &[usize] {
        &self.calls
    }

    pub(super) fn len(&self) -> usize {
        self.rips.len()
    }
}

/// Tells whether a system call with this number and second argument waits for a futex.
fn is_wait(number: u64, operation: u64) -> bool {
    let operation = operation as i32 & libc::FUTEX_CMD_MASK;
    number == libc::SYS_futex as u64
        && (operation == libc::FUTEX_WAIT || operation == libc::FUTEX_WAIT_BITSET)
}

/// A traced process, which runs only during calls of these methods. Killed when dropped.
#[derive(Debug)]
pub(super) struct Tracee {
    pid: Pid,
    over: bool,
}

impl Tracee {
    /// Traces a child that asked for it, and waits until it stops at its first trap.
    ///
    /// # Errors
    /// One line if tracing is not permitted.
    pub(super) fn adopt(child: Forked) -> Result<Self, String> {
        let tracee = Self::attach(child.pid());
        child.release();
        tracee.map_err(|error| {
            format!(
                "tracing is not permitted ({error:?}): give the process CAP_SYS_PTRACE, or set \
                 /proc/sys/kernel/yama/ptrace_scope to 1 or less"
            )
        })
    }

    fn attach(pid: Pid) -> Result<Self, TraceError> {
        let tracee = Self { pid, over: false };
        tracee.wait_for_trap()?;
        let options =
            Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACESYSGOOD;
        ptrace::setoptions(pid, options)?;
        Ok(tracee)
    }

    /// Lets this fork server fork one child. Both are stopped then, the child at its beginning.
    pub(super) fn fork_child(&self) -> Result<Self, TraceError> {
        self.resume()?;
        match self.wait()? {
            WaitStatus::PtraceEvent(..) => {}
            other => return Err(TraceError::Ended(format!("{other:?}"))),
        }
        let child = Self { pid: Pid::from_raw(ptrace::getevent(self.pid)? as i32), over: false };
        child.wait()?;
        self.resume()?;
        self.wait_for_trap()?;
        Ok(child)
    }

    fn resume(&self) -> Result<(), TraceError> {
        Ok(ptrace::cont(self.pid, None)?)
    }

    /// Runs to the next trap or breakpoint.
    pub(super) fn run(&self) -> Result<(), TraceError> {
        self.resume()?;
        self.wait_for_trap()
    }

    fn wait_for_trap(&self) -> Result<(), TraceError> {
        match self.wait()? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => Ok(()),
            WaitStatus::Stopped(_, signal) => Err(TraceError::Ended(format!("{signal}"))),
            other => Err(TraceError::Ended(format!("{other:?}"))),
        }
    }

    /// Waits until it stops.
    fn wait(&self) -> Result<WaitStatus, TraceError> {
        let since = ticks();
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::__WALL)) {
                Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) => {
                    return Err(TraceError::Ended(format!("{status:?}")));
                }
                Ok(status) => return Ok(status),
                Err(Errno::EINTR) if is_overdue(since) => return Err(TraceError::Hung),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn rip(&self) -> Result<u64, TraceError> {
        let at = std::mem::offset_of!(libc::user, regs) + std::mem::offset_of!(libc::user_regs_struct, rip);
        Ok(ptrace::read_user(self.pid, at as AddressType)? as u64)
    }

    fn set_rip(&self, rip: u64) -> Result<(), TraceError> {
        let at = std::mem::offset_of!(libc::user, regs) + std::mem::offset_of!(libc::user_regs_struct, rip);
        Ok(ptrace::write_user(self.pid, at as AddressType, rip as i64)?)
    }

    fn peek(&self, at: u64) -> Result<i64, TraceError> {
        Ok(ptrace::read(self.pid, at as AddressType)?)
    }

    fn poke(&self, at: u64, word: i64) -> Result<(), TraceError> {
        Ok(ptrace::write(self.pid, at as AddressType, word)?)
    }

    fn step(&self) -> Result<(), TraceError> {
        ptrace::step(self.pid, None)?;
        self.wait_for_trap()
    }

    /// Steps until `is_over`. Before each instruction that enters the kernel, `is_last` tells whether the trace ends there,
    /// since the call would not return.
    pub(super) fn trace(
        &self,
        text: &Range<u64>,
        is_over: impl Fn() -> bool,
        mut is_last: impl FnMut(&Self) -> bool,
    ) -> Result<Trace, TraceError> {
        let (mut rips, mut calls) = (Vec::new(), Vec::new());
        while !is_over() {
            let rip = self.rip()?;
            let calls_kernel = self.peek(rip)? & 0xffff == SYSCALL;
            if calls_kernel {
                calls.push(rips.len());
            }
            rips.push(rip);
            if calls_kernel && is_last(self) {
                break;
            }
            self.step()?;
        }
        Ok(Trace::new(rips, calls, text))
    }

    /// Tells whether the call that it is about to make waits for a futex.
    pub(super) fn is_about_to_sleep(&self) -> bool {
        ptrace::getregs(self.pid).is_ok_and(|regs| is_wait(regs.rax, regs.rsi))
    }

    /// Runs until it sleeps.
    pub(super) fn run_until_asleep(&self) -> Result<(), TraceError> {
        loop {
            self.run_to_call()?;
            let regs = ptrace::getregs(self.pid)?;
            if !is_wait(regs.orig_rax, regs.rsi) {
                self.run_to_call()?;
                continue;
            }
            ptrace::syscall(self.pid, None)?;
            let since = ticks();
            while !self.is_asleep() {
                if is_overdue(since) {
                    return Err(TraceError::Hung);
                }
                std::thread::yield_now();
            }
            return Ok(());
        }
    }

    fn is_asleep(&self) -> bool {
        task::state(self.pid) == Some('S')
    }

    fn run_to_call(&self) -> Result<(), TraceError> {
        ptrace::syscall(self.pid, None)?;
        match self.wait()? {
            WaitStatus::PtraceSyscall(_) => Ok(()),
            other => Err(TraceError::Ended(format!("{other:?}"))),
        }
    }

    /// Runs to the trap, perhaps out of a sleep. Returns whether any sleep timed out: then no process woke it.
    pub(super) fn run_until_woken(&self, asleep: bool) -> Result<bool, TraceError> {
        let (mut inside, mut overslept) = (asleep, false);
        if !asleep {
            ptrace::syscall(self.pid, None)?;
        }
        loop {
            match self.wait()? {
                WaitStatus::PtraceSyscall(_) => {
                    if inside {
                        let regs = ptrace::getregs(self.pid)?;
                        let timed_out = regs.rax as i64 == -i64::from(libc::ETIMEDOUT);
                        overslept |= timed_out && is_wait(regs.orig_rax, regs.rsi);
                    }
                    inside = !inside;
                    ptrace::syscall(self.pid, None)?;
                }
                WaitStatus::Stopped(_, Signal::SIGTRAP) => return Ok(overslept),
                other => return Err(TraceError::Ended(format!("{other:?}"))),
            }
        }
    }

    /// Runs from the beginning to instruction `at` of the trace; `slowly` is by single steps, for an operation whose path
    /// depends on the time.
    pub(super) fn approach(
        &self,
        trace: &Trace,
        at: usize,
        slowly: bool,
        is_over: impl Fn() -> bool,
    ) -> Result<(), TraceError> {
        let mut approach = trace.approaches[at];
        if slowly {
            approach = Approach { anchor: None, steps: at as u32, ..approach };
        }
        if let Some((anchor, passes)) = approach.anchor {
            let word = self.peek(anchor)?;
            let broken = word & !0xff | INT3;
            for pass in 0..=passes {
                self.poke(anchor, broken)?;
                self.run()?;
                if is_over() || self.rip()? != anchor + 1 {
                    return Err(TraceError::Diverged);
                }
                self.poke(anchor, word)?;
                self.set_rip(anchor)?;
                if pass < passes {
                    self.step()?;
                }
            }
        }
        for _ in 0..approach.steps {
            self.step()?;
        }
        if is_over() || self.rip()? != trace.rips[at] {
            return Err(TraceError::Diverged);
        }
        Ok(())
    }

    /// Kills it where it is, and waits for its end.
    pub(super) fn kill(mut self) {
        self.over = true;
        kill_and_wait(self.pid);
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if !self.over {
            kill_and_wait(self.pid);
        }
    }
}
