//! The command `retrain`: removes a key's vector, so that the program that makes vectors makes a new one.

use super::prelude::*;
use crate::retry::retry_key;

pub(super) static COMMAND: Command = Command {
    name: "retrain",
    usage: &["KEY"],
    summary: "Removes the vector of a key, which wakes all processes that watch it",
    details: "\
The value stays, and the epoch grows. A program that makes vectors can then make
a new one.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let mut writer = session.writer()?;
    retry_key(&key, || writer.clear_vector(&key))?;
    session.answer_of(&writer, &key, json!({ "retrained": true }))
}
