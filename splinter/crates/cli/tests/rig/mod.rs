//! What the tests of the tools have beside the bench of all tests: a store made for them, and processes that are fed, looked
//! at while they run, and end.

#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod denied;

use crate::common::{Bench, PATIENCE};
use splinter::{Config, Geometry, Location, Store};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A bench with a store of its own, and what is done with both.
pub(crate) struct Rig {
    bench: Bench,
    /// The name of a store in shared memory, which need not exist.
    pub(crate) name: String,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let bench = Bench::new();
        let name = bench.store("tools");
        Self { bench, name }
    }

    /// Makes the store.
    pub(crate) fn store(&self, geometry: Geometry) -> Store {
        let config = Config { geometry, ..Config::default() };
        Store::create(&Location::shared(&*self.name).unwrap(), &config).unwrap()
    }

    /// A file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.bench.folder.join(name)
    }

    /// Puts a command into the folder, with the four names first on its path.
    pub(crate) fn settle(&self, command: &mut Command) {
        self.bench.settle(command);
    }

    /// The program under one of its names.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = self.bench.command(name);
        command.stdin(Stdio::null());
        command
    }

    /// `splinterctl --use` the store, with more words.
    pub(crate) fn ctl<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = self.program("splinterctl");
        command.args(["--use", &self.name]).args(words);
        command
    }

    /// Runs that and expects that all goes well. Returns what it printed.
    pub(crate) fn good<W: AsRef<OsStr>>(&self, words: &[W]) -> String {
        good(self.ctl(words).ended())
    }

    /// Runs that, expects an exit code, and returns its one line.
    pub(crate) fn bad<W: AsRef<OsStr>>(&self, exit: i32, words: &[W]) -> String {
        bad(exit, self.ctl(words).ended())
    }

    /// Runs that on some input.
    pub(crate) fn fed<W: AsRef<OsStr>>(&self, words: &[W], input: &[u8]) -> Output {
        fed(&mut self.ctl(words), input)
    }
}

pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Output {
    let mut command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command = command.stderr(Stdio::piped());
    let mut child = Running(Some(command.spawn().unwrap()));
    let mut pipe = child.child().stdin.take().unwrap();
    // Who refuses does not read first.
    let _ = pipe.write_all(input);
    drop(pipe);
    child.end()
}

/// Running a program to its end, which must come.
pub(crate) trait Bounded {
    /// Waits for the end, for a long time but not for ever.
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

/// A process that ends with the test at the latest.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(Some(command.spawn().unwrap()))
    }

    /// With its output in a file, to be looked at while it runs.
    pub(crate) fn start_into(command: &mut Command, file: File) -> Self {
        Self(Some(command.stdout(file).stderr(Stdio::piped()).spawn().unwrap()))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    /// Waits for its end, for a long time but not for ever.
    pub(crate) fn end(mut self) -> Output {
        wait_until("the process ends", || self.child().try_wait().unwrap().is_some());
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Opens the store of a file.
pub(crate) fn open_file(path: &Path) -> Store {
    Store::open(&Location::file(path)).unwrap()
}

pub(crate) fn small() -> Geometry {
    Geometry { slots: 64, max_value_len: 256, vector_dim: 3, lanes: 4 }
}
