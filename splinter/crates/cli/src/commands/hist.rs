//! The command `hist`: lists the lines that were entered.

use super::prelude::*;
use crate::options::number;
use crate::output::{listed, write_json};

pub(super) static COMMAND: Command = Command {
    name: "hist",
    usage: &["[COUNT]"],
    summary: "Lists the lines entered at the prompt, the last COUNT or all",
    details: "\
The file that --history-file or SPLINTER_HISTORY_FILE names keeps them from one
session to the next; by default, it is .splinter_history in the home folder. A
line that begins with a blank is not kept.",
    args: &[Arg::optional("COUNT", Kind::Text)],
    options: &[],
    run,
};

fn run(session: &mut Session, call: &mut Call<'_>) -> Result<(), Failure> {
    let count = call.get(0).map(|word| number::<usize>("COUNT", word)).transpose()?;
    let lines = session.history();
    let first = lines.len().saturating_sub(count.unwrap_or(usize::MAX));
    let last = &lines[first..];
    match session.format {
        Format::Default => {
            for (number, line) in (first + 1..).zip(last) {
                write!(session.out, "{number:>5}  ")?;
                session.out.write_all(&listed(line.as_bytes()))?;
                session.out.write_all(b"\n")?;
            }
        }
        Format::Json => write_json(&mut session.out, &json!(last))?,
        Format::Raw => {
            for line in last {
                writeln!(session.out, "{line}")?;
            }
        }
    }
    Ok(())
}
