//! Paces made-up work by made-up time: nothing here waits for anything.

use super::*;
use std::cell::Cell;
use std::rc::Rc;

/// A clock that stands still by itself; a cycle is a nanosecond.
#[derive(Clone, Debug, Default)]
struct Mock(Rc<Cell<u64>>);

impl Mock {
    fn advance(&self, cycles: u64) {
        self.0.set(self.0.get() + cycles);
    }
}

impl Clock for Mock {
    fn now(&mut self) -> u64 {
        // Looking takes a moment, too.
        self.advance(1);
        self.0.get()
    }

    fn pass(&mut self, left: u64) {
        self.advance((left / 2).max(1));
    }
}

const SECOND: f64 = 1e9;

fn uniform(rate: u64, worker: (u32, u32)) -> Schedule {
    Schedule::new(Arrivals::Uniform, rate, SECOND, worker, 1)
}

/// What became of one operation: when it was planned, started and done.
type Done = (u64, u64, u64);

/// Does operations for a second; `service` tells how long the one of this number takes.
fn execute(schedule: Schedule, service: impl Fn(usize) -> u64) -> (Vec<Done>, Paced) {
    let clock = Mock::default();
    let mut pacer = Pacer::new(schedule, clock.clone(), 1.0);
    let begin = clock.0.get();
    pacer.restart(begin, false);
    let mut done = Vec::new();
    loop {
        while pacer.turn() == Turn::Look {}
        let start = clock.0.get();
        if start - begin >= SECOND as u64 {
            break;
        }
        clock.advance(service(done.len()));
        done.push((pacer.planned() - begin, start - begin, clock.0.get() - begin));
    }
    (done, pacer.sum_up(begin + SECOND as u64, u64::MAX))
}

#[test]
fn a_worker_with_time_to_spare_starts_when_it_was_planned() {
    let (done, paced) = execute(uniform(10_000, (0, 1)), |_| 30_000);
    assert_eq!(done.len(), 10_000);
    for (number, &(planned, started, _)) in done.iter().enumerate() {
        assert_eq!(planned, number as u64 * 100_000);
        assert!((planned..=planned + 2).contains(&started), "{planned} {started}");
    }
    assert!(paced.longest <= 2, "{paced:?}");
}

#[test]
fn a_worker_that_cannot_keep_up_starts_at_once_and_its_plan_stays() {
    let (done, paced) = execute(uniform(10_000, (0, 1)), |_| 200_000);
    assert!((4_990..=5_001).contains(&done.len()), "{}", done.len());
    for (number, &(planned, started, _)) in done.iter().enumerate().skip(1) {
        assert_eq!(planned, number as u64 * 100_000, "the plan does not give way");
        assert!(started - done[number - 1].2 <= 2, "no pause between late starts");
    }
    assert_eq!(paced.planned, 10_001, "both ends of the second");
    assert!((490_000_000..=510_000_000).contains(&paced.late_at_end), "{paced:?}");
}

#[test]
fn one_stall_is_in_the_latency_of_all_who_had_to_wait_for_it() {
    // 1 us each, and one of 100 ms: in a closed loop that is one bad sample of many.
    let (done, paced) =
        execute(uniform(10_000, (0, 1)), |number| if number == 2_000 { 100_000_000 } else { 1_000 });
    let from_plan = |&&(planned, _, end): &&Done| end - planned > 1_000_000;
    let from_start = |&&(_, started, end): &&Done| end - started > 1_000_000;
    let late = done.iter().filter(from_plan).count();
    assert!((980..=1_010).contains(&late), "{late} waited for over a millisecond");
    assert_eq!(done.iter().filter(from_start).count(), 1);
    assert_eq!(done.len(), 10_000, "it catches up");
    assert_eq!(paced.late_at_end, 0);
    assert!((99_900_000..=100_000_000).contains(&paced.longest), "{paced:?}");
}

#[test]
fn workers_share_the_rate_and_take_turns() {
    let mut starts: Vec<u64> = Vec::new();
    for worker in 0..4 {
        let mut schedule = uniform(1_000, (worker, 4));
        starts.extend((0..250).map(|_| schedule.take()));
    }
    starts.sort_unstable();
    let expected: Vec<u64> = (0..1_000).map(|number| number * 1_000_000).collect();
    assert_eq!(starts, expected);
}

#[test]
fn no_rounding_adds_up() {
    // A third of a cycle over.
    let mut schedule = Schedule::new(Arrivals::Uniform, 3, 10.0, (0, 1), 1);
    let last = (0..3_000_001).map(|_| schedule.take()).last();
    assert_eq!(last, Some(10_000_000));
}

/// Holds gaps against the exponential distribution of this mean: the largest distance between the two distribution
/// functions, times the root of the number of gaps (Kolmogorov and Smirnov).
fn distance_from_exponential(mut gaps: Vec<f64>, mean: f64) -> f64 {
    gaps.sort_by(f64::total_cmp);
    let count = gaps.len() as f64;
    let distances = gaps.iter().enumerate().map(|(at, gap)| {
        let expected = 1.0 - (-gap / mean).exp();
        let (below, above) = (at as f64 / count, (at as f64 + 1.0) / count);
        (expected - below).abs().max((above - expected).abs())
    });
    distances.fold(0.0, f64::max) * count.sqrt()
}

#[test]
fn random_arrivals_are_a_poisson_process_of_the_rate() {
    // Exceeded by one sample of a hundred (Kolmogorov distribution at 0.99).
    const BOUND: f64 = 1.628;
    let gaps =
        |starts: &[u64]| -> Vec<f64> { starts.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect() };
    let mut all: Vec<u64> = Vec::new();
    for worker in 0..4 {
        let mut schedule = Schedule::new(Arrivals::Poisson, 1_000, SECOND, (worker, 4), 7);
        let starts: Vec<u64> = (0..20_000).map(|_| schedule.take()).collect();
        let distance = distance_from_exponential(gaps(&starts), 4e6);
        assert!(distance < BOUND, "worker {worker}: {distance}");
        all.extend(starts);
    }
    // Those of all workers together, up to where the first has no more.
    all.sort_unstable();
    all.truncate(70_000);
    let distance = distance_from_exponential(gaps(&all), 1e6);
    assert!(distance < BOUND, "all: {distance}");
    // The measure tells: even gaps are not exponential, nor are those of another mean.
    assert!(distance_from_exponential(vec![1e6; 1_000], 1e6) > BOUND);
    assert!(distance_from_exponential(gaps(&all), 1.1e6) > BOUND);
}

#[test]
fn a_new_window_begins_with_nothing_overdue() {
    let clock = Mock::default();
    let mut pacer = Pacer::new(uniform(1_000, (0, 1)), clock.clone(), 1.0);
    pacer.restart(0, false);
    clock.advance(500_000_000);
    assert_eq!(pacer.turn(), Turn::Start);
    assert!(pacer.sum_up(clock.0.get(), u64::MAX).planned > 490);
    pacer.restart(clock.0.get(), true);
    let paced = pacer.sum_up(clock.0.get(), u64::MAX);
    assert_eq!(paced.started, 1, "the current operation is in it");
    assert!(paced.longest <= 1, "on time: {paced:?}");
    assert!(paced.planned <= 2);
}

#[test]
fn a_share_that_is_done_has_nothing_overdue() {
    let clock = Mock::default();
    let mut pacer = Pacer::new(uniform(1_000, (0, 1)), clock.clone(), 1.0);
    pacer.restart(0, false);
    clock.advance(50_000_000);
    assert_eq!(pacer.turn(), Turn::Start);
    clock.advance(1_000_000_000);
    let paced = pacer.sum_up(clock.0.get(), 0);
    assert_eq!((paced.planned, paced.started), (1, 1));
    assert!(paced.late_at_end.abs_diff(50_000_000) < 10, "as late as the last began: {paced:?}");
}

#[test]
fn arrivals_have_a_text() {
    for arrivals in [Arrivals::Uniform, Arrivals::Poisson] {
        assert_eq!(arrivals.to_string().parse(), Ok(arrivals));
    }
    assert!("bursts".parse::<Arrivals>().unwrap_err().contains("poisson"));
}
