//! The flags of `cache`, and what it does with them.

use crate::cache::{CachePlan, Comparison, cache_summary};
use clap::Args;
use splinter_harness::program::{Outcome, OutputArguments};
use std::path::Path;

/// What to replay, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct CacheArguments {
    #[command(flatten)]
    plan: CachePlan,
    #[command(flatten)]
    output: OutputArguments,
}

/// Replays and prints. Ctrl-C ends it at once while it prepares: standard input may never come.
pub(super) fn run(arguments: &CacheArguments) -> Outcome {
    let comparison = Comparison::new(&arguments.plan)?;
    let file = arguments.plan.trace_file.as_deref().filter(|path| *path != Path::new("-"));
    arguments.output.run_and_report(
        "cache",
        &[file],
        None,
        |line| comparison.run(line),
        |record| (cache_summary(record), record.verdict),
    )
}
