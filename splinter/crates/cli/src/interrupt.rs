//! What becomes of Ctrl-C at a prompt: SIGINT, and whose it is at the moment. Who is ended by it, or by SIGTERM, while the
//! editor has the terminal gives that back first. A signal that was ignored when the program began stays ignored. Knows
//! nothing of what a command does when it is to end.

// Opts in for what runs when a signal comes, which no safe function can set.
#![allow(unsafe_code)]

use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::termios::tcgetattr;
use signal_hook::low_level::{emulate_default_handler, register};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose Ctrl-C is. It begins in the hands of the system, and goes back and forth after [`Self::catch`].
#[derive(Debug)]
pub struct Interrupt {
    /// Whether the next one ends the program: nobody listens, or the command was already told.
    is_fatal: Arc<AtomicBool>,
    /// Whether SIGINT was ignored to begin with.
    is_ignored: bool,
    /// Whether SIGTERM was.
    is_end_ignored: bool,
}

impl Interrupt {
    /// Notes which signals the program was begun without. To be called before anybody, the editor included, takes one.
    pub fn begin() -> Self {
        Self {
            is_fatal: Arc::default(),
            is_ignored: is_ignored(Signal::SIGINT),
            is_end_ignored: is_ignored(Signal::SIGTERM),
        }
    }

    /// Takes the signal over, from the system or from whoever has it: what that did with it, it does no more. A command is
    /// taken to be running. The terminal is as it is to be left: no editor reads from it yet. What was ignored to begin with
    /// is so again.
    ///
    /// # Errors
    /// Those of the system.
    pub fn catch(&self) -> io::Result<()> {
        // Whoever had it would be called as well: an editor would take it for a key, much later.
        let own = if self.is_ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
        // SAFETY: the system's own actions touch no memory of this program.
        unsafe { signal(Signal::SIGINT, own) }?;
        let found = tcgetattr(io::stdin()).ok().map(libc::termios::from);
        let (interrupt, terminate) = (Signal::SIGINT as i32, Signal::SIGTERM as i32);
        let is_fatal = Arc::clone(&self.is_fatal);
        let pressed = move || match is_fatal.swap(true, Ordering::Relaxed) {
            // Whoever listens hears of it.
            false => {}
            // As the editor has it for the key.
            true if found.is_some_and(give_back) => exit(),
            true => drop(emulate_default_handler(interrupt)),
        };
        if !self.is_ignored {
            // SAFETY: it makes, takes and frees no memory, and calls nothing but what POSIX allows when a signal comes,
            // and what signal-hook does.
            unsafe { register(interrupt, pressed) }?;
        }
        let ended = move || {
            found.map(give_back);
            let _ = emulate_default_handler(terminate);
        };
        if !self.is_end_ignored {
            // SAFETY: as above.
            unsafe { register(terminate, ended) }?;
        }
        Ok(())
    }

    /// Has the next Ctrl-C end the program: no command runs. The editor may read the key before it becomes a signal.
    pub fn leave(&self) {
        self.is_fatal.store(true, Ordering::Relaxed);
    }

    /// Has the next Ctrl-C end the command that is about to run, and only a second one the program.
    pub fn listen(&self) {
        self.is_fatal.store(false, Ordering::Relaxed);
    }

    /// Tells whether Ctrl-C was pressed since [`Self::listen`].
    pub fn is_pressed(&self) -> bool {
        self.is_fatal.load(Ordering::Relaxed)
    }
}

/// Tells whether a signal is ignored, as whoever started the program may have left it. Changes nothing.
pub(crate) fn is_ignored(signal: Signal) -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: there is room for what it writes, and without a new action it changes nothing.
    if unsafe { libc::sigaction(signal as i32, ptr::null(), now.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call that went well wrote all of it.
    unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Gives the terminal back as it was found, if an editor has it: one that takes every key as it is typed. Returns whether it
/// did.
fn give_back(found: libc::termios) -> bool {
    let input = libc::STDIN_FILENO;
    // SAFETY: this call takes a number.
    let foreground = unsafe { libc::tcgetpgrp(input) };
    // SAFETY: this call takes nothing. To whom the terminal does not belong, it would be stopped for changing it.
    let is_ours = foreground == unsafe { libc::getpgrp() };
    let mut now = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: there is room for what it writes.
    if !is_ours || unsafe { libc::tcgetattr(input, now.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call that went well wrote all of it.
    let now = unsafe { now.assume_init() };
    if now.c_lflag & libc::ICANON != 0 {
        return false;
    }
    // SAFETY: it is whole, and only read.
    let _ = unsafe { libc::tcsetattr(input, libc::TCSANOW, &raw const found) };
    // Pasted text has no marks around it any more, and what comes next begins on a line of its own.
    let last = b"\x1b[?2004l\n";
    // SAFETY: these are as many bytes; that not all of them were written changes nothing.
    let _ = unsafe { libc::write(libc::STDOUT_FILENO, last.as_ptr().cast(), last.len()) };
    true
}

/// Ends the program as one that has done its work.
fn exit() {
    // SAFETY: _exit takes any number, and does not return.
    unsafe { libc::_exit(0) }
}
