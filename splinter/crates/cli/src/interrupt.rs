//! Handles Ctrl-C (SIGINT) and SIGTERM at a prompt. Ctrl-C first ends the command that runs, and only then the program.
//! If a signal ends the program while the editor has the terminal, the handler restores the terminal first. A signal
//! that was ignored when the program started stays ignored. How a command ends is its own matter.

// Unsafe code is needed to set signal handlers; no safe function can.
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

/// The state of Ctrl-C. The system's default applies at first; after [`Self::catch`], the prompt and its commands take
/// turns.
#[derive(Debug)]
pub(crate) struct Interrupt {
    /// Whether the next Ctrl-C ends the program: no command listens, or the command has been interrupted already.
    is_fatal: Arc<AtomicBool>,
    /// Whether SIGINT was ignored when the program started.
    is_sigint_ignored: bool,
    /// Whether SIGTERM was ignored when the program started.
    is_sigterm_ignored: bool,
}

impl Interrupt {
    /// Records which signals were ignored when the program started. Call it before anything, the editor included,
    /// installs a handler.
    pub(crate) fn begin() -> Self {
        Self {
            is_fatal: Arc::default(),
            is_sigint_ignored: is_ignored(Signal::SIGINT),
            is_sigterm_ignored: is_ignored(Signal::SIGTERM),
        }
    }

    /// Installs the handlers for SIGINT and SIGTERM. A handler that was there before no longer runs. A command counts
    /// as running. The terminal must be in the state to restore later: no editor reads from it yet. Signals that were
    /// ignored at the start are ignored again.
    pub(crate) fn catch(&self) -> io::Result<()> {
        // signal-hook would call the previous handler as well: an editor's would count the signal as a key, much later.
        let own = if self.is_sigint_ignored { SigHandler::SigIgn } else { SigHandler::SigDfl };
        // SAFETY: the system's own actions touch no memory of this program.
        unsafe { signal(Signal::SIGINT, own) }?;
        let found = tcgetattr(io::stdin()).ok().map(libc::termios::from);
        let (interrupt, terminate) = (Signal::SIGINT as i32, Signal::SIGTERM as i32);
        let is_fatal = Arc::clone(&self.is_fatal);
        let pressed = move || match is_fatal.swap(true, Ordering::Relaxed) {
            // The command that runs will see the flag.
            false => {}
            // Exit code 0, as when the editor reads the key.
            true if found.is_some_and(restore_terminal) => exit(),
            true => drop(emulate_default_handler(interrupt)),
        };
        if !self.is_sigint_ignored {
            // SAFETY: the closure allocates and frees no memory, and calls nothing but what POSIX allows in signal
            // handlers, and what signal-hook does.
            unsafe { register(interrupt, pressed) }?;
        }
        let ended = move || {
            found.map(restore_terminal);
            let _ = emulate_default_handler(terminate);
        };
        if !self.is_sigterm_ignored {
            // SAFETY: as above.
            unsafe { register(terminate, ended) }?;
        }
        Ok(())
    }

    /// Makes the next Ctrl-C end the program, since no command runs. The editor may read the key before it becomes a
    /// signal.
    pub(crate) fn leave(&self) {
        self.is_fatal.store(true, Ordering::Relaxed);
    }

    /// Makes the next Ctrl-C end the command that is about to run, and only a second one the program.
    pub(crate) fn listen(&self) {
        self.is_fatal.store(false, Ordering::Relaxed);
    }

    /// Tells whether Ctrl-C was pressed since [`Self::listen`].
    pub(crate) fn is_pressed(&self) -> bool {
        self.is_fatal.load(Ordering::Relaxed)
    }
}

/// Tells whether a signal is ignored, as the parent process may have set it. Changes nothing.
pub(crate) fn is_ignored(signal: Signal) -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: there is room for what it writes, and without a new action it changes nothing.
    if unsafe { libc::sigaction(signal as i32, ptr::null(), now.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the successful call wrote all of it.
    unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Restores the terminal's settings if an editor has it in raw mode, where every key is read as it is typed. Returns
/// whether it did.
fn restore_terminal(found: libc::termios) -> bool {
    let input = libc::STDIN_FILENO;
    // SAFETY: this call takes a number.
    let foreground = unsafe { libc::tcgetpgrp(input) };
    // SAFETY: this call takes nothing. The check is needed because the kernel stops a background process that changes
    // the terminal.
    let is_ours = foreground == unsafe { libc::getpgrp() };
    let mut now = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: there is room for what it writes.
    if !is_ours || unsafe { libc::tcgetattr(input, now.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the successful call wrote all of it.
    let now = unsafe { now.assume_init() };
    if now.c_lflag & libc::ICANON != 0 {
        return false;
    }
    // SAFETY: the structure is complete, and only read.
    let _ = unsafe { libc::tcsetattr(input, libc::TCSANOW, &raw const found) };
    // Turn off bracketed paste, and begin a new line.
    let last = b"\x1b[?2004l\n";
    // SAFETY: the length is that of the bytes. A partial write is harmless.
    let _ = unsafe { libc::write(libc::STDOUT_FILENO, last.as_ptr().cast(), last.len()) };
    true
}

/// Ends the program with exit code 0.
fn exit() {
    // SAFETY: _exit takes any number, and does not return.
    unsafe { libc::_exit(0) }
}
