//! The sweep tries every instruction of an operation: at each of them, the process that performs it is held up while a second
//! process performs another operation, or it is killed, or stopped for ever; then the store is checked. With every instruction
//! tried (`--stride 1`), this is exhaustive for one preemption or one crash in the swept pairs and stores, in the machine code
//! that users run.
//!
//! Single steps record the trace of an operation once; from then on a breakpoint brings the first process to any instruction
//! of it. Worker processes share the scenarios, each on its own processor, since only the tracer can control a tracee.

/// Returns a fault in words if a condition holds.
macro_rules! fail_if {
    ($fault:expr, $($text:tt)+) => {
        if $fault {
            return Err(format!($($text)+));
        }
    };
}

mod answer;
mod cache;
mod checker;
mod code_location;
mod creation_run;
mod ops;
mod party;
mod plan;
mod process;
mod record;
mod run;
mod scenario;
mod snapshot;
mod store_run;
mod tracee;

pub use code_location::CodeLocation;
pub use ops::Op;
pub use plan::SweepPlan;
pub use record::{Pair, SweepRecord, Violation, sweep_summary};
pub use scenario::{Interruption, KeyLayout, Scenario, ScrubLevel};

use crate::threads;
use code_location::ProgramImage;
use creation_run::CreationRun;
use party::Channel;
use record::{Results, ScenarioReport};
use run::{Failure, Outcome, Run};
use splinter_harness::affinity;
use splinter_harness::error::RunError;
use splinter_harness::forked::Forked;
use splinter_harness::interrupt;
use splinter_harness::progress::{Progress, left_in_words};
use splinter_harness::rng::Rng;
use splinter_harness::shared::SharedWords;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::Instant;
use store_run::StoreRun;
use tracee::Trace;

/// Points of a scenario in a quick sweep.
const QUICK_POINTS: usize = 6;
/// Violations of one scenario after which the rest of it tells nothing new.
const ENOUGH: usize = 3;
/// How often a trace is recorded anew when the first process takes another path.
const TRACES: u32 = 3;
/// Scenarios that a worker takes at once.
const BATCH: usize = 6;

/// Sweeps, and returns the record.
///
/// # Errors
/// [`RunError`]: what kept it from sweeping. A violation is no error; it is in the record.
pub fn sweep(plan: &SweepPlan, progress: &mut dyn Progress) -> Result<SweepRecord, RunError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| RunError::Failed(format!("{what}: {error}"));
    let begin = Instant::now();
    let scenarios = plan.scenarios();
    if scenarios.is_empty() {
        return Err(RunError::Usage(
            "no pair of operations is left to sweep; see 'splinter-stress sweep --help'".to_owned(),
        ));
    }
    let image = ProgramImage::of_this().map_err(RunError::Failed)?;
    let cores = affinity::allowed();
    let jobs = if plan.jobs > 0 { plan.jobs } else { cores.len().max(1) };
    let jobs = jobs.min(scenarios.len().div_ceil(BATCH));
    let taken = SharedWords::create(1).map_err(|error| failed("no shared memory", &error))?;
    let mut workers = Vec::new();
    let mut ends = Vec::new();
    for job in 0..jobs {
        let (reader, writer) = nix::unistd::pipe().map_err(|error| failed("no pipe", &error))?;
        let core = cores.get(job % cores.len().max(1)).copied();
        let work = Worker { plan, scenarios: &scenarios, image: &image, taken: &taken };
        // Forked before this process starts any thread.
        let worker = Forked::new(|| {
            work.run(core, writer);
            0
        });
        workers.push(worker.map_err(|error| failed("no worker process", &error))?);
        ends.push(reader);
    }
    let results = collect(ends, scenarios.len(), progress);
    progress.done();
    for worker in workers {
        // A worker that is killed while it creates a store leaves the store's name.
        let name = process::name_of(worker.pid());
        drop(worker);
        let _ = splinter::Location::shared(name).and_then(|location| location.unlink());
    }
    let mut results = results.map_err(RunError::Failed)?;
    if interrupt::requested() {
        results.reasons.push("interrupted".to_owned());
    } else if results.reasons.is_empty() && results.pairs.len() < scenarios.len() {
        let left = scenarios.len() - results.pairs.len();
        results.reasons.push(format!("{left} scenarios were not run: a worker ended"));
    }
    Ok(results.into_record(plan.seed, plan.quick, begin.elapsed().as_secs_f64()))
}

/// Collects the workers' reports, until all of them are done.
///
/// # Errors
/// One line if the kernel does not give the threads that read them.
fn collect(ends: Vec<OwnedFd>, scenarios: usize, progress: &mut dyn Progress) -> Result<Results, String> {
    let (sender, receiver) = mpsc::channel::<ScenarioReport>();
    for end in ends {
        let sender = sender.clone();
        threads::start(move || {
            for line in BufReader::new(File::from(end)).lines().map_while(Result::ok) {
                let report = serde_json::from_str(&line).unwrap_or_else(|error| ScenarioReport {
                    failure: Some(format!("a worker's report cannot be read: {error}")),
                    ..ScenarioReport::default()
                });
                if sender.send(report).is_err() {
                    return;
                }
            }
        })?;
    }
    drop(sender);
    let mut results = Results::default();
    let mut points = 0;
    let began = Instant::now();
    for report in receiver {
        points += report.pair.as_ref().map_or(0, |pair| pair.points);
        results.add(report);
        progress.step(&format!(
            "{} of {scenarios} scenarios{}, {points} points, {} violations",
            results.pairs.len(),
            left_in_words(results.pairs.len(), scenarios, began.elapsed()),
            results.violations.len()
        ));
        if interrupt::requested() {
            break;
        }
    }
    Ok(results)
}

/// Starts a scenario's processes and fills its store.
fn setup<'c>(
    scenario: Scenario,
    channel: &'c Channel,
    text: &Range<u64>,
) -> Result<Box<dyn Run + 'c>, Failure> {
    Ok(if scenario.is_of_names() {
        Box::new(CreationRun::setup(scenario, channel, text)?)
    } else {
        Box::new(StoreRun::setup(scenario, channel, text)?)
    })
}

/// How many traces a worker keeps.
const KEPT_TRACES: usize = 4;

/// What the workers share.
struct Worker<'a> {
    plan: &'a SweepPlan,
    scenarios: &'a [Scenario],
    image: &'a ProgramImage,
    taken: &'a SharedWords,
}

impl Worker<'_> {
    /// Runs as a worker: takes scenarios until none is left.
    fn run(&self, core: Option<usize>, writer: OwnedFd) {
        // Tracer and tracee take turns on one processor; two processors would wake each other up.
        let _ = core.map(affinity::pin);
        process::start_watchdog();
        let mut file = File::from(writer);
        let mut send = |report: &ScenarioReport| {
            let line = serde_json::to_string(report).expect("reports are plain data");
            writeln!(file, "{line}").is_ok()
        };
        let channel = match Channel::create() {
            Ok(channel) => channel,
            Err(error) => {
                let failure = Some(error);
                send(&ScenarioReport { failure, ..ScenarioReport::default() });
                return;
            }
        };
        let mut traces = HashMap::new();
        loop {
            let from = self.taken.words()[0].fetch_add(BATCH as u64, Relaxed) as usize;
            let Some(rest) = self.scenarios.get(from..) else {
                return;
            };
            for scenario in rest.iter().take(BATCH) {
                let report = self.run_scenario(*scenario, &channel, &mut traces);
                let fatal = report.pair.is_none();
                if !send(&report) || fatal || interrupt::requested() {
                    return;
                }
            }
            if rest.len() <= BATCH {
                return;
            }
        }
    }

    /// Runs a scenario at all points that are wanted.
    fn run_scenario(
        &self,
        scenario: Scenario,
        channel: &Channel,
        traces: &mut HashMap<String, Rc<Trace>>,
    ) -> ScenarioReport {
        let mut report = ScenarioReport::default();
        let mut pair = Pair::of(&scenario);
        let result = self.try_points(scenario, channel, traces, &mut pair, &mut report);
        match result {
            Ok(()) => report.pair = Some(pair),
            Err(failure) => report.failure = Some(failure),
        }
        report
    }

    fn try_points(
        &self,
        scenario: Scenario,
        channel: &Channel,
        traces: &mut HashMap<String, Rc<Trace>>,
        pair: &mut Pair,
        report: &mut ScenarioReport,
    ) -> Result<(), String> {
        let mut run = setup(scenario, channel, &self.image.text)?;
        let label = run.label();
        let mut trace = match traces.get(&label) {
            Some(trace) => Rc::clone(trace),
            None => run.trace()?,
        };
        pair.instructions = trace.len();
        pair.stride = self.stride(&scenario, trace.len());
        if let (Some(point), count) = (self.plan.point, run.points(&trace))
            && point >= count
        {
            return Err(format!("{scenario} has {count} points: there is no point {point}"));
        }
        let (mut faults, mut retraced) = (Vec::new(), 0);
        for at in self.points(&scenario, &trace, run.points(&trace)) {
            if at >= run.points(&trace) {
                break;
            }
            let mut outcome = run.point(&trace, at)?;
            if matches!(outcome, Outcome::Missed) && retraced < TRACES {
                // The trace may be another scenario's; and a waiting process looks for dead owners once a second, by another
                // path.
                retraced += 1;
                trace = run.trace()?;
                if at >= run.points(&trace) {
                    break;
                }
                outcome = run.point(&trace, at)?;
            }
            pair.points += u64::from(!matches!(outcome, Outcome::Missed));
            match outcome {
                Outcome::Held => {}
                Outcome::Missed => pair.missed += 1,
                Outcome::Broken(what) => {
                    pair.violations += 1;
                    faults.push((at, what));
                }
            }
            if faults.len() >= ENOUGH || interrupt::requested() {
                break;
            }
        }
        // Scenarios with the same trace follow each other. Every fork copies the kept traces, page by page.
        if traces.len() >= KEPT_TRACES {
            traces.clear();
        }
        traces.insert(label, Rc::clone(&trace));
        if !faults.is_empty() {
            let loader = self.image.loader();
            report.violations = faults
                .into_iter()
                .map(|(point, what)| Violation {
                    scenario: scenario.to_string(),
                    point,
                    what,
                    location: self.image.location(loader.as_ref(), trace.rip(point)),
                    replay: format!("splinter-stress sweep --only {scenario} --point {point}"),
                })
                .collect();
        }
        Ok(())
    }

    /// Returns the stride: one of this many instructions is tried.
    fn stride(&self, scenario: &Scenario, count: usize) -> usize {
        match (self.plan.stride, self.plan.quick) {
            (0, _) if self.plan.point.is_some() => 1,
            (0, true) => count.div_ceil(QUICK_POINTS).max(1),
            // One scenario alone is run in full.
            (0, false) if self.plan.only.is_some() => 1,
            (0, false) => scenario.stride(),
            (stride, _) => stride,
        }
    }

    /// Chooses points of a scenario: all of them, or one drawn from every stride, but always the last one of a waiting
    /// operation, and those around a system call of a long one.
    fn points(&self, scenario: &Scenario, trace: &Trace, count: usize) -> Vec<usize> {
        if let Some(point) = self.plan.point {
            return vec![point];
        }
        let number = self.scenarios.iter().position(|known| known == scenario);
        let mut rng = Rng::new(self.plan.seed, number.unwrap_or_default() as u64);
        let stride = self.stride(scenario, count);
        let mut points: BTreeSet<usize> = (0..count)
            .step_by(stride)
            .map(|from| from + rng.below(stride.min(count - from) as u64) as usize)
            .collect();
        if scenario.is_long() && !self.plan.quick && stride > 1 {
            let around = trace.calls().iter().flat_map(|at| [*at, at + 1]);
            points.extend(around.filter(|at| *at < count));
        }
        if scenario.first.waits() {
            points.insert(count - 1);
        }
        points.into_iter().collect()
    }
}
