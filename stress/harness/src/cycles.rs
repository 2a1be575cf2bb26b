//! The time-stamp counter: how long its cycles are, and in which steps it counts.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Returns the length of a cycle of the time-stamp counter, measured since `start`.
pub fn cycle_ns((cycles, time): (u64, Instant)) -> f64 {
    // Long enough for the clock's own precision not to matter.
    let shortest = Duration::from_millis(20);
    std::thread::sleep(shortest.saturating_sub(time.elapsed()));
    let (now, elapsed) = (splinter::cycles(), time.elapsed());
    elapsed.as_secs_f64() * 1e9 / now.wrapping_sub(cycles).max(1) as f64
}

/// Reads the time-stamp counter once all processors can see what this thread has stored.
///
/// By MFENCE on x86-64, which waits until the stores are visible. Compilers make a locked instruction of a sequentially
/// consistent fence, which is not enough on AMD guests without the flag `lfence_rdtsc`: there
/// [`splinter::cycles_fenced`] alone does not wait for it, and read the counter up to 400 ns before the stores were seen.
#[inline]
#[must_use]
pub fn cycles_after_stores() -> u64 {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code, reason = "the instruction has no safe name")]
    // SAFETY: `mfence` is in every x86-64 processor, and only waits.
    unsafe {
        std::arch::x86_64::_mm_mfence();
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    splinter::cycles_fenced()
}

/// Returns the step of the time-stamp counter, in its own cycles: some virtual machines round it.
#[must_use]
pub fn clock_step() -> u64 {
    let differences: Vec<u64> = (0..4_000)
        .map(|turn| {
            let start = splinter::cycles_fenced();
            for spin in 0..turn % 40 {
                black_box(spin);
            }
            splinter::cycles_fenced().saturating_sub(start)
        })
        .collect();
    step(&differences)
}

/// Returns the largest step of which all but a few of the short differences are multiples, give or
/// take one; 1 if there is none.
fn step(differences: &[u64]) -> u64 {
    let short: Vec<u64> = differences.iter().copied().filter(|&cycles| cycles < 400).collect();
    let stray = |step: u64| {
        let off = |cycles: u64| (cycles % step).min(step - cycles % step) > 1;
        short.iter().filter(|&&cycles| off(cycles)).count()
    };
    // Below 6, "give or take one" would hold for half of all differences.
    (6..=200).rev().find(|&candidate| stray(candidate) * 50 < short.len()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::affinity;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::{Acquire, Release};
    use std::thread;

    #[test]
    fn who_reads_the_old_value_began_before_the_new_one_was_stored_by_the_clock() {
        const STORES: usize = 100_000;
        let cpus = affinity::allowed();
        let [first, second, ..] = cpus[..] else { return };
        let number = AtomicUsize::new(0);
        let mut reads = Vec::with_capacity(20 * STORES);
        let stored = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                assert!(affinity::pin(first));
                let store = |next| {
                    number.store(next, Release);
                    cycles_after_stores()
                };
                (1..=STORES).map(store).collect::<Vec<u64>>()
            });
            assert!(affinity::pin(second));
            while reads.len() < reads.capacity() {
                let invoked = splinter::cycles_fenced();
                let seen = number.load(Acquire);
                if seen == STORES {
                    break;
                }
                reads.push((invoked, seen));
            }
            writer.join().unwrap()
        });
        let late = |&&(invoked, seen): &&(u64, usize)| invoked > stored[seen];
        assert_eq!(reads.iter().filter(late).count(), 0, "of {} reads", reads.len());
    }

    #[test]
    fn a_rounded_counter_is_noticed() {
        let fine: Vec<u64> = (0..1000).map(|turn| 40 + turn * 7 % 150).collect();
        assert_eq!(step(&fine), 1);
        let rounded: Vec<u64> = fine.iter().map(|cycles| cycles / 26 * 26 + cycles % 2).collect();
        assert_eq!(step(&rounded), 26);
        assert_eq!(step(&[]), 1);
    }
}
