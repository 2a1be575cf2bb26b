//! The flags of `wake`, and what it does with them.

use super::output::{Outcome, OutputArguments};
use crate::wake::{WakePlan, wake, wake_summary};
use clap::Args;
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
    /// Processor of the one that answers
    #[arg(long, value_name = "CPU")]
    cpu_b: Option<usize>,
    /// Seed of the order within the rounds
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    output: OutputArguments,
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
    arguments.output.run_and_report(
        "wake",
        None,
        |line| wake(&plan, line),
        |record| Outcome {
            summary: wake_summary(record),
            verdict: record.verdict,
            log: None,
        },
    )
}
