//! `splinter-perf doctor`: is this machine fit for measuring?

use crate::doctor::Doctor;
use clap::Args;
use serde_json::json;
use splinter_harness::program::{Outcome, print_record};
use splinter_harness::verdict::SCHEMA_VERSION;

/// Says whether this machine is fit for measuring, and what to change where it is not.
///
/// Each line is one check: load, steal and other processes, the quota of a control group, frequency governor, turbo, threads
/// of a core, huge pages, mitigations, clock source and cost, pinning, pressure, performance counters. It is good, BAD or
/// unknown. The verdict is "pass" with nothing bad, else "inconclusive", as figures of this machine are. Records of
/// measurements have the same checks as 'doctor'.
#[derive(Debug, Args)]
#[command(max_term_width = 100)]
pub(super) struct Options {
    /// Print one JSON record to standard output instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Outcome {
    let doctor = Doctor::examine();
    let verdict = doctor.verdict();
    let record = json!({
        "schema_version": SCHEMA_VERSION,
        "kind": "doctor",
        "verdict": verdict,
        "doctor": doctor,
    });
    print_record(options.json, &record, || format!("{}verdict: {}\n", doctor.text(), verdict.word()))?;
    Ok(verdict.exit_code())
}
