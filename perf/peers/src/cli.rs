//! The command line.

use crate::contender::{Contender, Make};
use crate::trial::{Control, LOADS, compare};
use crate::{board, library, lmdb, maps, servers, splinters, table};
use clap::Parser;
use splinter_harness::clock_cost::ClockCost;
use splinter_harness::console;
use splinter_harness::disturbance::{ProcessorUse, RoundWatch};
use splinter_harness::files::{as_json, write_file};
use splinter_harness::interrupt;
use splinter_harness::progress::Line;
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::USAGE;
use splinter_harness::verdict::Verdict;
use splinter_perf::cli::{ENTRANTS, PeersOptions};
use splinter_perf::environment::EnvironmentWatch;
use splinter_perf::records::peers::{Comparison, Plan};
use std::path::PathBuf;
use std::process::ExitCode;

/// The program, as messages call it.
const PROGRAM: &str = "splinter-peers";

/// How each of [`ENTRANTS`] is made, by name.
const MAKES: [(&str, Make); ENTRANTS.len()] = [
    ("splinter", splinters::by_key),
    ("splinter, by handle", splinters::by_handle),
    ("libsplinter (C)", library::original),
    ("Mutex<HashMap>", maps::mutex),
    ("DashMap", maps::dashmap),
    ("papaya", maps::papaya),
    ("LMDB on /dev/shm", lmdb::lmdb),
    ("iceoryx2, by handle", board::board),
    ("Redis", servers::redis),
    ("Redis, pipelined", servers::redis_pipelined),
    ("memcached", servers::memcached),
];

/// The program's own command line: that of `splinter-perf peers`, which has its help without building this.
#[derive(Debug, Parser)]
#[command(name = "splinter-peers", bin_name = "splinter-perf peers", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    options: PeersOptions,
}

fn plan(options: &PeersOptions) -> Plan {
    Plan {
        rounds: options.rounds.unwrap_or(if options.quick { 3 } else { 15 }),
        sample_ms: if options.quick { 60 } else { 300 },
        warmup_ms: if options.quick { 10 } else { 50 },
        keys: options.keys,
        value_len: options.value_len,
        seed: options.seed,
        quick: options.quick,
    }
}

fn makes(options: &PeersOptions) -> Vec<(&'static str, Make)> {
    let wanted = |(name, _): &(&str, Make)| name.starts_with("splinter") || options.wants(name);
    MAKES.into_iter().filter(wanted).collect()
}

/// Parses the command line, does what it says and returns the exit code.
pub(crate) fn main() -> ExitCode {
    let cli: Cli = match console::begin(PROGRAM) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    run(&cli.options).unwrap_or_else(|message| {
        console::complain(PROGRAM, &message);
        ExitCode::from(USAGE)
    })
}

fn run(options: &PeersOptions) -> Result<ExitCode, String> {
    options.check()?;
    let (plan, makes) = (plan(options), makes(options));
    interrupt::watch();
    let watch = EnvironmentWatch::start();
    let mut rounds = RoundWatch::start(options.again, &ProcessorUse::ALL);
    let environment = watch.before().clone();
    let processors = environment.processors;
    let mut found = Comparison {
        schema_version: SCHEMA_VERSION,
        kind: "peers",
        verdict: Verdict::Inconclusive,
        reasons: Vec::new(),
        config: plan.clone(),
        clock: ClockCost::measure(),
        cells: Vec::new(),
        doctor: watch.doctor(),
        environment,
    };
    let mut line = Line::new("peers");
    for load in LOADS.iter().filter(|load| options.wants_load(load.name)) {
        if interrupt::requested() {
            break;
        }
        let workload = load.workload(&plan, processors);
        rounds.now_using(&ProcessorUse::up_to(workload.operators() as usize));
        let library = |path: &PathBuf| library::library(path, &workload);
        let more: Vec<Result<Contender, String>> = options.peer_library.iter().map(library).collect();
        found.cells.push(compare(
            load,
            &plan,
            processors,
            &makes,
            more,
            &mut line,
            Control { keep: &mut |round| rounds.keep(round), ended: &interrupt::requested },
        ));
    }
    drop(line);
    found.environment = watch.complete_rounds(&rounds);
    found.conclude(interrupt::requested());
    let json = as_json(&found);
    if let Some(path) = &options.record {
        write_file(path, &json)?;
    }
    let text = if options.json { json } else { table::text(&found) };
    Ok(console::end_with(PROGRAM, &text, found.verdict.exit_code()))
}

#[cfg(test)]
mod tests {
    use super::{ENTRANTS, LOADS, MAKES};

    #[test]
    fn stores_and_loads_have_the_names_that_the_help_gives() {
        assert_eq!(MAKES.map(|(name, _)| name), ENTRANTS);
        assert_eq!(LOADS.map(|load| load.name), splinter_perf::cli::LOADS);
    }
}
