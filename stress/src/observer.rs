//! What watching costs: clock, histogram, pacer and oracle, each timed alone on this machine just before
//! the run, so that a reader of the record can tell the store's share of an operation from the
//! harness's.

use crate::keys::{self, Family};
use crate::latency::histogram;
use crate::open_loop::{Arrivals, Pacer, Schedule, Tsc};
use crate::oracle::monotonic::MonotonicReads;
use crate::proof::value;
use crate::workload::Workload;
use serde::{Deserialize, Serialize};
use splinter_harness::clock_cost::ClockCost;
use splinter_harness::interrupt;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Repetitions of one timing; the quickest of [`ROUNDS`] counts.
const TURNS: u32 = 4_000;
const ROUNDS: u32 = 5;
/// How long a round may take before it is cut short, and all rounds before there is no other.
const LONGEST: Duration = Duration::from_millis(200);

/// Costs in nanoseconds per operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Observer {
    /// Attempts per timed one; 0: none.
    pub timed_one_of: u32,
    /// Both clock readings; the finest latency step.
    pub clock_ns: f64,
    pub clock_step_ns: f64,
    /// What the clock adds to each latency.
    #[serde(default)]
    pub clock: ClockCost,
    /// Recording one latency.
    pub histogram_ns: f64,
    /// Schedule and second latency; 0 in a closed loop.
    #[serde(default)]
    pub pacer_ns: f64,
    /// Making and checking one value.
    pub fill_ns: f64,
    pub check_ns: f64,
    /// Sums.
    pub per_write_ns: f64,
    pub per_read_ns: f64,
}

impl Observer {
    /// Times everything that a workload has switched on: a few milliseconds.
    #[must_use]
    pub fn measure(workload: &Workload) -> Self {
        let mut observer = Self::default();
        if workload.histogram {
            let mut histogram = histogram();
            observer.timed_one_of = workload.sample;
            observer.clock_ns = time(|_| {
                black_box(splinter::cycles_fenced());
                black_box(splinter::cycles_fenced());
            });
            observer.histogram_ns = time(|turn| histogram.saturating_record(u64::from(100 + turn % 900)));
        }
        if workload.oracle {
            let mut value = vec![0; workload.value_len.longest() as usize];
            let mut seen = MonotonicReads::new(workload.keys * 2);
            let key = |turn: u32| keys::name(Family::Value, u64::from(turn) % workload.keys);
            observer.fill_ns = time(|turn| {
                value::fill(&mut value, splinter::hash_key(&key(turn)), 1, u64::from(turn));
                black_box(&value);
            });
            value::fill(&mut value, splinter::hash_key(&key(0)), 1, 1);
            observer.check_ns = time(|turn| {
                let hash = splinter::hash_key(black_box(&key(0)));
                let good = value::check(black_box(&value), hash).is_ok();
                black_box(
                    good && seen.observe(Family::Value, u64::from(turn) % workload.keys, 1, u64::from(turn)),
                );
            });
        }
        if workload.rate.is_some() {
            observer.pacer_ns = pacer_ns(workload.arrivals, workload.histogram);
        }
        let timed = match observer.timed_one_of {
            0 => 0.0,
            every => (observer.clock_ns + observer.histogram_ns) / f64::from(every),
        };
        observer.per_write_ns = observer.fill_ns + observer.pacer_ns + timed;
        observer.per_read_ns = observer.check_ns + observer.pacer_ns + timed;
        observer
    }
}

/// Times a pacer whose starts are always due.
fn pacer_ns(arrivals: Arrivals, recorded: bool) -> f64 {
    let clock = Tsc { cycle_ns: 1.0, sleeps: false };
    // A start each hundredth of a cycle.
    let mut pacer = Pacer::new(Schedule::new(arrivals, 100, 1.0, (0, 1), 1), clock, 1.0);
    let mut histogram = histogram();
    pacer.restart(splinter::cycles(), false);
    time(|turn| {
        black_box(pacer.turn());
        if recorded {
            let latency = pacer.planned() % 1_000 + u64::from(turn % 900);
            histogram.saturating_record(latency);
        }
    })
}

/// Returns the time of one turn: the quickest round, which the machine disturbed least. Long turns have fewer rounds, of
/// fewer turns; a request to stop ends them.
fn time(mut turn: impl FnMut(u32)) -> f64 {
    let all = Instant::now();
    let over = |since: Instant| since.elapsed() > LONGEST || interrupt::requested();
    let mut round = || {
        let start = Instant::now();
        let mut done = 0;
        // Looks at the clock are few: after each doubling.
        while done < TURNS && (done == 0 || !over(start)) {
            let until = (2 * done).clamp(1, TURNS);
            (done..until).for_each(&mut turn);
            done = until;
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(done)
    };
    let mut quickest = round();
    for _ in 1..ROUNDS {
        if over(all) {
            break;
        }
        quickest = quickest.min(round());
    }
    (quickest * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_switched_on_costs() {
        let nothing = Workload { oracle: false, histogram: false, ..Workload::default() };
        assert_eq!(Observer::measure(&nothing), Observer::default());
        let all = Observer::measure(&Workload::default());
        assert_eq!((all.timed_one_of, all.pacer_ns), (1, 0.0), "a closed loop has no pacer");
        for cost in [all.clock_ns, all.histogram_ns, all.fill_ns, all.check_ns] {
            assert!(cost > 0.0, "{all:?}");
        }
        let timed = all.clock_ns + all.histogram_ns;
        assert_eq!((all.per_write_ns, all.per_read_ns), (all.fill_ns + timed, all.check_ns + timed));
        let paced = Observer::measure(&Workload { rate: Some(1_000), ..nothing });
        assert!(paced.pacer_ns > 0.0 && paced.per_read_ns == paced.pacer_ns);
    }

    #[test]
    fn values_are_made_and_checked_byte_by_byte_when_that_is_timed() {
        let of = |len: &str| Workload { value_len: len.parse().unwrap(), ..Workload::default() };
        let (short, long) = (Observer::measure(&of("64")), Observer::measure(&of("1048576")));
        // Of 16384 times as many bytes.
        assert!(long.fill_ns > 16.0 * short.fill_ns, "{short:?} {long:?}");
        assert!(long.check_ns > 16.0 * short.check_ns, "{short:?} {long:?}");
    }

    #[test]
    fn a_turn_that_takes_long_is_not_repeated() {
        let mut turns = 0;
        time(|_| {
            turns += 1;
            std::thread::sleep(2 * LONGEST);
        });
        assert_eq!(turns, 1);
        let mut turns = 0;
        time(|_| turns += 1);
        assert!((2..=TURNS * ROUNDS).contains(&turns), "{turns}");
    }
}
