//! `splinter-perf limits`: what this machine's caches, atomics, copies, calls and wakes cost.

use super::{ENDED_EARLY, Rounds, verdict_text};
use crate::caches::Caches;
use crate::environment::EnvironmentWatch;
use crate::limits::nodes::{self, Matrices};
use crate::limits::pairs::{self, Matrix};
use crate::limits::{Limit, Setup, plausible};
use crate::micro::record::{LimitsRecord, Measured};
use crate::micro::table;
use crate::pinning;
use clap::Args;
use splinter_harness::disturbance::{ProcessorUse, RoundWatch};
use splinter_harness::environment::settle;
use splinter_harness::interrupt;
use splinter_harness::machine::source::this_machine;
use splinter_harness::program::{Outcome, print_record};
use splinter_harness::progress::{Line, Progress};
use splinter_harness::sampler::{self, Schedule, Series};
use splinter_harness::verdict::{SCHEMA_VERSION, Verdict};

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

pub(super) fn run(options: &Options) -> Outcome {
    let options = &options.rounds;
    let machine = this_machine();
    let processors = pinning::processors().to_vec();
    let mut wanted = Wanted {
        limits: Limit::ALL.to_vec(),
        cores: pairs::pairs(processors.len()),
        nodes: nodes::pairs(&machine),
    };
    wanted.limits.retain(|limit| options.wants(limit.name()));
    wanted.cores.retain(|&pair| options.wants(&pairs::name(pair)));
    wanted.nodes.retain(|pair| options.wants(&pair.name()));
    if wanted.limits.is_empty() && wanted.cores.is_empty() && wanted.nodes.is_empty() {
        let names = Limit::ALL.map(Limit::name).join(", ");
        let [cores, nodes] = [pairs::NAME, nodes::NAME];
        return Err(format!("--only matches no limit; the limits are: {names}, {cores}, {nodes}").into());
    }
    let environment = EnvironmentWatch::start();
    // A thread at a time works, or a pair that hands a cache line or a byte to and fro.
    let mut watch = RoundWatch::start(options.again, &ProcessorUse::up_to(2));
    let method = options.method()?;
    let setup = Setup { caches: Caches::read(), budget: method.sample(), seed: options.seed };

    let mut line = Line::new("limits");
    let found = measure(&wanted, &machine, &setup, &method.schedule(), &mut watch, &mut line);
    drop(line);
    let doctor = environment.doctor();
    let environment = environment.complete_rounds(&watch);
    let mut verdict = Verdict::Pass;
    let mut reasons = found.reasons();
    if interrupt::requested() {
        reasons.push(ENDED_EARLY.to_owned());
    }
    if !reasons.is_empty() {
        verdict = Verdict::Inconclusive;
    }
    settle(&mut verdict, &mut reasons, &environment);
    let record = LimitsRecord {
        schema_version: SCHEMA_VERSION,
        kind: "limits".to_owned(),
        verdict,
        reasons,
        config: method,
        rows: found.limits.iter().map(Measured::record).collect(),
        core_to_core: Matrix::of(&processors, &found.cores),
        node_to_node: Matrices::of(&machine, &found.nodes),
        doctor,
        environment,
    };
    print_record(options.json, &record, || {
        let (cores, nodes) = (record.core_to_core.text(), record.node_to_node.text());
        let parts = [
            (found.limits.is_empty(), table::limits_text(&found.limits)),
            (found.cores.is_empty(), format!("from processor to processor, one way\n{cores}")),
            (found.nodes.is_empty(), format!("from node to node\n{nodes}")),
            (false, verdict_text(verdict, &record.reasons)),
        ];
        let shown = parts.into_iter().filter(|(is_empty, _)| !is_empty);
        shown.map(|(_, part)| part).collect::<Vec<_>>().join("\n")
    })?;
    Ok(verdict.exit_code())
}

/// The limits and pairs to measure.
struct Wanted {
    limits: Vec<Limit>,
    cores: Vec<pairs::Pair>,
    nodes: Vec<nodes::Pair>,
}

/// The series that were measured. A limit that this machine does not have has an error and no samples.
struct Found {
    limits: Vec<Measured>,
    cores: Vec<(pairs::Pair, Series)>,
    nodes: Vec<(nodes::Pair, Series)>,
}

impl Found {
    /// Why anything could not be measured, or is implausible.
    fn reasons(&self) -> Vec<String> {
        let limits = self.limits.iter().map(|limit| &limit.series);
        let cores = self.cores.iter().map(|(_, series)| series);
        let series = limits.chain(cores);
        let series = series.chain(self.nodes.iter().map(|(_, series)| series));
        let why = |it: &Series| Some(format!("{}: {}", it.name, it.error.as_deref()?));
        series.filter_map(why).collect()
    }
}

/// Samples limits and pairs, of processors and of nodes, in the same rounds.
fn measure(
    wanted: &Wanted,
    machine: &splinter_harness::machine::Machine,
    setup: &Setup,
    schedule: &Schedule,
    watch: &mut RoundWatch,
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
    let mut sampled = sampler::run(&mut probes, schedule, watch, progress);
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
