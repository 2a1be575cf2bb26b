//! Waiting on a futex through io_uring: the kernel itself raises the eventfd, in the ringer's own
//! wake call, and no thread stands between. Knows one ring and at most one wait in it.
//!
//! Why the ring is set up as it is (measured on Linux 6.18, two processes on two processors):
//!
//! - With no flags, a wait's end is work for the thread that submitted it. That thread is
//!   interrupted first, and its `epoll_wait` fails with `EINTR` at every single ring. Asking for no
//!   interruption (`COOP_TASKRUN`) changes nothing for a thread that sleeps.
//! - With `DEFER_TASKRUN` it is put on a list and the registered eventfd is raised at once, in the
//!   context of whoever rang: no `EINTR`, and within a tenth of what writing the eventfd takes.
//! - Polling the descriptor of such a ring, instead of an eventfd, slept through rings when it was
//!   tried. Besides, it would be another descriptor after each move to another thread.
//!
//! The price is that only the thread that made the ring may enter it, and that its waits end when
//! the thread does; which raises the eventfd too, so that nobody sleeps on. The owner makes a new
//! ring then. Nothing in the kernel refers to the word while it waits: a shared futex is known by
//! its file and offset, so the mapping may go first. The tests are the owner's.

// Opts in for submitting an address to the kernel.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use io_uring::{IoUring, opcode};

use super::event::{Ready, WakeWord};
use crate::kernel::futex;

/// The futex is of 32 bits, and without `FUTEX2_PRIVATE` it is shared; `linux/futex.h`.
const FUTEX2_SIZE_U32: u32 = 2;

/// Returns a number that no other thread of the process has, has had or will have. What the standard library has
/// for this keeps memory until the thread ends, and that of a main thread that only returns for good.
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

/// A ring of this thread, with a wait in it or none.
pub(super) struct Ring {
    ring: IoUring,
    /// The thread's number.
    maker: u64,
    /// Whether a wait was submitted whose end was not seen yet.
    waiting: bool,
}

impl Ring {
    /// Makes a ring that raises `ready`, and tries whether it does: the kernel may be too old for
    /// rings, for this operation or for these flags, or a sandbox may be in the way, and only a wait
    /// that was woken shows that none of it is so.
    pub(super) fn new(ready: &Ready) -> io::Result<Self> {
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
        ring.settle(ready)?;
        if woken == 1 && raised && !ring.waiting { Ok(ring) } else { Err(io::ErrorKind::Unsupported.into()) }
    }

    /// Tells whether this thread made the ring, and so may use it.
    pub(super) fn is_of_this_thread(&self) -> bool {
        this_thread() == self.maker
    }

    /// Has the kernel wait, unless it does so already.
    pub(super) fn arm(&mut self, wake_word: &WakeWord, expected: u32, ready: &Ready) -> io::Result<()> {
        if self.waiting {
            self.settle(ready)?;
        }
        if self.waiting { Ok(()) } else { self.submit(wake_word.word, wake_word.mask, expected, ready) }
    }

    /// Takes note of a wait that ended.
    fn settle(&mut self, ready: &Ready) -> io::Result<()> {
        // What ended is on a list, which is run when the maker enters the kernel.
        if self.ring.submission().taskrun() {
            self.enter()?;
        }
        if self.ring.completion().next().is_some() {
            self.waiting = false;
            // Running the list raises the descriptor a second time. No wait is under way now, so
            // this hides nothing that comparing the bell, which follows, would not find.
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

    /// Submits a wait, and raises `ready` if there was nothing to wait for.
    fn submit(&mut self, word: &AtomicU64, mask: u32, expected: u32, ready: &Ready) -> io::Result<()> {
        let address = futex::lower_half(word);
        let wait = opcode::FutexWait::new(address, expected.into(), mask.into(), FUTEX2_SIZE_U32).build();
        // SAFETY: the kernel reads the word while the entry is submitted, which is below, where the
        // word is borrowed still; once it waits, it refers to no memory of ours.
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
