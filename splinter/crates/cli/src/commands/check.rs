//! The command `check`: tells whether a key is as expected.

use super::prelude::*;
use crate::expect;
use crate::output::json_bytes;
use crate::retry::retry_key;
use splinter::{Error, Expect, OptionalExt};

pub(super) static COMMAND: Command = Command {
    name: "check",
    usage: &["KEY --if-absent", "KEY --if-present", "KEY --if-epoch N"],
    summary: "Checks that a key is as expected, and changes nothing",
    details: "\
The exit code is 5 if the key is not as expected. The key may change right after
that. But in a transaction (see transaction) it stays as it is meanwhile: all
changes happen at one instant, at which the key is as expected.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[expect::ABSENT, expect::PRESENT, expect::EPOCH],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let (key, expect) = given(session, call)?;
    let store = session.store()?;
    let found = retry_key(&key, || store.epoch(&key).optional())?;
    let error = match (expect, found) {
        (Expect::Absent, Some(epoch)) => Error::Changed { epoch },
        (Expect::Epoch(expected), Some(epoch)) if epoch != expected => Error::Changed { epoch },
        (Expect::Present | Expect::Epoch(_), None) => Error::NotFound,
        _ => return session.answer(&json!({ "key": json_bytes(&key), "epoch": found })),
    };
    Err(expect::failure(&key, expect, error))
}

/// Returns the key of a call, and what it expects of the key.
pub(super) fn given(session: &Session, call: &Call<'_>) -> Result<(Vec<u8>, Expect), Failure> {
    match expect::given(call)? {
        Expect::Any => Err(Failure::usage(format!("say what to expect; {}", call.usage()))),
        expect => Ok((session.key(call.arguments[0]), expect)),
    }
}
