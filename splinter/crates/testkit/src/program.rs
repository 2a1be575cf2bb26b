//! Programs that a test starts: each ends within a time limit or is killed.

#![allow(unsafe_code, reason = "the standard library kills no process that another thread waits for")]

use crate::wait::LIMIT;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// A running program. Dropping it kills the process.
#[derive(Debug)]
pub struct Running(Option<Child>);

impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self(Some(child))
    }
}

impl Running {
    /// Starts a command, and takes what it writes.
    pub fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program").into()
    }

    /// Returns the process.
    pub fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("a process that was not waited for")
    }

    /// Waits for its end, up to [`LIMIT`].
    pub fn end(self) -> Output {
        self.end_within(LIMIT)
    }

    /// Waits for its end, up to a limit. Reads what it writes meanwhile.
    pub fn end_within(mut self, limit: Duration) -> Output {
        let child = self.0.take().expect("a process that was not waited for");
        let process = child.id() as libc::pid_t;
        let (sender, ended) = channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        ended.recv_timeout(limit).map_or_else(
            |_| {
                // SAFETY: kill takes no pointer; the process is a child that was not waited for.
                unsafe { libc::kill(process, libc::SIGKILL) };
                panic!("the program ran longer than {limit:?}: {:?}", ended.recv())
            },
            |output| output.expect("what the program wrote"),
        )
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

/// Asserts that a program refused a command line: with exit code 2, in one line that has the words. Returns the line.
#[track_caller]
pub fn refused(output: &Output, what: &str, words: &[&str]) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{what}: {error}");
    assert_eq!(error.trim_end().lines().count(), 1, "{what}: {error}");
    for word in words {
        assert!(error.contains(word), "{what}: {error}");
    }
    error
}
