//! A process under ptrace: stepped through once, so that its way is known, and then brought to any
//! instruction of it at once, by a breakpoint. It knows instructions, not what they are for.

use super::process::{end, is_overdue, now};
use crate::task;
use nix::errno::Errno;
use nix::sys::ptrace::{self, AddressType, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ops::Range;

/// The instruction that traps.
const INT3: i64 = 0xcc;
/// The instruction that enters the kernel, lowest byte first.
const SYSCALL: i64 = 0x050f;

/// Why a tracee did not come to where it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Astray {
    /// It ended.
    Ended(String),
    /// It does nothing any more.
    Hung,
    /// It took another way.
    Diverged,
    /// The kernel refused a request.
    Refused(Errno),
}

impl From<Errno> for Astray {
    fn from(error: Errno) -> Self {
        Self::Refused(error)
    }
}

/// How an instruction of a known way is reached.
#[derive(Clone, Copy, Debug)]
struct Approach {
    /// Where the breakpoint is, and how often it is passed; none: from the beginning.
    anchor: Option<(u64, u32)>,
    steps: u32,
    cost: u32,
}

/// The way through one operation: each instruction in turn, and how to get there.
pub(super) struct Path {
    rips: Vec<u64>,
    /// The instructions that enter the kernel.
    calls: Vec<usize>,
    approaches: Vec<Approach>,
}

/// What a breakpoint costs, what each time costs that it is passed, and a step: in microseconds, roughly.
const BREAK: u32 = 20;
const PASS: u32 = 60;
const STEP: u32 = 30;

impl Path {
    fn new(rips: Vec<u64>, calls: Vec<usize>, text: &Range<u64>) -> Self {
        let mut approaches: Vec<Approach> = Vec::with_capacity(rips.len());
        let mut met = std::collections::HashMap::new();
        for (at, rip) in rips.iter().enumerate() {
            let stepped = approaches.last().map_or(
                Approach {
                    anchor: None,
                    steps: 0,
                    cost: 0,
                },
                |before| Approach {
                    steps: before.steps + 1,
                    cost: before.cost + STEP,
                    ..*before
                },
            );
            // A repeated instruction is one to a breakpoint, and many to steps.
            let repeats = at > 0 && rips[at - 1] == *rip;
            let passed = met.entry(*rip).or_insert(0_u32);
            let broken = Approach {
                anchor: Some((*rip, *passed)),
                steps: 0,
                cost: BREAK + *passed * PASS,
            };
            *passed += u32::from(!repeats);
            let usable = !repeats && at > 0 && text.contains(rip);
            approaches.push(if usable && broken.cost < stepped.cost {
                broken
            } else {
                stepped
            });
        }
        Self {
            rips,
            calls,
            approaches,
        }
    }

    /// Returns the instruction of a point; whoever sleeps does so in the last.
    pub(super) fn rip(&self, at: usize) -> u64 {
        self.rips
            .get(at)
            .or(self.rips.last())
            .copied()
            .unwrap_or_default()
    }

    /// The instructions that enter the kernel.
    pub(super) fn calls(&self) -> &[usize] {
        &self.calls
    }

    pub(super) fn len(&self) -> usize {
        self.rips.len()
    }
}

/// Whether a call with this number and second argument waits for a futex.
fn is_wait(number: u64, operation: u64) -> bool {
    let operation = operation as i32 & libc::FUTEX_CMD_MASK;
    number == libc::SYS_futex as u64
        && (operation == libc::FUTEX_WAIT || operation == libc::FUTEX_WAIT_BITSET)
}

/// A traced process that stands still whenever nobody waits for it here. Killed when dropped.
#[derive(Debug)]
pub(super) struct Tracee {
    pid: Pid,
    over: bool,
}

impl Tracee {
    /// Takes on a child that asked for it, and now stands at its first gate.
    pub(super) fn adopt(pid: Pid) -> Result<Self, Astray> {
        let tracee = Self { pid, over: false };
        tracee.wait_for_trap()?;
        let options = Options::PTRACE_O_EXITKILL
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACESYSGOOD;
        ptrace::setoptions(pid, options)?;
        Ok(tracee)
    }

    /// Lets this process fork, and stand still before it forks again. The child stands still at its
    /// beginning.
    pub(super) fn bear(&self) -> Result<Self, Astray> {
        self.go_on()?;
        match self.wait()? {
            WaitStatus::PtraceEvent(..) => {}
            other => return Err(Astray::Ended(format!("{other:?}"))),
        }
        let child = Self {
            pid: Pid::from_raw(ptrace::getevent(self.pid)? as i32),
            over: false,
        };
        child.wait()?;
        self.go_on()?;
        self.wait_for_trap()?;
        Ok(child)
    }

    fn go_on(&self) -> Result<(), Astray> {
        Ok(ptrace::cont(self.pid, None)?)
    }

    /// Goes on to the next gate or breakpoint.
    pub(super) fn run(&self) -> Result<(), Astray> {
        self.go_on()?;
        self.wait_for_trap()
    }

    fn wait_for_trap(&self) -> Result<(), Astray> {
        match self.wait()? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => Ok(()),
            WaitStatus::Stopped(_, signal) => Err(Astray::Ended(format!("{signal}"))),
            other => Err(Astray::Ended(format!("{other:?}"))),
        }
    }

    /// Waits until it stands still.
    fn wait(&self) -> Result<WaitStatus, Astray> {
        let since = now();
        loop {
            match waitpid(self.pid, Some(WaitPidFlag::__WALL)) {
                Ok(status @ (WaitStatus::Exited(..) | WaitStatus::Signaled(..))) => {
                    return Err(Astray::Ended(format!("{status:?}")));
                }
                Ok(status) => return Ok(status),
                Err(Errno::EINTR) if is_overdue(since) => return Err(Astray::Hung),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn rip(&self) -> Result<u64, Astray> {
        let at = std::mem::offset_of!(libc::user, regs)
            + std::mem::offset_of!(libc::user_regs_struct, rip);
        Ok(ptrace::read_user(self.pid, at as AddressType)? as u64)
    }

    fn go_back_to(&self, rip: u64) -> Result<(), Astray> {
        let at = std::mem::offset_of!(libc::user, regs)
            + std::mem::offset_of!(libc::user_regs_struct, rip);
        Ok(ptrace::write_user(self.pid, at as AddressType, rip as i64)?)
    }

    fn peek(&self, at: u64) -> Result<i64, Astray> {
        Ok(ptrace::read(self.pid, at as AddressType)?)
    }

    fn poke(&self, at: u64, word: i64) -> Result<(), Astray> {
        Ok(ptrace::write(self.pid, at as AddressType, word)?)
    }

    fn step(&self) -> Result<(), Astray> {
        ptrace::step(self.pid, None)?;
        self.wait_for_trap()
    }

    /// Steps until `is_over`, from where it stands. `is_last` is asked before each instruction that enters
    /// the kernel: the way ends before one that would not come back.
    pub(super) fn trace(
        &self,
        text: &Range<u64>,
        is_over: impl Fn() -> bool,
        mut is_last: impl FnMut(&Self) -> bool,
    ) -> Result<Path, Astray> {
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
        Ok(Path::new(rips, calls, text))
    }

    /// Whether the call that it is about to make is one by which it goes to sleep.
    pub(super) fn is_about_to_sleep(&self) -> bool {
        ptrace::getregs(self.pid).is_ok_and(|regs| is_wait(regs.rax, regs.rsi))
    }

    /// Goes on until it sleeps.
    pub(super) fn fall_asleep(&self) -> Result<(), Astray> {
        loop {
            self.go_to_call()?;
            let regs = ptrace::getregs(self.pid)?;
            if !is_wait(regs.orig_rax, regs.rsi) {
                self.go_to_call()?;
                continue;
            }
            ptrace::syscall(self.pid, None)?;
            let since = now();
            while !self.is_asleep() {
                if is_overdue(since) {
                    return Err(Astray::Hung);
                }
                std::thread::yield_now();
            }
            return Ok(());
        }
    }

    fn is_asleep(&self) -> bool {
        task::state(self.pid) == Some('S')
    }

    fn go_to_call(&self) -> Result<(), Astray> {
        ptrace::syscall(self.pid, None)?;
        match self.wait()? {
            WaitStatus::PtraceSyscall(_) => Ok(()),
            other => Err(Astray::Ended(format!("{other:?}"))),
        }
    }

    /// Goes on to the gate, perhaps out of a sleep. Returns whether it ever slept until its time was over:
    /// then nobody woke it.
    pub(super) fn wake_up(&self, asleep: bool) -> Result<bool, Astray> {
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
                other => return Err(Astray::Ended(format!("{other:?}"))),
            }
        }
    }

    /// Goes to instruction `at` of the way, from the beginning of it; `slowly` is step by step, as it was
    /// found, for one whose way depends on the time.
    pub(super) fn approach(
        &self,
        path: &Path,
        at: usize,
        slowly: bool,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Astray> {
        let mut approach = path.approaches[at];
        if slowly {
            approach = Approach {
                anchor: None,
                steps: at as u32,
                ..approach
            };
        }
        if let Some((anchor, passes)) = approach.anchor {
            let word = self.peek(anchor)?;
            let broken = word & !0xff | INT3;
            for pass in 0..=passes {
                self.poke(anchor, broken)?;
                self.run()?;
                if is_over() || self.rip()? != anchor + 1 {
                    return Err(Astray::Diverged);
                }
                self.poke(anchor, word)?;
                self.go_back_to(anchor)?;
                if pass < passes {
                    self.step()?;
                }
            }
        }
        for _ in 0..approach.steps {
            self.step()?;
        }
        if is_over() || self.rip()? != path.rips[at] {
            return Err(Astray::Diverged);
        }
        Ok(())
    }

    /// Kills it where it stands, and waits for its end.
    pub(super) fn kill(mut self) {
        self.over = true;
        end(self.pid);
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if !self.over {
            end(self.pid);
        }
    }
}
