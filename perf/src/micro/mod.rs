//! The operations of a store, each held against the limit of the machine that binds it.

pub mod big;
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
use crate::rounds::{self, Probe, Schedule, Series};
use judge::Row;
use record::Measured;
use rows::{Entry, Sample, Unable};
use splinter_harness::counters::{self, Counts};
use splinter_harness::disturbance::RoundWatch;
use splinter_harness::interrupt;
use splinter_harness::progress::Progress;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

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
    let mut counted: BTreeMap<String, Rc<RefCell<Counts>>> = BTreeMap::new();
    let mut probes = Vec::new();
    let mut claims = Vec::new();
    let mut failed = Vec::new();
    for Entry { mut claim, every, prepare } in entries {
        progress.step(&format!("preparing {}", claim.name));
        match prepare(&mut claim) {
            Ok(sample) => {
                let counts = counted.entry(claim.name.clone()).or_default();
                let sample = counting(sample, Rc::clone(counts));
                probes.push(Probe::new(claim.name.clone(), sample).every(every));
            }
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
            Ok(probe) => probes.push(probe),
            Err(why) => failed.push(Series::failed(limit.name(), why)),
        }
    }
    // Until here there is nothing to keep, and Ctrl-C ends the program at once.
    interrupt::watch();
    let mut go_on = |step: rounds::Step<'_>| {
        step.tell(progress);
        !interrupt::requested()
    };
    let mut series = rounds::run(&mut probes, schedule, &mut go_on, &mut |round| watch.keep(round));
    series.extend(failed);
    plausible::refuse(&mut series);
    let rows = claims
        .into_iter()
        .map(|claim| {
            let counts = counted.get(&claim.name);
            let counts = counts.map(|counts| counts.borrow().per_operation());
            Row { per_operation: counts.unwrap_or_default(), ..Row::judge(claim, &series) }
        })
        .collect();
    (rows, Measured::of(&limits, &series))
}

/// Adds what the counters say of each sample.
fn counting(mut sample: Sample, counts: Rc<RefCell<Counts>>) -> Sample {
    Box::new(move || {
        // What others left.
        let _ = counters::take();
        let result = sample();
        counts.borrow_mut().add(&counters::take());
        result
    })
}
