//! The flags of `hostile`, and what it does with them.

use super::{INCONCLUSIVE, USAGE, complain, say, write_file};
use crate::hostile::{HostilePlan, Target, hostile, hostile_summary};
use crate::interrupt;
use crate::progress::Line;
use crate::run::RunError;
use crate::text::parse_duration;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What to attack, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct HostileArguments {
    /// For how long, as in 500ms, 20s or 2m
    #[arg(long, value_name = "SPAN", default_value = "20s", value_parser = parse_duration)]
    duration: Duration,
    /// Parts that are damaged: header, routes, bids, groups, lanes, map, rings, index, slots, values,
    /// vectors [default: all]
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    target: Vec<Target>,
    /// Processes that use the stores
    #[arg(long, value_name = "N", default_value_t = 3)]
    workers: u32,
    /// After what time without progress a worker hangs
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_duration)]
    patience: Duration,
    /// Seed of all random choices; when they meet is not repeated
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Prints the record as JSON instead of a summary
    #[arg(long)]
    json: bool,
    /// Writes the record to a file
    #[arg(long, value_name = "PATH")]
    record: Option<PathBuf>,
}

/// Attacks and prints.
pub(super) fn run(arguments: &HostileArguments) -> ExitCode {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let plan = HostilePlan {
        workers: arguments.workers,
        duration_ms: millis(arguments.duration),
        patience_ms: millis(arguments.patience),
        targets: match &arguments.target[..] {
            [] => Target::ALL.to_vec(),
            some => some.to_vec(),
        },
        seed: arguments.seed,
    };
    interrupt::watch();
    let mut line = Line::new("hostile".to_owned());
    let result = hostile(&plan, &mut line);
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
        say(&hostile_summary(&record));
    }
    if let Some(path) = &arguments.record
        && let Err(error) = write_file(path, json + "\n")
    {
        complain(&error);
        return ExitCode::from(USAGE);
    }
    record.verdict.exit_code()
}
