//! Sleeping on a word of a shared mapping, and waking whoever sleeps there, in whichever process.
//! Knows the lower half of a 64-bit word and a mask of 32 bits; what a value or a bit means is not
//! its business. Every futex here is a shared one: the kernel finds sleepers by file and offset, so
//! that processes meet which map the file at different addresses.

// The futex call takes addresses; keeping it here keeps the callers free of it.
#![allow(unsafe_code)]

use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Somebody woke a group of the mask, or a signal handler ran: reason to look again, no more.
    Woken,
    /// The word did not read as expected, so there was no wait.
    Moved,
    /// The deadline passed.
    TimedOut,
}

/// Sleeps while nobody wakes one of `mask`'s groups, if the lower half of `word` reads `expected`
/// now: the kernel compares and falls asleep in one step, so that no wake between the two is lost.
///
/// The word may lie in a mapping that can only be read. A mask of no groups is refused by the
/// kernel, and returns at once.
pub(crate) fn wait(word: &AtomicU64, expected: u32, mask: u32, until: Option<Instant>) -> Outcome {
    debug_assert_ne!(mask, 0, "nobody could wake this sleeper");
    let until = until.map(on_the_kernels_clock);
    let until = until.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word is aligned and mapped while it is borrowed, and only read, as atomics are;
    // the deadline is null or a whole `timespec` that lives through the call.
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
        Some(libc::EAGAIN) => Outcome::Moved,
        Some(libc::ETIMEDOUT) => Outcome::TimedOut,
        _ => Outcome::Woken,
    }
}

/// Wakes all who sleep on `word` with one of `mask`'s groups, and tells how many that were.
pub(crate) fn wake(word: &AtomicU64, mask: u32) -> u32 {
    // SAFETY: the address only names the sleepers; the kernel neither reads nor writes there.
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
    // A mask of no groups is refused, and has woken nobody.
    u32::try_from(answer).unwrap_or(0)
}

/// Gives the address of the half that holds the low 32 bits.
pub(super) fn lower_half(word: &AtomicU64) -> *mut u32 {
    word.as_ptr().cast::<u32>().wrapping_add(usize::from(cfg!(target_endian = "big")))
}

/// Turns a deadline into what the kernel's clock will read then: never earlier, and where it is too
/// far away for that clock, its end.
fn on_the_kernels_clock(until: Instant) -> libc::timespec {
    // In this order: whatever passes between the two readings makes the deadline later.
    let left = until.saturating_duration_since(Instant::now());
    let mut then = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a whole `timespec` that lives through the call, which cannot fail:
    // every Linux has this clock.
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

    /// Wakes until somebody was asleep to be woken, and tells how many were.
    fn wake_somebody(word: &AtomicU64, mask: u32) -> u32 {
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
                // Mapped anew, at an address of its own.
                let own = SharedWord::of(shared.file().as_fd(), writable);
                i32::from(wait(own.word(), 0, ALL, None) != Outcome::Woken)
            });
            assert_eq!(wake_somebody(shared.word(), ALL), 1);
            assert_eq!(child.wait().code(), Some(0));
        }
    }

    #[test]
    fn masks_select_who_is_woken() {
        let shared = SharedWord::new();
        let stranger = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| wait(shared.word(), 0, 0b0001, None));
            let second = scope.spawn(|| wait(shared.word(), 0, 0b0110, None));
            // Time for both to fall asleep; the masks are wrong whenever this wakes somebody.
            for _ in 0..50 {
                std::thread::sleep(Duration::from_millis(1));
                stranger.fetch_or(wake(shared.word(), 0b1000) != 0, Ordering::Relaxed);
            }
            assert_eq!(wake_somebody(shared.word(), 0b1010), 1);
            assert_eq!(second.join().unwrap(), Outcome::Woken);
            assert!(!first.is_finished());
            assert_eq!(wake_somebody(shared.word(), ALL), 1);
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
        assert_eq!(wait(shared.word(), 7, ALL, None), Outcome::Moved);
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
                assert_eq!(wake_somebody(shared.word(), ALL), 1);
                assert_eq!(sleeper.join().unwrap(), Outcome::Woken);
            });
        }
    }
}
