//! More shared test code: a `Sandbox` with a store, and processes that get input, are observed while they run, and end.

#![allow(dead_code, reason = "each test file uses only a part of it")]

pub(crate) mod denied;

pub(crate) use crate::common::fed;
pub(crate) use splinter_testkit::Running;

use crate::common::Sandbox;
use splinter::{Config, Geometry, Location, Store};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A [`Sandbox`] with the name of one store, and shortcuts for both.
pub(crate) struct StoreSandbox {
    sandbox: Sandbox,
    /// The name of a store in shared memory, which need not exist.
    pub(crate) name: String,
}

impl StoreSandbox {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        let name = sandbox.store("tools");
        Self { sandbox, name }
    }

    /// Creates the store.
    pub(crate) fn store(&self, geometry: Geometry) -> Store {
        let config = Config { geometry, ..Config::default() };
        Store::create(&Location::shared(&*self.name).unwrap(), &config).unwrap()
    }

    /// Returns the path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.sandbox.folder.join(name)
    }

    /// Sets a command's working folder and environment: the four names come first on its path.
    pub(crate) fn prepare(&self, command: &mut Command) {
        self.sandbox.prepare(command);
    }

    /// Returns a command for the program under one of its names.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = self.sandbox.command(name);
        command.stdin(Stdio::null());
        command
    }

    /// Returns the command `splinterctl --use` with the store and more words.
    pub(crate) fn ctl<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = self.program("splinterctl");
        command.args(["--use", &self.name]).args(words);
        command
    }

    /// Runs it, and checks that it succeeds. Returns its output.
    pub(crate) fn good<W: AsRef<OsStr>>(&self, words: &[W]) -> String {
        good(self.ctl(words).ended())
    }

    /// Runs it, and checks its exit code. Returns its one error line.
    pub(crate) fn bad<W: AsRef<OsStr>>(&self, exit: i32, words: &[W]) -> String {
        bad(exit, self.ctl(words).ended())
    }

    /// Runs it with input.
    pub(crate) fn fed<W: AsRef<OsStr>>(&self, words: &[W], input: &[u8]) -> Output {
        fed(&mut self.ctl(words), input)
    }
}

/// Runs a program to its end, with a time limit.
pub(crate) trait Bounded {
    /// Runs the command, and waits for its end up to the time limit.
    fn ended(&mut self) -> Output;
}

impl Bounded for Command {
    fn ended(&mut self) -> Output {
        Running::start(self).end()
    }
}

pub(crate) fn good(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{}: {error}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn bad(exit: i32, output: Output) -> String {
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error.trim_end().to_owned()
}

/// Starts a command with its output in a file, which the test reads while the command runs.
pub(crate) fn start_into(command: &mut Command, file: File) -> Running {
    command.process_group(0).stdout(file).stderr(Stdio::piped()).spawn().unwrap().into()
}

/// Opens the store in a file.
pub(crate) fn open_file(path: &Path) -> Store {
    Store::open(&Location::file(path)).unwrap()
}

pub(crate) fn small() -> Geometry {
    Geometry { slots: 64, max_value_len: 256, vector_dim: 3, max_writers: 4 }
}
