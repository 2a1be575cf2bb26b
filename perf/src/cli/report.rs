//! `splinter-perf report`: any records as one page.

use crate::records;
use crate::report::{self, html::html, markdown::markdown, plain::shown};
use clap::Args;
use splinter_harness::files::{try_files, write_file};
use splinter_harness::program::{Outcome, complain, print};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Makes one self-contained HTML page of any records of the suite.
///
/// It begins with headline figures, each with what disturbed its measurement, and with verdicts and broken invariants.
/// Charts follow: other stores, goodput, latencies, scaling, value sizes, costs beside the limits of the machine,
/// core-to-core latencies, placement and contention. Hatched charts were disturbed by other load. Tables are folded.
/// At the end are the environment, and links to the records with the commands that make them again. If the records have
/// nothing for a section, a sentence says why. Nothing is fetched from anywhere, and no script runs.
///
/// Records of one configuration on one machine and build, whatever their seed, are taken as repetitions of each other.
///
/// The exit code is 0 whatever the records say, and 2 for a file that cannot be read or is of a newer schema.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    /// Records, and folders that are searched for them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    records: Vec<PathBuf>,
    /// Where the page is written
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
    /// Writes the same sentences and tables as Markdown, too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The page's title
    #[arg(long, value_name = "TEXT", default_value = "Splinter: report of records")]
    title: String,
}

pub(super) fn run(options: &Options) -> Outcome {
    let found = records::read(&options.records)?;
    let outputs = [Some(options.out.as_path()), options.markdown.as_deref()];
    try_files(&outputs, &found.inputs())?;
    let build = |file: &Path| report::build(&found, &options.title, folder_of(file));
    let page = build(&options.out);
    write_file(&options.out, &html(&page))?;
    let mut files = options.out.display().to_string();
    if let Some(file) = &options.markdown {
        write_file(file, &markdown(&build(file)))?;
        files = format!("{files} and {}", file.display());
    }
    for note in &found.notes {
        complain(note);
    }
    let tallies: Vec<String> =
        page.tallies.iter().map(|tally| format!("{} {}", tally.count, tally.what)).collect();
    print(&format!("{files}: {}; {}\n", shown(&page.subtitle), tallies.join(", ")))?;
    Ok(ExitCode::SUCCESS)
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
