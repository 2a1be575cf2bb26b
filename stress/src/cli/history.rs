//! The verb `history`: a saved history, checked.

use crate::history::file::load;
use crate::history::record::HistoryRecord;
use crate::threads::start_shared;
use clap::Args;
use serde::Serialize;
use splinter_harness::program::{Failure, Outcome, print_record};
use splinter_harness::verdict::{SCHEMA_VERSION, Verdict};
use std::path::PathBuf;

/// What to check.
#[derive(Args, Clone, Debug)]
pub(super) struct HistoryArguments {
    /// File that 'run --history=FILE' wrote
    file: PathBuf,
    /// Prints the record as JSON instead of a summary
    #[arg(long)]
    json: bool,
}

/// The record that is printed.
#[derive(Serialize)]
struct Checked {
    schema_version: u32,
    kind: &'static str,
    verdict: Verdict,
    history: HistoryRecord,
}

/// Checks a file.
pub(super) fn run(arguments: &HistoryArguments) -> Outcome {
    let history = load(&arguments.file)?;
    start_shared().map_err(Failure::Machine)?;
    let recorded = format!("as {} has them", arguments.file.display());
    let mut history = HistoryRecord::of(&history, recorded);
    if history.operations == 0 {
        history.doubt("there is no operation in it".to_owned());
    }
    let verdict = history.verdict;
    let checked = Checked { schema_version: SCHEMA_VERSION, kind: "history", verdict, history };
    print_record(arguments.json, &checked, || {
        let window = checked.history.window_text().map_or(String::new(), |text| format!("\n{text}"));
        format!("{}{window}\n  verdict    {}\n", checked.history.line(), verdict.word().to_uppercase())
    })?;
    Ok(verdict.exit_code())
}
