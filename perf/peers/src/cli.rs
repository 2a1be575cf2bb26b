//! The command line.

use crate::contender::{Contender, Make};
use crate::record::{Comparison, Plan};
use crate::trial::{LOADS, Load, compare};
use crate::{board, library, lmdb, maps, servers, splinters, table};
use clap::Parser;
use splinter_perf::only;
use splinter_perf::surroundings::Surroundings;
use splinter_stress::files::{as_json, try_file, write_file};
use splinter_stress::{Line, SCHEMA_VERSION, USAGE, Verdict, interrupt};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Everybody who can take part, in the order of the table.
const MAKES: [(&str, Make); 10] = [
    ("splinter", splinters::by_key),
    ("splinter, by handle", splinters::by_handle),
    ("Mutex<HashMap>", maps::mutex),
    ("DashMap", maps::dashmap),
    ("papaya", maps::papaya),
    ("LMDB on /dev/shm", lmdb::lmdb),
    ("iceoryx2, by handle", board::board),
    ("Redis", servers::redis),
    ("Redis, pipelined", servers::redis_pipelined),
    ("memcached", servers::memcached),
];

/// Compares splinter with what else keeps values for several threads or processes.
///
/// All of them are driven by the same workers, in threads of one process, each with a connection of its own where there
/// is something to connect to. A round takes one short sample of each, in an order drawn anew; goodput is the median of
/// the rounds, and a ratio that of the same round, with a 95 % bootstrap interval. Servers are started for it, on
/// sockets of their own, and ended with it; one whose program is not installed takes no part, and the table says which
/// package has it.
///
/// Before the rounds every one is driven once with all its reads checked. The exit code is 1 if reads of ours were torn
/// or failed, 4 if it was interrupted, else 0, whoever was faster.
#[derive(Debug, Parser)]
#[command(
    name = "splinter-peers",
    bin_name = "splinter-perf peers",
    version,
    max_term_width = 100
)]
struct Options {
    /// Rounds: each takes one sample of everybody [default: 15, or 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Take shorter samples in fewer rounds, for a first look
    #[arg(long)]
    quick: bool,
    /// Only those whose name contains this text, and splinter
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Only the loads whose name contains this text
    #[arg(long, value_name = "SUBSTRING")]
    load: Option<String>,
    /// A shared library that exports the original C interface, to take part as well
    #[arg(long, value_name = "PATH")]
    peer_library: Option<PathBuf>,
    /// Keys
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    keys: u64,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    value_len: u32,
    /// Seed of every random choice
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Print one JSON record to standard output instead of tables
    #[arg(long)]
    json: bool,
    /// Write the record to a file
    #[arg(long, value_name = "PATH")]
    record: Option<PathBuf>,
}

impl Options {
    fn plan(&self) -> Plan {
        Plan {
            rounds: self.rounds.unwrap_or(if self.quick { 3 } else { 15 }),
            sample_ms: if self.quick { 60 } else { 300 },
            warmup_ms: if self.quick { 10 } else { 50 },
            keys: self.keys,
            value_len: self.value_len,
            seed: self.seed,
            quick: self.quick,
        }
    }

    fn loads(&self) -> Result<Vec<Load>, String> {
        let wanted = |load: &Load| only::wants(self.load.as_deref(), load.name);
        let loads: Vec<Load> = LOADS.into_iter().filter(wanted).collect();
        if loads.is_empty() {
            let all: Vec<&str> = LOADS.iter().map(|load| load.name).collect();
            return Err(format!(
                "--load matches none; the loads are: {}",
                all.join("; ")
            ));
        }
        Ok(loads)
    }

    fn makes(&self) -> Result<Vec<(&'static str, Make)>, String> {
        let matches = |name: &str| only::wants(self.only.as_deref(), name);
        if !MAKES.iter().any(|(name, _)| matches(name)) {
            let all: Vec<&str> = MAKES.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "--only matches nobody; there are: {}",
                all.join("; ")
            ));
        }
        let wanted = |(name, _): &(&str, Make)| name.starts_with("splinter") || matches(name);
        Ok(MAKES.into_iter().filter(wanted).collect())
    }
}

/// Parses the command line, does what it says and returns the exit code.
pub(crate) fn main() -> ExitCode {
    let options = Options::parse();
    run(&options).unwrap_or_else(|message| {
        eprintln!("splinter-peers: {message}");
        ExitCode::from(USAGE)
    })
}

fn run(options: &Options) -> Result<ExitCode, String> {
    let (plan, loads, makes) = (options.plan(), options.loads()?, options.makes()?);
    try_file(options.record.as_deref())?;
    if let Some(path) = options
        .peer_library
        .as_deref()
        .filter(|path| !path.exists())
    {
        return Err(format!(
            "there is no library {}: give --peer-library the path of one",
            path.display()
        ));
    }
    interrupt::watch();
    let surroundings = Surroundings::read();
    let environment = surroundings.environment().clone();
    let processors = environment.processors;
    let mut found = Comparison {
        schema_version: SCHEMA_VERSION,
        kind: "peers",
        verdict: Verdict::Inconclusive,
        reasons: Vec::new(),
        config: plan.clone(),
        cells: Vec::new(),
        environment,
    };
    let mut line = Line::new("peers");
    for load in &loads {
        if interrupt::requested() {
            break;
        }
        let library = |path: &PathBuf| library::library(path, &load.workload(&plan, processors));
        let more: Vec<Result<Contender, String>> =
            options.peer_library.iter().map(library).collect();
        found.cells.push(compare(
            load,
            &plan,
            processors,
            &makes,
            more,
            &mut line,
            &interrupt::requested,
        ));
    }
    drop(line);
    found.environment = surroundings.complete();
    found.conclude(interrupt::requested());
    let json = as_json(&found);
    if let Some(path) = &options.record {
        write_file(path, &json)?;
    }
    let text = if options.json {
        json
    } else {
        table::text(&found)
    };
    // A reader that has had enough is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(found.verdict.exit_code())
}
