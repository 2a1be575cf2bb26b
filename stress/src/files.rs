//! Files that results are written to, as the command line names them, and the form of a record in them.

use serde::Serialize;
use std::path::Path;

/// Finds out whether results can be written to a file, if one is wanted, and leaves it as it was: what cannot be kept
/// is not measured.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn try_file(path: Option<&Path>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let is_there = path.symlink_metadata().is_ok();
    let opened = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path);
    opened.map_err(|error| cannot_write(path, &error))?;
    if !is_there {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> String {
    format!(
        "cannot write {}: {error}; give a path that can be written",
        path.display()
    )
}

/// Writes results to a file.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub fn write_file(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| cannot_write(path, &error))
}

/// Returns the text of a record: JSON, indented, with the end of its last line.
///
/// # Panics
/// When the record has what JSON lacks, as maps do whose keys are no text.
#[must_use]
pub fn as_json(record: &impl Serialize) -> String {
    serde_json::to_string_pretty(record).expect("records are plain data") + "\n"
}
