//! A futex wait through io_uring: the kernel itself raises the eventfd, within the waker's own wake call, without a
//! thread between. This module knows one ring with at most one wait in it.
//!
//! Why the ring is set up as it is (measured on Linux 6.18, two processes on two processors):
//!
//! - With no flags, the end of a wait is work for the thread that submitted it. The kernel first interrupts that
//!   thread, and its `epoll_wait` fails with `EINTR` at every wake. `COOP_TASKRUN`, which asks for no interruption,
//!   changes nothing for a thread that sleeps.
//! - With `DEFER_TASKRUN` the kernel puts that work on a list and raises the registered eventfd at once, in the waker's
//!   context. There is no `EINTR`, and a wake takes the time of a write to the eventfd, within 10 %.
//! - Polling the descriptor of such a ring, instead of an eventfd, missed wakes in a trial. Besides, the
//!   descriptor would change after each move to another thread.
//!
//! The price: only the thread that made the ring may enter it, and its waits end when that thread does. This raises the
//! eventfd too, so no poller sleeps on, and the owner makes a new ring. While the kernel waits, it refers to no memory
//! of ours: it knows a shared futex by file and offset, so the mapping may go first. `tests.rs` tests it.

// Opts in to unsafe code for submitting an address to the kernel.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use io_uring::{IoUring, opcode};

use super::event::{EventFd, WakeWord};
use crate::kernel::futex;

/// A futex of 32 bits, which is shared without `FUTEX2_PRIVATE`; `linux/futex.h`.
const FUTEX2_SIZE_U32: u32 = 2;

/// Returns a number that no other thread of the process has, had or will have. The standard library's thread id
/// allocates memory until the thread ends, and for ever in a main thread that only returns.
fn this_thread() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        }
        number.get()
    })
}

/// An io_uring of this thread, with at most one futex wait in it.
pub(super) struct Ring {
    ring: IoUring,
    /// The number of the thread that made the ring.
    maker: u64,
    /// Whether a wait was submitted whose end this has not seen yet.
    waiting: bool,
}

impl Ring {
    /// Makes a ring that raises `ready`, and tests it. The kernel may be too old for rings, for this operation or for
    /// these flags, or a sandbox may forbid them. Only a wait that a wake ended shows that all of it works.
    pub(super) fn new(ready: &EventFd) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
        let ring = builder.build(1)?;
        ring.submitter().register_eventfd(ready.as_fd().as_raw_fd())?;
        let maker = this_thread();
        let mut ring = Self { ring, maker, waiting: false };
        let word = AtomicU64::new(0);
        ring.submit(&word, 1, 0, ready)?;
        let woken = futex::wake(&word, 1);
        let raised = ready.lower();
        ring.note_end(ready)?;
        if woken == 1 && raised && !ring.waiting { Ok(ring) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    /// Tells whether this thread made the ring, and so may use it.
    pub(super) fn is_of_this_thread(&self) -> bool {
        this_thread() == self.maker
    }

    /// Makes the kernel wait, unless it already does.
    pub(super) fn arm(&mut self, wake_word: &WakeWord, expected: u32, ready: &EventFd) -> io::Result<()> {
        if self.waiting {
            self.note_end(ready)?;
        }
        if self.waiting { Ok(()) } else { self.submit(wake_word.word, wake_word.mask, expected, ready) }
    }

    /// Notes the end of a wait.
    fn note_end(&mut self, ready: &EventFd) -> io::Result<()> {
        // The kernel processes ended waits when the maker enters it.
        if self.ring.submission().taskrun() {
            self.enter()?;
        }
        if self.ring.completion().next().is_some() {
            self.waiting = false;
            // That processing raises the eventfd a second time. No wait is under way now. So this hides only wakes that
            // the later comparison of the wake word finds.
            ready.lower();
        }
        Ok(())
    }

    fn enter(&self) -> io::Result<()> {
        loop {
            match self.ring.submit() {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Submits a wait, and raises `ready` if the word already differs.
    fn submit(&mut self, word: &AtomicU64, mask: u32, expected: u32, ready: &EventFd) -> io::Result<()> {
        let address = futex::lower_half(word);
        let wait = opcode::FutexWait::new(address, expected.into(), mask.into(), FUTEX2_SIZE_U32).build();
        // SAFETY: the kernel reads the word only during the submission below, while it is borrowed. Once it waits, it
        // refers to no memory of ours.
        let pushed = unsafe { self.ring.submission().push(&wait) };
        pushed.map_err(|_| io::ErrorKind::ResourceBusy)?;
        self.enter()?;
        let Some(end) = self.ring.completion().next() else {
            self.waiting = true;
            return Ok(());
        };
        match -end.result() {
            0 | libc::EAGAIN => ready.raise(),
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
        Ok(())
    }
}
