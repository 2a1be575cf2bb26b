//! The flags of `kill`, and what it does with them.

use crate::kill::{KillPlan, KillRecord, kill, kill_summary};
use clap::Args;
use splinter_harness::program::{Outcome, OutputArguments};
use splinter_harness::text::parse_count;
use std::path::PathBuf;

/// Whom to kill, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct KillArguments {
    /// Kills at random moments, as in 10000 or 10k
    #[arg(long, value_name = "N", default_value = "10k", value_parser = parse_count)]
    kills: u64,
    /// Kills beside them, of writers that were seen to hold a claim
    #[arg(long, value_name = "N", default_value = "2k", value_parser = parse_count)]
    aimed: u64,
    /// Writers that live at any time
    #[arg(long, value_name = "N", default_value_t = 3)]
    writers: u32,
    /// Readers that check everything all the while
    #[arg(long, value_name = "N", default_value_t = 1)]
    readers: u32,
    /// Longest value: the longer, the more kills fall inside a claim
    #[arg(long, value_name = "BYTES", default_value = "16384", value_parser = parse_count)]
    max_value_len: u64,
    /// Seed of all random choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    output: OutputArguments,
    /// Writes detection and recovery times to a file, as an HdrHistogram V2 log
    #[arg(long, value_name = "PATH")]
    hdr: Option<PathBuf>,
}

/// Kills and prints.
pub(super) fn run(arguments: &KillArguments) -> Outcome {
    let plan = KillPlan {
        kills: arguments.kills,
        aimed: arguments.aimed,
        writers: arguments.writers,
        readers: arguments.readers,
        max_value_len: arguments.max_value_len,
        seed: arguments.seed,
    };
    let log: fn(&KillRecord) -> String = |record| record.hdr_log.clone();
    arguments.output.run_and_report(
        "kill",
        &[],
        arguments.hdr.as_deref().map(|path| (path, log)),
        |line| kill(&plan, line),
        |record| (kill_summary(record), record.verdict),
    )
}
