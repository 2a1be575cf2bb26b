//! What the tests of the command line share: a folder with the four names, stores that vanish afterwards, programs run
//! once, and programs at a terminal. Every wait is bounded.

#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod terminal;

use splinter::Location;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The names by which the program goes.
pub(crate) const NAMES: [&str; 4] =
    ["splinter_cli", "splinterctl", "splinterp_cli", "splinterpctl"];

/// A folder of its own with the four names in `bin/`, and stores whose names nobody else has. All of it goes in the end.
pub(crate) struct Bench {
    pub(crate) folder: PathBuf,
    id: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        // What ends like this is no beginning of another's.
        let id = format!("splinter-cli-{}-{next}z", std::process::id());
        let folder = std::env::temp_dir().join(&id);
        std::fs::create_dir_all(folder.join("bin")).expect("a folder");
        for name in NAMES {
            symlink(env!("CARGO_BIN_EXE_splinter_cli"), folder.join("bin").join(name))
                .expect("a link");
        }
        Self { folder, id }
    }

    /// Makes up the name of a store in shared memory, from one that a document has.
    pub(crate) fn store(&self, name: &str) -> String {
        format!("{name}-{}", self.id)
    }

    /// Prepares a program, by one of its names: in the folder, with an environment of its own.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(name));
        self.settle(&mut command);
        command
    }

    /// Puts a command into the folder, with the four names first on its path and nothing of splinter's in its environment.
    pub(crate) fn settle(&self, command: &mut Command) {
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
    pub(crate) fn ctl<S: AsRef<OsStr>>(&self, store: &str, words: &[S]) -> Told {
        run(self.command("splinterctl").args(["--use", store]).args(words), b"")
    }

    /// Runs `splinterctl` on a store, which must go well. Returns what it printed.
    pub(crate) fn good<S: AsRef<OsStr>>(&self, store: &str, words: &[S]) -> String {
        self.ctl(store, words).good()
    }

    /// Makes a store with the default geometry.
    pub(crate) fn init(&self, name: &str) -> String {
        let store = self.store(name);
        run(self.command("splinterctl").args(["init", &store]), b"").good();
        store
    }
}

impl Drop for Bench {
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

/// What a program told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Told {
    /// Returns what was printed, after checking that nothing went wrong.
    pub(crate) fn good(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        String::from_utf8(self.out).expect("text")
    }

    /// Checks the exit code and the one line that says why.
    pub(crate) fn failed(&self, code: i32, line: &str) {
        assert_eq!((self.code, self.err.as_str()), (Some(code), &*format!("{line}\n")), "{self:?}");
    }
}

/// Says why a test cannot be run here, also in the file that gathers this.
pub(crate) fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
    if let Some(path) = std::env::var_os("SPLINTER_TEST_SKIPS") {
        let file = std::fs::File::options().append(true).create(true).open(path);
        let said = file.and_then(|mut file| file.write_all(format!("{why}\n").as_bytes()));
        said.expect("a file for what is skipped");
    }
}

/// Runs a command with `input`, for a bounded time.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Told {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program");
    // Who does not read it all is not to block; what is left unread is an error nobody minds.
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = finish(child);
    let _ = writer.join();
    told(output)
}

/// Waits for a program to end. Ends it if that takes too long.
pub(crate) fn finish(child: Child) -> Output {
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let late = is_over
            .recv_timeout(PATIENCE)
            .is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout);
        if late {
            let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL);
        }
        late
    });
    let output = child.wait_with_output().expect("an output");
    drop(over);
    assert!(!guard.join().expect("no panic"), "the program did not end: {output:?}");
    output
}

pub(crate) fn told(output: Output) -> Told {
    let err = String::from_utf8(output.stderr).expect("text");
    Told { code: output.status.code(), out: output.stdout, err }
}

/// Waits until `done` says so.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}: waited in vain");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a process sleeps on a futex, as one that waits for a change does.
pub(crate) fn wait_until_asleep(process: u32) {
    wait_until_in(process, &format!("{} ", nix::libc::SYS_futex));
}

/// Waits until a process reads from its standard input.
pub(crate) fn wait_until_reading(process: u32) {
    wait_until_in(process, &format!("{} 0x0 ", nix::libc::SYS_read));
}

/// Waits until a process waits for a descriptor, by whichever call its machine has.
pub(crate) fn wait_until_polling(process: u32) {
    wait_until("a process to wait for a descriptor", || {
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

/// Tells whether a process is in a system call, of which the kernel tells number and arguments.
fn is_in(process: u32, wanted: &str) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{process}/syscall"));
    call.is_ok_and(|call| call.starts_with(wanted))
}

/// Turns text into a file below `folder`.
pub(crate) fn file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}
