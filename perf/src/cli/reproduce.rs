//! `splinter-perf reproduce`: the published figures, tried on this machine.

use super::{ANY, count};
use crate::environment::EnvironmentWatch;
use crate::only;
use crate::reproduce::claims::CLAIMS;
use crate::reproduce::this_machine::ThisMachine;
use crate::reproduce::{Plan, reproduce, table};
use clap::Args;
use splinter_harness::files::try_files;
use splinter_harness::program::{Outcome, OutputArguments};

/// Tries the published figures on this machine, each in the configuration it was published for.
///
/// A claim is reproduced, not reproduced, or not comparable on this hardware: the last where its figure was not reached
/// and the machine lacks what it was claimed for. Throughput is goodput; attempts, by which some published figures were
/// counted, stand beside it. Rates are measured with nothing observed and proved by a run of their own in which every
/// value is checked. For claims of scale there is a curve from one processor to all, and what the figure would take of
/// processors like these.
///
/// The verdict is that of the invariants: "fail" if any broke, "inconclusive" if a claim could not be tried or judged or
/// others disturbed it, else "pass", whatever was reached.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    /// Take short runs, once each: under 45 seconds
    #[arg(long)]
    quick: bool,
    /// Try only the claims whose name contains this text
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Run again what others disturbed, at most N runs and rounds in all
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count::<u32>(ANY))]
    again: u32,
    /// Seed of every random choice
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = count::<u64>(ANY))]
    seed: u64,
    #[command(flatten)]
    output: OutputArguments,
}

impl Options {
    fn plan(&self) -> Result<Plan, String> {
        let names = || CLAIMS.iter().map(|claim| claim.name);
        let wanted = |name: &&str| only::wants(self.only.as_deref(), name);
        let claims: Vec<String> = names().filter(wanted).map(str::to_owned).collect();
        if claims.is_empty() {
            let all: Vec<&str> = names().collect();
            return Err(format!("--only matches no claim; the claims are: {}", all.join(", ")));
        }
        Ok(Plan {
            claims,
            repetitions: if self.quick { 1 } else { 5 },
            run_ms: if self.quick { 1_500 } else { 5_000 },
            scaling_run_ms: if self.quick { 500 } else { 2_000 },
            rounds: if self.quick { 5 } else { 31 },
            quick: self.quick,
            seed: self.seed,
        })
    }
}

pub(super) fn run(options: &Options) -> Outcome {
    let plan = options.plan()?;
    try_files(&[options.output.record.as_deref()], &[])?;
    let watch = EnvironmentWatch::start();
    let mut machine = ThisMachine::new(&plan, watch.before(), options.again);
    let mut found = reproduce(&plan, &mut machine);
    let rounds = machine.rounds().clone();
    drop(machine);
    found.doctor = watch.doctor();
    let environment = watch.complete_rounds(&rounds);
    found.settle(&environment);
    found.environment = Some(environment);
    options.output.hand_out(&found, || table::text(&found))?;
    Ok(found.verdict.exit_code())
}
