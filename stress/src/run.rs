//! A run, from the first check of the workload to its record, in one place and in order. Everything
//! it uses lies in modules of its own; nothing here is measured.

use crate::aggregate::{Evidence, Timing};
use crate::history;
use crate::history::collect::{Before, collect};
use crate::history::record::HistoryRecord;
use crate::observer::Observer;
use crate::open_loop::Tsc;
use crate::options::{Memory, Span, Warmup};
use crate::oracle::acks::AckTable;
use crate::oracle::checks::Faults;
use crate::oracle::final_check::{FinalCheck, first_epochs};
use crate::placement::plan::Plan;
use crate::placement::writer_memory;
use crate::profile::AppliedTuning;
use crate::record::{MemoryPlacement, Record};
use crate::setup::Setup;
use crate::shared_state::{Phase, SharedState, State};
use crate::steady::{self, Steadiness};
use crate::threads::start_shared;
use crate::workers::RunningWorkers;
use crate::workload::Workload;
use splinter_harness::clock_cost::ClockCost;
use splinter_harness::cycles::{clock_step, cycle_ns};
use splinter_harness::disturbance::Usage;
use splinter_harness::environment::{Environment, available_memory};
use splinter_harness::error::RunError;
use splinter_harness::interrupt;
use splinter_harness::machine::Machine;
use splinter_harness::machine::source;
use splinter_harness::progress::Progress;
use splinter_harness::text::refusal;
use splinter_harness::valgrind;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Time between two looks at what the workers have done.
const LOOK: Duration = Duration::from_millis(50);
/// The longest warm-up of those that end when goodput is steady.
const LONGEST_WARMUP: Duration = Duration::from_secs(2);

/// Runs a workload on a store of its own and returns the record. Nothing of it is left behind,
/// whatever happens.
///
/// Worker processes are this program itself if it is `splinter-stress`, else the one beside it.
///
/// Under Valgrind the workload is cut down; the record says to what, and that its times mean nothing.
///
/// ```
/// use splinter_harness::progress::Silent;
/// use splinter_harness::verdict::Verdict;
/// use splinter_stress::{Span, Workload, run};
///
/// let workload = Workload {
///     writers: 2,
///     readers: 2,
///     keys: 64,
///     span: Span::Ops(2_000),
///     ..Workload::default()
/// };
/// let record = run(&workload, &mut Silent)?;
/// assert_eq!(record.verdict, Verdict::Pass);
/// assert!(record.operations["set"].goodput_per_s > 0.0);
/// # Ok::<(), splinter_harness::error::RunError>(())
/// ```
///
/// # Errors
/// [`RunError`]: what kept it from running. A run that broke something is no error: its record says
/// so.
pub fn run(workload: &Workload, progress: &mut dyn Progress) -> Result<Record, RunError> {
    run_keeping(workload, progress, None)
}

/// Runs as [`run`] does, and writes the history to a file, if there is one.
///
/// # Errors
/// As [`run`], and that the file cannot be written.
pub(crate) fn run_keeping(
    workload: &Workload,
    progress: &mut dyn Progress,
    file: Option<&Path>,
) -> Result<Record, RunError> {
    run_on(&source::this_machine(), workload, progress, file)
}

/// Runs as [`run_keeping`] does, with workers placed as on some machine: where that is another one, they are
/// not where they were asked to be.
///
/// # Errors
/// As [`run_keeping`].
pub(crate) fn run_on(
    machine: &Machine,
    workload: &Workload,
    progress: &mut dyn Progress,
    file: Option<&Path>,
) -> Result<Record, RunError> {
    workload.validate().map_err(RunError::Usage)?;
    let mut workload = workload.clone();
    let cut = valgrind::is_running().then(|| crate::workload::under_valgrind::cut(&mut workload));
    let workload = &workload;
    workload.check_memory(available_memory().unwrap_or(u64::MAX)).map_err(RunError::Usage)?;
    let failed = |what: &str, error: &dyn fmt::Display| RunError::Failed(format!("{what}: {error}"));
    let clock = (splinter::cycles(), Instant::now());

    start_shared().map_err(RunError::Failed)?;
    let _tuned = AppliedTuning::apply(workload).map_err(RunError::Usage)?;

    // Prepare: what is needed to judge later, the plan, the store and its first values.
    let mut environment = Environment::read();
    let plan = Plan::new(workload, machine).map_err(RunError::Usage)?;
    if !workload.allow_misplacement {
        plan.check(workload, machine).map_err(RunError::Usage)?;
    }
    let mut observer = Observer::measure(workload);
    progress.step("filling the store");
    let setup = Setup::create(workload)?;
    setup.fill(workload, &plan)?;
    let mut memory = MemoryPlacement::default();
    (memory.page_bytes, memory.before) =
        setup.pages().map_err(|error| failed("residency is unknown", &error))?;

    let first_epochs = first_epochs(workload, &setup.store)
        .map_err(|miss| RunError::Failed(format!("a value is not there: {miss:?}")))?;
    let before = workload
        .history
        .map(|_| Before::look(workload, &setup.store))
        .transpose()
        .map_err(RunError::Failed)?;

    // Gather: all workers are pinned, have touched their memory and wait.
    progress.step("starting workers");
    let own = Arc::new(workload.clone());
    let shared =
        Arc::new(SharedState::create(workload).map_err(|error| failed("no shared state", &refusal(error)))?);
    let pacing = Tsc { cycle_ns: cycle_ns(clock), sleeps: plan.oversubscribed };
    shared.set_clock(pacing);
    let mut workers = RunningWorkers::start(&own, &plan, &setup.store, &shared).map_err(RunError::Failed)?;
    let mut interrupted = !shared.gather(|worker| workers.has_ended(worker), interrupt::requested);
    let misplaced =
        (0..workload.worker_count()).any(|worker| shared.cell(worker).state() == State::Misplaced);
    let in_place = !misplaced || workload.allow_misplacement;

    // Warm up, measure, stop.
    let mut warmup = (Duration::ZERO, "none", None);
    let (mut started, mut measured) = (SystemTime::now(), Duration::ZERO);
    let usage = Usage::now(&plan.uses(workload));
    if in_place && !interrupted {
        progress.step("warming up");
        warmup = warm_up(workload, &shared, &mut workers);
        started = SystemTime::now();
        measured = measure(workload, &shared, &mut workers, progress);
        interrupted = interrupt::requested();
    }
    environment.note(&usage);
    progress.step("stopping workers");
    let reports = workers.stop();

    // Prove: read every key once more, walk the whole arena, ask where its pages are.
    progress.step("checking every key");
    let dead: Vec<bool> = reports.iter().map(Result::is_err).collect();
    let ledgers: Vec<AckTable<'_>> =
        (0..workload.writers).map_while(|writer| shared.ledger(writer)).collect();
    let mut faults = if workload.oracle {
        let evicted = setup.store.header().evicted;
        FinalCheck::new(workload, &ledgers, &dead, &first_epochs, evicted).run(&setup.store)
    } else {
        Faults::default()
    };
    let inspection =
        setup.store.inspect().map_err(|error| failed("the store cannot be inspected", &error))?;
    (_, memory.after) = setup.pages().map_err(|error| failed("residency is unknown", &error))?;
    if workload.memory == Memory::PerWriter {
        memory.writers = writer_memory::look(workload, &plan, machine, &setup.store, memory.page_bytes)
            .map_err(|error| failed("residency is unknown", &error))?;
    }
    for report in reports.iter().flatten() {
        faults.merge(report.faults.clone());
    }

    // Explain: whether some order of single moments has all the answers.
    let cycle_ns = cycle_ns(clock);
    let mut history = None;
    if let Some(before) = before {
        progress.step("checking the history");
        let all = collect(workload, &before, &shared, &setup.store, cycle_ns);
        if let Some(file) = file {
            history::file::save(&all, file).map_err(RunError::Usage)?;
        }
        let mut record = HistoryRecord::of(&all, recorded(workload, &shared));
        if dead.contains(&true) {
            record.doubt("a worker was lost, and what it did is not known".to_owned());
        }
        history = Some(record);
    }

    // Record.
    let timing = Timing { warmup, started, measured, interrupted, cycle_ns, sleeps: pacing.sleeps };
    environment.tsc_ghz = 1.0 / cycle_ns;
    observer.clock_step_ns = clock_step() as f64 * cycle_ns;
    if workload.histogram {
        observer.clock = ClockCost::of(cycle_ns);
    }
    progress.done();
    let facts = setup.facts();
    Ok(Evidence {
        workload,
        cut: cut.flatten(),
        plan,
        timing,
        environment,
        observer,
        memory,
        facts,
        reports,
        faults,
        inspection,
        shared: &shared,
        history,
    }
    .into_record())
}

/// Says what the history of a run is of. A worker without more room ends, so nothing is left out.
fn recorded(workload: &Workload, shared: &SharedState) -> String {
    let full = (0..workload.operators()).filter(|&worker| shared.cell(worker).is_full()).count();
    match full {
        0 => "all of the run".to_owned(),
        _ => "all until its room was used up".to_owned(),
    }
}

/// Lets the workers run without counting. Returns how long, what ended it, and how steady goodput was then.
fn warm_up(
    workload: &Workload,
    shared: &SharedState,
    workers: &mut RunningWorkers,
) -> (Duration, &'static str, Option<Steadiness>) {
    let (longest, until_steady) = match (workload.warmup, workload.span) {
        (Warmup::For(span), _) => (span, false),
        // A fixed amount of work starts cold: what is done before would count for nothing. And a history begins with
        // the first operation.
        (Warmup::Auto, Span::Ops(_)) => (Duration::ZERO, false),
        (Warmup::Auto, _) if workload.history.is_some() => (Duration::ZERO, false),
        (Warmup::Auto, Span::DurationMs(millis)) => (LONGEST_WARMUP.min(Duration::from_millis(millis)), true),
    };
    if longest.is_zero() {
        return (Duration::ZERO, "none", None);
    }
    let start = Instant::now();
    let mut looks = Vec::new();
    let mut before = (Instant::now(), 0);
    shared.enter(Phase::Warm);
    while start.elapsed() < longest {
        std::thread::sleep(LOOK.min(longest.saturating_sub(start.elapsed())));
        if interrupt::requested() || workers.all_done() {
            return (start.elapsed(), "interrupted", steady::judge(&looks));
        }
        let now = (Instant::now(), successes(workload, shared));
        looks.push(per_second(now.1 - before.1, now.0 - before.0));
        before = now;
        let found = steady::judge(&looks);
        if until_steady && found.is_some_and(|found| found.steady) {
            return (start.elapsed(), "steady", found);
        }
    }
    (start.elapsed(), if until_steady { "not steady in time" } else { "fixed" }, steady::judge(&looks))
}

/// Lets the workers run and count, until the time is up, the work is done, or someone wants to
/// stop. Returns how long.
fn measure(
    workload: &Workload,
    shared: &SharedState,
    workers: &mut RunningWorkers,
    progress: &mut dyn Progress,
) -> Duration {
    let start = shared.enter(Phase::Measure);
    let deadline = match workload.span {
        Span::DurationMs(millis) => Some(start + Duration::from_millis(millis)),
        Span::Ops(_) => None,
    };
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let full = (0..workload.operators()).any(|worker| shared.cell(worker).is_full());
        if left.is_some_and(|left| left.is_zero()) || full || interrupt::requested() || workers.all_done() {
            return shared.enter(Phase::Stop) - start;
        }
        // A share of work may be done any moment.
        let soon = deadline.is_none() || workload.history.is_some();
        let look = if soon { Duration::from_millis(1) } else { LOOK };
        std::thread::sleep(left.map_or(look, |left| left.min(look)));
        progress.tick(per_second(successes(workload, shared), start.elapsed()), left);
    }
}

fn successes(workload: &Workload, shared: &SharedState) -> u64 {
    (0..workload.operators()).map(|worker| shared.cell(worker).successes()).sum()
}

fn per_second(count: u64, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64().max(1e-9)
}
