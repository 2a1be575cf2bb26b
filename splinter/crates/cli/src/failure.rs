//! The error of a command: a message of one line, and the program's exit code. Turns the store's errors into messages.
//! Prints nothing except in `report`, at the very end.

use crate::output::{Format, json_text, one_line, shown};
use crate::stdio::print_stderr;
use nix::libc;
use serde_json::json;
use splinter::{BidError, Error, StoreError};
use std::io;
use std::process::ExitCode;

/// The exit code of a failure, such as no key, a busy key or no store.
const FAILED: u8 = 1;
/// The exit code for a command that cannot be understood.
const USAGE: u8 = 2;

/// The error of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The program's exit code: 1, 2, or a command's own. It is 0 if the reader closed the output pipe, which is no
    /// error.
    pub(crate) exit: u8,
    /// One line that says what was wrong and what to do. It is empty if there is nothing to say.
    pub(crate) message: String,
    /// Whether to print the message as JSON, because answers are JSON.
    pub(crate) json: bool,
}

impl Failure {
    /// Makes a failure of the store or the system, with exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::with_exit_code(FAILED, message)
    }

    /// Makes a failure for a wrong call, with exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::with_exit_code(USAGE, message)
    }

    pub(crate) fn with_exit_code(exit: u8, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), json: false }
    }

    /// Makes a failure from the store's error about `key`.
    pub(crate) fn key(key: &[u8], error: Error) -> Self {
        let key = shown(key);
        match error {
            Error::NotFound => Self::new(format!("there is no key {key}")),
            Error::Again => Self::new(format!("{key} is busy: another writer holds it; try again")),
            Error::Changed { epoch } => Self::new(format!("{key} is not as expected: it has epoch {epoch}")),
            Error::Full => Self::new(format!("{key}: {error}, and no key may go; unset or unpin one")),
            Error::NoSuchGroup => Self::usage(error.to_string()),
            Error::KeyEmpty | Error::KeyTooLong | Error::KeyHasNul => Self::usage(format!("{key}: {error}")),
            _ => Self::new(format!("{key}: {error}")),
        }
    }

    /// Makes a failure from the system's error about `doing`, as in "read /tmp/x".
    pub(crate) fn io(doing: &str, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::FileTooLarge => "; raise the limit on file sizes (ulimit -f)",
            io::ErrorKind::StorageFull => "; free some room there",
            _ if error.raw_os_error() == Some(libc::EBADF) => {
                "; it is open for the other direction; redirect it"
            }
            _ => "",
        };
        Self::new(format!("cannot {doing}: {error}{advice}"))
    }

    /// Puts a prefix before the message, as the command is.
    #[must_use]
    pub(crate) fn with_context(mut self, context: &str) -> Self {
        if !self.message.is_empty() {
            self.message = format!("{context}: {}", self.message);
        }
        self
    }

    /// Puts the number of a script's line before the message.
    #[must_use]
    pub(crate) fn at_line(self, number: u64) -> Self {
        self.with_context(&format!("line {number}"))
    }

    /// Tells whether the reader closed the output pipe.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.exit == 0
    }

    /// Makes the message JSON if `format` is JSON. A message that already is JSON stays so.
    #[must_use]
    pub(crate) fn in_format(mut self, format: Format) -> Self {
        self.json |= format == Format::Json;
        self
    }

    /// Formats the line to print: the message after the name of the program, or JSON.
    pub(crate) fn line(&self, program: Option<&str>) -> String {
        match (self.json, program) {
            (true, _) => json_text(&json!({ "error": one_line(&self.message), "exit_code": self.exit })),
            (false, Some(program)) => one_line(&format!("{program}: {}", self.message)),
            (false, None) => one_line(&self.message),
        }
    }

    /// Prints the message to standard error, after the name of the program. Returns the exit code.
    pub(crate) fn report(&self, program: &str) -> ExitCode {
        if !self.message.is_empty() {
            print_stderr(&self.line(Some(program)));
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
            // The store rejected a file mode itself, before any system call.
            StoreError::Os { source, .. }
                if source.kind() == io::ErrorKind::InvalidInput && source.raw_os_error().is_none() =>
            {
                Self::usage(error.to_string())
            }
            // The command line opens a store so only if it may not write the file.
            StoreError::ReadOnly => Self::new(format!(
                "{error}: you may not write its file; its owner can allow it (chmod), and save makes a copy of your own"
            )),
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

/// For writing the output only. Other I/O errors name their operation through [`Failure::io`].
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::with_exit_code(0, "");
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
    fn a_store_that_may_only_be_read_comes_with_the_reason_and_advice() {
        let failure = Failure::from(StoreError::ReadOnly);
        assert_eq!(failure.exit, 1);
        let advice =
            "you may not write its file; its owner can allow it (chmod), and save makes a copy of your own";
        assert_eq!(failure.message, format!("the store was opened for reading only: {advice}"));
        assert_eq!(Failure::from(BidError::Store(StoreError::ReadOnly)), failure);
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is_one() {
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(closed.is_closed_pipe() && closed.with_context("get").message.is_empty());
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit, 1);
        assert!(full.message.starts_with("cannot write the output: "), "{}", full.message);
    }
}
