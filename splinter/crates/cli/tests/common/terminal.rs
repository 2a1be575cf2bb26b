//! A program at a terminal: a pseudo-terminal, what was typed into it, and what came out.

// Opts in for what a child does between fork and exec, which no safe function can do.
#![allow(unsafe_code)]

use super::{PATIENCE, told};
use nix::libc;
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

/// A program that runs at a terminal of its own.
pub(crate) struct Terminal {
    child: Option<Child>,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// All that came out so far, with plain newlines.
    pub(crate) seen: String,
}

impl Terminal {
    /// Starts a program at a terminal of a kind: `dumb` has no editing, and shows plain text. It is the program's controlling
    /// terminal, so that its keys send signals.
    pub(crate) fn start(command: &mut Command, kind: &str) -> Self {
        let size = Winsize { ws_row: 50, ws_col: 150, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("a pseudo-terminal");
        let end = || slave.try_clone().expect("a descriptor");
        // SAFETY: the closure calls nothing but setsid and ioctl, which POSIX and Linux allow between fork and exec.
        unsafe { command.pre_exec(take_over) };
        let child = command.env("TERM", kind).stdin(end()).stdout(end()).stderr(end()).spawn();
        let (sender, screen) = channel();
        let mut output = File::from(master.try_clone().expect("a descriptor"));
        // Ends with an error once the program has gone, and its end of the terminal with it.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len) = output.read(&mut bytes)
                && len > 0
                && sender.send(bytes[..len].to_vec()).is_ok()
            {}
        });
        // What is left of the other end goes with the command.
        let silence = || std::process::Stdio::null();
        command.stdin(silence()).stdout(silence()).stderr(silence());
        let child = Some(child.expect("the program"));
        Self { child, keyboard: master.into(), screen, seen: String::new() }
    }

    /// Returns the process's number.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().expect("a program").id()
    }

    /// Types.
    pub(crate) fn type_in(&mut self, keys: impl AsRef<[u8]>) {
        self.keyboard.write_all(keys.as_ref()).expect("a terminal");
    }

    /// Waits until all that came out ends with `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait(text, |seen| seen.ends_with(text));
    }

    /// Waits until `text` is among what came out. Forgets it, and what came before it.
    pub(crate) fn find(&mut self, text: &str) {
        self.wait(text, |seen| seen.contains(text));
        let end = self.seen.find(text).map_or(0, |at| at + text.len());
        self.seen.drain(..end);
    }

    fn wait(&mut self, text: &str, is_done: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_done(&self.seen) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.screen.recv_timeout(left) else {
                panic!("{text:?} did not come; this did:\n{}", self.seen);
            };
            self.seen.push_str(&String::from_utf8_lossy(&bytes).replace('\r', ""));
        }
    }

    /// Tells whether the terminal shows what is typed, and hands it on by lines: as a shell leaves it.
    pub(crate) fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.keyboard).expect("a terminal").local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Waits for the end of the program. Returns its exit code, or none if a signal ended it.
    pub(crate) fn end(self) -> (Option<i32>, String) {
        self.end_with(|_| ())
    }

    /// As [`Self::end`], with a look at the terminal when the program has gone.
    pub(crate) fn end_with(mut self, look: impl FnOnce(&Self)) -> (Option<i32>, String) {
        let child = self.child.take().expect("a program");
        let code = told(super::finish(child)).code;
        look(&self);
        while let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
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

/// Makes standard input the controlling terminal of a session of its own.
fn take_over() -> io::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: this request takes a number, and no memory.
    let taken = unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) };
    if taken == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Plays a transcript: types what follows each prompt, and compares all that comes out with it. A line in `...` is done
/// by `meanwhile`, and not shown.
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
    assert_eq!(expected, "", "a transcript ends with a prompt");
}
