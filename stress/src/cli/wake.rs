//! The flags of `wake`, and what it does with them.

use super::{INCONCLUSIVE, USAGE, complain, say, try_file, write_file};
use crate::interrupt;
use crate::progress::Line;
use crate::run::RunError;
use crate::wake::{WakePlan, wake, wake_summary};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to measure, where, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct WakeArguments {
    /// Rounds; each takes one sample of everything
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Few rounds of short samples: to see that it works
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Processor of the process that begins [default: two that lie far apart]
    #[arg(long, value_name = "CPU")]
    cpu_a: Option<usize>,
    /// Processor of its partner
    #[arg(long, value_name = "CPU")]
    cpu_b: Option<usize>,
    /// Seed of the order within the rounds
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Prints the record as JSON instead of a summary
    #[arg(long)]
    json: bool,
    /// Writes the record to a file
    #[arg(long, value_name = "PATH")]
    record: Option<PathBuf>,
}

/// Rounds of a quick measurement.
const QUICK_ROUNDS: u32 = 3;

/// Measures and prints.
pub(super) fn run(arguments: &WakeArguments) -> ExitCode {
    let plan = WakePlan {
        rounds: if arguments.quick {
            QUICK_ROUNDS
        } else {
            arguments.rounds
        },
        quick: arguments.quick,
        cpu_a: arguments.cpu_a,
        cpu_b: arguments.cpu_b,
        seed: arguments.seed,
    };
    if let Err(error) = try_file(arguments.record.as_ref()) {
        complain(&error);
        return ExitCode::from(USAGE);
    }
    interrupt::watch();
    let mut line = Line::new("wake".to_owned());
    let result = wake(&plan, &mut line);
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
        say(&wake_summary(&record));
    }
    if let Some(path) = &arguments.record
        && let Err(error) = write_file(path, json + "\n")
    {
        complain(&error);
        return ExitCode::from(USAGE);
    }
    record.verdict.exit_code()
}
