//! Runs a command from its words: parses them, shows its help if asked, and flushes the answer.

use crate::command::{Call, Table, format_among};
use crate::failure::Failure;
use crate::help;
use crate::session::Session;
use crate::words::Word;

/// Runs the command of `table` that `words` call. No words are a success. The failure begins with the command's name;
/// an unknown command has exit code 2.
pub(crate) fn execute(table: &'static Table, session: &mut Session, words: &[Word]) -> Result<(), Failure> {
    let Some((name, rest)) = words.split_first() else {
        return Ok(());
    };
    let usual = session.format;
    let command = table.find(name).ok_or_else(|| table.unknown(name).in_format(usual))?;
    let mut format = format_among(rest).unwrap_or(usual);
    if command.name != "use" {
        session.warn_if_lost();
    }
    let done = Call::parse(table, command, rest).and_then(|mut call| {
        if call.has("--help") {
            return Ok(help::write_command(&mut session.out, command)?);
        }
        format = call.format().unwrap_or(usual);
        session.format = format;
        let done = (command.run)(session, &mut call);
        session.format = usual;
        done
    });
    let flushed = session.out.flush().map_err(Failure::from);
    done.and(flushed).map_err(|failure| failure.with_context(command.name).in_format(format))
}
