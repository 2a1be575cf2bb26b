//! The flags of `numa`, and what it does with them.

use super::complain;
use super::output::{Outcome, OutputArguments};
use crate::numa::{Expected, NumaPlan, Plant, numa, numa_summary};
use crate::text::parse_count;
use crate::verdict::USAGE;
use clap::Args;
use std::process::ExitCode;

/// What the machine must be like, and where to put the results.
#[derive(Args, Clone, Debug)]
pub(super) struct NumaArguments {
    /// Nodes with memory that the machine must have: with fewer it fails
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// Processors that the machine must have
    #[arg(long, value_name = "N")]
    processors: Option<usize>,
    /// What a node must be like, as in 0=0-7/10,21: its processors and its distances to all nodes;
    /// give it for every node
    #[arg(long, value_name = "NODE=PROCESSORS/DISTANCES")]
    expect: Vec<Expected>,
    /// Looks at the machine only, and makes no store
    #[arg(long)]
    machine_only: bool,
    /// Operations of each stress run
    #[arg(long, value_name = "N", default_value = "20000", value_parser = parse_count)]
    ops: u64,
    /// Seed of all random choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Makes a mistake on purpose, to see that it is found
    #[arg(long, value_name = "MISTAKE", hide = true)]
    plant: Option<Plant>,
    #[command(flatten)]
    output: OutputArguments,
}

/// Checks and prints.
pub(super) fn run(arguments: &NumaArguments) -> ExitCode {
    if arguments.ops == 0 {
        complain("nothing to run: give --ops more than 0");
        return ExitCode::from(USAGE);
    }
    let plan = NumaPlan {
        nodes: arguments.nodes,
        processors: arguments.processors,
        expect: arguments.expect.clone(),
        machine_only: arguments.machine_only,
        ops: arguments.ops,
        seed: arguments.seed,
        plant: arguments.plant,
    };
    arguments.output.run_and_report(
        "numa",
        None,
        |line| Ok(numa(&plan, line)),
        |record| Outcome {
            summary: numa_summary(record),
            verdict: record.verdict,
            log: None,
        },
    )
}
