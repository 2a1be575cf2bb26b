//! A helper thread that sleeps on the wake word and raises the eventfd: for kernels and sandboxes without io_uring's
//! futex wait. It knows one wake word and one eventfd.
//!
//! After a wake the thread does not park until it is armed again, but sleeps on the wake word again at once. So arming
//! it is one store, where unparking it would cost a system call and a context switch. It parks only if a wake comes
//! while it is not armed. So a busy wake word disturbs it at most once for nothing. Measured between two processors, a
//! wake takes about 1.3 times as long to arrive as a write to the eventfd would. `tests.rs` tests it.

// Opts in to unsafe code for blocking signals, which the thread must not receive.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::event::{EventFd, IdleCall, WakeWord};
use crate::kernel::futex::{self, Outcome};
use crate::kernel::process;

/// The owner wants the eventfd raised at the next wake.
const ARMED: u64 = 1 << 32;
/// The thread must end.
const CLOSING: u64 = 1 << 33;

/// The pause before the drop wakes the thread once more, which may have been about to fall asleep.
const WAKE_AGAIN: Duration = Duration::from_micros(50);

struct Shared {
    /// The order to the thread: [`ARMED`], [`CLOSING`], and in the low half the expected value of the wake word.
    order: AtomicU64,
    wake_word: WakeWord,
    idle: IdleCall,
    ready: Arc<EventFd>,
}

/// A thread that sleeps on a wake word.
pub(super) struct Helper {
    shared: Arc<Shared>,
    /// `None` once dropped.
    thread: Option<JoinHandle<()>>,
    process: u64,
}

impl Helper {
    pub(super) fn new(wake_word: WakeWord, idle: IdleCall, ready: Arc<EventFd>) -> io::Result<Self> {
        let shared = Arc::new(Shared { order: AtomicU64::new(0), wake_word, idle, ready });
        let served = Arc::clone(&shared);
        let builder = thread::Builder::new().name("splinter-watch".to_owned());
        let thread = without_signals(|| builder.spawn(move || served.serve()))?;
        Ok(Self { shared, thread: Some(thread), process: process() })
    }

    /// Makes the thread raise the eventfd at the next wake.
    pub(super) fn arm(&self, expected: u32) -> io::Result<()> {
        // Only this function arms, and only the drop closes.
        self.shared.order.swap(ARMED | u64::from(expected), Ordering::AcqRel);
        if let Some(thread) = &self.thread {
            // This is a system call only if the thread is parked.
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
        // The thread may have read its order and be about to fall asleep, where no wake reaches it yet. Wakes for these
        // groups reach other sleepers too, which look in vain.
        while !thread.is_finished() {
            futex::wake(self.shared.wake_word.word, self.shared.wake_word.mask);
            thread::sleep(WAKE_AGAIN);
        }
        let _ = thread.join();
    }
}

impl Shared {
    /// The body of the thread.
    fn serve(&self) {
        let WakeWord { word, mask, .. } = self.wake_word;
        while let Some(expected) = self.next_order() {
            let mut expected = expected;
            loop {
                let until = Instant::now() + self.idle.every;
                let outcome = futex::wait(word, expected, mask, Some(until));
                // Loaded before the order is taken. If the owner gave the order before that, this thread executes it.
                // If not, the owner compares the wake word after it gave the order. It sees an earlier wake there.
                // After a later wake, the word differs from what is loaded here.
                let reading = self.wake_word.reading();
                let order = match outcome {
                    Outcome::TimedOut => self.order.load(Ordering::Acquire),
                    _ => self.order.fetch_and(!ARMED, Ordering::AcqRel),
                };
                if order & ARMED == 0 {
                    break;
                }
                if outcome == Outcome::TimedOut {
                    // A panic there is reported like any other. The thread must go on, so that no wake is lost.
                    let _ = catch_unwind(AssertUnwindSafe(&*self.idle.call));
                } else {
                    self.ready.raise();
                    expected = reading;
                }
            }
        }
    }

    /// Parks until there is an order, and returns the expected value of the wake word; `None` when the thread must
    /// end.
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

/// Runs `spawn` with all signals blocked, which the new thread inherits. A program that handles signals in threads of
/// its choice must not have them handled here.
fn without_signals<T>(spawn: impl FnOnce() -> T) -> T {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: the pointer is to a whole set, which the call fills.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    let set = libc::SIG_SETMASK;
    // SAFETY: both pointers are to whole sets, and the call above filled the first.
    let blocked = unsafe { libc::pthread_sigmask(set, all.as_ptr(), before.as_mut_ptr()) } == 0;
    let spawned = spawn();
    if blocked {
        // SAFETY: the call that blocked the signals filled the set.
        unsafe { libc::pthread_sigmask(set, before.as_ptr(), std::ptr::null_mut()) };
    }
    spawned
}
