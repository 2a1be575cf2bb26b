//! Tests that cannot run on this machine.

use std::fs::File;
use std::io::Write;

/// Names the file to which tests add why they are skipped: cargo shows nothing that a passing test prints.
const SKIPS: &str = "SPLINTER_TEST_SKIPS";

/// Says why a test cannot run here: on standard error, and in the file that `SPLINTER_TEST_SKIPS` names.
///
/// # Panics
/// If the file cannot be written.
pub fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
    if let Some(path) = std::env::var_os(SKIPS) {
        let file = File::options().append(true).create(true).open(path);
        let said = file.and_then(|mut file| file.write_all(format!("{why}\n").as_bytes()));
        said.expect("a file for what is skipped");
    }
}
