//! Runs programs for which the kernel refuses unlinked files (`O_TMPFILE`), as some file systems do.

// Unsafe code is needed for what a child does between fork and exec, and for the seccomp filter that it sets there.
#![allow(unsafe_code)]

use nix::libc;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes every open with `O_TMPFILE` fail, in `command` and in the programs it starts.
pub(crate) fn unnamed_files(command: &mut Command) -> &mut Command {
    // SAFETY: the closure calls nothing but prctl, which Linux allows between fork and exec.
    unsafe { command.pre_exec(deny) }
}

fn deny() -> io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    // O_TMPFILE is this bit and that of O_DIRECTORY.
    let unnamed = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;
    let refused = libc::SECCOMP_RET_ERRNO | libc::EOPNOTSUPP as u32;
    let mut steps = [
        // The filter's data has the call's number in its first 32-bit word, and the lower half of the third argument in
        // its ninth.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 2, libc::SYS_openat as u32),
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 32),
        step(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 1, 0, unnamed),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refused),
    ];
    let filter = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: this option takes integers only.
    let privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    let mode = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the filter and its steps are complete, and live through the call, which copies them.
    let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) };
    if privileges == 0 && filtered == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
