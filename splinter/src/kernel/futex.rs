//! Sleeping on a word of shared memory, and waking who sleeps there. Knows the word's lower half, and
//! nothing of what it counts.

// Opts in for two system calls that the C library has no function for.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::sys;

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Somebody woke the sleeper, or a signal or nothing at all did: look again.
    Woken,
    /// The word's lower half was not what was expected; there was no sleep.
    Moved,
    /// The deadline passed.
    TimedOut,
}

/// Sleeps while the lower half of `word` is `expected`, until somebody wakes sleepers of one of the bits
/// in `mask`, or until the deadline. Any process that maps the word may wake.
pub(crate) fn wait(word: &AtomicU64, expected: u32, mask: u32, until: Option<Instant>) -> Outcome {
    let deadline = until.map(monotonic);
    let timeout = deadline.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // Without FUTEX_CLOCK_REALTIME the deadline is by CLOCK_MONOTONIC, and absolute.
    // SAFETY: the word is borrowed and its first four bytes are its lower half; the deadline is null
    // or lives through the call; the kernel only reads both.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_futex,
            lower_half(word),
            libc::FUTEX_WAIT_BITSET,
            expected,
            timeout,
            std::ptr::null::<u32>(),
            mask,
        )
    };
    if answer != -1 {
        return Outcome::Woken;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Outcome::Moved,
        Some(libc::ETIMEDOUT) => Outcome::TimedOut,
        _ => Outcome::Woken,
    }
}

/// Wakes everybody who sleeps on `word` for one of the bits in `mask`. Returns how many that were.
pub(crate) fn wake(word: &AtomicU64, mask: u32) -> u32 {
    let nothing = std::ptr::null::<u32>();
    // SAFETY: the word is borrowed; the kernel takes its address and touches no byte of it.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_futex,
            lower_half(word),
            libc::FUTEX_WAKE_BITSET,
            i32::MAX,
            nothing,
            nothing,
            mask,
        )
    };
    u32::try_from(answer).unwrap_or(0)
}

/// Gives the address of the half that is slept on. The arena is little-endian.
fn lower_half(word: &AtomicU64) -> *const u32 {
    const { assert!(cfg!(target_endian = "little")) };
    word.as_ptr().cast_const().cast()
}

/// Puts an instant as the kernel's monotonic clock does, which is the one instants are read from.
fn monotonic(until: Instant) -> libc::timespec {
    let mut now = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the pointer is to a whole `timespec` that lives through the call.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, now.as_mut_ptr()) };
    debug_assert!(sys::check(read).is_ok(), "Linux always has this clock");
    // SAFETY: all bytes of a `timespec` may be zero, and the call only wrote a valid one over them.
    let now = unsafe { now.assume_init() };
    let left = until.saturating_duration_since(Instant::now());
    let then = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32);
    let then = then.saturating_add(left);
    let mut deadline = now;
    deadline.tv_sec = libc::time_t::try_from(then.as_secs()).unwrap_or(libc::time_t::MAX);
    deadline.tv_nsec = then.subsec_nanos().into();
    deadline
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_word_that_moved_is_not_slept_on() {
        let word = AtomicU64::new(7 << 32 | 5);
        assert_eq!(wait(&word, 4, u32::MAX, None), Outcome::Moved);
    }

    #[test]
    fn a_sleep_ends_with_its_deadline() {
        let word = AtomicU64::new(5);
        let until = Instant::now() + Duration::from_millis(5);
        while wait(&word, 5, u32::MAX, Some(until)) != Outcome::TimedOut {}
        assert!(Instant::now() >= until);
        assert_eq!(wait(&word, 5, 1, Some(until)), Outcome::TimedOut, "one that has passed");
    }

    #[test]
    fn sleepers_are_woken_by_their_bits() {
        let word = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                while word.load(Ordering::Acquire) == 0 {
                    wait(&word, 0, 2, None);
                }
            });
            while !sleeper.is_finished() {
                assert_eq!(wake(&word, 1), 0);
                if wake(&word, 2) == 1 {
                    word.store(1, Ordering::Release);
                }
                std::thread::yield_now();
            }
        });
    }
}
