//! The executor that really runs candidates, by the stress suite's engine, and what it knows of this machine.

use super::objective::Trial;
use super::search::{Executor, Step, Stop};
use super::space::{Candidate, Site};
use splinter_harness::disturbance::{ProcessorUse, RoundWatch};
use splinter_harness::environment::Environment;
use splinter_harness::interrupt;
use splinter_harness::progress::Line;
use splinter_harness::progress::Progress;
use splinter_harness::progress::Silent;
use splinter_harness::progress::left_in_words;
use splinter_harness::verdict::Verdict;
use splinter_stress::{Huge, Record, Span, TopologyPlan, Warmup, Workload, topology};
use std::time::{Duration, Instant};

/// How long workers run before anything counts: all candidates alike, so that the time goes to what counts.
const WARM_UP: Duration = Duration::from_millis(100);

/// This machine.
#[derive(Debug)]
pub struct ThisMachine<'a> {
    base: &'a Workload,
    rounds: RoundWatch,
    line: Line,
    began: Instant,
}

impl<'a> ThisMachine<'a> {
    /// Prepares to run candidates of a workload. At most `again` disturbed runs are run again.
    #[must_use]
    pub fn new(base: &'a Workload, again: u32) -> Self {
        let processors = ProcessorUse::up_to(base.operators() as usize);
        Self {
            base,
            rounds: RoundWatch::start(again, &processors),
            line: Line::new("tune"),
            began: Instant::now(),
        }
    }

    /// Returns what disturbed the runs that count.
    #[must_use]
    pub fn rounds(&self) -> &RoundWatch {
        &self.rounds
    }
}

impl Executor for ThisMachine<'_> {
    fn run(&mut self, step: &Step, candidate: &Candidate, millis: u64) -> Result<Trial, Stop> {
        if interrupt::requested() {
            return Err(Stop::Interrupted);
        }
        let Step { done, total, what, .. } = step;
        let left = left_in_words(*done, *total, self.began.elapsed());
        self.line.step(&format!("{done} of {total} done{left}: {what}"));
        let workload = candidate.over(self.base);
        let workload = workload.ok_or_else(|| Stop::Failed("it means nothing".to_owned()))?;
        let workload = Workload {
            span: Span::DurationMs(millis),
            oracle: workload.oracle || step.proved,
            warmup: match workload.warmup {
                Warmup::Auto => Warmup::For(WARM_UP),
                fixed @ Warmup::For(_) => fixed,
            },
            ..workload
        };
        let mut run = || splinter_stress::run(&workload, &mut Silent);
        let record = self.rounds.run(&mut run).map_err(|error| {
            if interrupt::requested() { Stop::Interrupted } else { Stop::Failed(error.to_string()) }
        })?;
        // A run that was cut short does not count for this candidate; an invariant that broke in it does.
        if interrupt::requested() && record.invariants.held() {
            return Err(Stop::Interrupted);
        }
        Ok(trial(&record))
    }
}

/// Takes from a record what the search asks for.
#[must_use]
pub fn trial(record: &Record) -> Trial {
    let timed = record.operations.values().map(|operation| operation.latency_ns);
    let p99 = timed.filter(|latency| latency.samples > 0).map(|latency| latency.p99).max();
    let wake = record.notifications.map(|told| told.wake_latency_ns);
    let broken = record.invariants.broken();
    Trial {
        goodput_per_s: record.totals.goodput_per_s,
        writes_per_s: record.totals.writes_per_s,
        reads_per_s: record.totals.reads_per_s,
        p99_ns: p99.map(|ns| ns as f64),
        wake_ns: wake.filter(|wake| wake.samples > 0).map(|wake| wake.p50 as f64),
        broken,
        unfit: unfit(record, broken),
    }
}

/// Says why a run is not one of what was asked for.
fn unfit(record: &Record, broken: u64) -> Option<String> {
    let first = |list: &[String]| list.first().cloned();
    if !record.placement.misplaced.is_empty() && !record.config.allow_misplacement {
        return first(&record.placement.misplaced).map(|it| format!("not placed as asked: {it}"));
    }
    // Placed as they were asked to be, and not huge: the default under another name.
    if record.config.huge_pages != Huge::Off && record.store.huge_page_bytes == 0 {
        let note = first(&record.store.notes);
        return Some(note.unwrap_or_else(|| "no huge pages were had".to_owned()));
    }
    match record.verdict {
        Verdict::Pass => None,
        Verdict::Fail if broken > 0 => None,
        _ => Some(first(&record.reasons).unwrap_or_else(|| "it cannot be told".to_owned())),
    }
}

/// Returns what choices depend on.
#[must_use]
pub fn site(environment: &Environment) -> Site {
    let machine = topology(&TopologyPlan::default()).map(|record| record.machine).ok();
    let nodes = environment.nodes.iter();
    let nodes = nodes.filter(|node| !node.processors.is_empty());
    let has_memory = |id: u32| {
        let known = machine.as_ref().and_then(|it| it.nodes.iter().find(|node| node.id == id));
        known.is_none_or(|node| node.memory)
    };
    Site {
        nodes: nodes.map(|node| (node.id, has_memory(node.id))).collect(),
        caches: machine.as_ref().map_or(1, |machine| machine.caches.len()),
    }
}

/// Returns on which processors the workers of a workload would be; none if it cannot be had.
#[must_use]
pub fn seats(workload: &Workload) -> Option<Vec<Option<usize>>> {
    let plan = TopologyPlan { source: None, workload: Some(workload.clone()) };
    let placed = topology(&plan).ok()?.placement?;
    Some(placed.workers.iter().map(|worker| worker.processor).collect())
}
