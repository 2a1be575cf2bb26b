//! Shared test code: a temporary folder with the program under its four names, stores that are removed afterwards,
//! single runs of the program, and runs at a terminal. Every wait has a time limit.

#![allow(dead_code, reason = "each test file uses only a part of it")]

pub(crate) mod terminal;

use splinter::Location;
use splinter_testkit::Running;
pub(crate) use splinter_testkit::wait::{LIMIT, wait_until};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

/// The four names of the program.
pub(crate) const NAMES: [&str; 4] = ["splinter_cli", "splinterctl", "splinterp_cli", "splinterpctl"];

/// A temporary folder with the four names in `bin/`, and unique names for stores. Dropping it removes all of them.
pub(crate) struct Sandbox {
    pub(crate) folder: PathBuf,
    id: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let id = splinter_testkit::unique();
        let folder = std::env::temp_dir().join(&id);
        std::fs::create_dir_all(folder.join("bin")).expect("create the folder");
        for name in NAMES {
            symlink(env!("CARGO_BIN_EXE_splinter_cli"), folder.join("bin").join(name))
                .expect("create the link");
        }
        Self { folder, id }
    }

    /// Returns a unique name for a store in shared memory, made from the name in a document.
    pub(crate) fn store(&self, name: &str) -> String {
        format!("{name}-{}", self.id)
    }

    /// Returns a command that runs the program under one of its names, in the folder, with a clean environment.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(name));
        self.prepare(&mut command);
        command
    }

    /// Sets a command's working folder and environment: the four names come first on its path, and no variable of
    /// Splinter is set.
    pub(crate) fn prepare(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.folder.join("bin").display());
        command.current_dir(&self.folder).env("PATH", path).env("HOME", &self.folder);
        for variable in [
            "SPLINTER_DEFAULT_STORE",
            "SPLINTER_NS_PREFIX",
            "SPLINTER_HISTORY_FILE",
            "SPLINTER_DEFAULT_UMASK",
            "SPLINTER_PROFILE",
        ] {
            command.env_remove(variable);
        }
    }

    /// Runs `splinterctl` on a store.
    pub(crate) fn ctl<S: AsRef<OsStr>>(&self, store: &str, words: &[S]) -> Outcome {
        run(self.command("splinterctl").args(["--use", store]).args(words), b"")
    }

    /// Runs `splinterctl` on a store, and checks that it succeeds. Returns its output.
    pub(crate) fn good<S: AsRef<OsStr>>(&self, store: &str, words: &[S]) -> String {
        self.ctl(store, words).good()
    }

    /// Creates a store with the default geometry. Returns its name.
    pub(crate) fn init(&self, name: &str) -> String {
        let store = self.store(name);
        run(self.command("splinterctl").args(["init", &store]), b"").good();
        store
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        let entries = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
            if name.contains(&self.id) {
                let _ = Location::shared(name).and_then(|location| location.unlink());
            }
        }
    }
}

/// The exit code and the output of a program that has ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Outcome {
    /// Checks that the program succeeded and printed no error. Returns its output.
    pub(crate) fn good(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        String::from_utf8(self.out).expect("UTF-8")
    }

    /// Checks the exit code and the one error line.
    pub(crate) fn failed(&self, code: i32, line: &str) {
        assert_eq!((self.code, self.err.as_str()), (Some(code), &*format!("{line}\n")), "{self:?}");
    }
}

/// Runs a command with `input`, with a time limit.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Outcome {
    outcome(fed(command, input))
}

/// As [`run`], and returns all that the process left.
pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Output {
    let mut running = Running::start(command.stdin(Stdio::piped()));
    // A thread writes the input, so that a program that does not read it all cannot block the test. Ignore the error of
    // unread input.
    let mut stdin = running.child().stdin.take().expect("take the pipe");
    let input = input.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = running.end();
    let _ = writer.join();
    output
}

/// Returns the exit code and the output of a process that has ended.
pub(crate) fn outcome(output: Output) -> Outcome {
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    Outcome { code: output.status.code(), out: output.stdout, err }
}

/// Waits until a process sleeps on a futex, as one that waits for a change does.
pub(crate) fn wait_until_asleep(process: u32) {
    wait_until_in(process, &format!("{} ", nix::libc::SYS_futex));
}

/// Waits until a process reads from its standard input.
pub(crate) fn wait_until_reading(process: u32) {
    wait_until_in(process, &format!("{} 0x0 ", nix::libc::SYS_read));
}

/// Waits until a process writes to its standard output, which takes no more.
pub(crate) fn wait_until_writing(process: u32) {
    wait_until_in(process, &format!("{} 0x1 ", nix::libc::SYS_write));
}

/// Waits until a process is in poll or ppoll, whichever the architecture has.
pub(crate) fn wait_until_polling(process: u32) {
    wait_until("a process to be in poll or ppoll", || {
        is_in(process, &format!("{} ", nix::libc::SYS_ppoll)) || is_in_poll(process)
    });
}

#[cfg(target_arch = "x86_64")]
fn is_in_poll(process: u32) -> bool {
    is_in(process, &format!("{} ", nix::libc::SYS_poll))
}

#[cfg(not(target_arch = "x86_64"))]
fn is_in_poll(_: u32) -> bool {
    false
}

/// Waits until a process is in a system call.
fn wait_until_in(process: u32, wanted: &str) {
    wait_until("a process to be in a system call", || is_in(process, wanted));
}

/// Tells whether a process is in a system call. `/proc` shows the call's number and arguments, which must begin with
/// `wanted`.
fn is_in(process: u32, wanted: &str) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{process}/syscall"));
    call.is_ok_and(|call| call.starts_with(wanted))
}

/// Writes text into a file in `folder`. Returns its path.
pub(crate) fn file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("write the file");
    path
}
