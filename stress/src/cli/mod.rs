//! The command line: parsing is pure, one table of flags per verb; then run and print. stdout
//! carries results only, JSON and nothing else with `--json`; everything else goes to stderr.

mod arguments;
mod history;
mod hostile;
mod kill;
mod matrix;
mod numa;
mod output;
mod sweep;
mod topology;
mod wake;

use crate::record::{Output, Record};
use crate::report::{comparison, summary};
use crate::run::run_keeping;
use crate::workers;
use crate::workload::file;
use arguments::RunArguments;
use splinter_harness::console;
use splinter_harness::documentation;
use splinter_harness::environment::require_proc;
use splinter_harness::environment::settle;
use splinter_harness::error::RunError;
use splinter_harness::files::{as_json, try_files, write_file};
use splinter_harness::interrupt;
use splinter_harness::progress::Line;
use splinter_harness::verdict::{USAGE, Verdict};

pub use arguments::WorkloadFlags;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// The program, as it is called.
const PROGRAM: &str = "splinter-stress";

/// Drives a splinter store with contending writers and readers, and proves it correct under load.
/// Without a command: run, with its default workload.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 everything held, 1 a broken invariant, 2 usage, 4 inconclusive.";

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
    /// Checks whether a history that was saved is linearizable.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    History(history::HistoryArguments),
    /// Ends thousands of writers by SIGKILL at full load, and proves that nothing is lost.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Kill(kill::KillArguments),
    /// Damages stores while others use them, and proves that nobody crashes, hangs or panics.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Hostile(hostile::HostileArguments),
    /// Proves that memory and workers go to the NUMA nodes they are asked to, page by page.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Numa(numa::NumaArguments),
    /// Interrupts one operation at every instruction by another, by death or by a stop for ever.
    #[command(after_help = EXIT_CODES, args_override_self = true)]
    Sweep(sweep::SweepArguments),
    /// Prints completions of this command line for a shell.
    Completions(documentation::CompletionsArguments),
    /// Writes pages for man, one for each command.
    Manual(documentation::ManualArguments),
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
            Self::Matrix(_) | Self::Wake(_) | Self::Kill(_) | Self::Hostile(_) => true,
            Self::Numa(_) | Self::Sweep(_) => true,
            Self::History(_) | Self::Topology(_) => false,
            Self::Completions(_) | Self::Manual(_) => false,
            // Those who start them have looked.
            Self::Worker(_) | Self::WakeResponder(_) => false,
        }
    }

    /// Returns `run` without flags.
    fn default_run() -> Self {
        let arguments = Arguments::parse_from(["splinter-stress", "run"]);
        arguments.verb.expect("a verb was given")
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Arguments = match console::begin(PROGRAM) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let verb = arguments.verb.unwrap_or_else(Verb::default_run);
    if verb.measures()
        && let Err(error) = require_proc()
    {
        complain(&error);
        return Verdict::Inconclusive.exit_code();
    }
    match verb {
        Verb::Run(arguments) => run_verb(&arguments),
        Verb::Matrix(arguments) => matrix::run(&arguments),
        Verb::Wake(arguments) => wake::run(&arguments),
        Verb::History(arguments) => history::run(&arguments),
        Verb::Kill(arguments) => kill::run(&arguments),
        Verb::Hostile(arguments) => hostile::run(&arguments),
        Verb::Numa(arguments) => numa::run(&arguments),
        Verb::Sweep(arguments) => sweep::run(&arguments),
        Verb::Completions(arguments) => {
            let script = documentation::completions(&arguments, &Arguments::command());
            end_with(&script, ExitCode::SUCCESS)
        }
        Verb::Manual(arguments) => match documentation::manual(&arguments, &Arguments::command()) {
            Ok(pages) => end_with(&pages, ExitCode::SUCCESS),
            Err(error) => refuse(&error),
        },
        Verb::Topology(arguments) => topology::run(&arguments),
        Verb::Worker(handover) => served(workers::serve(&handover)),
        Verb::WakeResponder(handover) => served(crate::wake::serve(&handover)),
    }
}

/// Ends a process that another one of this program started.
fn served(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            Verdict::Inconclusive.exit_code()
        }
    }
}

fn run_verb(arguments: &RunArguments) -> ExitCode {
    let workloads = match arguments.flags.workloads() {
        Ok(workloads) => workloads,
        Err(error) => return refuse(&error),
    };
    if arguments.print_workload {
        let levels: Vec<_> = workloads.iter().map(|workload| workload.scrub).collect();
        let text = file::print(&workloads[0], &levels);
        return end_with(text.trim_end(), ExitCode::SUCCESS);
    }
    let outputs = [arguments.record.as_deref(), arguments.hdr.as_deref(), arguments.flags.history_file()];
    if let Err(error) = try_files(&outputs, &arguments.flags.inputs(&workloads[0])) {
        return refuse(&error);
    }
    interrupt::watch();
    let mut records = Vec::new();
    let mut said = Ok(());
    for workload in &workloads {
        let mut line = Line::new(format!("scrub {}", workload.scrub));
        let mut once = || run_keeping(workload, &mut line, arguments.flags.history_file());
        let result = match arguments.again {
            None => once(),
            Some(again) => undisturbed(again, once),
        };
        drop(line);
        match result {
            Ok(record) => {
                if !arguments.json {
                    said = said.and(say(&summary(&record)));
                }
                records.push(record);
                // After each run, so that what was measured is kept whatever happens later.
                if let Err(error) = keep(arguments, &records) {
                    return refuse(&error);
                }
            }
            // What was run before it is kept.
            Err(_) if interrupt::requested() && !records.is_empty() => {}
            Err(error) => return failed(&error),
        }
        if interrupt::requested() {
            break;
        }
    }
    let output = Output::new(records);
    if arguments.json {
        said = say(as_json(&output).trim_end());
    } else if output.records().len() > 1 {
        said = said.and(say(&comparison(output.records())));
    }
    // A run that was cut short is not the one that was asked for.
    let cut_short = interrupt::requested() && output.verdict() == Verdict::Pass;
    match said {
        Err(unwritten) => unwritten,
        Ok(()) if cut_short => Verdict::Inconclusive.exit_code(),
        Ok(()) => output.verdict().exit_code(),
    }
}

/// Runs until nobody disturbs it, and at most so many times more. Disturbed to the last, it gives no verdict.
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
    if let Some(path) = &arguments.record {
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

/// Prints a result, which may lack the end of its last line. Where it cannot be written, says so and returns the code to
/// end with.
fn say(text: &str) -> Result<(), ExitCode> {
    console::print(PROGRAM, &format!("{text}\n"))
}

/// Prints a result, and returns the code to end with.
fn end_with(text: &str, code: ExitCode) -> ExitCode {
    console::end_with(PROGRAM, &format!("{text}\n"), code)
}

fn complain(error: &str) {
    console::complain(PROGRAM, error);
}

/// Says what is wrong with a command line, and returns the code to end with.
fn refuse(error: &str) -> ExitCode {
    complain(error);
    ExitCode::from(USAGE)
}

/// Says why nothing was run, and returns the code to end with.
fn failed(error: &RunError) -> ExitCode {
    complain(&error.to_string());
    match error {
        RunError::Usage(_) => ExitCode::from(USAGE),
        // The machine did not let it run.
        RunError::Failed(_) => Verdict::Inconclusive.exit_code(),
    }
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
                let disturbance = splinter_harness::disturbance::Disturbance {
                    cause: splinter_harness::disturbance::Cause::OtherLoad,
                    ms: 900,
                    share: 0.45,
                };
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
