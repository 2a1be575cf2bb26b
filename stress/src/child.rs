//! Child processes that run this program again and end with their parent, and the descriptors that they inherit.
#![allow(unsafe_code)] // Takes the descriptors that the parent left open for it.

use nix::sys::signal::Signal;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Name of the program.
const PROGRAM: &str = "splinter-stress";

/// Returns the command that starts this program with a hidden verb. Its stderr is the parent's.
///
/// # Errors
/// One line if the program cannot be found.
pub(crate) fn command(verb: &str) -> Result<Command, String> {
    let mut command = Command::new(program()?);
    command
        .arg(verb)
        .arg(format!("--parent={}", std::process::id()))
        // Ctrl-C is for the parent, which stops its children in order.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Ok(command)
}

/// Finds the program: this one, or the one beside it where the engine runs inside another.
fn program() -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    if this.file_name().is_some_and(|name| name == PROGRAM) {
        return Ok(this);
    }
    this.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(PROGRAM))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!(
                "worker processes need the program {PROGRAM} beside this one: build it, or use \
             --workers threads"
            )
        })
}

/// Ties this process to the parent that started it: the kernel kills it when the parent ends.
///
/// # Errors
/// One line if the parent is gone, or never was.
pub(crate) fn follow(parent: u32) -> Result<(), String> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| format!("cannot follow the parent: {error}"))?;
    if std::os::unix::process::parent_id() != parent {
        return Err("the parent is gone; this command is not meant to be used by hand".to_owned());
    }
    Ok(())
}

/// Takes a descriptor that the parent left open.
///
/// # Errors
/// One line if it is not open.
pub(crate) fn inherited(fd: RawFd) -> Result<OwnedFd, String> {
    if fd <= 2 || nix::fcntl::fcntl(borrowed(fd), nix::fcntl::FcntlArg::F_GETFD).is_err() {
        return Err(format!("descriptor {fd} was not handed over"));
    }
    // SAFETY: the descriptor is open (just asked) and was opened for this call by the parent:
    // nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn borrowed(fd: RawFd) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: used for one system call, which answers EBADF if the descriptor is not open; `fd` is
    // not -1 (checked by the caller).
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }
}
