//! Programs on machines of another kind, as far as they can tell: a kernel that has many processors, and one without `/proc`.

#![allow(unsafe_code, reason = "a filter is installed between fork and exec")]

use crate::skip::skipped;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// Bytes of the shortest mask that such a kernel fills in.
const SHORTEST: u32 = 2048 / 8;
/// Of `seccomp_data`: the call's number, and its second argument's lower half.
const NUMBER: u32 = 0;
const LENGTH: u32 = 24;

/// Has a command run as on a kernel with more than 1,024 possible processors: `sched_getaffinity` answers EINVAL to masks that
/// are too short for 2,048. A system call filter does that, which the program and all it starts inherit.
pub fn on_many_processors(command: &mut Command) -> &mut Command {
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

/// Returns a shell that runs a script in a mount namespace of its own, where a new file system in memory lies over a folder;
/// `options` are the mount's. Says that `what` is skipped and returns none where a test may have no such namespace.
pub fn with_tmpfs(what: &str, folder: &str, options: &str, script: &str) -> Option<Command> {
    let start = |script: &str| {
        let mut command = Command::new("unshare");
        let script = format!("mount -t tmpfs -o {options} none {folder} || exit 77; {script}");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]).stdin(Stdio::null());
        command
    };
    let is_possible = start("true").output().is_ok_and(|output| output.status.success());
    if !is_possible {
        skipped(&format!("{what}: no unshare, or no namespaces for this user"));
    }
    is_possible.then(|| start(script))
}

/// Returns a program that runs without `/proc`, as in a bare chroot: an empty folder lies over it. Returns none as
/// [`with_tmpfs`] does.
pub fn without_proc(program: &str) -> Option<Command> {
    let mut command = with_tmpfs("a program without /proc", "/proc", "size=4k", r#"exec "$0" "$@""#)?;
    command.arg(program);
    Some(command)
}
