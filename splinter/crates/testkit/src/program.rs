//! Programs that a test starts: each ends within a time limit or is killed, with the programs that it started.

use crate::wait::LIMIT;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// A running program. Dropping it kills the process, and its process group if it leads one.
#[derive(Debug)]
pub struct Running(Option<Child>);

impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self(Some(child))
    }
}

impl Running {
    /// Starts a command in a process group of its own, and takes what it writes.
    pub fn start(command: &mut Command) -> Self {
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("a program").into()
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
        let process = id(&child);
        let (sender, ended) = channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        ended.recv_timeout(limit).map_or_else(
            |_| {
                // The id is still the child's: while a process of its group has the pipes, nothing waits for the child.
                kill_group(process);
                panic!("the program ran longer than {limit:?}: {:?}", ended.recv_timeout(LIMIT))
            },
            |output| output.expect("what the program wrote"),
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            kill_group(id(child));
            let _ = child.wait();
        }
    }
}

fn id(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("an id that fits i32"))
}

/// Kills the process group that a process leads, or the process if it leads none.
fn kill_group(process: Pid) {
    let _ = killpg(process, Signal::SIGKILL).or_else(|_| kill(process, Signal::SIGKILL));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_program_is_killed_in_time_with_the_one_that_it_started() {
        let begun = Instant::now();
        let program = Running::start(Command::new("sh").args(["-c", "echo begun; sleep 30; echo ended"]));
        let ended = std::panic::catch_unwind(|| program.end_within(Duration::from_millis(200)));
        let why = ended.expect_err("a program that runs too long");
        let why = why.downcast_ref::<String>().expect("a message");
        assert!(begun.elapsed() < Duration::from_secs(20), "the time limit did not bind");
        assert!(why.contains("longer than 200ms") && why.contains("begun"), "{why}");
    }
}
