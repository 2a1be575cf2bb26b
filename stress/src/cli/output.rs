//! What every verb with a record of its own does alike: whether its files can be written is found out first, then
//! it works, prints and keeps the record, and ends with the code of its verdict. `run` keeps several records.

use super::{failed, refuse, say};
use clap::Args;
use serde::Serialize;
use splinter_harness::error::RunError;
use splinter_harness::files::{as_json, try_files, write_file};
use splinter_harness::interrupt;
use splinter_harness::progress::Line;
use splinter_harness::verdict::Verdict;
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

/// Another file that a command writes, and what is written there of its record.
type Log<'a, R> = (&'a Path, fn(&R) -> String);

impl OutputArguments {
    /// Tells whether stdout is for JSON alone.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns the output of a command that reads some files: it writes to none of them.
    pub(super) fn beside(&self, inputs: &[Option<&Path>]) -> Self {
        Self { inputs: inputs.iter().flatten().map(|&path| path.into()).collect(), ..self.clone() }
    }

    /// Does `work`, the verb's, and hands on what comes of it, which `tell` sums up and judges; `log` is another file, and
    /// what is written there.
    pub(super) fn run_and_report<R: Serialize>(
        &self,
        verb: &str,
        log: Option<Log<'_, R>>,
        work: impl FnOnce(&mut Line) -> Result<R, RunError>,
        tell: impl FnOnce(&R) -> (String, Verdict),
    ) -> ExitCode {
        let outputs = [self.record.as_deref(), log.map(|(path, _)| path)];
        let inputs: Vec<Option<&Path>> = self.inputs.iter().map(|path| Some(path.as_ref())).collect();
        if let Err(error) = try_files(&outputs, &inputs) {
            return refuse(&error);
        }
        interrupt::watch();
        let mut line = Line::new(verb);
        let result = work(&mut line);
        drop(line);
        let record = match result {
            Ok(record) => record,
            Err(error) => return failed(&error),
        };
        let (summary, verdict) = tell(&record);
        let json = as_json(&record);
        let said = say(if self.json { json.trim_end() } else { &summary });
        let log = log.map(|(path, text)| (path, text(&record)));
        let record = self.record.as_deref().map(|path| (path, json));
        for (path, text) in [record, log].into_iter().flatten() {
            if let Err(error) = write_file(path, &text) {
                return refuse(&error);
            }
        }
        said.map_or_else(|unwritten| unwritten, |()| verdict.exit_code())
    }
}
