//! Whether an open loop kept its rate, from what its workers say. Pure.

use super::{Arrivals, Paced};
use serde::{Deserialize, Serialize};

/// Share of the planned starts that may be missing.
const MISSING: f64 = 0.01;
/// Share of the window that a worker may be late by at its end. Of a short window it may be late by one turn of others on
/// its processor, unless that is half of it.
const LATE: f64 = 0.05;
const TURN_MS: f64 = 20.0;
const HALF: f64 = 0.5;

/// How an open loop kept its rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct OpenLoop {
    /// The request.
    pub asked_per_s: u64,
    pub arrivals: Arrivals,
    /// `spins`; `sleeps, then spins` (last 0.1 ms) if workers outnumber processors.
    pub pacer: String,
    /// Starts planned in the window, and made; `poisson` starts overdue at the end count by their average.
    pub planned: u64,
    pub started: u64,
    /// Goodput.
    pub done_per_s: f64,
    /// Of the latest worker, of the latest start.
    pub late_at_end_ms: f64,
    pub longest_lateness_ms: f64,
    /// Whether the rate was missed, and the evidence.
    pub saturated: bool,
    pub why: Option<String>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requested {
    pub rate: u64,
    pub arrivals: Arrivals,
    pub sleeps: bool,
}

/// Judges a window, from what each worker says in cycles of `cycle_ns`.
#[must_use]
pub(crate) fn judge(
    requested: Requested,
    workers: &[(u32, Paced)],
    done_per_s: f64,
    cycle_ns: f64,
) -> OpenLoop {
    let millis = |cycles: u64| cycles as f64 * cycle_ns * 1e-6;
    let sum = |of: fn(&Paced) -> u64| workers.iter().map(|(_, paced)| of(paced)).sum::<u64>();
    let (planned, started) = (sum(|paced| paced.planned), sum(|paced| paced.started));
    let late_at_end = workers.iter().map(|(_, paced)| paced.late_at_end).max();
    let longest = workers.iter().map(|(_, paced)| paced.longest).max();

    // One start of each worker may be due at the very end.
    let missing = planned - started;
    let too_few = missing > workers.len() as u64 && missing as f64 > MISSING * planned as f64;
    let too_late = workers.iter().find(|(_, paced)| {
        let span_ms = millis(paced.span);
        millis(paced.late_at_end) > (LATE * span_ms).max(TURN_MS.min(HALF * span_ms))
    });
    let why = match too_late {
        _ if too_few => Some(format!(
            "only {started} of {planned} planned starts were made: lower --rate, or use more workers"
        )),
        Some((worker, paced)) => Some(format!(
            "worker {worker} was {:.1} ms late at the end: lower --rate, or use more workers",
            millis(paced.late_at_end)
        )),
        None => None,
    };
    OpenLoop {
        asked_per_s: requested.rate,
        arrivals: requested.arrivals,
        pacer: if requested.sleeps { "sleeps, then spins" } else { "spins" }.to_owned(),
        planned,
        started,
        done_per_s,
        late_at_end_ms: late_at_end.map_or(0.0, millis),
        longest_lateness_ms: longest.map_or(0.0, millis),
        saturated: why.is_some(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Requested = Requested { rate: 1_000, arrivals: Arrivals::Uniform, sleeps: false };

    /// Judges a second of some workers, given as (planned, started, late at the end in ms).
    fn judged(workers: &[(u64, u64, u64)]) -> OpenLoop {
        judged_in(1.0, workers)
    }

    fn judged_in(window_s: f64, workers: &[(u64, u64, u64)]) -> OpenLoop {
        let workers: Vec<(u32, Paced)> = (0..)
            .zip(workers)
            .map(|(worker, &(planned, started, late_ms))| {
                let late_at_end = late_ms * 1_000_000;
                let paced = Paced {
                    planned,
                    started,
                    late_at_end,
                    longest: late_at_end,
                    span: (window_s * 1e9) as u64,
                };
                (worker, paced)
            })
            .collect();
        judge(ASKED, &workers, 1.0, 1.0)
    }

    #[test]
    fn who_keeps_up_is_not_saturated() {
        for workers in [
            &[(500, 500, 0), (500, 500, 0)][..],
            &[(500, 499, 1), (500, 499, 1)],
            &[(500, 500, 15)],
            &[(3, 2, 10)],
            &[(0, 0, 0)],
            &[],
        ] {
            let open_loop = judged(workers);
            assert!(!open_loop.saturated, "{open_loop:?}");
            assert_eq!(open_loop.why, None);
        }
    }

    #[test]
    fn a_share_that_took_longer_than_planned_is_saturated_however_short_it_was() {
        // All was done, and 4 ms late after 5 ms; or 19 ms late after a second.
        assert!(judged_in(0.005, &[(500, 500, 4)]).saturated);
        assert!(!judged_in(1.0, &[(500, 500, 19)]).saturated);
        assert!(!judged_in(0.1, &[(500, 500, 19)]).saturated);
    }

    #[test]
    fn who_falls_behind_is_saturated_and_the_reason_is_said() {
        let behind = judged(&[(500, 250, 500), (500, 250, 400)]);
        assert!(behind.saturated);
        assert!(behind.why.unwrap().contains("500 of 1000"));
        assert!((behind.late_at_end_ms - 500.0).abs() < 1e-9);
        // One starved worker of many does not show in the sum.
        let mut workers = vec![(1_000, 1_000, 0); 99];
        workers.push((1_000, 900, 100));
        let starving = judged(&workers);
        assert!(starving.why.unwrap().contains("worker 99 was 100.0 ms late"));
    }
}
