//! The operations of a store, each held against the limit of the machine that binds it.

pub mod big;
pub mod cache;
pub mod chain;
pub mod create;
pub mod crowd;
pub mod fixture;
pub mod goal;
pub mod integer;
pub mod judge;
pub mod keyed;
pub mod miss;
pub mod paired;
pub mod record;
pub mod rows;
pub mod table;

use crate::limits::{Limit, Setup, plausible};
use judge::Row;
use record::Measured;
use rows::{Entry, Sample, Unable};
use splinter_harness::counters::{self, Counts};
use splinter_harness::disturbance::RoundWatch;
use splinter_harness::progress::Progress;
use splinter_harness::sampler::{self, Probe, Schedule, Series, Subject};
use std::collections::BTreeMap;

/// Prepares the rows and the limits they are held against, samples all of them in the same rounds, and judges. From the
/// first round on Ctrl-C ends the rounds, and no more the program.
pub fn run(
    entries: Vec<Entry>,
    setup: &Setup,
    schedule: &Schedule,
    watch: &mut RoundWatch,
    progress: &mut dyn Progress,
) -> (Vec<Row>, Vec<Measured>) {
    counters::open();
    let mut probes = Vec::new();
    let mut claims = Vec::new();
    let mut failed = Vec::new();
    for Entry { mut claim, every, prepare } in entries {
        progress.step(&format!("preparing {}", claim.name));
        match prepare(&mut claim) {
            Ok(sample) => probes.push(Probe::new(Subject::new(&claim.name).every(every), counting(sample))),
            Err(Unable::Skipped(why)) => claim = claim.not_comparable(why),
            Err(Unable::Failed(error)) => failed.push(Series::failed(&claim.name, error)),
        }
        claims.push(claim);
    }
    let takes = |limit: Limit| {
        let mut claims = claims.iter();
        claims.any(|claim| claim.goal.against.takes(limit.name()))
    };
    let mut limits = Limit::ALL.to_vec();
    // Those that show whether a limit is plausible are measured too.
    limits.retain(|limit| {
        let checks = |other: Limit| takes(other) && other.checked_by().contains(limit);
        takes(*limit) || Limit::ALL.into_iter().any(checks)
    });
    for &limit in &limits {
        progress.step(&format!("preparing {}", limit.name()));
        match limit.probe(setup) {
            Ok(probe) => probes.push(probe.map(|value| (value, Counts::default()))),
            Err(why) => failed.push(Series::failed(limit.name(), why)),
        }
    }
    let mut counted = BTreeMap::new();
    let sampled = sampler::run(&mut probes, schedule, watch, progress).into_iter();
    let mut series: Vec<Series> = sampled
        .map(|series| {
            // Of the rounds that count, as the values are.
            let mut counts = Counts::default();
            series.taken().for_each(|(_, of_sample)| counts.add(of_sample));
            counted.insert(series.name.clone(), counts.per_operation());
            series.map(|(value, _)| value)
        })
        .collect();
    series.extend(failed);
    plausible::refuse(&mut series);
    let rows = claims.into_iter().map(|claim| {
        let per_operation = counted.remove(&claim.name).unwrap_or_default();
        Row { per_operation, ..Row::judge(claim, &series) }
    });
    (rows.collect(), Measured::of(&limits, &series))
}

/// Adds to each sample what the counters say of it.
fn counting(mut sample: Sample) -> impl FnMut() -> Result<(f64, Counts), String> {
    move || {
        // What others left.
        let _ = counters::take();
        Ok((sample()?, counters::take()))
    }
}
