//! A descriptor that becomes readable when a word of shared memory is woken, for programs that wait in epoll and the
//! like. It is an eventfd. The kernel raises it ([`uring`], a futex wait through io_uring), or a thread does
//! ([`helper`]). Either may replace the other while the descriptor stays the same. This module does not know which
//! threads wake the word, or what it counts.

mod event;
mod helper;
mod uring;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use self::event::EventFd;
pub(crate) use self::event::{IdleCall, WakeWord};
use self::helper::Helper;
use self::uring::Ring;
use super::process::process;

/// What makes a watcher's descriptor readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notifier {
    /// The kernel itself, which waits on the futex through io_uring. This needs Linux 6.7 and a sandbox that allows it.
    /// It is the fastest, and needs no thread.
    IoUring,
    /// A thread that sleeps on the futex and writes to an eventfd. It works everywhere, and costs one more context
    /// switch each time.
    HelperThread,
}

/// How often a watcher's ring may be made anew because another thread arms it, before a helper thread replaces it. This
/// is enough for a watcher that one thread makes and another uses. It is a bound for one that moves between the threads
/// of a pool, where each arming would cost a ring.
const MOVES_MAX: u32 = 3;

enum Backend {
    Uring(Box<Ring>),
    Helper(Helper),
}

/// A descriptor that becomes readable when a wake word is woken.
///
/// To wait: load the wake word, look for a change, [`arm`](Self::arm) with the loaded value, poll,
/// [`drain`](Self::drain), and begin again. A readable descriptor only means that it is time to look. A moving thread,
/// a signal or another owner's end may make it readable as well.
pub(crate) struct Pollable {
    wake_word: WakeWord,
    idle: IdleCall,
    ready: Arc<EventFd>,
    backend: Backend,
    armed: bool,
    moves_left: u32,
    process: u64,
}

impl Pollable {
    /// Makes a pollable that is not armed, by io_uring where that works, otherwise by a helper thread. The helper
    /// thread calls `idle` while it is armed and no wake comes. With io_uring there is no thread to call it: the caller
    /// polls with a timeout, and looks then.
    ///
    /// # Errors
    ///
    /// The kernel's error, when `prefer` asks for a way that does not work here, or when there is no descriptor or
    /// thread left. `InvalidInput` for an empty mask.
    pub(crate) fn new(wake_word: WakeWord, idle: IdleCall, prefer: Option<Notifier>) -> io::Result<Self> {
        if wake_word.mask == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let ready = Arc::new(EventFd::new()?);
        let helper = || Helper::new(wake_word.clone(), idle.clone(), Arc::clone(&ready)).map(Backend::Helper);
        let backend = match prefer {
            Some(Notifier::IoUring) => Backend::Uring(Box::new(Ring::new(&ready)?)),
            Some(Notifier::HelperThread) => helper()?,
            None => Ring::new(&ready).map(|ring| Backend::Uring(Box::new(ring))).or_else(|_| helper())?,
        };
        Ok(Self { wake_word, idle, ready, backend, armed: false, moves_left: MOVES_MAX, process: process() })
    }

    /// Makes the descriptor readable at the next wake for one of the groups; at once, if the wake word differs from
    /// `expected` already.
    ///
    /// # Errors
    ///
    /// `Unsupported` in a forked child, which has neither the thread nor the ring. The kernel's error when it starts no
    /// thread.
    pub(crate) fn arm(&mut self, expected: u32) -> io::Result<()> {
        if self.is_inherited() {
            let reason = "a forked child cannot wait with its parent's descriptor: make a new one";
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        }
        self.wait(expected)?;
        self.armed = true;
        // A wait that was under way already did not compare the wake word with this `expected`. But it began before the
        // load below, so a wake that the load does not see ends it.
        if self.wake_word.reading() != expected {
            self.ready.raise();
        }
        Ok(())
    }

    /// Makes the descriptor unreadable. It never waits, and may be called repeatedly.
    ///
    /// A wait that no wake has ended goes on. So the next wake may make the descriptor readable once, although it was
    /// not armed again.
    pub(crate) fn drain(&mut self) {
        // A child shares the eventfd with its parent.
        if self.is_inherited() {
            return;
        }
        self.ready.lower();
        self.armed = false;
    }

    /// Tells what makes the descriptor readable at present.
    pub(crate) fn notifier(&self) -> Notifier {
        match self.backend {
            Backend::Uring(_) => Notifier::IoUring,
            Backend::Helper(_) => Notifier::HelperThread,
        }
    }

    /// Starts a wait that compares the wake word with `expected`, unless one is under way.
    fn wait(&mut self, expected: u32) -> io::Result<()> {
        if let Backend::Uring(ring) = &mut self.backend {
            if !ring.is_of_this_thread() && self.moves_left > 0 {
                self.moves_left -= 1;
                if let Ok(moved) = Ring::new(&self.ready) {
                    **ring = moved;
                }
            }
            if ring.is_of_this_thread() && ring.arm(&self.wake_word, expected, &self.ready).is_ok() {
                return Ok(());
            }
            let (wake_word, idle) = (self.wake_word.clone(), self.idle.clone());
            self.backend = Backend::Helper(Helper::new(wake_word, idle, Arc::clone(&self.ready))?);
        }
        match &self.backend {
            Backend::Helper(helper) => helper.arm(expected),
            Backend::Uring(_) => Ok(()),
        }
    }

    fn is_inherited(&self) -> bool {
        process() != self.process
    }
}

impl AsFd for Pollable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

impl std::fmt::Debug for Pollable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Pollable");
        shown.field("notifier", &self.notifier()).field("armed", &self.armed);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
