//! Why a command has no record.

use std::fmt;

/// Why there is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The workload cannot be run; the line says which flag would put it right.
    Usage(String),
    /// The machine did not let it run; the line says what it refused.
    Failed(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(line) | Self::Failed(line) => f.write_str(line),
        }
    }
}

impl std::error::Error for RunError {}
