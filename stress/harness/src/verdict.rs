//! What a command came to, and the exit codes that say so, for both programs. Knows nothing of what was judged.

use serde::{Deserialize, Serialize};
use std::process::ExitCode;

/// Version of the records written by this program.
pub const SCHEMA_VERSION: u32 = 1;

/// Exit code for a command line that asks for nothing that can be done.
pub const USAGE: u8 = 2;

/// What a command came to. The order is that of gravity.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything held.
    Pass,
    /// It is unknown.
    Inconclusive,
    /// Something was broken.
    Fail,
}

impl Verdict {
    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }

    /// Returns the program's exit code.
    #[must_use]
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Inconclusive => 4,
        })
    }
}
