//! The command `purge`: zeroes all stale bytes.

use super::prelude::*;
use crate::output::write_json;
use crate::retry::retry_busy;
use splinter::Error;

pub(super) static COMMAND: Command = Command {
    name: "purge",
    usage: &[""],
    summary: "Zeroes every stale byte in the store",
    details: "\
Afterwards nothing is left of overwritten and removed values, whatever the scrub
level was. Keys and their values stay. The prefix has no effect.",
    args: &[],
    options: &[],
    run,
};

fn run(session: &mut Session, _: &mut Call<'_>) -> Result<(), Failure> {
    let mut writer = session.writer()?;
    let slots = retry_busy(|| writer.purge()).map_err(|error| match error {
        Error::Again => Failure::new("another writer kept a key busy; the other slots are clean"),
        error => Failure::new(error.to_string()),
    })?;
    match session.format {
        Format::Default => writeln!(session.out, "purge: {slots} slots are clean")?,
        Format::Json => write_json(&mut session.out, &json!({ "slots": slots }))?,
        Format::Raw => writeln!(session.out, "{slots}")?,
    }
    Ok(())
}
