//! The options by which a command changes a key only if it is as expected.

use crate::command::Call;
use crate::failure::Failure;
use crate::options::{self, Opt};
use splinter::{Error, Expect};

/// The options of every command that takes an expectation. At most one is given.
pub(crate) const ABSENT: Opt = Opt::flag("--if-absent", "does it only if the store has no such key");
/// See [`ABSENT`].
pub(crate) const PRESENT: Opt = Opt::flag("--if-present", "does it only if the store has the key");
/// See [`ABSENT`].
pub(crate) const EPOCH: Opt =
    Opt::valued("--if-epoch", "N", "does it only if the key still has epoch N, as get --json shows it");

/// The exit code for a key that is not as expected.
const CHANGED: u8 = 5;

/// Returns what a call expects of its key.
pub(crate) fn given(call: &Call<'_>) -> Result<Expect, Failure> {
    let epoch = call.value(EPOCH.long).map(|word| options::number("--if-epoch", word)).transpose()?;
    match (call.has(ABSENT.long), call.has(PRESENT.long), epoch) {
        (false, false, None) => Ok(Expect::Any),
        (true, false, None) => Ok(Expect::Absent),
        (false, true, None) => Ok(Expect::Present),
        (false, false, Some(epoch)) => Ok(Expect::Epoch(epoch)),
        _ => Err(Failure::usage("give one of --if-absent, --if-present and --if-epoch")),
    }
}

/// Makes a failure from the store's error about `key`, which a command changes if it is as expected. It has an exit
/// code of its own if the key is not.
pub(crate) fn failure(key: &[u8], expect: Expect, error: Error) -> Failure {
    let mut failure = Failure::key(key, error);
    if matches!(error, Error::Changed { .. }) || error == Error::NotFound && expect != Expect::Any {
        failure.exit = CHANGED;
    }
    failure
}
