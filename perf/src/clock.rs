//! Clocks: the calibration of the time-stamp counter, and the loop that turns a piece of work into nanoseconds per
//! operation. Nothing here knows what is measured.

use splinter::cycles;
use splinter_harness::counters;
use splinter_harness::cycles::cycle_ns;
use std::convert::Infallible;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Untimed laps before a sample's clock starts. Two, as a store's writes alternate between two buffers.
pub const WARM_LAPS: u32 = 2;

/// Laps that a sample has room for before it allocates.
const MANY_LAPS: usize = 8192;

/// Places of the stack that the laps of a sample are spread over.
pub const PLACES: usize = 16;

/// The distance between two places in bytes. Together they span a page, and each of the four alignments to a cache
/// line that the calling convention allows is met equally often.
const PLACE: usize = 256 + 16;

/// Readings in one lap of the clocks' own samples.
const LAP: u64 = 4096;

/// Returns the nanoseconds in one tick of [`cycles`], measured once per process against the monotonic clock.
#[must_use]
pub fn ns_per_cycle() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| cycle_ns((cycles(), Instant::now())))
}

/// Measures one sample: runs `lap` untimed, [`WARM_LAPS`] times, so that caches and branch predictors hold what they
/// would in the long run, then again and again until `budget` has passed, [`PLACES`] times at least. Returns the mean
/// of the middle half of the laps in nanoseconds per operation, where one lap is `ops` operations: a lap in which
/// another process had the processor does not count. The clock is read once a lap, so a lap should take ten
/// microseconds or more.
///
/// Laps run at different places of the stack in turn. How the words of the stack are aligned, and whether one lies a
/// multiple of 4 KiB from a word of the arena, is an accident of the process, and can double the time of a short
/// operation. Each sample meets all those accidents in the same shares, so that one process agrees with the next.
///
/// # Errors
/// The first error of a lap ends the sample.
pub fn ns_per_op<E>(budget: Duration, ops: u64, mut lap: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    for _ in 0..WARM_LAPS {
        lap()?;
    }
    let mut laps = Vec::with_capacity(MANY_LAPS);
    counters::start();
    let start = Instant::now();
    let mut before = start;
    loop {
        at_place(laps.len(), &mut lap)?;
        let now = Instant::now();
        laps.push((now - before).as_nanos() as u64);
        if now - start >= budget && laps.len() >= PLACES {
            counters::end(laps.len() as u64 * ops);
            return Ok(middle_half(&mut laps) / ops as f64);
        }
        before = now;
    }
}

/// Calls `work` at one of the [`PLACES`] of the stack.
fn at_place<R>(place: usize, work: &mut dyn FnMut() -> R) -> R {
    match place % PLACES {
        0 => below::<R, 0>(work),
        1 => below::<R, { PLACE }>(work),
        2 => below::<R, { 2 * PLACE }>(work),
        3 => below::<R, { 3 * PLACE }>(work),
        4 => below::<R, { 4 * PLACE }>(work),
        5 => below::<R, { 5 * PLACE }>(work),
        6 => below::<R, { 6 * PLACE }>(work),
        7 => below::<R, { 7 * PLACE }>(work),
        8 => below::<R, { 8 * PLACE }>(work),
        9 => below::<R, { 9 * PLACE }>(work),
        10 => below::<R, { 10 * PLACE }>(work),
        11 => below::<R, { 11 * PLACE }>(work),
        12 => below::<R, { 12 * PLACE }>(work),
        13 => below::<R, { 13 * PLACE }>(work),
        14 => below::<R, { 14 * PLACE }>(work),
        _ => below::<R, { 15 * PLACE }>(work),
    }
}

/// Calls `work` below an unused stretch of the stack.
#[inline(never)]
fn below<R, const BYTES: usize>(work: &mut dyn FnMut() -> R) -> R {
    let unused = MaybeUninit::<[u8; BYTES]>::uninit();
    black_box(&unused);
    let result = work();
    // The stretch lives until here, so the call above is no tail call.
    black_box(&unused);
    result
}

/// Returns the mean of the middle half of laps, at least one.
fn middle_half(laps: &mut [u64]) -> f64 {
    laps.sort_unstable();
    let quarter = laps.len() / 4;
    let middle = &laps[quarter..laps.len() - quarter];
    middle.iter().sum::<u64>() as f64 / middle.len() as f64
}

/// Takes one sample of what one call of [`cycles`] costs, in nanoseconds.
pub fn cost_of_cycles(budget: Duration) -> f64 {
    infallible(ns_per_op(budget, LAP, || {
        let mut sum = 0_u64;
        for _ in 0..LAP {
            sum = sum.wrapping_add(cycles());
        }
        black_box(sum);
        Ok(())
    }))
}

/// Takes one sample of what one reading of the monotonic clock costs, in nanoseconds.
pub fn cost_of_now(budget: Duration) -> f64 {
    infallible(ns_per_op(budget, LAP, || {
        for _ in 0..LAP {
            black_box(Instant::now());
        }
        Ok(())
    }))
}

/// Unwraps the sample of a lap that has no way to fail.
pub fn infallible(sample: Result<f64, Infallible>) -> f64 {
    match sample {
        Ok(ns) => ns,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::{PLACE, PLACES, WARM_LAPS, at_place, middle_half, ns_per_cycle, ns_per_op};
    use std::collections::HashSet;
    use std::convert::Infallible;
    use std::hint::black_box;
    use std::time::Duration;

    #[test]
    fn a_tick_has_a_length() {
        let rate = ns_per_cycle();
        assert!(rate.is_finite() && rate > 0.0);
    }

    #[test]
    fn a_sample_runs_its_untimed_laps_and_one_at_each_place() {
        let mut laps = 0;
        let ns = ns_per_op(Duration::ZERO, 10, || {
            laps += 1;
            Ok::<(), Infallible>(())
        });
        assert_eq!(laps, WARM_LAPS + PLACES as u32);
        assert!(ns.unwrap() >= 0.0);
    }

    #[test]
    fn laps_that_were_interrupted_do_not_count() {
        assert_eq!(middle_half(&mut [100, 101, 90_000, 99, 102, 103, 80_000, 98]), 101.5);
        assert_eq!(middle_half(&mut [7]), 7.0);
        assert_eq!(middle_half(&mut [7, 8, 9]), 8.0);
    }

    #[test]
    fn laps_that_take_one_of_two_times_count_by_their_shares() {
        assert_eq!(middle_half(&mut [10, 20, 10, 20, 10, 20, 10, 20]), 15.0);
    }

    #[test]
    fn the_places_span_a_page_and_every_alignment_to_a_line() {
        let place = |place| at_place(place, &mut || std::ptr::from_ref(&black_box([0_u64; 2])).addr());
        let places: Vec<usize> = (0..PLACES).map(place).collect();
        let alignments: HashSet<usize> = places.iter().map(|place| place % 64).collect();
        assert_eq!(alignments.len(), 4, "{places:?}");
        assert!(places.iter().max().unwrap() - places.iter().min().unwrap() >= 14 * PLACE);
    }

    #[test]
    fn a_failing_lap_ends_the_sample() {
        let mut laps = 0;
        let sample = ns_per_op(Duration::from_secs(3600), 1, || {
            laps += 1;
            if laps == 3 { Err("no") } else { Ok(()) }
        });
        assert_eq!((sample, laps), (Err("no"), 3));
    }
}
