//! The flags of `wake`, and what it does with them.

use crate::wake::{WakePlan, wake, wake_summary};
use clap::Args;
use splinter_harness::program::{Outcome, OutputArguments};

/// What to measure, where, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct WakeArguments {
    #[command(flatten)]
    plan: WakePlan,
    #[command(flatten)]
    output: OutputArguments,
}

/// Rounds of a quick measurement.
const QUICK_ROUNDS: u32 = 3;

/// Measures and prints.
pub(super) fn run(arguments: &WakeArguments) -> Outcome {
    let mut plan = arguments.plan.clone();
    if plan.quick {
        plan.rounds = QUICK_ROUNDS;
    }
    arguments.output.run_and_report(
        "wake",
        &[],
        None,
        |line| wake(&plan, line),
        |record| (wake_summary(record), record.verdict),
    )
}
