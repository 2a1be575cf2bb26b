//! The result of a matrix. `results/schema.md` is made of these types.

use super::axis::Axis;
use super::cell::Cell;
use super::{MatrixPlan, Outcome};
use crate::record::Record;
use serde::{Deserialize, Serialize};
use splinter_harness::environment::settle;
use splinter_harness::error::RunError;
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::Verdict;

/// The record of a matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct MatrixRecord {
    pub schema_version: u32,
    pub kind: String,
    /// The worst cell's; `"inconclusive"` also if cells failed or are missing.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub axes: Vec<AxisSettings>,
    /// Seed of the run order; cells are listed by axes.
    pub order_seed: u64,
    /// Cells run; cells already there.
    pub measured: usize,
    pub kept: usize,
    /// Senseless cells, or impossible here; not in the verdict.
    pub refused: Vec<NotRun>,
    /// Cells that the machine did not let run.
    pub failed: Vec<NotRun>,
    /// Cells not run, or not to their end.
    pub missing: Vec<String>,
    pub interrupted: bool,
    /// The records.
    pub cells: Vec<Record>,
}

/// An axis and what is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct AxisSettings {
    /// Of `scrub`, `writers`, `readers`, `value_len`, `key_choice`, `pin`.
    pub axis: Axis,
    pub settings: Vec<String>,
}

/// A cell without a record, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct NotRun {
    /// The cell, and why it has no record.
    pub cell: String,
    pub reason: String,
}

/// Sums up what became of each cell.
pub(super) fn sum_up(
    plan: &MatrixPlan,
    cells: &[Cell],
    outcomes: Vec<Outcome>,
    interrupted: bool,
) -> Result<MatrixRecord, RunError> {
    let mut record = MatrixRecord {
        schema_version: SCHEMA_VERSION,
        kind: "matrix".to_owned(),
        verdict: Verdict::Pass,
        reasons: Vec::new(),
        axes: plan
            .axes
            .iter()
            .map(|(axis, settings)| AxisSettings {
                axis: *axis,
                settings: settings.iter().map(ToString::to_string).collect(),
            })
            .collect(),
        order_seed: plan.base.seed,
        measured: 0,
        kept: 0,
        refused: Vec::new(),
        failed: Vec::new(),
        missing: Vec::new(),
        interrupted,
        cells: Vec::new(),
    };
    for (cell, outcome) in cells.iter().zip(outcomes) {
        let not_run = |reason| NotRun { cell: cell.title(), reason };
        match outcome {
            Outcome::ToDo => record.missing.push(cell.title()),
            Outcome::Refused(reason) => record.refused.push(not_run(reason)),
            Outcome::Failed(reason) => record.failed.push(not_run(reason)),
            Outcome::Kept(run) => {
                record.kept += 1;
                record.cells.push(*run);
            }
            Outcome::Measured(run) => {
                record.measured += 1;
                record.cells.push(*run);
            }
        }
    }
    if let (Some(first), true) = (record.refused.first(), record.refused.len() == cells.len()) {
        return Err(RunError::Usage(first.reason.clone()));
    }
    for run in &record.cells {
        if run.verdict != Verdict::Pass {
            let cell = plan.title_of(&run.config);
            let why = run.reasons.first().map_or("", String::as_str);
            record.reasons.push(format!("{} at {cell}: {why}", run.verdict.word()));
        }
        record.verdict = record.verdict.max(run.verdict);
        let mut why = Vec::new();
        settle(&mut record.verdict, &mut why, &run.environment);
        let cell = plan.title_of(&run.config);
        record.reasons.extend(why.iter().map(|why| format!("{cell}: {why}")));
    }
    if !record.failed.is_empty() {
        record.verdict = record.verdict.max(Verdict::Inconclusive);
        let failed = record.failed.iter();
        let words = failed.map(|failed| format!("not run at {}: {}", failed.cell, failed.reason));
        record.reasons.extend(words);
    }
    if !record.missing.is_empty() {
        record.verdict = record.verdict.max(Verdict::Inconclusive);
        record.reasons.push(format!(
            "interrupted with {} of {} cells to go: {}",
            record.missing.len(),
            cells.len(),
            match &plan.into {
                Some(path) => format!("the same command goes on with what {} has", path.display()),
                None => "nothing was kept; give --into a folder, and the same command goes on".to_owned(),
            }
        ));
    }
    Ok(record)
}

impl MatrixPlan {
    /// Says which cell a workload is.
    pub(super) fn title_of(&self, workload: &crate::Workload) -> String {
        let words = self.axes.iter();
        let words: Vec<String> = words.map(|(axis, _)| format!("{axis} {}", axis.of(workload))).collect();
        words.join(", ")
    }
}
