//! The flags of `sweep`, and what it does with them.

use crate::sweep::{Interruption, Op, Scenario, ScrubLevel, SweepPlan, sweep, sweep_summary};
use clap::Args;
use splinter::Scrub;
use splinter_harness::program::{Outcome, OutputArguments};

/// What to sweep, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct SweepArguments {
    /// A few points of every pair: to see in under a minute that nothing is broken badly
    #[arg(long)]
    quick: bool,
    /// What the first does, as in update,unset [default: all operations]
    #[arg(long, value_name = "OPERATIONS", value_delimiter = ',')]
    first: Vec<Op>,
    /// What the second does [default: all operations]
    #[arg(long, value_name = "OPERATIONS", value_delimiter = ',')]
    second: Vec<Op>,
    /// What befalls the first: resume, kill, stop [default: all of them]
    #[arg(long, value_name = "HOW", value_delimiter = ',')]
    how: Vec<Interruption>,
    /// Scrub levels: none, hybrid, full [default: all of them]
    #[arg(long, value_name = "LEVELS", value_delimiter = ',')]
    scrub: Vec<Scrub>,
    /// One pair alone: `FIRST,SECOND,HOW,SCRUB,LEN[,GROUND[,heard]]`
    #[arg(long, value_name = "PAIR", conflicts_with_all = ["first", "second", "how", "scrub"])]
    only: Option<Scenario>,
    /// One pause point of that pair alone
    #[arg(long, value_name = "K")]
    point: Option<usize>,
    /// Tries one of so many instructions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    stride: Option<u32>,
    /// Seed of the choice of points, where not all are tried
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Processes that sweep side by side [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    jobs: Option<u32>,
    #[command(flatten)]
    output: OutputArguments,
}

/// Sweeps and prints.
pub(super) fn run(arguments: &SweepArguments) -> Outcome {
    if arguments.point.is_some() && arguments.only.is_none() {
        return Err("a point is one of a pair: give --only PAIR with --point".into());
    }
    let plan = SweepPlan {
        quick: arguments.quick,
        firsts: arguments.first.clone(),
        seconds: arguments.second.clone(),
        hows: arguments.how.clone(),
        scrubs: arguments.scrub.iter().map(|level| ScrubLevel::from(*level)).collect(),
        only: arguments.only,
        point: arguments.point,
        stride: arguments.stride.unwrap_or_default() as usize,
        seed: arguments.seed,
        jobs: arguments.jobs.unwrap_or_default() as usize,
    };
    arguments.output.run_and_report(
        "sweep",
        &[],
        None,
        |line| sweep(&plan, line),
        |record| (sweep_summary(record), record.verdict),
    )
}
