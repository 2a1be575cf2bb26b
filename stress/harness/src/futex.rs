//! Sleeps until a word changes, and wakes the threads that sleep on it: the kernel's futex, shared between processes where the
//! word is.
#![allow(unsafe_code)] // A futex has no safe interface.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

/// Sleeps until another thread wakes the sleepers on `word`, if its lower half still reads as that of
/// `seen`; for `patience` at most, where there is one. May return for no reason.
pub fn sleep_on(word: &AtomicU64, seen: u64, patience: Option<Duration>) {
    let patience = patience.map(|patience| libc::timespec {
        tv_sec: patience.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    });
    let patience = patience.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word is mapped while it is borrowed, and only read; the patience is null or lives
    // through the call.
    unsafe { libc::syscall(libc::SYS_futex, lower_half(word), libc::FUTEX_WAIT, seen as u32, patience) };
}

/// Wakes `most` of the threads that sleep on `word`, of any process.
pub fn wake_sleepers(word: &AtomicU64, most: i32) {
    // SAFETY: the address only names the sleepers.
    unsafe { libc::syscall(libc::SYS_futex, lower_half(word), libc::FUTEX_WAKE, most) };
}

/// Stores a value (release), and wakes all threads that sleep on the word.
pub fn store_and_wake(word: &AtomicU64, value: u64) {
    word.store(value, Release);
    wake_sleepers(word, i32::MAX);
}

/// Sleeps until the word reads otherwise than `seen` (acquire), and returns what it reads; `None` once `given_up` holds,
/// which is asked before each sleep and once a second.
pub fn wait_for_change(word: &AtomicU64, seen: u64, given_up: impl Fn() -> bool) -> Option<u64> {
    loop {
        let now = word.load(Acquire);
        if now != seen {
            return Some(now);
        }
        if given_up() {
            return None;
        }
        sleep_on(word, seen, Some(Duration::from_secs(1)));
    }
}

/// Returns the address of the 32-bit word that a futex is: the lower half, which comes first.
fn lower_half(word: &AtomicU64) -> *const u32 {
    const { assert!(cfg!(target_endian = "little")) };
    std::ptr::from_ref(word).cast()
}
