//! Runs a program at a pseudo-terminal, types into it, and reads its output.

// Unsafe code is needed for what a child does between fork and exec; no safe function can do it.
#![allow(unsafe_code)]

use super::{LIMIT, outcome};
use nix::libc;
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use splinter_testkit::Running;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

/// A program that runs at its own pseudo-terminal.
pub(crate) struct Terminal {
    child: Option<Child>,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// All output so far, with plain newlines.
    pub(crate) seen: String,
}

impl Terminal {
    /// Starts a program at a terminal of type `kind`; `dumb` has no line editing and shows plain text. It is the
    /// program's controlling terminal, so that its keys send signals.
    pub(crate) fn start(command: &mut Command, kind: &str) -> Self {
        let size = Winsize { ws_row: 50, ws_col: 150, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("open a pseudo-terminal");
        let end = || slave.try_clone().expect("duplicate the descriptor");
        // SAFETY: the closure calls nothing but setsid and ioctl, which POSIX and Linux allow between fork and exec.
        unsafe { command.pre_exec(take_over) };
        let child = command.env("TERM", kind).stdin(end()).stdout(end()).stderr(end()).spawn();
        let (sender, screen) = channel();
        let mut output = File::from(master.try_clone().expect("duplicate the descriptor"));
        // The read fails once the program has ended and its end of the terminal is closed.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len) = output.read(&mut bytes)
                && len > 0
                && sender.send(bytes[..len].to_vec()).is_ok()
            {}
        });
        // Drop the command's copies of the other end of the terminal.
        let silence = || std::process::Stdio::null();
        command.stdin(silence()).stdout(silence()).stderr(silence());
        let child = Some(child.expect("start the program"));
        Self { child, keyboard: master.into(), screen, seen: String::new() }
    }

    /// Returns the process id.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().expect("a running program").id()
    }

    /// Types keys.
    pub(crate) fn type_in(&mut self, keys: impl AsRef<[u8]>) {
        self.keyboard.write_all(keys.as_ref()).expect("write to the terminal");
    }

    /// Waits until the output ends with `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait(text, |seen| seen.ends_with(text));
    }

    /// Waits until the output contains `text`. Removes it from `seen`, and all before it.
    pub(crate) fn find(&mut self, text: &str) {
        self.wait(text, |seen| seen.contains(text));
        let end = self.seen.find(text).map_or(0, |at| at + text.len());
        self.seen.drain(..end);
    }

    fn wait(&mut self, text: &str, is_done: impl Fn(&str) -> bool) {
        let end = Instant::now() + LIMIT;
        while !is_done(&self.seen) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.screen.recv_timeout(left) else {
                panic!("{text:?} was not printed; this was:\n{}", self.seen);
            };
            self.seen.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
        }
    }

    /// Tells whether the terminal is in cooked mode, as a shell leaves it: it echoes keys and passes them on by lines.
    pub(crate) fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.keyboard).expect("read the settings").local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Waits for the program to end. Returns its exit code (none if a signal ended it) and the rest of its output.
    pub(crate) fn end(self) -> (Option<i32>, String) {
        self.end_with(|_| ())
    }

    /// As [`Self::end`], but calls `look` when the program has ended.
    pub(crate) fn end_with(mut self, look: impl FnOnce(&Self)) -> (Option<i32>, String) {
        let child = self.child.take().expect("a running program");
        let code = outcome(Running::from(child).end()).code;
        look(&self);
        while let Ok(bytes) = self.screen.recv_timeout(LIMIT) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
        }
        (code, std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a new session, and makes standard input its controlling terminal.
fn take_over() -> io::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: this request takes a number, and no memory.
    let taken = unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) };
    if taken == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Plays a transcript: types the text after each prompt, and compares the output. A line that begins with `...` calls
/// `meanwhile`, and is not expected in the output.
pub(crate) fn play(terminal: &mut Terminal, transcript: &str, meanwhile: impl Fn(&Terminal)) {
    let mut expected = String::new();
    for line in transcript.lines() {
        if line.starts_with("... ") {
            meanwhile(terminal);
            continue;
        }
        let (prompt, typed) = match line.split_once(" # ") {
            Some((prompt, typed)) => (format!("{prompt} # "), Some(format!("{typed}\n"))),
            None if line.ends_with(" #") => (format!("{line} "), None),
            None => {
                expected.push_str(&format!("{line}\n"));
                continue;
            }
        };
        expected.push_str(&prompt);
        terminal.wait_for(&prompt);
        assert_eq!(terminal.seen, expected);
        terminal.seen.clear();
        expected.clear();
        if let Some(typed) = typed {
            terminal.type_in(&typed);
            expected.push_str(&typed);
        }
    }
    assert_eq!(expected, "", "a transcript must end with a prompt");
}
