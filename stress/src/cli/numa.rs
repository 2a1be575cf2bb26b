//! The flags of `numa`, and what it does with them.

use super::output::OutputArguments;
use super::refuse;
use crate::numa::{NumaPlan, numa, numa_summary};
use clap::Args;
use std::process::ExitCode;

/// What the machine must be like, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct NumaArguments {
    #[command(flatten)]
    plan: NumaPlan,
    #[command(flatten)]
    output: OutputArguments,
}

/// Checks and prints.
pub(super) fn run(arguments: &NumaArguments) -> ExitCode {
    if arguments.plan.ops == 0 {
        return refuse("nothing to run: give --ops more than 0");
    }
    arguments.output.run_and_report(
        "numa",
        None,
        |line| Ok(numa(&arguments.plan, line)),
        |record| (numa_summary(record), record.verdict),
    )
}
