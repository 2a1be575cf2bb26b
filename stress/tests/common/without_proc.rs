//! A program without `/proc`, as in a bare chroot: in a mount namespace of its own, where an empty folder lies over it.

use std::process::{Command, Stdio};

/// Returns a program that is started so; none where this machine does not let a test have such a namespace.
pub(crate) fn without_proc(program: &str) -> Option<Command> {
    let start = |program: &str| {
        let hide = r#"mount -t tmpfs none /proc && exec "$0" "$@""#;
        let mut command = Command::new("unshare");
        // As root of a namespace of its own, since not everybody may mount.
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", hide, program]);
        command.stdin(Stdio::null());
        command
    };
    let possible = start("true").stderr(Stdio::null()).status();
    possible.is_ok_and(|status| status.success()).then(|| start(program))
}
