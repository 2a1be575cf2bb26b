//! The flags of `queue`, and what it does with them.

use crate::length::ValueLen;
use crate::queue::{QueuePlan, QueuePlant, queue, queue_summary};
use clap::Args;
use splinter_harness::program::{Outcome, OutputArguments};
use splinter_harness::text::{parse_count, parse_duration};
use std::time::Duration;

/// How long it runs if neither a time nor a number of messages is given.
const DURATION_MS: u64 = 5_000;

/// Who sends and receives what, whom to kill, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct QueueArguments {
    /// Processes that send
    #[arg(long, value_name = "N", default_value_t = 4)]
    producers: u32,
    /// Processes that receive, all of one group
    #[arg(long, value_name = "N", default_value_t = 4)]
    consumers: u32,
    /// Lengths of the messages, as in 64, 32..256 or 64,1KiB
    #[arg(long, value_name = "BYTES", default_value = "64")]
    len: ValueLen,
    /// Messages that the queue holds, a power of two
    #[arg(long, value_name = "N", default_value = "1024", value_parser = parse_count)]
    capacity: u64,
    /// Messages that a consumer takes at once, at most
    #[arg(long, value_name = "N", default_value = "16", value_parser = parse_count)]
    batch: u64,
    /// For how long, as in 500ms or 20s [default: 5s, unless --messages is given]
    #[arg(long, value_name = "SPAN", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Messages, at most; each takes a byte of memory [default: as many as can be, 268435456]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    messages: Option<u64>,
    /// Kills processes at random moments, so far apart on average, as in 5ms [default: none]
    #[arg(long, value_name = "MEAN", value_parser = parse_duration)]
    kill: Option<Duration>,
    /// Seed of all random choices; when they meet is not repeated
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Makes a mistake on purpose, to see that it is found
    #[arg(long, value_name = "MISTAKE", hide = true)]
    plant: Option<QueuePlant>,
    #[command(flatten)]
    output: OutputArguments,
}

/// Sends, receives and prints.
pub(super) fn run(arguments: &QueueArguments) -> Outcome {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let bounds = (arguments.duration.map(millis), arguments.messages);
    let plan = QueuePlan {
        producers: arguments.producers,
        consumers: arguments.consumers,
        len: arguments.len.clone(),
        capacity: arguments.capacity,
        batch: arguments.batch,
        duration_ms: if bounds == (None, None) { Some(DURATION_MS) } else { bounds.0 },
        messages: bounds.1,
        kill_ms: arguments.kill.map(millis),
        seed: arguments.seed,
        plant: arguments.plant,
    };
    arguments.output.run_and_report(
        "queue",
        &[],
        None,
        |line| queue(&plan, line),
        |record| (queue_summary(record), record.verdict),
    )
}
