//! `splinter-perf gate`: is this tree worse than another, or than a stored baseline?

use super::{ANY, count, processor};
use crate::gate::baseline::Baseline;
use crate::gate::build_directory::Source;
use crate::gate::child::Stop;
use crate::gate::{self, Base, Plan, TierName};
use clap::Args;
use splinter_harness::files::{try_files, write_file};
use splinter_harness::interrupt;
use splinter_harness::program::{Outcome, print, print_record};
use splinter_harness::progress::Line;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Compares a build of the store with another one, or with a stored baseline, and fails on what got worse.
///
/// Three tiers. "instructions" counts the instructions of each operation under Callgrind (Debian's package valgrind): the
/// same on every run, and on a busy machine. It fails when one grew by more than 0.2 %, or the band of the baseline. "invariants" runs
/// the head's own stress suite, and fails when any promise was broken. "time" runs a process per sample, in blocks of
/// both builds and of the base once more, in an order drawn by lot and then backwards. It fails when the 95 % interval of the
/// change lies wholly beyond the threshold and Holm's correction of the signed-rank test leaves p below 0.05. What it
/// might not have seen is inconclusive, as is everything when the base differs from itself.
///
/// Revisions are built in work trees that are removed afterwards. A probe of this program's is built beside the store of each
/// side, so that nothing but the store differs.
///
/// Exit code: 0 pass, 1 a broken invariant, 2 usage or a build that fails, 3 a regression, 4 inconclusive.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    /// What to compare with: a revision, a folder with another tree, a file that --save-baseline wrote, or a program
    /// splinter-probe that was built before
    #[arg(long, value_name = "REV|DIR|FILE")]
    base: Option<String>,
    /// What to judge: a revision, a folder with a tree, or such a program [default: the working tree around this folder]
    #[arg(long, value_name = "REV|DIR|FILE")]
    head: Option<String>,
    /// The tiers to run [default: those that --base allows]
    #[arg(long = "tier", value_name = "TIERS", value_enum, value_delimiter = ',')]
    tiers: Vec<TierName>,
    /// Count the head's instructions, write them to a file for --base, and judge nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["base", "tiers"])]
    save_baseline: Option<PathBuf>,
    /// Instructions: how often to count, for the band
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = count::<u32>(1..=100))]
    repeats: u32,
    /// Time: blocks of each benchmark, of six samples each
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = count::<u32>(1..=10_000))]
    blocks: u32,
    /// Time: how long a sample measures, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 40, value_parser = count::<u64>(1..=60_000))]
    sample_ms: u64,
    /// Time: only the benchmarks whose name contains this text
    #[arg(long, value_name = "SUBSTRING")]
    only: Option<String>,
    /// Time: loss of goodput that fails, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = percent)]
    goodput_threshold: f64,
    /// Time: growth of the 99th percentile of the latency that fails, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0, value_parser = percent)]
    p99_threshold: f64,
    /// Time: which of this process's processors to pin to, counted from 0 [default: the last]
    #[arg(long, value_name = "INDEX", value_parser = count::<usize>(ANY))]
    processor: Option<usize>,
    /// Compiler flags for both sides, beside those in RUSTFLAGS
    #[arg(long, value_name = "FLAGS", default_value = "", allow_hyphen_values = true)]
    build_flags: String,
    /// Set a variable in the environment of the base's processes; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    base_env: Vec<(String, String)>,
    /// Set a variable in the environment of the head's processes; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    head_env: Vec<(String, String)>,
    /// Print one JSON record to standard output instead of tables
    #[arg(long)]
    json: bool,
    /// Write the tables as Markdown to a file, as for a pull request
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the rows as JUnit XML to a file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Seed of every random order
    #[arg(long, value_name = "SEED", default_value_t = 1, value_parser = count::<u64>(ANY))]
    seed: u64,
}

pub(super) fn run(options: &Options) -> Outcome {
    let plan = plan(options)?;
    let outputs = [&options.save_baseline, &options.markdown, &options.junit];
    let inputs = [&options.base, &options.head].map(|path| path.as_deref().map(Path::new));
    try_files(&outputs.map(Option::as_deref), &inputs)?;
    interrupt::watch();
    let mut line = Line::new("gate");
    if let Some(file) = &options.save_baseline {
        return match gate::baseline_of(&plan, &mut line) {
            Ok(baseline) => {
                baseline.write(file)?;
                drop(line);
                print(&format!("{} operations in {}\n", baseline.rows.len(), file.display()))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(Stop::Failed(why)) => Err(why.into()),
            Err(Stop::Interrupted) => Err("interrupted: no baseline was written".into()),
        };
    }
    let record = gate::gate(&plan, &mut line)?;
    drop(line);
    if let Some(file) = &options.markdown {
        write_file(file, &gate::markdown(&record))?;
    }
    if let Some(file) = &options.junit {
        write_file(file, &gate::junit(&record))?;
    }
    print_record(options.json, &record, || gate::text(&record))?;
    Ok(record.exit_code())
}

/// Makes a plan of the options.
///
/// # Errors
/// One line that says which options do not go together.
fn plan(options: &Options) -> Result<Plan, String> {
    let base = options.base.as_deref().map(base).transpose()?;
    let stored = matches!(base, Some(Base::Stored(..)));
    let head = match options.head.as_deref() {
        Some(head) => source(head),
        None => working_tree()?,
    };
    let built = matches!(head, Source::Program(_));
    let mut tiers = options.tiers.clone();
    if tiers.is_empty() && options.save_baseline.is_none() {
        if base.is_none() {
            return Err("nothing to compare with: give --base, or --tier invariants".to_owned());
        }
        tiers.push(TierName::Instructions);
        tiers.extend((!built).then_some(TierName::Invariants));
        tiers.extend((!stored).then_some(TierName::Time));
    }
    if tiers.contains(&TierName::Time) && stored {
        return Err(
            "a stored baseline has no times: give --base a revision or a folder, or leave --tier time out"
                .to_owned(),
        );
    }
    if built && (stored || options.save_baseline.is_some()) {
        return Err("a program does not say how it was built, and a baseline is of one compiler: give --head a revision or a folder".to_owned());
    }
    if built && tiers.contains(&TierName::Invariants) {
        return Err("a program has no stress suite: leave --tier invariants out".to_owned());
    }
    if base.is_none() && tiers.iter().any(|tier| *tier != TierName::Invariants) {
        return Err("instructions and time are compared with something: give --base".to_owned());
    }
    let processor = processor(options.processor)?;
    Ok(Plan {
        base,
        head,
        tiers,
        flags: options.build_flags.clone(),
        base_environment: options.base_env.clone(),
        head_environment: options.head_env.clone(),
        repeats: options.repeats,
        only: options.only.clone(),
        blocks: options.blocks as usize,
        sample: Duration::from_millis(options.sample_ms),
        goodput_percent: options.goodput_threshold,
        p99_percent: options.p99_threshold,
        processor,
        seed: options.seed,
    })
}

fn base(text: &str) -> Result<Base, String> {
    let path = Path::new(text);
    if path.is_file() && !is_program(path) {
        return Baseline::read(path).map(|baseline| Base::Stored(baseline, path.to_owned()));
    }
    Ok(Base::Tree(source(text)))
}

fn source(text: &str) -> Source {
    let path = Path::new(text);
    // One name for one folder: a tree that is compared with itself is built once.
    let whole = || path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.is_dir() {
        Source::Folder(whole())
    } else if is_program(path) {
        Source::Program(whole())
    } else {
        Source::Revision(text.to_owned())
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// Finds the tree around the current folder.
fn working_tree() -> Result<Source, String> {
    let here = std::env::current_dir().map_err(|error| format!("there is no current folder: {error}"))?;
    let mut around = here.ancestors();
    around
        .find(|folder| folder.join("splinter/Cargo.toml").is_file())
        .map(|folder| Source::Folder(folder.to_owned()))
        .ok_or_else(|| "this folder is in no tree of Splinter: give --head a folder or a revision".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 100.0 => Ok(value),
        _ => Err("give a number of percent above 0 and below 100".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("give NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, plan};
    use crate::gate::build_directory::Source;
    use crate::gate::{Base, Plan, TierName};
    use clap::{Args, Command, FromArgMatches};

    fn parsed(arguments: &[&str]) -> Result<Plan, String> {
        let command = Options::augment_args(Command::new("gate").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments).map_err(|error| error.to_string())?;
        plan(&Options::from_arg_matches(&matches).map_err(|error| error.to_string())?)
    }

    #[test]
    fn a_base_decides_which_tiers_there_are() {
        let plan = parsed(&["--base", "main", "--head", "topic"]).unwrap();
        assert_eq!(plan.base, Some(Base::Tree(Source::Revision("main".to_owned()))));
        assert_eq!(plan.head, Source::Revision("topic".to_owned()));
        assert_eq!(plan.tiers.len(), 3);
        let alone = parsed(&["--tier", "invariants", "--head", "topic"]).unwrap();
        assert_eq!(alone.tiers, [TierName::Invariants]);
        assert!(parsed(&["--head", "topic"]).unwrap_err().contains("--base"));
        assert!(parsed(&["--tier", "time", "--head", "topic"]).unwrap_err().contains("--base"));
    }

    #[test]
    fn a_folder_is_no_revision_and_a_file_is_a_baseline() {
        let folder = std::env::temp_dir().canonicalize().unwrap();
        let text = folder.display().to_string();
        let plan = parsed(&["--base", "main", "--head", &text]).unwrap();
        assert_eq!(plan.head, Source::Folder(folder));
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(parsed(&["--base", file]).unwrap_err().contains("no baseline"));
    }

    #[test]
    fn a_program_is_compared_with_programs_alone_and_has_no_stress_suite() {
        let program = std::env::current_exe().unwrap().display().to_string();
        let plan = parsed(&["--base", &program, "--head", &program]).unwrap();
        assert!(matches!(&plan.head, Source::Program(_)));
        assert_eq!(plan.base, Some(Base::Tree(plan.head.clone())));
        assert_eq!(plan.tiers, [TierName::Instructions, TierName::Time]);
        assert!(parsed(&["--save-baseline", "f", "--head", &program]).is_err());
        let asked = ["--tier", "invariants", "--head", &program];
        assert!(parsed(&asked).unwrap_err().contains("stress suite"));
    }

    #[test]
    fn numbers_and_variables_are_checked() {
        assert!(parsed(&["--base", "main", "--goodput-threshold", "0"]).is_err());
        assert!(parsed(&["--base", "main", "--p99-threshold", "NaN"]).is_err());
        assert!(parsed(&["--base", "main", "--processor", "99999"]).unwrap_err().contains("counted from 0"));
        assert!(parsed(&["--base", "main", "--head-env", "=1"]).is_err());
        let plan = parsed(&["--base", "main", "--head", "x", "--head-env", "A=b=c"]).unwrap();
        assert_eq!(plan.head_environment, [("A".to_owned(), "b=c".to_owned())]);
    }

    #[test]
    fn a_baseline_is_written_or_compared_with_and_not_both() {
        assert!(parsed(&["--save-baseline", "f", "--base", "main"]).is_err());
        assert!(parsed(&["--save-baseline", "f", "--head", "x"]).unwrap().tiers.is_empty());
    }
}
