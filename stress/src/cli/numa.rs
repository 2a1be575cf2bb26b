//! The flags of `numa`, and what it does with them.

use crate::numa::{NumaPlan, numa, numa_summary};
use crate::threads::start_shared;
use clap::Args;
use splinter_harness::program::{Failure, Outcome, OutputArguments};

/// What the machine must be like, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct NumaArguments {
    #[command(flatten)]
    plan: NumaPlan,
    #[command(flatten)]
    output: OutputArguments,
}

/// Checks and prints.
pub(super) fn run(arguments: &NumaArguments) -> Outcome {
    if arguments.plan.ops == 0 {
        return Err("nothing to run: give --ops more than 0".into());
    }
    arguments.output.run_and_report(
        "numa",
        &[],
        None,
        |line| {
            start_shared().map_err(Failure::Machine)?;
            Ok::<_, Failure>(numa(&arguments.plan, line))
        },
        |record| (numa_summary(record), record.verdict),
    )
}
