//! The command `append`: appends bytes to a key's value.

use super::prelude::*;
use crate::expect;
use crate::output::{json_bytes, shown};
use crate::retry::retry_busy;
use crate::value;
use splinter::Error;

pub(super) static COMMAND: Command = Command {
    name: "append",
    usage: &["KEY VALUE", "KEY -", "KEY --file FILE"],
    summary: "Appends to the value of a key",
    details: "\
The key must exist. A reader sees all that is appended or none of it. VALUE is
as for set, and so are --if-present and --if-epoch. The answer of --json has the
new length.",
    args: &[Arg::one("KEY", Kind::Key), Arg::optional("VALUE", Kind::Text)],
    options: &[value::FILE, expect::PRESENT, expect::EPOCH],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let key = session.key(call.arguments[0]);
    let tail = value::given(session, call)?;
    let expect = expect::given(call)?;
    let mut writer = session.writer()?;
    let appended = retry_busy(|| writer.append_if(&key, &tail, expect));
    let (len, version) = appended.map_err(|error| match error {
        Error::ValueTooLong => {
            let had = writer.value_len(&key).unwrap_or_default();
            value::too_long((had + tail.len()) as u64, writer.geometry().max_value_len)
        }
        Error::WrongType => {
            Failure::new(format!("{} is a number; math changes it, type makes it text", shown(&key)))
        }
        error => expect::failure(&key, expect, error),
    })?;
    let epoch = version.epoch;
    session.answer(&json!({ "key": json_bytes(&key), "epoch": epoch, "value_length": len }))
}
