//! A child that is looked at while it runs: which system calls it makes, or what it leaves when it is killed
//! behind any one of its instructions.

#![allow(unsafe_code, reason = "tracing has no safe interface here")]

use crate::process::Forked;

/// A traced child, stopped except while the parent waits for it.
pub struct Traced(Forked);

impl Traced {
    /// Runs `body` in a child that stands still before it.
    pub fn new(body: impl FnOnce()) -> Self {
        let mut child = Forked::new(|| {
            request(libc::PTRACE_TRACEME, 0, 0);
            // SAFETY: raise takes no pointer.
            unsafe { libc::raise(libc::SIGSTOP) };
            body();
        });
        assert!(child.pause(), "the child stops before it begins");
        // Otherwise the kernel does not tell stops at system calls from others.
        request(libc::PTRACE_SETOPTIONS, child.id(), libc::PTRACE_O_TRACESYSGOOD);
        Self(child)
    }

    /// Makes a call that does nothing, by which a child tells that it got so far.
    pub fn mark() {
        // SAFETY: getppid takes nothing and cannot fail.
        unsafe { libc::getppid() };
    }

    /// Runs up to the next mark. Returns what the futex calls on the way answered, and how many others there were.
    pub fn run_to_mark(&mut self) -> (Vec<i64>, usize) {
        let (mut woken, mut others) = (Vec::new(), 0);
        loop {
            match self.next_call() {
                (libc::SYS_getppid, _) => return (woken, others),
                (libc::SYS_futex, answer) => woken.push(answer),
                _ => others += 1,
            }
        }
    }

    /// Runs through the next system call. Returns its number and its answer.
    fn next_call(&mut self) -> (libc::c_long, i64) {
        let mut number = 0;
        loop {
            request(libc::PTRACE_SYSCALL, self.0.id(), 0);
            assert!(self.0.pause(), "the child ended");
            let info = call_info(self.0.id());
            match info.op {
                libc::PTRACE_SYSCALL_INFO_ENTRY => {
                    // SAFETY: the kernel filled the part of the union that the kind of stop names.
                    number = unsafe { info.u.entry.nr } as libc::c_long;
                }
                libc::PTRACE_SYSCALL_INFO_EXIT => {
                    // SAFETY: as above.
                    return (number, unsafe { info.u.exit.sval });
                }
                _ => {}
            }
        }
    }

    /// Runs one instruction. Returns whether there may be another.
    pub fn step(&mut self) -> bool {
        request(libc::PTRACE_SINGLESTEP, self.0.id(), 0);
        self.0.pause()
    }

    /// Kills the child where it stands.
    pub fn kill(self) {
        self.0.kill();
    }
}

fn request(what: libc::c_uint, child: libc::pid_t, data: libc::c_int) {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    let data = libc::c_long::from(data);
    // SAFETY: none of these requests has a pointer; the child is this process's own, and stopped.
    let answer = unsafe { libc::ptrace(what, child, nothing, data) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

fn call_info(child: libc::pid_t) -> libc::ptrace_syscall_info {
    // SAFETY: all zeroes is one of its values.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let room = size_of_val(&info);
    // SAFETY: the kernel writes at most as many bytes as it is told there are.
    let len = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, child, room, &raw mut info) };
    assert!(len > 0, "{}", std::io::Error::last_os_error());
    info
}
