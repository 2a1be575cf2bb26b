//! A descriptor that becomes readable when a word of shared memory is rung, for programs that wait
//! in epoll and its kin. It is an eventfd, and two ways lead to it: [`uring`], where the
//! kernel waits on the futex, and [`helper`], where a thread does. Either may take
//! over from the other while the descriptor stays the same. Knows nothing of who rings, or what the
//! word counts.

mod event;
mod helper;
mod uring;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use self::event::Ready;
pub(crate) use self::event::{Idle, WakeWord};
use self::helper::Helper;
use self::uring::Ring;
use super::process::process;

/// What makes a watcher's descriptor readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notifier {
    /// The kernel itself, which waits on the futex through io_uring: Linux 6.7 or newer, and a
    /// sandbox that allows it. The quickest, and no thread.
    IoUring,
    /// A thread that sleeps on the futex and writes to an eventfd. Works everywhere, and costs one
    /// more change of threads each time.
    HelperThread,
}

/// How often a watcher's ring may be built anew because another thread arms it, before a helper
/// thread takes over: enough for one made here and used there, and a bound for one that wanders
/// among the threads of a pool, where each arming would cost a ring.
const MOVES: u32 = 3;

enum Way {
    Ring(Box<Ring>),
    Helper(Helper),
}

/// A descriptor that becomes readable when a bell is rung.
///
/// To wait: read the bell, look for what was wanted, [`arm`](Self::arm) with what the bell read,
/// poll, [`drain`](Self::drain), and begin again. Readable means that it is time to look, and no
/// more: a moving thread, a signal and a neighbour's end may make it readable as well.
pub(crate) struct Pollable {
    wake_word: WakeWord,
    idle: Idle,
    ready: Arc<Ready>,
    way: Way,
    armed: bool,
    moves_left: u32,
    process: u64,
}

impl Pollable {
    /// Makes one that is not armed: by io_uring where that works, and otherwise by a helper thread,
    /// which calls `idle` while it is armed and nobody rings. With io_uring nobody is there to call
    /// it: whoever polls does so with a timeout, and looks then.
    ///
    /// # Errors
    ///
    /// The kernel's, when `prefer` asks for a way that does not work here, or when there is no
    /// descriptor or thread to be had. `InvalidInput` for a mask of no groups.
    pub(crate) fn new(wake_word: WakeWord, idle: Idle, prefer: Option<Notifier>) -> io::Result<Self> {
        if wake_word.mask == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let ready = Arc::new(Ready::new()?);
        let helper = || Helper::new(wake_word.clone(), idle.clone(), Arc::clone(&ready)).map(Way::Helper);
        let way = match prefer {
            Some(Notifier::IoUring) => Way::Ring(Box::new(Ring::new(&ready)?)),
            Some(Notifier::HelperThread) => helper()?,
            None => Ring::new(&ready).map(|ring| Way::Ring(Box::new(ring))).or_else(|_| helper())?,
        };
        Ok(Self { wake_word, idle, ready, way, armed: false, moves_left: MOVES, process: process() })
    }

    /// Has the descriptor become readable as soon as the bell is rung for one of the groups; at
    /// once, if it reads otherwise than `expected` already.
    ///
    /// # Errors
    ///
    /// `Unsupported` in a forked child, which has neither the thread nor the ring; the kernel's when
    /// no thread can be started.
    pub(crate) fn arm(&mut self, expected: u32) -> io::Result<()> {
        if self.is_inherited() {
            let reason = "a forked child cannot wait with its parent's descriptor: make a new one";
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        }
        self.wait(expected)?;
        self.armed = true;
        // A wait that was under way already did not compare the bell with this `expected`. It has
        // been under way since before this reading, so a ring that is not seen here ends it.
        if self.wake_word.reading() != expected {
            self.ready.raise();
        }
        Ok(())
    }

    /// Makes the descriptor unreadable. Never waits, and may be repeated.
    ///
    /// A wait that nobody has ended goes on, so the next ring may make it readable once although it
    /// was not armed anew.
    pub(crate) fn drain(&mut self) {
        // The eventfd of a child is its parent's.
        if self.is_inherited() {
            return;
        }
        self.ready.lower();
        self.armed = false;
    }

    /// Tells what makes the descriptor readable at present.
    pub(crate) fn notifier(&self) -> Notifier {
        match self.way {
            Way::Ring(_) => Notifier::IoUring,
            Way::Helper(_) => Notifier::HelperThread,
        }
    }

    /// Starts a wait that compares the bell with `expected`, unless one is under way.
    fn wait(&mut self, expected: u32) -> io::Result<()> {
        if let Way::Ring(ring) = &mut self.way {
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
            self.way = Way::Helper(Helper::new(wake_word, idle, Arc::clone(&self.ready))?);
        }
        match &self.way {
            Way::Helper(helper) => helper.arm(expected),
            Way::Ring(_) => Ok(()),
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
