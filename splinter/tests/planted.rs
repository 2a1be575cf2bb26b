//! Mistakes of the kinds that sanitizers are there to report, and this suite must be free of. Each is made only
//! when asked for by name, by the jobs in `ci/`: a sanitizer that lets one pass would let others pass.

#![allow(unsafe_code, reason = "mistakes of these kinds cannot be made without")]

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

/// Memory that is not meant to be shared, and is.
struct Shared(UnsafeCell<u64>);

// SAFETY: none. This is a mistake.
unsafe impl Sync for Shared {}

#[test]
#[ignore = "a data race: for ThreadSanitizer and DRD to report"]
fn a_race() {
    let shared = Box::new(Shared(UnsafeCell::new(0)));
    let here = AtomicU64::new(0);
    thread::scope(|scope| {
        for value in 1..3 {
            let (cell, here) = (&*shared, &here);
            scope.spawn(move || {
                // Neither begins after the other has ended, which may order them; and this does not.
                here.fetch_add(1, Relaxed);
                while here.load(Relaxed) < 2 {
                    thread::yield_now();
                }
                // SAFETY: none. This is a mistake.
                unsafe { *black_box(cell.0.get()) = value };
            });
        }
    });
}

#[test]
#[ignore = "a write beyond a buffer: for AddressSanitizer and Memcheck to report"]
fn an_overrun() {
    let mut bytes = vec![0_u8; black_box(100)];
    let beyond = bytes.as_mut_ptr().wrapping_add(black_box(100));
    // SAFETY: none. This is a mistake.
    unsafe { beyond.write(1) };
    black_box(&bytes);
}

#[test]
#[ignore = "a decision on memory that was never written: for Memcheck to report"]
fn a_guess() {
    let words: Vec<u64> = Vec::with_capacity(black_box(64));
    let seventh = black_box(words.as_ptr()).wrapping_add(7);
    // SAFETY: none. This is a mistake.
    let word = unsafe { seventh.read_volatile() };
    if black_box(word) == 3 {
        println!("three");
    }
}

#[test]
#[ignore = "memory that nobody can free any more: for LeakSanitizer and Memcheck to report"]
fn a_leak() {
    // Many, as the address of the last one may still lie about somewhere.
    for number in 0..64 {
        black_box(Box::into_raw(Box::new(black_box([number; 64]))));
    }
}
