//! The atomic read-modify-writes every mutation of a store pays for: alone on a line that stays in the first-level
//! cache, and fought over by many threads.

use crate::clock;
use crate::workers::Workers;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Operations between two looks at the clock.
const LAP: u64 = 8192;

/// Operations of a worker between two looks at the stop flag.
const BATCH: u64 = 64;

/// A word alone on its cache lines.
#[repr(align(128))]
#[derive(Default)]
pub struct Line(AtomicU64);

/// Takes one sample of an uncontended `lock cmpxchg`, in nanoseconds: a dependent chain in which each expects the
/// value that the one before it wrote, and so always succeeds.
pub fn cmpxchg(line: &Line, budget: Duration) -> f64 {
    sample(budget, || {
        let mut value = line.0.load(Ordering::Relaxed);
        for _ in 0..LAP {
            // The next expected value comes out of this exchange: no two can overlap.
            value = match line.0.compare_exchange(
                value,
                value.wrapping_add(1),
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(before) => before.wrapping_add(1),
                Err(found) => found,
            };
        }
        black_box(value);
    })
}

/// Takes one sample of an uncontended `lock xadd`, in nanoseconds: back to back, each one's result summed up, as an
/// addition whose result nobody reads is a cheaper instruction.
pub fn xadd(line: &Line, budget: Duration) -> f64 {
    sample(budget, || {
        let mut sum = 0_u64;
        for _ in 0..LAP {
            sum = sum.wrapping_add(line.0.fetch_add(1, Ordering::SeqCst));
        }
        black_box(sum);
    })
}

/// Starts `threads` workers that do nothing but `lock xadd` on one line they share.
///
/// # Errors
/// When a thread cannot be started.
pub fn xadd_workers(threads: usize) -> Result<Workers, String> {
    let line = Arc::new(Line::default());
    Workers::start(threads, move |_| {
        let line = Arc::clone(&line);
        move || {
            let mut sum = 0_u64;
            for _ in 0..BATCH {
                sum = sum.wrapping_add(line.0.fetch_add(1, Ordering::SeqCst));
            }
            black_box(sum);
            BATCH
        }
    })
}

fn sample(budget: Duration, mut lap: impl FnMut()) -> f64 {
    clock::infallible(clock::ns_per_op(budget, LAP, || {
        lap();
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::{LAP, Line, cmpxchg, xadd, xadd_workers};
    use crate::clock::{PLACES, WARM_LAPS};
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    #[test]
    fn every_exchange_and_every_addition_succeeds() {
        let line = Line::default();
        assert!(cmpxchg(&line, Duration::ZERO) >= 0.0);
        let laps = u64::from(WARM_LAPS) + PLACES as u64;
        assert_eq!(line.0.load(Ordering::SeqCst), laps * LAP);
        assert!(xadd(&line, Duration::ZERO) >= 0.0);
        assert_eq!(line.0.load(Ordering::SeqCst), 2 * laps * LAP);
    }

    #[test]
    fn a_crew_adds_up_to_something() {
        let mut workers = xadd_workers(4).unwrap();
        workers.goodput_per_s(Duration::from_millis(1));
        assert!(workers.total() > 0);
    }
}
