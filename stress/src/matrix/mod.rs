//! Many runs that differ along some axes: every combination of their settings is a cell, cells are run in an order drawn
//! by seed, and each record is kept as soon as it is made, so that a matrix that was cut short goes on where it was. What
//! runs a cell is handed in, so all of this is tested without running any.

pub(crate) mod axis;
mod cell;
mod folder;
mod map;
mod record;

pub use axis::Axis;
pub use map::matrix_summary;
pub use record::{AxisSettings, MatrixRecord, NotRun};

use crate::record::Record;
use crate::run::run;
use crate::workload::Workload;
use axis::Setting;
use cell::Cell;
use folder::Folder;
use splinter_harness::error::RunError;
use splinter_harness::interrupt;
use splinter_harness::progress::Progress;
use splinter_harness::table::rate;
use splinter_harness::text::print_duration;
use splinter_harness::valgrind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What a matrix is of.
#[derive(Clone, Debug)]
pub(crate) struct MatrixPlan {
    /// What is the same in all cells.
    pub base: Workload,
    /// What differs; an axis that is missing is as in the base.
    pub axes: Vec<(Axis, Vec<Setting>)>,
    /// Where records are kept, if anywhere.
    pub into: Option<PathBuf>,
    /// Whether cells whose records are there are run again.
    pub again: bool,
}

impl MatrixPlan {
    /// Says in what a cell differs from others: short, for one line.
    fn own(&self, cell: &Cell) -> String {
        let varied = |axis: Axis| {
            let is = |(other, settings): &(Axis, Vec<Setting>)| *other == axis && settings.len() > 1;
            self.axes.iter().any(is)
        };
        let own = cell.settings.iter().filter(|(axis, _)| varied(*axis));
        own.map(|(axis, setting)| format!(", {axis} {setting}")).collect()
    }
}

/// What runs cells.
pub(crate) trait Executor {
    /// Runs one.
    fn run(&mut self, workload: &Workload, progress: &mut dyn Progress) -> Result<Record, RunError>;
    /// Tells whether someone wants to stop.
    fn interrupted(&self) -> bool;
    /// Returns a time that goes on.
    fn now(&self) -> Duration;
}

/// The engine itself.
#[derive(Debug)]
struct Engine(Instant);

impl Executor for Engine {
    fn run(&mut self, workload: &Workload, progress: &mut dyn Progress) -> Result<Record, RunError> {
        run(workload, progress)
    }

    fn interrupted(&self) -> bool {
        interrupt::requested()
    }

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Runs the cells of a matrix that are not there yet. A cell that this machine, or any, cannot run is reported and
/// left out.
///
/// # Errors
/// [`RunError::Usage`]: the folder cannot be used, or holds records of something else, or no cell at all can be run.
pub(crate) fn matrix(plan: &MatrixPlan, progress: &mut dyn Progress) -> Result<MatrixRecord, RunError> {
    run_cells(plan, &mut Engine(Instant::now()), progress)
}

/// Runs a matrix on any executor.
fn run_cells(
    plan: &MatrixPlan,
    executor: &mut dyn Executor,
    progress: &mut dyn Progress,
) -> Result<MatrixRecord, RunError> {
    let cells = cell::all(&plan.base, &plan.axes);
    let mut found: Vec<Outcome> = cells
        .iter()
        .map(|cell| match cell.workload.validate() {
            Ok(()) => Outcome::ToDo,
            Err(reason) => Outcome::Refused(reason),
        })
        .collect();
    let folder = plan.into.as_deref().map(Folder::open).transpose();
    let folder = folder.map_err(RunError::Usage)?;
    if let Some(folder) = &folder {
        look_up(folder, plan.again, &cells, &mut found).map_err(RunError::Usage)?;
    }

    let to_do = |found: &[Outcome]| -> Vec<usize> {
        let open = |&at: &usize| matches!(found[at], Outcome::ToDo);
        (0..found.len()).filter(open).collect()
    };
    let order = cell::shuffled(to_do(&found), plan.base.seed);
    let begin = executor.now();
    let mut broken = None;
    for (number, &at) in order.iter().enumerate() {
        if executor.interrupted() {
            break;
        }
        let cell = &cells[at];
        let took = executor.now().saturating_sub(begin);
        let mut line = CellLine {
            line: progress,
            title: format!("cell {} of {}{}", number + 1, order.len(), plan.own(cell)),
            rest: rest_of(took, number, order.len(), guess(&cell.workload)),
        };
        let outcome = match executor.run(&cell.workload, &mut line) {
            // It is shorter than the run that was asked for.
            Ok(record) if record.window.interrupted => Outcome::ToDo,
            Ok(record) => {
                if let Some(folder) = &folder {
                    broken = folder.keep(cell, &record).err();
                }
                Outcome::Measured(Box::new(record))
            }
            Err(RunError::Failed(_)) if executor.interrupted() => Outcome::ToDo,
            Err(RunError::Usage(reason)) => Outcome::Refused(reason),
            Err(RunError::Failed(reason)) => Outcome::Failed(reason),
        };
        found[at] = outcome;
        // What cannot be kept is not measured.
        if broken.is_some() {
            break;
        }
    }
    progress.done();
    if let Some(reason) = broken {
        return Err(RunError::Usage(reason));
    }
    record::sum_up(plan, &cells, found, executor.interrupted())
}

/// What became of a cell.
#[derive(Clone, Debug)]
enum Outcome {
    /// Nothing yet.
    ToDo,
    /// Its record was there.
    Kept(Box<Record>),
    /// It was run.
    Measured(Box<Record>),
    /// It makes no sense, or not on this machine.
    Refused(String),
    /// The machine did not let it run.
    Failed(String),
}

/// Looks which records are there.
fn look_up(folder: &Folder, again: bool, cells: &[Cell], found: &mut [Outcome]) -> Result<(), String> {
    let mut strange = Vec::new();
    for (cell, outcome) in cells.iter().zip(found) {
        if again || !matches!(outcome, Outcome::ToDo) {
            continue;
        }
        let mut expected = cell.workload.clone();
        if valgrind::is_running() {
            crate::workload::under_valgrind::cut(&mut expected);
        }
        match folder.find(cell, &expected) {
            Ok(None) => {}
            Ok(Some(record)) => *outcome = Outcome::Kept(record),
            Err(reason) => strange.push(reason),
        }
    }
    match strange.first() {
        None => Ok(()),
        Some(first) => Err(format!(
            "{} of the records in {} {} of something else ({first}): give another folder with --into, or --again to \
             replace them",
            strange.len(),
            folder.path().display(),
            if strange.len() == 1 { "is" } else { "are" }
        )),
    }
}

/// Guesses how long a cell takes.
fn guess(workload: &Workload) -> Duration {
    let span = match workload.span {
        crate::Span::DurationMs(millis) => Duration::from_millis(millis),
        crate::Span::Ops(_) => Duration::ZERO,
    };
    span + Duration::from_secs(1)
}

/// Returns how long the cells behind the one at hand will take, if they are like those before it.
fn rest_of(took: Duration, done: usize, all: usize, guess: Duration) -> Duration {
    let behind = u32::try_from(all - done - 1).unwrap_or(u32::MAX);
    let each = match u32::try_from(done) {
        Ok(done) if done > 0 => took / done,
        _ => guess,
    };
    each.saturating_mul(behind)
}

/// Tells of a cell as a part of the whole.
struct CellLine<'a> {
    line: &'a mut dyn Progress,
    title: String,
    /// What the cells behind it will take.
    rest: Duration,
}

impl Progress for CellLine<'_> {
    fn step(&mut self, what: &str) {
        self.line.step(&format!("{}: {what}", self.title));
    }

    fn tick(&mut self, goodput_per_s: f64, left: Option<Duration>) {
        let left = (left.unwrap_or_default() + self.rest).as_secs();
        self.line.step(&format!(
            "{}: {} operations/s, about {} left for all",
            self.title,
            rate(goodput_per_s),
            print_duration(Duration::from_secs(left))
        ));
    }

    fn done(&mut self) {
        self.line.done();
    }
}

#[cfg(test)]
mod tests;
