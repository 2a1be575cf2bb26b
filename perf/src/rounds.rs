//! The interleaved rounds: every round takes one short sample of every probe, in an order drawn anew, so that a
//! processor that slows down, a neighbour that wakes up or a clock that drifts hits all probes alike instead of
//! the one that happened to run. Knows nothing of stores, limits or clocks: a probe is a closure that returns a
//! number, and the tests run it without timing anything.

use crate::stats::Summary;
use splinter_harness::progress::Progress;
use splinter_harness::rng::Rng;

/// Why a probe could not give a sample, in words for the user.
pub type ProbeError = String;

/// One thing that is measured.
pub struct Probe<'a> {
    name: String,
    every: u32,
    note: Option<String>,
    sample: Box<dyn FnMut() -> Result<f64, ProbeError> + 'a>,
}

impl<'a> Probe<'a> {
    /// Creates a probe that is sampled in every round.
    pub fn new(name: impl Into<String>, sample: impl FnMut() -> Result<f64, ProbeError> + 'a) -> Self {
        Self { name: name.into(), every: 1, note: None, sample: Box::new(sample) }
    }

    /// Makes the probe take part in every `rounds`-th round only, the first included: for samples that are long.
    ///
    /// # Panics
    /// When `rounds` is 0.
    #[must_use]
    pub fn every(mut self, rounds: u32) -> Self {
        assert!(rounds > 0, "every 0 rounds is never");
        self.every = rounds;
        self
    }

    /// Adds what a reader of its figures should know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Returns the name its series will carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// How many rounds to run, and in what order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Rounds that count.
    pub rounds: u32,
    /// Seed of the order within each round.
    pub seed: u64,
    /// Runs one round before the first whose samples are thrown away.
    pub warm_up: bool,
}

/// What is told to the watcher before each sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The round, from 1; 0 is the warm-up.
    pub round: u32,
    /// Rounds in all.
    pub rounds: u32,
    /// The probe that is about to be sampled.
    pub probe: &'a str,
}

impl Step<'_> {
    /// Shows the step as progress.
    pub fn tell(self, progress: &mut dyn Progress) {
        progress.round(self.round as usize, self.rounds as usize, self.probe);
    }
}

/// The samples of one probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The probe's name.
    pub name: String,
    /// One entry a round; `None` where the probe took no part, or had failed.
    pub samples: Vec<Option<f64>>,
    /// The error that ended it, or why its figures bound nothing. A probe is not sampled again after an error.
    pub error: Option<ProbeError>,
    /// What a reader of its figures should know.
    pub note: Option<String>,
}

impl Series {
    /// Creates the series of what could not even be prepared.
    #[must_use]
    pub fn failed(name: &str, error: ProbeError) -> Self {
        Self { name: name.to_owned(), samples: Vec::new(), error: Some(error), note: None }
    }

    /// Returns the median where others can be held against it: the series has no error.
    #[must_use]
    pub fn bound(&self) -> Option<f64> {
        let summary = self.summary().filter(|_| self.error.is_none());
        summary.map(|summary| summary.median)
    }

    /// Summarises the samples over all rounds; `None` when there is none.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        Summary::of(self.samples.iter().copied().flatten())
    }
}

#[cfg(test)]
impl Series {
    /// Creates a series that took part in every round.
    pub(crate) fn of(name: &str, samples: &[f64]) -> Self {
        Self {
            name: name.to_owned(),
            samples: samples.iter().copied().map(Some).collect(),
            error: None,
            note: None,
        }
    }
}

/// Runs the rounds and returns one series a probe, in the order of `probes`. `watch` hears of each sample before it is
/// taken, and tells whether to go on: if not, what was taken in whole rounds is all there is. `keep` hears of each round that
/// is over, and tells whether it counts: if not, it is taken again.
pub fn run(
    probes: &mut [Probe<'_>],
    schedule: &Schedule,
    watch: &mut dyn FnMut(Step<'_>) -> bool,
    keep: &mut dyn FnMut(u32) -> bool,
) -> Vec<Series> {
    let mut series: Vec<Series> = probes
        .iter()
        .map(|probe| Series {
            name: probe.name.clone(),
            samples: Vec::new(),
            error: None,
            note: probe.note.clone(),
        })
        .collect();
    let mut order: Vec<usize> = (0..probes.len()).collect();
    let mut rng = Rng::new(schedule.seed, 0);
    let mut round = u32::from(!schedule.warm_up);
    while round <= schedule.rounds {
        rng.shuffle(&mut order);
        for &at in &order {
            let probe = &mut probes[at];
            let due = round.saturating_sub(1).is_multiple_of(probe.every);
            let mut sample = None;
            if due && series[at].error.is_none() {
                let step = Step { round, rounds: schedule.rounds, probe: &probe.name };
                if !watch(step) {
                    let whole = round.saturating_sub(1) as usize;
                    for series in &mut series {
                        series.samples.truncate(whole);
                    }
                    return series;
                }
                match (probe.sample)() {
                    Ok(value) => sample = Some(value),
                    Err(error) => series[at].error = Some(error),
                }
            }
            if round > 0 {
                series[at].samples.push(sample);
            }
        }
        if keep(round) {
            round += 1;
        } else {
            for series in &mut series {
                series.samples.pop();
            }
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::{Probe, Schedule, Series, Step};
    use std::cell::RefCell;

    const SCHEDULE: Schedule = Schedule { rounds: 8, seed: 1, warm_up: false };

    fn quiet(_: Step<'_>) -> bool {
        true
    }

    fn run(
        probes: &mut [Probe<'_>],
        schedule: &Schedule,
        watch: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Vec<Series> {
        super::run(probes, schedule, watch, &mut |_| true)
    }

    #[test]
    fn every_round_samples_every_probe_once_in_changing_order() {
        let seen = RefCell::new(Vec::new());
        let mut probes: Vec<_> = (0..5)
            .map(|index| {
                let seen = &seen;
                Probe::new(format!("p{index}"), move || {
                    seen.borrow_mut().push(index);
                    Ok(f64::from(index))
                })
            })
            .collect();
        let series = run(&mut probes, &SCHEDULE, &mut quiet);
        drop(probes);
        let seen = seen.into_inner();
        let rounds: Vec<&[i32]> = seen.chunks(5).collect();
        assert_eq!(rounds.len(), 8);
        for round in &rounds {
            let mut sorted = round.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert!(rounds.windows(2).any(|pair| pair[0] != pair[1]));
        for (index, series) in series.iter().enumerate() {
            assert_eq!(series.name, format!("p{index}"));
            assert_eq!(series.samples, vec![Some(index as f64); 8]);
        }
    }

    #[test]
    fn equal_seeds_give_equal_orders_and_others_do_not() {
        let order = |seed| {
            let mut names = Vec::new();
            let mut probes: Vec<_> = (0..6).map(|index| Probe::new(index.to_string(), || Ok(0.0))).collect();
            run(&mut probes, &Schedule { seed, ..SCHEDULE }, &mut |step| {
                names.push(step.probe.to_owned());
                true
            });
            names
        };
        assert_eq!(order(9), order(9));
        assert_ne!(order(9), order(10));
    }

    #[test]
    fn the_warm_up_round_is_thrown_away() {
        let mut calls = 0;
        let mut rounds_seen = Vec::new();
        let mut probes = [Probe::new("p", || {
            calls += 1;
            Ok(f64::from(calls))
        })];
        let schedule = Schedule { rounds: 3, warm_up: true, ..SCHEDULE };
        let series = run(&mut probes, &schedule, &mut |step| {
            rounds_seen.push(step.round);
            true
        });
        assert_eq!(series[0].samples, [Some(2.0), Some(3.0), Some(4.0)]);
        assert_eq!(rounds_seen, [0, 1, 2, 3]);
    }

    #[test]
    fn a_round_that_does_not_count_is_taken_again() {
        let mut calls = 0.0;
        let mut probes = [Probe::new("p", || {
            calls += 1.0;
            Ok(calls)
        })];
        let schedule = Schedule { rounds: 3, warm_up: true, ..SCHEDULE };
        let mut ended = Vec::new();
        let series = super::run(&mut probes, &schedule, &mut quiet, &mut |round| {
            ended.push(round);
            ended.len() != 3
        });
        assert_eq!(ended, [0, 1, 2, 2, 3]);
        assert_eq!(series[0].samples, [Some(2.0), Some(4.0), Some(5.0)]);
    }

    #[test]
    fn a_slow_probe_takes_part_in_every_nth_round() {
        let mut probes = [Probe::new("slow", || Ok(1.0)).every(3)];
        let series = run(&mut probes, &SCHEDULE, &mut quiet);
        let took_part: Vec<bool> = series[0].samples.iter().map(Option::is_some).collect();
        assert_eq!(took_part, [true, false, false, true, false, false, true, false]);
    }

    #[test]
    fn whole_rounds_are_kept_when_it_is_ended() {
        for (end_at, whole) in [(0, 0), (2, 0), (3, 0), (4, 0), (7, 1), (9, 2), (10, 2)] {
            let mut probes: Vec<_> = (0..3).map(|index| Probe::new(index.to_string(), || Ok(1.0))).collect();
            let schedule = Schedule { warm_up: true, ..SCHEDULE };
            let mut steps = 0;
            let series = run(&mut probes, &schedule, &mut |_| {
                steps += 1;
                steps <= end_at
            });
            // The first three are the warm-up's.
            assert!(series.iter().all(|it| it.samples.len() == whole), "{end_at}");
        }
    }

    #[test]
    fn an_error_ends_its_probe_and_no_other() {
        let mut calls = 0;
        let mut probes = [
            Probe::new("bad", || {
                calls += 1;
                if calls == 3 { Err("the store is full".to_owned()) } else { Ok(1.0) }
            }),
            Probe::new("good", || Ok(2.0)),
        ];
        let series = run(&mut probes, &SCHEDULE, &mut quiet);
        assert_eq!(series[0].error.as_deref(), Some("the store is full"));
        assert_eq!(series[0].samples.iter().flatten().count(), 2);
        assert_eq!(series[0].samples.len(), 8);
        assert_eq!(series[1].samples.iter().flatten().count(), 8);
        drop(probes);
        assert_eq!(calls, 3);
    }

    #[test]
    fn the_median_of_a_series_ignores_the_rounds_it_sat_out() {
        let series =
            Series { samples: vec![Some(3.0), None, Some(1.0), None, Some(2.0)], ..Series::of("p", &[]) };
        assert_eq!(series.summary().unwrap().median, 2.0);
        let none = Series { samples: vec![None], ..Series::of("p", &[]) };
        assert_eq!(none.summary(), None);
    }
}
