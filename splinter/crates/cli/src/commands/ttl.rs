//! The command `ttl`: shows for how long a key stays.

use super::prelude::*;
use crate::output::json_bytes;
use crate::retry::retry_key;

pub(super) static COMMAND: Command = Command {
    name: "ttl",
    usage: &["KEY"],
    summary: "Shows for how long a key stays, in milliseconds",
    details: "\
It prints \"none\" for a key that stays until it is removed. See expire.",
    args: &[Arg::one("KEY", Kind::Key)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let store = session.store()?.clone();
    let left = retry_key(&key, || store.ttl(&key))?.map(|left| left.as_millis() as u64);
    if session.format != Format::Json {
        match left {
            Some(left) => writeln!(session.out, "{left}")?,
            None => writeln!(session.out, "none")?,
        }
    }
    session.answer(&json!({ "key": json_bytes(&key), "ttl_ms": left }))
}
