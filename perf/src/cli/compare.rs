//! `splinter-perf compare`: two sides of records beside each other.

use crate::compare::compare;
use crate::records;
use crate::report::{markdown::markdown, plain::plain};
use clap::Args;
use splinter_harness::files::{try_files, write_file};
use splinter_harness::program::{Outcome, complain, print_record};
use splinter_harness::verdict::Verdict;
use std::path::PathBuf;
use std::process::ExitCode;

/// Says how two records, or two folders of records, differ: in environment and configuration first, then in figures.
///
/// Records of A are compared with those of B that are of the same kind and most alike in configuration; what differs
/// is said. Records of one configuration on one machine and build are repetitions: their medians are compared, with
/// intervals. With one record on a side nothing is known of how much a figure differs by itself, and the comparison
/// says so. Records that ran under Valgrind, broke an invariant, or are of a debug build on one side only are not
/// compared.
///
/// It passes no verdict. The exit code is 0, 4 where nothing can be compared, and 2 for a file that cannot be read or
/// is of a newer schema.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    /// The side that ratios are relative to: a record, or a folder of records
    a: PathBuf,
    /// The other side
    b: PathBuf,
    /// Print one JSON record to standard output instead of tables
    #[arg(long)]
    json: bool,
    /// Writes the comparison as Markdown, too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Outcome {
    let read = |path: &PathBuf| records::read(std::slice::from_ref(path));
    let (a, b) = (read(&options.a)?, read(&options.b)?);
    let inputs = [a.inputs(), b.inputs()].concat();
    try_files(&[options.markdown.as_deref()], &inputs)?;
    let names = [&options.a, &options.b].map(|path| path.display().to_string());
    let comparison = compare(names, [&a, &b]);
    let document = comparison.document();
    if let Some(file) = &options.markdown {
        write_file(file, &markdown(&document))?;
    }
    print_record(options.json, &comparison, || plain(&document))?;
    for note in a.notes.iter().chain(&b.notes) {
        complain(note);
    }
    if comparison.has_figures() {
        return Ok(ExitCode::SUCCESS);
    }
    complain("nothing of the two can be compared; give records of one kind that passed");
    Ok(Verdict::Inconclusive.exit_code())
}
