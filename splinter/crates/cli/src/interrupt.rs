//! What becomes of Ctrl-C at a prompt: SIGINT, and whose it is at the moment. Knows nothing of the editor, nor of
//! what a command does when it is to end.

// Opts in for giving the signal back to the system, which no safe function does.
#![allow(unsafe_code)]

use nix::sys::signal::{SigHandler, Signal, signal};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose Ctrl-C is. It begins in the hands of the system, and goes back and forth after [`Self::catch`].
#[derive(Debug, Default)]
pub struct Interrupt {
    /// Whether the next one ends the program: nobody listens, or the command was already told.
    is_fatal: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes the signal over, from the system or from whoever has it: what that did with it, it does no more. A command is
    /// taken to be running.
    ///
    /// # Errors
    /// Those of the system.
    pub fn catch(&self) -> io::Result<()> {
        // Whoever had it would be called as well: an editor would take it for a key, much later.
        // SAFETY: the system's own action touches no memory of this program.
        unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }?;
        // In this order: what ends the program looks at the flag before it is set.
        let (number, fatal) = (Signal::SIGINT as i32, &self.is_fatal);
        signal_hook::flag::register_conditional_default(number, Arc::clone(fatal))?;
        signal_hook::flag::register(number, Arc::clone(fatal)).map(|_| ())
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
