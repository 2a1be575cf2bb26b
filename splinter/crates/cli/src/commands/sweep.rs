//! The command `sweep`: removes keys that have expired.

use super::prelude::*;
use crate::output::counted;

pub(super) static COMMAND: Command = Command {
    name: "sweep",
    usage: &["[--budget N]"],
    summary: "Removes keys whose deadline has passed",
    details: "\
Nothing needs it: expired keys are missing all the same, and their slots are
used again when there are no others. But watchers hear of an expired key only
when it is removed. It looks at N keys with deadlines, at all without --budget,
and begins where the last sweep ended.",
    args: &[],
    options: &[Opt::valued("--budget", "N", "looks at N keys at most")],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let budget = call.value("--budget").map(|word| crate::options::number("--budget", word)).transpose()?;
    let mut writer = session.writer()?;
    let removed =
        writer.sweep_expired(budget.unwrap_or(u32::MAX)).map_err(|error| Failure::new(error.to_string()))?;
    if session.format == Format::Default {
        writeln!(session.out, "sweep: removed {}", counted(removed.into(), "key"))?;
    }
    session.answer(&json!({ "removed": removed }))
}
