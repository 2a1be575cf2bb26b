//! The command `bump`: raises a key's epoch and changes nothing else.

use super::prelude::*;
use crate::retry::retry_key;

pub(super) static COMMAND: Command = Command {
    name: "bump",
    usage: &["KEY"],
    summary: "Raises the epoch of a key, which wakes all processes that watch it",
    details: "\
The value, type, labels and vector stay as they are.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let mut writer = session.writer()?;
    retry_key(&key, || writer.bump(&key))?;
    session.answer_of(&writer, &key, json!({ "bumped": true }))
}
