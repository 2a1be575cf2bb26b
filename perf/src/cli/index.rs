//! `splinter-perf index`: the table of a folder's records, in its README.

use crate::records;
use crate::report::index;
use clap::Args;
use splinter_harness::files::write_file;
use splinter_harness::input::read_text;
use splinter_harness::program::{Outcome, complain, print};
use std::path::PathBuf;
use std::process::ExitCode;

/// The folder below that one for records that are not kept: `scripts/bench` writes there.
const LOCAL: &str = "local";

/// Exit code for a table that is not what the records say.
const STALE: u8 = 1;

/// Writes the table of a folder's records into its README.md, between the marks for it.
///
/// The folder 'local' in it is left out: records there are of this machine alone until somebody moves them up.
///
/// A row has the date, the kind, the machine, what was run, the key figures and the verdict of a file. The exit code is
/// 1 with --check where the table there is not that of the records, and 2 for a file that cannot be read, or a README.md
/// without the marks.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    /// The folder
    #[arg(value_name = "FOLDER", default_value = "results")]
    folder: PathBuf,
    /// Write nothing, and say by the exit code whether the table is up to date
    #[arg(long)]
    check: bool,
}

pub(super) fn run(options: &Options) -> Outcome {
    let folder = &options.folder;
    let local = folder.join(LOCAL);
    let found = records::read_without(std::slice::from_ref(folder), Some(&local))?;
    for note in &found.notes {
        complain(note);
    }
    let readme = folder.join("README.md");
    let refuse = |why: String| format!("{}: {why}", readme.display());
    let old = read_text(&readme).map_err(|error| refuse(error.to_string()))?;
    let new = index::insert(&old, &index::table(&found, folder)).map_err(refuse)?;
    let files = found.files.len();
    if old == new {
        print(&format!("{}: up to date, {files} files\n", readme.display()))?;
    } else if options.check {
        complain(&format!(
            "the table in {} is not that of the records: run 'splinter-perf index {}'",
            readme.display(),
            folder.display()
        ));
        return Ok(ExitCode::from(STALE));
    } else {
        write_file(&readme, &new)?;
        print(&format!("{}: {files} files\n", readme.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
