//! A server of another make: started for a comparison on a socket of its own, ended with it.

use crate::scratch::Scratch;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    socket: PathBuf,
    version: String,
    // Removed after the server has ended.
    _scratch: Scratch,
}

impl Server {
    /// Starts a program with arguments that have `{socket}` and `{folder}` in place of both, and waits until it
    /// listens.
    ///
    /// # Errors
    /// One line: which Debian package has the program, or what it said when it ended.
    pub(crate) fn start(program: &str, package: &str, arguments: &[&str]) -> Result<Self, String> {
        let scratch = Scratch::new(package).map_err(|error| format!("no folder for {program}: {error}"))?;
        let socket = scratch.path().join("socket");
        let fill_in = |argument: &&str| {
            let socket = argument.replace("{socket}", &socket.to_string_lossy());
            socket.replace("{folder}", &scratch.path().to_string_lossy())
        };
        let log = scratch.path().join("log");
        let output = fs::File::create(&log).map_err(|error| format!("no log for {program}: {error}"))?;
        let errors = output.try_clone().map_err(|error| format!("no log for {program}: {error}"))?;
        let mut command = Command::new(program);
        command.args(arguments.iter().map(fill_in)).stdin(Stdio::null()).stdout(output).stderr(errors);
        let version = version(program).ok_or_else(|| missing(program, package))?;
        let child = command.spawn().map_err(|_| missing(program, package))?;
        let mut server = Self { child, socket, version, _scratch: scratch };
        server.wait(program, &log)?;
        Ok(server)
    }

    fn wait(&mut self, program: &str, log: &Path) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&self.socket).is_err() {
            let said = || {
                let said = fs::read_to_string(log).unwrap_or_default();
                said.lines().last().unwrap_or_default().to_owned()
            };
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{program} ended with {status}: {}", said()));
            }
            if Instant::now() > deadline {
                return Err(format!("{program} does not listen: {}", said()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Returns where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the first line of what it says of its version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It keeps nothing that is worth an orderly end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn missing(program: &str, package: &str) -> String {
    format!("{program} is missing: run 'apt-get install {package}' as root")
}

fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.lines().next()?.split(' ').take_while(|word| !word.starts_with("sha"));
    Some(words.collect::<Vec<_>>().join(" "))
}
