//! The flags of `queue`, and what it does with them.

use crate::queue::{QueuePlan, queue, queue_summary};
use clap::Args;
use splinter_harness::program::{Outcome, OutputArguments};

/// Who sends and receives what, whom to kill, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct QueueArguments {
    #[command(flatten)]
    plan: QueuePlan,
    #[command(flatten)]
    output: OutputArguments,
}

/// Sends, receives and prints.
pub(super) fn run(arguments: &QueueArguments) -> Outcome {
    let plan = arguments.plan.clone().bounded();
    arguments.output.run_and_report(
        "queue",
        &[],
        None,
        |line| queue(&plan, line),
        |record| (queue_summary(record), record.verdict),
    )
}
