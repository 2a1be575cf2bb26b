//! What the clock adds to each latency: two readings with nothing between them are some time apart. A latency of that size
//! says nothing of the operation.

use crate::cycles::{clock_step, cycle_ns};
use crate::table::span;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Pairs of readings that are compared.
const PAIRS: usize = 4_000;

/// A latency that is fewer times the clock's share is shown without it.
const SHOWN_NET: f64 = 10.0;

/// The part of every latency that is the clock's, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ClockCost {
    /// The median of what two readings with nothing between them are apart; 0 where nothing was timed.
    pub empty_ns: f64,
    /// How far one in ten of them is from that, or one step of the counter if that is more.
    pub error_ns: f64,
}

impl ClockCost {
    /// Measures it: some milliseconds.
    #[must_use]
    pub fn measure() -> Self {
        let start = (splinter::cycles(), Instant::now());
        Self::of(cycle_ns(start))
    }

    /// Measures it with a counter of known rate.
    pub fn of(cycle_ns: f64) -> Self {
        let pair = |_| {
            let start = splinter::cycles_fenced();
            splinter::cycles_fenced().saturating_sub(start)
        };
        let mut apart: Vec<u64> = (0..PAIRS).map(pair).collect();
        apart.sort_unstable();
        let at = |share: f64| apart[(PAIRS as f64 * share) as usize] as f64;
        let median = at(0.5);
        let spread = (at(0.9) - median).max(median - at(0.1));
        let step = clock_step() as f64;
        let ns = |cycles: f64| (cycles * cycle_ns * 100.0).round() / 100.0;
        Self { empty_ns: ns(median), error_ns: ns(spread.max(step)) }
    }

    /// Shows a latency: as it is where the clock's share is small, without that share and with its error where it is not,
    /// and as no more than the clock's own where nothing else is known.
    #[must_use]
    pub fn show(&self, raw_ns: u64) -> String {
        let raw = raw_ns as f64;
        let net = raw - self.empty_ns;
        if raw >= SHOWN_NET * self.empty_ns {
            span(raw_ns)
        } else if net <= self.error_ns {
            format!("<= clock ({} ns)", self.empty_ns.round())
        } else {
            format!("{} ns +-{}", net.round(), self.error_ns.ceil())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ClockCost;

    const CLOCK: ClockCost = ClockCost { empty_ns: 33.0, error_ns: 6.4 };

    #[test]
    fn a_latency_of_the_clocks_own_size_is_not_shown_as_the_operations() {
        assert_eq!(CLOCK.show(39), "<= clock (33 ns)");
        assert_eq!(CLOCK.show(20), "<= clock (33 ns)");
        assert_eq!(CLOCK.show(40), "7 ns +-7");
        assert_eq!(CLOCK.show(329), "296 ns +-7");
        assert_eq!(CLOCK.show(330), "330 ns");
        assert_eq!(CLOCK.show(4_500), "4.5 us");
    }

    #[test]
    fn without_a_clocks_cost_a_latency_is_shown_as_it_is() {
        assert_eq!(ClockCost::default().show(7), "7 ns");
    }

    #[test]
    fn reading_the_clock_twice_takes_some_time() {
        let clock = ClockCost::measure();
        assert!(clock.empty_ns > 0.0 && clock.error_ns > 0.0, "{clock:?}");
    }
}
