//! What the tests of the program share: how it is run, and what any verb's record and refusals have to look like. A command
//! line is given as its user types it, without the program's name.

#![allow(dead_code, reason = "each test file uses a part of this")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use splinter_testkit::refused;
use std::process::{Command, Output, Stdio};

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_splinter-stress"));
    command.stdin(Stdio::null());
    command
}

pub(crate) fn stress(line: &str) -> Output {
    let words = line.split_whitespace();
    program().args(words).output().expect("the program starts")
}

/// Runs with `--json`. Returns the exit code and what stdout held.
pub(crate) fn record(line: &str) -> (Option<i32>, Value) {
    let output = stress(&format!("{line} --json"));
    let text = String::from_utf8(output.stdout).expect("a record is text");
    let errors = String::from_utf8_lossy(&output.stderr);
    let record =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text} {errors}"));
    (output.status.code(), record)
}

/// Tells whether a command passed, or would have if other tests had not run beside it.
pub(crate) fn held(code: Option<i32>, record: &Value) -> bool {
    let reasons = record["reasons"].as_array().into_iter().flatten();
    let disturbed = |reason: &Value| reason.as_str().is_some_and(|it| it.contains("DISTURBED"));
    match code {
        Some(0) => record["verdict"] == "pass",
        Some(4) => reasons.clone().next().is_some() && reasons.clone().all(disturbed),
        _ => false,
    }
}

/// Runs what must hold, and returns its record.
pub(crate) fn passes(line: &str) -> Value {
    let (code, record) = record(line);
    let verdict = (code, &record["verdict"]);
    let reasons = &record["reasons"];
    assert_eq!(verdict, (Some(0), &"pass".into()), "{line}: {reasons}");
    record
}

/// Asserts that a verb refuses each of these flags in one line that has the word beside them.
pub(crate) fn refuses(verb: &str, cases: &[(&str, &str)]) {
    for (flags, word) in cases {
        let line = format!("{verb} {flags}");
        let output = stress(&line);
        refused(&output, &line, &[word]);
        assert!(output.stdout.is_empty(), "{line}");
    }
}

/// Returns a number of an operation's from the record of a run.
pub(crate) fn count(record: &Value, op: &str, what: &str) -> u64 {
    record["operations"][op][what]
        .as_u64()
        .unwrap_or_else(|| panic!("{op}.{what} in {}", record["operations"]))
}

/// Returns the worker processes of a run.
pub(crate) fn children(parent: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Tells whether a process has ended, waited for or not.
pub(crate) fn is_gone(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.is_empty() || status.contains(") Z ")
}

/// Sends a process a signal.
pub(crate) fn signal(process: u32, signal: Signal) {
    kill(Pid::from_raw(process as i32), signal).expect("it is there until it is waited for");
}
