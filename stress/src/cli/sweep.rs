//! The flags of `sweep`, and what it does with them.

use super::{INCONCLUSIVE, USAGE, complain, say, write_file};
use crate::interrupt;
use crate::progress::Line;
use crate::run::RunError;
use crate::sweep::{Act, How, Scene, Scrubbing, SweepPlan, sweep, sweep_summary};
use clap::Args;
use splinter::Scrub;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to sweep, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct SweepArguments {
    /// A few points of every pair: to see in under a minute that nothing is broken badly
    #[arg(long)]
    quick: bool,
    /// What the first does, as in update,unset [default: all operations]
    #[arg(long, value_name = "OPERATIONS", value_delimiter = ',')]
    first: Vec<Act>,
    /// What the second does [default: all operations]
    #[arg(long, value_name = "OPERATIONS", value_delimiter = ',')]
    second: Vec<Act>,
    /// What befalls the first: resume, kill, stop [default: all of them]
    #[arg(long, value_name = "HOW", value_delimiter = ',')]
    how: Vec<How>,
    /// Scrub levels: none, hybrid, full [default: all of them]
    #[arg(long, value_name = "LEVELS", value_delimiter = ',')]
    scrub: Vec<Scrub>,
    /// One pair alone: `FIRST,SECOND,HOW,SCRUB,LEN[,GROUND[,heard]]`
    #[arg(long, value_name = "PAIR", conflicts_with_all = ["first", "second", "how", "scrub"])]
    only: Option<Scene>,
    /// One pause point of that pair alone
    #[arg(long, value_name = "K")]
    point: Option<usize>,
    /// Tries one of so many instructions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    stride: Option<u32>,
    /// Seed of the choice of points, where not all are tried
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Processes that sweep side by side [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    /// Prints the record as JSON instead of a summary
    #[arg(long)]
    json: bool,
    /// Writes the record to a file
    #[arg(long, value_name = "PATH")]
    record: Option<PathBuf>,
}

/// Sweeps and prints.
pub(super) fn run(arguments: &SweepArguments) -> ExitCode {
    if arguments.point.is_some() && arguments.only.is_none() {
        complain("a point is one of a pair: give --only PAIR with --point");
        return ExitCode::from(USAGE);
    }
    let plan = SweepPlan {
        quick: arguments.quick,
        firsts: arguments.first.clone(),
        seconds: arguments.second.clone(),
        hows: arguments.how.clone(),
        scrubs: arguments
            .scrub
            .iter()
            .map(|level| Scrubbing::from(*level))
            .collect(),
        only: arguments.only,
        point: arguments.point,
        stride: arguments.stride.unwrap_or_default() as usize,
        seed: arguments.seed,
        jobs: arguments.jobs.unwrap_or_default() as usize,
    };
    interrupt::watch();
    let mut line = Line::new("sweep".to_owned());
    let result = sweep(&plan, &mut line);
    drop(line);
    let record = match result {
        Ok(record) => record,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::from(match error {
                RunError::Usage(_) => USAGE,
                RunError::Failed(_) => INCONCLUSIVE,
            });
        }
    };
    let json = serde_json::to_string_pretty(&record).expect("records are plain data");
    if arguments.json {
        say(&json);
    } else {
        say(&sweep_summary(&record));
    }
    if let Some(path) = &arguments.record
        && let Err(error) = write_file(path, json + "\n")
    {
        complain(&error);
        return ExitCode::from(USAGE);
    }
    record.verdict.exit_code()
}
