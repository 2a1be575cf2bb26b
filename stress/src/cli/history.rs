//! The verb `history`: a saved history, checked.

use super::{end_with, refuse};
use crate::history::file::load;
use crate::history::record::HistoryRecord;
use clap::Args;
use serde::Serialize;
use splinter_harness::files::as_json;
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::Verdict;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to check.
#[derive(Args, Clone, Debug)]
pub(super) struct HistoryArguments {
    /// File that 'run --history=FILE' wrote
    file: PathBuf,
    /// Prints the record as JSON instead of a summary
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Serialize)]
struct Checked {
    schema_version: u32,
    kind: &'static str,
    verdict: Verdict,
    history: HistoryRecord,
}

/// Checks a file.
pub(super) fn run(arguments: &HistoryArguments) -> ExitCode {
    let history = match load(&arguments.file) {
        Ok(history) => history,
        Err(error) => return refuse(&error),
    };
    let recorded = format!("as {} has them", arguments.file.display());
    let mut record = HistoryRecord::of(&history, recorded);
    if record.operations == 0 {
        record.doubt("there is no operation in it".to_owned());
    }
    let text = if arguments.json {
        let checked = Checked {
            schema_version: SCHEMA_VERSION,
            kind: "history",
            verdict: record.verdict,
            history: record.clone(),
        };
        as_json(&checked)
    } else {
        let window = record.window_text().map_or(String::new(), |text| format!("\n{text}"));
        let verdict = record.verdict.word().to_uppercase();
        format!("{}{window}\n  verdict    {verdict}", record.line())
    };
    end_with(text.trim_end(), record.verdict.exit_code())
}
