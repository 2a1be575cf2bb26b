//! `splinter-perf index`: the table of a folder's records, in its README, and the page of the records' fields.

use crate::records::{self, schema};
use crate::report::{counted, index};
use clap::Args;
use splinter_harness::files::write_file;
use splinter_harness::input::read_text;
use splinter_harness::program::{Outcome, complain, print};
use std::path::PathBuf;
use std::process::ExitCode;

/// The folder below that one for records that are not kept: `scripts/bench` writes there.
const LOCAL: &str = "local";

/// Exit code for a file that is not up to date.
const STALE: u8 = 1;

/// Writes the table of a folder's records into its README.md, between the marks for it, and the fields that records
/// have into its schema.md, if it has one.
///
/// The folder 'local' in it is left out: records there are of this machine alone until somebody moves them up.
///
/// A row has the date, the kind, the machine, what was run, the key figures and the verdict of a file. The exit code is
/// 1 with --check where the table is not that of the records or the fields are not those of this program, and 2 for a
/// file that cannot be read, a README.md without the marks, or a schema.md that is another page.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    /// The folder
    #[arg(value_name = "FOLDER", default_value = "results")]
    folder: PathBuf,
    /// Write nothing, and say by the exit code whether both files are up to date
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
    let mut code = ExitCode::SUCCESS;
    let readme = folder.join("README.md");
    let refuse = |why: String| format!("{}: {why}", readme.display());
    let old = read_text(&readme).map_err(|error| refuse(error.to_string()))?;
    let new = index::insert(&old, &index::table(&found, folder)).map_err(refuse)?;
    let page = folder.join("schema.md");
    let mut made = vec![(readme, old, new, format!(", {}", counted(found.files.len(), "file")))];
    if page.exists() {
        let refuse = |why: String| format!("{}: {why}", page.display());
        let (old, new) = (read_text(&page).map_err(|error| refuse(error.to_string()))?, schema::page());
        let head = new.lines().next().unwrap_or_default();
        if old.lines().next() != Some(head) {
            return Err(refuse(format!("it is no page of fields: that begins with '{head}'")).into());
        }
        made.push((page, old, new, String::new()));
    }
    for (path, old, new, of) in made {
        if old == new {
            print(&format!("{}: up to date{of}\n", path.display()))?;
        } else if options.check {
            let (path, folder) = (path.display(), folder.display());
            complain(&format!("{path} is not up to date: run 'splinter-perf index {folder}'"));
            code = ExitCode::from(STALE);
        } else {
            write_file(&path, &new)?;
            print(&format!("{}: written{of}\n", path.display()))?;
        }
    }
    Ok(code)
}
