//! The command `flush`: writes what was published to the device.

use super::prelude::*;

pub(super) static COMMAND: Command = Command {
    name: "flush",
    usage: &[""],
    summary: "Writes a store in a file to its device",
    details: "\
A value that was set before then survives a power cut. (It survives the death of
any process without flush.) A store in shared memory has no device, and the
command does nothing.",
    args: &[],
    options: &[],
    run,
};

fn run(session: &mut Session, _: &mut Call<'_>) -> Result<(), Failure> {
    session.store()?.flush()?;
    session.answer(&json!({ "flushed": true }))
}
