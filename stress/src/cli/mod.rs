//! The command line: parsing is pure, one table of flags per verb; then run and print. stdout
//! carries results only, JSON and nothing else with `--json`; everything else goes to stderr.

mod arguments;
mod cache;
mod history;
mod hostile;
mod kill;
mod matrix;
mod numa;
mod queue;
mod sweep;
mod topology;
mod wake;

use crate::record::{Output, Record};
use crate::report::{comparison, summary};
use crate::run::run_keeping;
use crate::workers;
use crate::workload::file;
use arguments::RunArguments;
use clap::{CommandFactory, Parser, Subcommand};
use splinter_harness::documentation::Documentation;
use splinter_harness::environment::settle;
use splinter_harness::error::RunError;
use splinter_harness::files::{as_json, try_files, write_file};
use splinter_harness::interrupt;
use splinter_harness::program::{self, Failure, Outcome, complain, print};
use splinter_harness::progress::Line;
use splinter_harness::verdict::Verdict;
use std::process::ExitCode;

pub use arguments::WorkloadFlags;

/// Drives a splinter store with contending writers and readers, and proves it correct under load.
/// Without a command: run, with its default workload.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 everything held, 1 a broken invariant, 2 usage, 3 regression, 4 inconclusive.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs a workload; without flags, 32 writers and 32 readers at each scrub level.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Run(Box<RunArguments>),
    /// Runs a workload in many variants: scrub levels, writers, readers, value sizes, key choices, placements.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Matrix(Box<matrix::MatrixArguments>),
    /// Measures how long a write takes to wake another process, beside futex, eventfd and cache line.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Wake(wake::WakeArguments),
    /// Replays a trace against caches: the store by SIEVE and LRU, moka, and what is possible at all.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Cache(cache::CacheArguments),
    /// Checks whether a history that was saved is linearizable.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    History(history::HistoryArguments),
    /// Ends thousands of writers by SIGKILL at full load, and proves that nothing is lost.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Kill(kill::KillArguments),
    /// Damages stores while others use them, and proves that nobody crashes, hangs or panics.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Hostile(hostile::HostileArguments),
    /// Sends numbered messages through a queue, kills some of its processes, and proves that nothing is lost.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Queue(queue::QueueArguments),
    /// Proves that memory and workers go to the NUMA nodes they are asked to, page by page.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Numa(numa::NumaArguments),
    /// Interrupts one operation at every instruction by another, by death or by a stop for ever.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Sweep(sweep::SweepArguments),
    #[command(flatten)]
    Documentation(Documentation),
    /// Draws a machine, this one or another, and where the workers of a run would be on it.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Topology(topology::TopologyArguments),
    /// Is one worker process of a run.
    #[command(hide = true)]
    Worker(workers::Handover),
    /// Is another process of `wake`.
    #[command(hide = true)]
    WakeResponder(crate::wake::Handover),
}

impl Verb {
    /// Tells whether it runs something on a store.
    fn measures(&self) -> bool {
        match self {
            Self::Run(arguments) => !arguments.print_workload,
            Self::History(_) | Self::Topology(_) | Self::Documentation(_) => false,
            // The process that starts them has looked.
            Self::Worker(_) | Self::WakeResponder(_) => false,
            _ => true,
        }
    }

    /// Returns `run` without flags.
    fn default_run() -> Self {
        let arguments = Arguments::parse_from(["splinter-stress", "run"]);
        arguments.verb.expect("a verb was given")
    }
}

impl Arguments {
    fn verb(self) -> Verb {
        self.verb.unwrap_or_else(Verb::default_run)
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let measures = |arguments: &Arguments| arguments.verb.as_ref().is_none_or(Verb::measures);
    program::run("splinter-stress", measures, |arguments: Arguments| match arguments.verb() {
        Verb::Run(arguments) => run_verb(&arguments),
        Verb::Matrix(arguments) => matrix::run(&arguments),
        Verb::Wake(arguments) => wake::run(&arguments),
        Verb::Cache(arguments) => cache::run(&arguments),
        Verb::History(arguments) => history::run(&arguments),
        Verb::Kill(arguments) => kill::run(&arguments),
        Verb::Hostile(arguments) => hostile::run(&arguments),
        Verb::Queue(arguments) => queue::run(&arguments),
        Verb::Numa(arguments) => numa::run(&arguments),
        Verb::Sweep(arguments) => sweep::run(&arguments),
        Verb::Documentation(verb) => print(&verb.text(&Arguments::command())?).map(|()| ExitCode::SUCCESS),
        Verb::Topology(arguments) => topology::run(&arguments),
        Verb::Worker(handover) => served(workers::serve(&handover)),
        Verb::WakeResponder(handover) => served(crate::wake::serve(&handover)),
    })
}

/// Ends a process that another one of this program started.
fn served(result: Result<(), String>) -> Outcome {
    result.map(|()| ExitCode::SUCCESS).map_err(Failure::Machine)
}

fn run_verb(arguments: &RunArguments) -> Outcome {
    let workloads = arguments.flags.workloads()?;
    if arguments.print_workload {
        let levels: Vec<_> = workloads.iter().map(|workload| workload.scrub).collect();
        print(&(file::print(&workloads[0], &levels).trim_end().to_owned() + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let RunArguments { flags, output: files, hdr, .. } = arguments;
    let outputs = [files.record.as_deref(), hdr.as_deref(), flags.history_file()];
    let shared = workloads[0].backing.shared_file();
    try_files(&outputs, &[&flags.inputs(&workloads[0])[..], &[shared.as_deref()]].concat())?;
    interrupt::watch();
    let mut records = Vec::new();
    let mut printed = Ok(());
    for workload in &workloads {
        let mut line = Line::new(format!("scrub {}", workload.scrub));
        let mut once = || run_keeping(workload, &mut line, flags.history_file());
        let result = match arguments.again {
            None => once(),
            Some(again) => undisturbed(again, once),
        };
        drop(line);
        match result {
            Ok(record) => {
                if !files.json {
                    printed = printed.and_then(|()| print(&(summary(&record) + "\n")));
                }
                if records.is_empty() {
                    let of_profile = |note: &&String| note.starts_with("SPLINTER_PROFILE");
                    record.store.notes.iter().filter(of_profile).for_each(|note| complain(note));
                }
                records.push(record);
                // After each run, so that what was measured is kept whatever happens later.
                keep(arguments, &records)?;
            }
            // What was run before it is kept.
            Err(_) if interrupt::requested() && !records.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
        if interrupt::requested() {
            break;
        }
    }
    let output = Output::new(records);
    if files.json || output.records().len() > 1 {
        let text = || comparison(output.records()) + "\n";
        printed = printed.and_then(|()| program::print_record(files.json, &output, text));
    }
    // A run that was cut short is not the one that was asked for.
    let cut_short = interrupt::requested() && output.verdict() == Verdict::Pass;
    let verdict = if cut_short { Verdict::Inconclusive } else { output.verdict() };
    printed.map(|()| verdict.exit_code())
}

/// Runs until no other load disturbs it, and at most `again` times more. Disturbed to the last, it gives no verdict.
fn undisturbed(again: u32, mut once: impl FnMut() -> Result<Record, RunError>) -> Result<Record, RunError> {
    for left in (0..=again).rev() {
        let mut record = once()?;
        let is_disturbed = !record.environment.disturbances.is_empty();
        let ends = left == 0 || record.verdict == Verdict::Fail || interrupt::requested();
        if !is_disturbed || ends {
            record.environment.rounds_again = again - left;
            settle(&mut record.verdict, &mut record.reasons, &record.environment);
            return Ok(record);
        }
    }
    unreachable!("the last try ends it")
}

/// Writes the record and the histograms where they are wanted.
fn keep(arguments: &RunArguments, records: &[crate::Record]) -> Result<(), String> {
    if let Some(path) = &arguments.output.record {
        write_file(path, &as_json(&Output::new(records.to_vec())))?;
    }
    if let Some(path) = &arguments.hdr {
        // A log's header lines may come again: readers take the latest. A comment tells levels apart.
        let log = |record: &crate::Record| match records.len() {
            1 => record.hdr_log.clone(),
            _ => format!("#[scrub {}]\n{}", record.config.scrub, record.hdr_log),
        };
        write_file(path, &records.iter().map(log).collect::<String>())?;
    }
    Ok(())
}

/// Parses flags as those of a verb, for the tests.
#[cfg(test)]
fn parsed<A: clap::Args>(flags: &str) -> Result<A, String> {
    let command = A::augment_args(clap::Command::new("x").no_binary_name(true));
    let matches = command.try_get_matches_from(flags.split_whitespace());
    let found = matches.and_then(|mut matches| A::from_arg_matches_mut(&mut matches));
    found.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_harness::disturbance::{Cause, Disturbance};

    #[test]
    fn a_disturbed_run_is_run_again_and_gives_no_verdict_if_it_stays_disturbed() {
        let workload = crate::Workload {
            writers: 1,
            readers: 1,
            keys: 16,
            span: crate::Span::Ops(200),
            ..crate::Workload::default()
        };
        let record = crate::run(&workload, &mut splinter_harness::progress::Silent).unwrap();
        let run = |again, disturbed_runs| {
            let mut runs = 0;
            let record = undisturbed(again, || {
                let mut record = record.clone();
                let disturbance = Disturbance { cause: Cause::OtherLoad, ms: 900, share: 0.45 };
                record.environment.disturbances = vec![disturbance; (runs < disturbed_runs).into()];
                runs += 1;
                Ok(record)
            });
            let record = record.unwrap();
            (runs, record.verdict, summary(&record).contains("no verdict, DISTURBED"))
        };
        assert_eq!(run(0, 0), (1, Verdict::Pass, false));
        assert_eq!(run(0, 1), (1, Verdict::Inconclusive, true));
        assert_eq!(run(2, 2), (3, Verdict::Pass, false));
        assert_eq!(run(1, 2), (2, Verdict::Inconclusive, true));
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
