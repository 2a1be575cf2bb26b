//! What every verb with a record of its own does alike: whether its files can be written is found out first, then
//! it works, prints and keeps the record, and ends with the code of its verdict. `run` keeps several records.

use super::{complain, say};
use crate::error::RunError;
use crate::files::{as_json, try_files, write_file};
use crate::interrupt;
use crate::progress::Line;
use crate::verdict::{USAGE, Verdict};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the record goes.
#[derive(Args, Clone, Debug)]
pub(super) struct OutputArguments {
    /// Prints the record as JSON instead of a summary
    #[arg(long)]
    json: bool,
    /// Writes the record to a file
    #[arg(long, value_name = "PATH")]
    record: Option<PathBuf>,
    /// The files that the command reads.
    #[arg(skip)]
    inputs: Vec<PathBuf>,
}

/// A record as this needs it: its summary, its verdict, and what else is to be written where.
pub(super) struct Outcome {
    pub(super) summary: String,
    pub(super) verdict: Verdict,
    pub(super) log: Option<String>,
}

impl OutputArguments {
    /// Tells whether stdout is for JSON alone.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns the output of a command that reads some files: it writes to none of them.
    pub(super) fn beside(&self, inputs: &[Option<&Path>]) -> Self {
        Self {
            inputs: inputs.iter().flatten().map(|&path| path.into()).collect(),
            ..self.clone()
        }
    }

    /// Does `work`, the verb's, and hands on what comes of it; `log` is a file for what `tell` has as one.
    pub(super) fn run_and_report<R: Serialize>(
        &self,
        verb: &str,
        log: Option<&PathBuf>,
        work: impl FnOnce(&mut Line) -> Result<R, RunError>,
        tell: impl FnOnce(&R) -> Outcome,
    ) -> ExitCode {
        let refuse = |error: &str| {
            complain(error);
            ExitCode::from(USAGE)
        };
        let outputs = [self.record.as_deref(), log.map(PathBuf::as_path)];
        let inputs: Vec<Option<&Path>> =
            self.inputs.iter().map(|path| Some(path.as_ref())).collect();
        if let Err(error) = try_files(&outputs, &inputs) {
            return refuse(&error);
        }
        interrupt::watch();
        let mut line = Line::new(verb);
        let result = work(&mut line);
        drop(line);
        let record = match result {
            Ok(record) => record,
            Err(error @ RunError::Usage(_)) => return refuse(&error.to_string()),
            Err(error @ RunError::Failed(_)) => {
                complain(&error.to_string());
                return Verdict::Inconclusive.exit_code();
            }
        };
        let told = tell(&record);
        let json = as_json(&record);
        let said = say(if self.json {
            json.trim_end()
        } else {
            &told.summary
        });
        let files = [(self.record.as_ref(), Some(json)), (log, told.log)];
        for file in files {
            if let (Some(path), Some(text)) = file
                && let Err(error) = write_file(path, &text)
            {
                return refuse(&error);
            }
        }
        said.map_or_else(|unwritten| unwritten, |()| told.verdict.exit_code())
    }
}
