//! `splinter-perf limits`: what this machine's caches, atomics, copies, calls and wakes cost.

use super::{Failure, Rounds, Surroundings, print};
use crate::limits::pairs::{self, Matrix, Pair};
use crate::limits::{Limit, Setup};
use crate::machine::Machine;
use crate::micro::record::{self, Measured};
use crate::micro::table;
use crate::pinning;
use crate::progress::Progress;
use crate::rounds::{self, Schedule, Series};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Measures what the machine's caches, memory, copies, atomic instructions, system calls and wakes cost, and a line's
/// way from each processor to each other one.
///
/// Every round takes one short sample of each limit in an order drawn anew; the median over the rounds is reported,
/// with the least and the middle half beside it.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    rounds: Rounds,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let options = &options.rounds;
    let processors: Vec<usize> = pinning::processors().iter().map(|core| core.id).collect();
    let mut pairs = pairs::pairs(processors.len());
    pairs.retain(|&pair| options.wants(&pairs::name(pair)));
    let wanted: Vec<Limit> = Limit::ALL
        .into_iter()
        .filter(|limit| options.wants(limit.name()))
        .collect();
    if wanted.is_empty() && pairs.is_empty() {
        let names = Limit::ALL.map(Limit::name).join(", ");
        return Err(Failure::Usage(format!(
            "--only matches no limit; the limits are: {names}, {}",
            pairs::NAME
        )));
    }
    let surroundings = Surroundings::read();
    let method = options.method()?;
    let setup = Setup {
        machine: Machine::read(),
        budget: method.sample,
        seed: options.seed,
    };

    let mut progress = Progress::new();
    let (measured, transfers) = measure(&wanted, &pairs, &setup, &method.schedule, &mut progress);
    drop(progress);
    let matrix = Matrix::of(&processors, &transfers);
    let failed = transfers.iter().any(|(_, series)| series.error.is_some())
        || measured.iter().any(|limit| limit.series.error.is_some());
    if options.json {
        let found = json!({
            "schema_version": record::SCHEMA_VERSION,
            "kind": "limits",
            "verdict": if failed { "inconclusive" } else { "pass" },
            "environment": surroundings.complete(),
            "config": method.record(),
            "rows": measured.iter().map(Measured::record).collect::<Vec<_>>(),
            "core_to_core": matrix.record(),
        });
        print(&format!("{found:#}\n"))?;
    } else {
        let table = if measured.is_empty() {
            String::new()
        } else {
            table::limits_text(&measured)
        };
        print(&table)?;
        if !transfers.is_empty() {
            print(&format!(
                "\nfrom processor to processor, one way\n{}",
                matrix.text()
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Samples limits and pairs of processors in rounds. What this machine cannot give has an error and no samples.
fn measure(
    wanted: &[Limit],
    pairs: &[Pair],
    setup: &Setup,
    schedule: &Schedule,
    progress: &mut Progress,
) -> (Vec<Measured>, Vec<(Pair, Series)>) {
    let mut probes = Vec::new();
    let mut series = Vec::new();
    for limit in wanted {
        progress.preparing(limit.name());
        match limit.probe(setup) {
            Ok(probe) => probes.push(probe),
            Err(why) => series.push(Series::failed(limit.name(), why)),
        }
    }
    probes.extend(pairs::probes(pairs, setup.budget));
    let mut sampled = rounds::run(&mut probes, schedule, &mut |step| {
        progress.step(step);
    });
    let transfers = sampled.split_off(sampled.len() - pairs.len());
    series.extend(sampled);
    let transfers = pairs.iter().copied().zip(transfers).collect();
    (Measured::of(wanted, &series), transfers)
}
