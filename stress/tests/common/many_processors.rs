//! A kernel with more than 1,024 possible processors, as far as a program can tell: `sched_getaffinity` answers EINVAL to
//! masks that are too short for 2,048. A system call filter does that, which the program and all it starts inherit.
#![allow(unsafe_code)] // Installs the filter between fork and exec.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Bytes of the shortest mask that such a kernel fills in.
const SHORTEST: u32 = 2048 / 8;
/// Of `seccomp_data`: the call's number, and its second argument's lower half.
const NUMBER: u32 = 0;
const LENGTH: u32 = 24;

/// Has a command run as on such a kernel.
pub(crate) fn on_many_processors(command: &mut Command) -> &mut Command {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let compare = |how: u32| (libc::BPF_JMP | how | libc::BPF_K) as u16;
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let call = u32::try_from(libc::SYS_sched_getaffinity).expect("calls have small numbers");
    let filter = [
        step(load, NUMBER, 0, 0),
        step(compare(libc::BPF_JEQ), call, 0, 2),
        step(load, LENGTH, 0, 0),
        step(compare(libc::BPF_JGE), SHORTEST, 0, 1),
        step(answer, libc::SECCOMP_RET_ALLOW, 0, 0),
        step(answer, libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32, 0, 0),
    ];
    let install = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: takes numbers alone.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let (mode, program) = (libc::SECCOMP_MODE_FILTER, &raw const program);
        // SAFETY: the filter is only read, and lives through the call.
        match unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, program) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec it makes two system calls and touches its own stack alone.
    unsafe { command.pre_exec(install) }
}
