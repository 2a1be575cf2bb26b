//! `splinter-perf limits`: what this machine's caches, atomics and copies cost.

use super::{Failure, Rounds, Surroundings, print};
use crate::limits::{Limit, Setup};
use crate::machine::Machine;
use crate::micro::record::{self, Measured};
use crate::micro::table;
use crate::progress::Progress;
use crate::rounds::{self, Schedule, Series};
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

/// Measures what the machine's caches, memory, copies and atomic instructions cost.
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
    let wanted: Vec<Limit> = Limit::ALL
        .into_iter()
        .filter(|limit| options.wants(limit.name()))
        .collect();
    if wanted.is_empty() {
        let names = Limit::ALL.map(Limit::name).join(", ");
        return Err(Failure::Usage(format!(
            "--only matches no limit; the limits are: {names}"
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
    let measured = measure(&wanted, &setup, &method.schedule, &mut progress);
    drop(progress);
    if options.json {
        let found = json!({
            "schema_version": record::SCHEMA_VERSION,
            "kind": "limits",
            "verdict": if measured.iter().any(|limit| limit.series.error.is_some()) { "inconclusive" } else { "pass" },
            "environment": surroundings.complete(),
            "config": method.record(),
            "rows": measured.iter().map(Measured::record).collect::<Vec<_>>(),
        });
        print(&format!("{found:#}\n"))?;
    } else {
        print(&table::limits_text(&measured))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Samples limits in rounds. A limit that this machine cannot give has an error and no samples.
fn measure(
    wanted: &[Limit],
    setup: &Setup,
    schedule: &Schedule,
    progress: &mut Progress,
) -> Vec<Measured> {
    let mut probes = Vec::new();
    let mut series = Vec::new();
    for limit in wanted {
        progress.preparing(limit.name());
        match limit.probe(setup) {
            Ok(probe) => probes.push(probe),
            Err(why) => series.push(Series::failed(limit.name(), why)),
        }
    }
    series.extend(rounds::run(&mut probes, schedule, &mut |step| {
        progress.step(step);
    }));
    Measured::of(wanted, &series)
}
