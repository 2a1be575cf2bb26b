//! Futexes: sleeping on a word of a shared mapping, and waking the threads that sleep there, in any process.
//!
//! It uses the lower half of a 64-bit word and a mask of 32 bits, whose meanings it does not know. Every futex here is
//! a shared one: the kernel finds sleepers by file and offset, so processes may map the file at different addresses.

// Opts in to unsafe code for the futex call, which takes addresses.
#![allow(unsafe_code)]

use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A wake for a bit of the mask, or a signal handler. The caller looks again; it learned no more than that.
    Woken,
    /// The word did not read as expected, so the thread did not sleep.
    Changed,
    /// The deadline passed.
    TimedOut,
}

/// Sleeps until a thread wakes one of the bits of `mask`, if the lower half of `word` reads `expected`. The kernel
/// compares and falls asleep in one step, so no wake between the two is lost.
///
/// The word may lie in a read-only mapping. The kernel refuses an empty mask, and the call returns at once.
pub(crate) fn wait(word: &AtomicU64, expected: u32, mask: u32, until: Option<Instant>) -> Outcome {
    debug_assert_ne!(mask, 0, "no thread could wake this sleeper");
    let until = until.map(on_the_kernels_clock);
    let until = until.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word is aligned and mapped while it is borrowed, and the kernel only reads it, atomically. The
    // deadline is null or a whole `timespec` that lives through the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_futex,
            lower_half(word),
            libc::FUTEX_WAIT_BITSET,
            expected,
            until,
            std::ptr::null::<u32>(),
            mask,
        )
    };
    if answer == 0 {
        return Outcome::Woken;
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Outcome::Changed,
        Some(libc::ETIMEDOUT) => Outcome::TimedOut,
        _ => Outcome::Woken,
    }
}

/// Wakes all threads that sleep on `word` with one of the bits of `mask`, and returns how many they were.
pub(crate) fn wake(word: &AtomicU64, mask: u32) -> u32 {
    // SAFETY: the address only identifies the sleepers; the kernel neither reads nor writes there.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_futex,
            lower_half(word),
            libc::FUTEX_WAKE_BITSET,
            i32::MAX,
            std::ptr::null::<libc::timespec>(),
            std::ptr::null::<u32>(),
            mask,
        )
    };
    // The kernel refuses an empty mask, and wakes no thread.
    u32::try_from(answer).unwrap_or(0)
}

/// Returns the address of the half with the low 32 bits.
pub(super) fn lower_half(word: &AtomicU64) -> *mut u32 {
    word.as_ptr().cast::<u32>().wrapping_add(usize::from(cfg!(target_endian = "big")))
}

/// Converts a deadline to a time of the kernel's monotonic clock: never earlier than the deadline, and the clock's last
/// time for a deadline beyond that.
fn on_the_kernels_clock(until: Instant) -> libc::timespec {
    // In this order, time that passes between the two readings makes the deadline later.
    let left = until.saturating_duration_since(Instant::now());
    let mut then = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a whole `timespec` that lives through the call. Every Linux has this clock, so the call
    // cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut then) };
    let nanos = then.tv_nsec + libc::c_long::from(left.subsec_nanos() as i32);
    let secs = libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX);
    then.tv_sec = then.tv_sec.saturating_add(secs).saturating_add(nanos / NANOS_PER_S);
    then.tv_nsec = nanos % NANOS_PER_S;
    then
}

const NANOS_PER_S: libc::c_long = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::kernel::testing::{Forked, SharedWord};

    const ALL: u32 = !0;

    /// Wakes until at least one thread slept there, and returns how many were woken.
    fn wake_at_least_one(word: &AtomicU64, mask: u32) -> u32 {
        loop {
            match wake(word, mask) {
                0 => std::thread::yield_now(),
                woken => return woken,
            }
        }
    }

    #[test]
    fn a_wake_crosses_processes_and_mappings() {
        let shared = SharedWord::new();
        for writable in [true, false] {
            let child = Forked::new(|| {
                // Mapped once more, at another address.
                let own = SharedWord::of(shared.file().as_fd(), writable);
                i32::from(wait(own.word(), 0, ALL, None) != Outcome::Woken)
            });
            assert_eq!(wake_at_least_one(shared.word(), ALL), 1);
            assert_eq!(child.wait().code(), Some(0));
        }
    }

    #[test]
    fn masks_select_the_threads_to_wake() {
        let shared = SharedWord::new();
        let stranger = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| wait(shared.word(), 0, 0b0001, None));
            let second = scope.spawn(|| wait(shared.word(), 0, 0b0110, None));
            // Time for both to fall asleep. If this wakes a thread, the masks are wrong.
            for _ in 0..50 {
                std::thread::sleep(Duration::from_millis(1));
                stranger.fetch_or(wake(shared.word(), 0b1000) != 0, Ordering::Relaxed);
            }
            assert_eq!(wake_at_least_one(shared.word(), 0b1010), 1);
            assert_eq!(second.join().unwrap(), Outcome::Woken);
            assert!(!first.is_finished());
            assert_eq!(wake_at_least_one(shared.word(), ALL), 1);
            assert_eq!(first.join().unwrap(), Outcome::Woken);
        });
        assert!(!stranger.load(Ordering::Relaxed));
        assert_eq!(wake(shared.word(), 0), 0);
    }

    #[test]
    fn a_word_that_moved_is_not_slept_on_and_only_its_lower_half_counts() {
        let shared = SharedWord::new();
        shared.word().store(7 << 32 | 3, Ordering::Relaxed);
        let soon = || Some(Instant::now() + Duration::from_millis(5));
        assert_eq!(wait(shared.word(), 7, ALL, None), Outcome::Changed);
        assert_eq!(wait(shared.word(), 3, ALL, soon()), Outcome::TimedOut);
        shared.word().store(8 << 32 | 3, Ordering::Relaxed);
        assert_eq!(wait(shared.word(), 3, ALL, soon()), Outcome::TimedOut);
    }

    #[test]
    fn a_deadline_ends_a_wait_and_never_early() {
        let shared = SharedWord::new();
        let start = Instant::now();
        assert_eq!(wait(shared.word(), 0, ALL, Some(start)), Outcome::TimedOut);
        for millis in [1, 20, 1_001] {
            let until = Instant::now() + Duration::from_millis(millis);
            assert_eq!(wait(shared.word(), 0, ALL, Some(until)), Outcome::TimedOut);
            assert!(Instant::now() >= until);
        }
    }

    #[test]
    fn a_deadline_beyond_the_clock_is_no_deadline() {
        let shared = SharedWord::new();
        let ages = [u64::from(u32::MAX), i64::MAX as u64 / 1_000_000_000, i64::MAX as u64 / 2];
        for secs in ages {
            let until = Instant::now() + Duration::from_secs(secs);
            std::thread::scope(|scope| {
                let sleeper = scope.spawn(|| wait(shared.word(), 0, ALL, Some(until)));
                assert_eq!(wake_at_least_one(shared.word(), ALL), 1);
                assert_eq!(sleeper.join().unwrap(), Outcome::Woken);
            });
        }
    }
}
