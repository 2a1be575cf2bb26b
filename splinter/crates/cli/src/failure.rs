//! Why a command did not do its work: one line, and the exit code that goes with it. Turns what the store answers into
//! words; prints nothing but at the very end.

use crate::output::{Format, cut, json_text, shown};
use crate::standard::complain;
use serde_json::json;
use splinter::{BidError, Error, StoreError};
use std::io;
use std::process::ExitCode;

/// The exit code for what the store could not do: no such key, a busy key, no store.
const FAILED: u8 = 1;
/// The exit code for a command that cannot be understood.
const USAGE: u8 = 2;

/// Why a command did not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The program's exit code: 1 or 2, or a command's own; 0 when nobody reads the output any more, which is nobody's fault.
    pub exit: u8,
    /// One line that says what was wrong and what to do; empty when there is nothing to say.
    pub message: String,
    /// Whether it is told in JSON, because answers are.
    pub json: bool,
}

impl Failure {
    /// Says what the store, or the system, could not do: exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self::ending(FAILED, message)
    }

    /// Says what of a command cannot be understood: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::ending(USAGE, message)
    }

    /// Says something else, with an exit code of its own.
    pub fn ending(exit: u8, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), json: false }
    }

    /// Says what the store answered about `key`.
    pub fn key(key: &[u8], error: Error) -> Self {
        let key = shown(key);
        match error {
            Error::NotFound => Self::new(format!("there is no key {key}")),
            Error::Again => Self::new(format!("{key} is busy: another writer holds it; try again")),
            Error::NoSuchGroup => Self::usage(error.to_string()),
            Error::KeyEmpty | Error::KeyTooLong | Error::KeyHasNul => {
                Self::usage(format!("{key}: {error}"))
            }
            _ => Self::new(format!("{key}: {error}")),
        }
    }

    /// Says what the system answered when `doing` was tried, as in "read /tmp/x".
    pub fn io(doing: &str, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::FileTooLarge => "; raise the limit on file sizes (ulimit -f)",
            io::ErrorKind::StorageFull => "; free some room there",
            _ => "",
        };
        Self::new(format!("cannot {doing}: {error}{advice}"))
    }

    /// Puts who says it in front: the command, the line of a script.
    #[must_use]
    pub fn said_by(mut self, who: &str) -> Self {
        if !self.message.is_empty() {
            self.message = format!("{who}: {}", self.message);
        }
        self
    }

    /// Tells whether nobody reads the output any more.
    pub fn is_closed_pipe(&self) -> bool {
        self.exit == 0
    }

    /// Has it told as answers are: in JSON, if it is not already to be.
    #[must_use]
    pub fn told_in(mut self, format: Format) -> Self {
        self.json |= format == Format::Json;
        self
    }

    /// Makes the line that reports it: after the name of the program, or in JSON.
    pub fn line(&self, program: Option<&str>) -> String {
        let message = cut(self.message.clone());
        match (self.json, program) {
            (true, _) => json_text(&json!({ "error": message, "exit_code": self.exit })),
            (false, Some(program)) => format!("{program}: {message}"),
            (false, None) => message,
        }
    }

    /// Prints the message to standard error, after the name of the program. Returns the exit code.
    pub(crate) fn report(&self, program: &str) -> ExitCode {
        if !self.message.is_empty() {
            complain(&self.line(Some(program)));
        }
        ExitCode::from(self.exit)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::BadName(_) | StoreError::BadGeometry(_) | StoreError::NoSuchGroup(_) => {
                Self::usage(error.to_string())
            }
            // The store refused it before it asked the system: a mode that cannot be one.
            StoreError::Os { source, .. }
                if source.kind() == io::ErrorKind::InvalidInput
                    && source.raw_os_error().is_none() =>
            {
                Self::usage(error.to_string())
            }
            _ => Self::new(error.to_string()),
        }
    }
}

impl From<BidError> for Failure {
    fn from(error: BidError) -> Self {
        match error {
            BidError::Store(error) => error.into(),
            BidError::ZeroId | BidError::OutOfRange { .. } => Self::usage(error.to_string()),
            _ => Self::new(error.to_string()),
        }
    }
}

/// For writing the output only; what else fails says what it is by [`Failure::io`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ending(0, "");
        }
        Self::io("write the output", &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_a_failure_and_an_impossible_one_a_mistake() {
        assert_eq!(Failure::key(b"k", Error::NotFound).exit, 1);
        assert_eq!(Failure::key(b"k", Error::Again).exit, 1);
        assert_eq!(Failure::key(b"", Error::KeyEmpty).exit, 2);
    }

    #[test]
    fn a_closed_pipe_is_nobodys_fault_and_a_full_disk_is_told() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(closed.is_closed_pipe() && closed.said_by("get").message.is_empty());
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit, 1);
        assert!(full.message.starts_with("cannot write the output: "), "{}", full.message);
    }
}
