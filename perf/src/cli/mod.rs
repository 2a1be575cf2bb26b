//! The command line: one file per verb. Standard output carries results only, everything else goes to standard error.

mod compare;
mod doctor;
mod gate;
mod index;
mod limits;
mod micro;
mod peers;
mod report;
mod reproduce;
mod search;
mod tune;

pub use peers::{ENTRANTS, LOADS, PeersOptions};

use crate::micro::record::Method;
use crate::only;
use crate::pinning;
use clap::{Args, CommandFactory, Parser, Subcommand};
use splinter::Tuning;
use splinter_harness::documentation::Documentation;
use splinter_harness::program::{self, Failure, Outcome, print};
use splinter_harness::text::parse_count;
use splinter_harness::verdict::Verdict;
use std::ops::RangeInclusive;
use std::process::ExitCode;

/// The program, as it is called.
const PROGRAM: &str = "splinter-perf";

/// The exit codes of every verb that has a verdict; `gate` and `compare` have their own.
const EXIT_CODES: &str = "\
Exit codes: 0 pass, 1 fail, 2 usage, 4 inconclusive: interrupted, not measurable here, or DISTURBED by other load.";

/// Measures a splinter store against the limits of the machine it runs on.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Compare(compare::Options),
    #[command(after_help = EXIT_CODES)]
    Doctor(doctor::Options),
    Gate(Box<gate::Options>),
    Index(index::Options),
    #[command(after_help = EXIT_CODES)]
    Limits(limits::Options),
    #[command(after_help = EXIT_CODES)]
    Micro(micro::Options),
    #[command(after_help = EXIT_CODES)]
    Peers(PeersOptions),
    Report(report::Options),
    #[command(after_help = EXIT_CODES)]
    Reproduce(reproduce::Options),
    #[command(after_help = EXIT_CODES)]
    Search(Box<search::Options>),
    #[command(after_help = EXIT_CODES)]
    Tune(Box<tune::Options>),
    #[command(flatten)]
    Documentation(Documentation),
}

impl Verb {
    /// Tells whether it runs something, and does not only read or write files.
    fn measures(&self) -> bool {
        !matches!(self, Self::Compare(_) | Self::Index(_) | Self::Report(_) | Self::Documentation(_))
    }

    /// Does what it says.
    fn run(&self) -> Outcome {
        match self {
            Self::Doctor(options) => doctor::run(options),
            Self::Gate(options) => gate::run(options),
            Self::Limits(options) => limits::run(options),
            Self::Micro(options) => micro::run(options),
            Self::Peers(options) => peers::run(options),
            Self::Reproduce(options) => reproduce::run(options),
            Self::Search(options) => search::run(options),
            Self::Tune(options) => tune::run(options),
            Self::Documentation(verb) => print(&verb.text(&Cli::command())?).map(|()| ExitCode::SUCCESS),
            Self::Compare(options) => compare::run(options),
            Self::Index(options) => index::run(options),
            Self::Report(options) => report::run(options),
        }
    }
}

/// The flags of every verb that measures in rounds.
#[derive(Clone, Debug, Args)]
struct Rounds {
    /// Print one JSON record to standard output instead of a table
    #[arg(long)]
    json: bool,
    /// Rounds: each takes one short sample of everything, in an order drawn anew [default: 31, or 5 with --quick]
    #[arg(long, value_name = "N", value_parser = count::<u32>(1..=u64::MAX))]
    rounds: Option<u32>,
    /// Take shorter samples in fewer rounds, for a first look
    #[arg(long)]
    quick: bool,
    /// Measure only the rows whose name contains this text
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Which of this process's processors to pin to, counted from 0 [default: the last]
    #[arg(long, value_name = "INDEX", value_parser = count::<usize>(ANY))]
    processor: Option<usize>,
    /// Take at most N rounds again that others disturbed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count::<u32>(ANY))]
    again: u32,
    /// Seed of every random order
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = count::<u64>(ANY))]
    seed: u64,
}

impl Rounds {
    /// Pins the calling thread and says how the samples are to be taken.
    fn method(&self) -> Result<Method, String> {
        let index = processor(self.processor)?;
        Ok(Method {
            rounds: self.rounds(),
            seed: self.seed,
            sample_ms: self.sample_ms(),
            tuning: Tuning::current().into(),
            pinned_to: pinning::pin(index),
        })
    }

    /// Returns how many rounds are asked for.
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 5 } else { 31 })
    }

    /// Returns the length of a sample in milliseconds.
    fn sample_ms(&self) -> f64 {
        if self.quick { Method::QUICK_SAMPLE_MS } else { 15.0 }
    }

    /// Says whether a row is asked for.
    fn wants(&self, name: &str) -> bool {
        only::wants(self.only.as_deref(), name)
    }
}

/// Returns which of this process's processors is meant: the last, unless another is asked for.
///
/// # Errors
/// One line when there is no such processor.
fn processor(asked: Option<usize>) -> Result<usize, String> {
    let count = pinning::processors().len();
    match asked {
        Some(index) if index >= count => {
            Err(format!("--processor {index}: this process may use {count}, counted from 0"))
        }
        _ => Ok(asked.unwrap_or(count.saturating_sub(1))),
    }
}

/// Every number.
const ANY: RangeInclusive<u64> = 0..=u64::MAX;

/// Makes a parser of a flag's number in a range, in the form that every program reads.
fn count<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = Some(parse_count(text)?).filter(|number| range.contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
            let most = (u64::MAX >> (64 - 8 * size_of::<T>())).min(*range.end());
            format!("'{text}' is out of range: give a number from {} to {most}", range.start())
        })
    }
}

/// The reason that a measurement in rounds gives no verdict when the user ended it; its whole rounds are kept.
const ENDED_EARLY: &str = "interrupted: of fewer rounds than were asked for";

/// Says what a measurement came to, and why, as the last lines of its table.
fn verdict_text(verdict: Verdict, reasons: &[String]) -> String {
    let reasons: String = reasons.iter().map(|why| format!("{why}\n")).collect();
    format!("{reasons}verdict: {}\n", verdict.word())
}

/// Parses the command line, does what it says and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    program::run(
        PROGRAM,
        |cli: &Cli| cli.verb.measures(),
        |cli| {
            if cli.verb.measures() {
                pinning::require_threads().map_err(Failure::Machine)?;
            }
            cli.verb.run()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::{ANY, Cli, count};
    use clap::CommandFactory;

    #[test]
    fn numbers_have_a_scale_and_a_range() {
        assert_eq!(count::<u32>(1..=5_000)("5k"), Ok(5_000));
        assert_eq!(count::<u64>(ANY)("18446744073709551615"), Ok(u64::MAX));
        for text in ["", "1e9", "-1"] {
            assert!(count::<u32>(ANY)(text).unwrap_err().contains("is no count: give"), "{text}");
        }
        assert!(count::<u32>(1..=100)("0").unwrap_err().ends_with("from 1 to 100"));
        assert!(count::<u32>(ANY)("5G").unwrap_err().ends_with("from 0 to 4294967295"));
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
