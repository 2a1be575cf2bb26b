//! Programs that the gate starts: compilers, probes, stress runs. Each is waited for within a limit, ends when the gate is
//! interrupted, and leaves what it printed in files. Knows nothing of what they do.

use splinter_harness::interrupt;
pub use splinter_harness::sampler::Stop;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a child is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(2);

/// Lines of a failed child's standard error that are shown.
const SHOWN_LINES: usize = 12;

/// The output of a child.
#[derive(Debug)]
pub(super) struct Left {
    /// How it ended.
    pub(super) status: ExitStatus,
    /// Its standard output.
    pub(super) out: String,
    /// The last lines that it printed to standard error.
    pub(super) errors: String,
}

impl Left {
    /// Returns the standard output of a child that succeeded.
    ///
    /// # Errors
    /// [`Stop::Failed`] with what it said, for any other exit code than 0.
    pub(super) fn success(self, what: &str) -> Result<String, Stop> {
        if self.status.success() {
            return Ok(self.out);
        }
        let said = match self.errors.as_str() {
            "" => String::new(),
            errors => format!(":\n{errors}"),
        };
        Err(Stop::Failed(format!("{what} ended with {}{said}", self.status)))
    }
}

/// Runs a command to its end, with its output in files of `folder`.
///
/// # Errors
/// [`Stop::Interrupted`], after the child was ended; [`Stop::Failed`] when it cannot be started or does not end in
/// `limit`.
pub(super) fn run(command: &mut Command, folder: &Path, what: &str, limit: Duration) -> Result<Left, Stop> {
    run_as(command, folder, what, limit, Command::spawn)
}

/// Runs a command as [`run`] does, started by a function of the caller's.
pub(super) fn run_as(
    command: &mut Command,
    folder: &Path,
    what: &str,
    limit: Duration,
    spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
) -> Result<Left, Stop> {
    let files = ["stdout", "stderr"].map(|name| folder.join(name));
    let [out, errors] = &files;
    let create = |path: &Path| File::create(path).map_err(|error| Stop::failed(what, error));
    command.stdin(Stdio::null()).stdout(create(out)?).stderr(create(errors)?);
    let child = spawn(command).map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        Stop::Failed(format!("{what}: cannot start {program}: {error}"))
    })?;
    let status = wait(child, what, limit)?;
    let read = |path: &Path| {
        let bytes = fs::read(path).map_err(|error| Stop::failed(what, error))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let errors = read(errors)?;
    let lines: Vec<&str> = errors.trim_end().lines().collect();
    let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
    Ok(Left { status, out: read(out)?, errors: shown })
}

fn wait(mut child: Child, what: &str, limit: Duration) -> Result<ExitStatus, Stop> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            // Ctrl-C at a terminal reaches the child as well: it may have ended of it.
            Ok(Some(_)) if interrupt::requested() => return Err(Stop::Interrupted),
            Ok(Some(status)) => return Ok(status),
            Ok(None) => (),
            Err(error) => return Err(Stop::failed(what, error)),
        }
        let late = start.elapsed() > limit;
        if late || interrupt::requested() {
            // It may end by itself meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err(match late {
                true => Stop::Failed(format!("{what}: not done after {} s", limit.as_secs())),
                false => Stop::Interrupted,
            });
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::{Stop, run};
    use splinter_testkit::Folder;
    use std::process::Command;
    use std::time::Duration;

    fn shell(script: &str, limit: Duration) -> Result<String, Stop> {
        let folder = Folder::new();
        let left = run(Command::new("sh").args(["-c", script]), folder.as_ref(), "the script", limit);
        left.and_then(|left| left.success("the script"))
    }

    #[test]
    fn the_output_of_a_child_comes_back_and_its_failure_says_why() {
        let limit = Duration::from_secs(60);
        assert_eq!(shell("echo found; echo aside >&2", limit), Ok("found\n".to_owned()));
        let Err(Stop::Failed(message)) = shell("echo because >&2; exit 3", limit) else {
            panic!("exit code 3 is a failure");
        };
        assert!(message.contains("exit status: 3") && message.ends_with("because"), "{message}");
    }

    #[test]
    fn a_child_that_does_not_end_is_ended() {
        let Err(Stop::Failed(message)) = shell("exec sleep 600", Duration::from_millis(20)) else {
            panic!("it has no result");
        };
        assert!(message.contains("not done"), "{message}");
    }
}
