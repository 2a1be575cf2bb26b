//! The command `get`: prints a key's value.

use super::prelude::*;
use crate::retry::retry_key;
use crate::value::Reading;

pub(super) static COMMAND: Command = Command {
    name: "get",
    usage: &["KEY"],
    summary: "Prints the value of a key",
    details: "\
The length comes first: 3:bar. --raw prints the bytes alone, without a newline.
At a terminal, control characters are escapes, except with --raw. --json prints
the key, the epoch and the value, which is a string, or {\"base64\": \"...\"} if it
is not UTF-8. The number in a BIGUINT key is printed in decimal digits.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let store = session.store()?;
    let value = retry_key(&key, || Reading::in_use(store, &key))?;
    Ok(value.answer(session, &key)?)
}
