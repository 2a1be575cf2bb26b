//! The flags of `hostile`, and what it does with them.

use crate::hostile::{HostilePlan, Target, hostile, hostile_summary};
use clap::Args;
use splinter_harness::program::{Outcome, OutputArguments};
use splinter_harness::text::parse_duration;
use std::time::Duration;

/// What to attack, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct HostileArguments {
    /// For how long, as in 500ms, 20s or 2m
    #[arg(long, value_name = "SPAN", default_value = "20s", value_parser = parse_duration)]
    duration: Duration,
    /// Parts that are damaged: header, subscriptions, bids, groups, writers, map, rings, index, slots, values,
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
    #[command(flatten)]
    output: OutputArguments,
}

/// Attacks and prints.
pub(super) fn run(arguments: &HostileArguments) -> Outcome {
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
    arguments.output.run_and_report(
        "hostile",
        &[],
        None,
        |line| hostile(&plan, line),
        |record| (hostile_summary(record), record.verdict),
    )
}
