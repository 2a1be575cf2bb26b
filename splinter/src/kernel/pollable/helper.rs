//! Waiting on a futex by a thread of our own, which raises the eventfd: for kernels and sandboxes
//! without io_uring's futex wait. Knows one bell and one descriptor.
//!
//! After a ring the thread does not rest until it is armed again, but goes back to sleep on the bell
//! at once: arming it is then a store, where waking it would cost a system call and a change of
//! threads. Only if the bell rings while nobody has armed it does the thread park, so that a busy
//! bell wakes it no more than once in vain. Measured between two processors, a ring takes some 1.3
//! times as long to arrive as a write to the eventfd would. The tests are the owner's.

// Opts in for blocking signals, which the thread is not to receive.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::event::{Idle, Ready, WakeWord};
use crate::kernel::futex::{self, Outcome};
use crate::kernel::process;

/// Somebody wants to be told of the next ring.
const ARMED: u64 = 1 << 32;
/// The thread is to end.
const CLOSING: u64 = 1 << 33;

/// How long to wait before waking a thread once more that is to end and was about to fall asleep.
const NAP: Duration = Duration::from_micros(50);

struct Shared {
    /// The order to the thread: [`ARMED`], [`CLOSING`], and in the low half what the bell is
    /// expected to read.
    order: AtomicU64,
    wake_word: WakeWord,
    idle: Idle,
    ready: Arc<Ready>,
}

/// A thread that sleeps on a bell.
pub(super) struct Helper {
    shared: Arc<Shared>,
    /// Taken when dropped.
    thread: Option<JoinHandle<()>>,
    process: u64,
}

impl Helper {
    pub(super) fn new(wake_word: WakeWord, idle: Idle, ready: Arc<Ready>) -> io::Result<Self> {
        let shared = Arc::new(Shared { order: AtomicU64::new(0), wake_word, idle, ready });
        let served = Arc::clone(&shared);
        let builder = thread::Builder::new().name("splinter-watch".to_owned());
        let thread = without_signals(|| builder.spawn(move || served.serve()))?;
        Ok(Self { shared, thread: Some(thread), process: process() })
    }

    /// Has the thread raise the descriptor at the next ring.
    pub(super) fn arm(&self, expected: u32) -> io::Result<()> {
        // Nobody but this sets bits, and nobody but the drop closes.
        self.shared.order.swap(ARMED | u64::from(expected), Ordering::AcqRel);
        if let Some(thread) = &self.thread {
            // A system call only if it is parked.
            thread.thread().unpark();
        }
        Ok(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if process() != self.process {
            // A child has the handle, but not the thread.
            std::mem::forget(thread);
            return;
        }
        self.shared.order.store(CLOSING, Ordering::Release);
        thread.thread().unpark();
        // It may have read its order and be about to fall asleep, where no wake reaches it yet.
        // Others who sleep with these groups are woken too, and look in vain.
        while !thread.is_finished() {
            futex::wake(self.shared.wake_word.word, self.shared.wake_word.mask);
            thread::sleep(NAP);
        }
        let _ = thread.join();
    }
}

impl Shared {
    /// What the thread does.
    fn serve(&self) {
        let WakeWord { word, mask, .. } = self.wake_word;
        while let Some(expected) = self.next_order() {
            let mut expected = expected;
            loop {
                let until = Instant::now() + self.idle.every;
                let outcome = futex::wait(word, expected, mask, Some(until));
                // Read before the order is taken. If it was given by then, it is carried out. If
                // not, the bell is compared after it was given, by who gave it: a ring before that
                // is seen there, and a ring after it finds the word moved on from what is read here.
                let reading = self.wake_word.reading();
                let order = match outcome {
                    Outcome::TimedOut => self.order.load(Ordering::Acquire),
                    _ => self.order.fetch_and(!ARMED, Ordering::AcqRel),
                };
                if order & ARMED == 0 {
                    break;
                }
                if outcome == Outcome::TimedOut {
                    // A panic there is reported like any other; the rings are not to be missed.
                    let _ = catch_unwind(AssertUnwindSafe(&*self.idle.call));
                } else {
                    self.ready.raise();
                    expected = reading;
                }
            }
        }
    }

    /// Parks until there is an order, and returns what the bell is expected to read; `None` when
    /// the thread is to end.
    fn next_order(&self) -> Option<u32> {
        loop {
            let order = self.order.load(Ordering::Acquire);
            if order & CLOSING != 0 {
                return None;
            }
            if order & ARMED != 0 {
                return Some(order as u32);
            }
            thread::park();
        }
    }
}

/// Runs `spawn` with all signals blocked, which the new thread inherits: a program that handles
/// signals in threads of its choice must not find them handled here.
fn without_signals<T>(spawn: impl FnOnce() -> T) -> T {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: the pointer is to a whole set, which the call fills.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    let set = libc::SIG_SETMASK;
    // SAFETY: both pointers are to whole sets; the first was filled above.
    let blocked = unsafe { libc::pthread_sigmask(set, all.as_ptr(), before.as_mut_ptr()) } == 0;
    let spawned = spawn();
    if blocked {
        // SAFETY: the set was filled by the call that blocked them.
        unsafe { libc::pthread_sigmask(set, before.as_ptr(), std::ptr::null_mut()) };
    }
    spawned
}
