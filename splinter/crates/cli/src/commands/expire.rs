//! The command `expire`: gives a key a deadline.

use super::prelude::*;
use crate::time;
use std::time::Duration;

pub(super) static COMMAND: Command = Command {
    name: "expire",
    usage: &["KEY SPAN"],
    summary: "Removes a key after a span of time, unless it is set before",
    details: "\
From the end of SPAN on, as in 500ms or 2h, no process reads the key. Setting it
anew clears the deadline, and other changes keep it; persist takes it away, and
ttl shows what is left. The time goes on while the machine sleeps, and setting
the clock does not move it.",
    args: &[Arg::one("KEY", Kind::Key), Arg::one("SPAN", Kind::Text)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let span = given(call)?;
    let answer = json!({ "ttl_ms": span.as_millis() as u64 });
    change_key(session, call.arguments[0], answer, |writer, key| writer.expire(key, span))
}

/// Returns for how long a call lets its key stay.
pub(super) fn given(call: &Call<'_>) -> Result<Duration, Failure> {
    time::span("SPAN", call.arguments[1])
}
