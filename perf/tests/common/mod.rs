//! Shared by the tests of the command: running it, and a folder that is removed with the test.
#![allow(dead_code)] // Each test program uses a part of it.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_splinter-perf");

/// A folder of the test's own; removed in the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{}-{name}", splinter_testkit::unique()));
        fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), bytes).expect("a file can be written");
    }

    pub(crate) fn put_json(&self, name: &str, value: &Value) {
        self.put(name, value.to_string());
    }

    pub(crate) fn get(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).expect("the file can be read")
    }

    /// Runs the program here.
    pub(crate) fn perf(&self, line: &str) -> Output {
        self.perf_with(&line.split(' ').collect::<Vec<_>>())
    }

    /// Runs the program here, with arguments that may have blanks.
    pub(crate) fn perf_with(&self, arguments: &[&str]) -> Output {
        let mut perf = Command::new(PROGRAM);
        perf.current_dir(&self.0).args(arguments).output().expect("the command starts")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays is in the system's folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts a command whose output is read when it has ended.
pub(crate) fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is text")
}

pub(crate) fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../results")
}

/// Returns a record of a run of this seed that had this goodput.
pub(crate) fn run(seed: u64, goodput: f64) -> Value {
    json!({"schema_version": 1, "kind": "run", "verdict": "pass", "config": {"scrub": "none", "seed": seed},
        "environment": {"kernel": "6.1"}, "invariants": {"torn_reads": 0},
        "operations": {"get": {"attempts": 9, "goodput_per_s": goodput}}})
}
