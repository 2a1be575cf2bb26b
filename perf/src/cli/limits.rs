//! `splinter-perf limits`: what this machine's caches, atomics, copies, calls and wakes cost.

use super::{EndedEarly, Failure, Rounds, complain, ended_early, print};
use crate::caches::Caches;
use crate::environment::EnvironmentWatch;
use crate::limits::nodes::{self, Matrices};
use crate::limits::pairs::{self, Matrix};
use crate::limits::{Limit, Setup, plausible};
use crate::micro::record::{self, Measured};
use crate::micro::table;
use crate::pinning;
use crate::rounds::{self, Schedule, Series};
use clap::Args;
use serde_json::json;
use splinter_stress::{Line, Progress, interrupt, this_machine};
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
    let machine = this_machine();
    let processors = pinning::processors().to_vec();
    let mut wanted = Wanted {
        limits: Limit::ALL.to_vec(),
        cores: pairs::pairs(processors.len()),
        nodes: nodes::pairs(&machine),
    };
    wanted.limits.retain(|limit| options.wants(limit.name()));
    wanted
        .cores
        .retain(|&pair| options.wants(&pairs::name(pair)));
    wanted.nodes.retain(|pair| options.wants(&pair.name()));
    if wanted.limits.is_empty() && wanted.cores.is_empty() && wanted.nodes.is_empty() {
        let names = Limit::ALL.map(Limit::name).join(", ");
        return Err(Failure::Usage(format!(
            "--only matches no limit; the limits are: {names}, {}, {}",
            pairs::NAME,
            nodes::NAME
        )));
    }
    let watch = EnvironmentWatch::start();
    let method = options.method()?;
    let setup = Setup {
        caches: Caches::read(),
        budget: method.sample,
        seed: options.seed,
    };

    let mut line = Line::new("limits");
    let found = measure(&wanted, &machine, &setup, &method.schedule, &mut line);
    drop(line);
    let cores = Matrix::of(&processors, &found.cores);
    let nodes = Matrices::of(&machine, &found.nodes);
    let ended = ended_early();
    if options.json {
        let mut record = json!({
            "schema_version": record::SCHEMA_VERSION,
            "kind": "limits",
            "verdict": if found.errors().next().is_some() { "inconclusive" } else { "pass" },
            "environment": watch.complete(),
            "config": method.record(),
            "rows": found.limits.iter().map(Measured::record).collect::<Vec<_>>(),
            "core_to_core": cores.record(),
            "node_to_node": nodes.record(),
        });
        let code = ended
            .as_ref()
            .map_or(ExitCode::SUCCESS, |why| why.mark(&mut record));
        print(&format!("{record:#}\n"))?;
        return Ok(code);
    }
    let mut parts = Vec::new();
    if !found.limits.is_empty() {
        parts.push(table::limits_text(&found.limits));
    }
    if !found.cores.is_empty() {
        parts.push(format!(
            "from processor to processor, one way\n{}",
            cores.text()
        ));
    }
    if !found.nodes.is_empty() {
        parts.push(format!("from node to node\n{}", nodes.text()));
    }
    print(&parts.join("\n"))?;
    for (name, error) in found.pair_errors() {
        complain(&format!("{name}: {error}"));
    }
    Ok(ended.map_or(ExitCode::SUCCESS, EndedEarly::tell))
}

/// What is to be measured.
struct Wanted {
    limits: Vec<Limit>,
    cores: Vec<pairs::Pair>,
    nodes: Vec<nodes::Pair>,
}

/// What was measured. What this machine cannot give has an error and no samples.
struct Found {
    limits: Vec<Measured>,
    cores: Vec<(pairs::Pair, Series)>,
    nodes: Vec<(nodes::Pair, Series)>,
}

impl Found {
    /// Why pairs could not be measured: these have no line in a table.
    fn pair_errors(&self) -> impl Iterator<Item = (&str, &str)> {
        let cores = self.cores.iter().map(|(_, series)| series);
        let series = cores.chain(self.nodes.iter().map(|(_, series)| series));
        series.filter_map(|series| Some((series.name.as_str(), series.error.as_deref()?)))
    }

    /// Why anything could not be measured.
    fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        let limits = self.limits.iter().map(|limit| &limit.series);
        let limits =
            limits.filter_map(|series| Some((series.name.as_str(), series.error.as_deref()?)));
        limits.chain(self.pair_errors())
    }
}

/// Samples limits and pairs, of processors and of nodes, in the same rounds.
fn measure(
    wanted: &Wanted,
    machine: &splinter_stress::Machine,
    setup: &Setup,
    schedule: &Schedule,
    progress: &mut dyn Progress,
) -> Found {
    let mut prepared = Vec::new();
    for limit in &wanted.limits {
        progress.step(&format!("preparing {}", limit.name()));
        prepared.push((limit.name().to_owned(), limit.probe(setup)));
    }
    if !wanted.nodes.is_empty() {
        progress.step(&format!("preparing {}", nodes::NAME));
    }
    let names = wanted.nodes.iter().map(|pair| pair.name());
    prepared.extend(names.zip(nodes::probes(&wanted.nodes, machine, setup)));
    let mut probes = pairs::probes(&wanted.cores, setup.budget);
    let mut series = Vec::new();
    for (name, probe) in prepared {
        match probe {
            Ok(probe) => probes.push(probe),
            Err(why) => series.push(Series::failed(&name, why)),
        }
    }
    // Until here there is nothing to keep, and Ctrl-C ends the program at once.
    interrupt::watch();
    let mut sampled = rounds::run(&mut probes, schedule, &mut |step| {
        step.tell(progress);
        !interrupt::requested()
    });
    let rest = sampled.split_off(wanted.cores.len());
    series.extend(rest);
    plausible::refuse(&mut series);
    let of_pair = |pair: &nodes::Pair| {
        let name = pair.name();
        let found = series.iter().find(|series| series.name == name);
        (*pair, found.expect("each has a series").clone())
    };
    Found {
        limits: Measured::of(&wanted.limits, &series),
        cores: wanted.cores.iter().copied().zip(sampled).collect(),
        nodes: wanted.nodes.iter().map(of_pair).collect(),
    }
}
