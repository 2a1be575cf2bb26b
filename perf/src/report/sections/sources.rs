//! The raw records: where each lies, when it was made, and the command that makes it again.

use super::super::document::{Cell, Section, Table};
use super::Input;
use crate::records::group::short_revision;
use crate::records::record::date_and_time;

#[allow(clippy::unnecessary_wraps)] // As all sections are made.
pub(in crate::report) fn section(input: &Input<'_>) -> Result<Section, String> {
    let lead = "Every figure is from one of these records. results/schema.md explains their fields.";
    let mut section = Section::new("records", "", lead);
    let mut table = Table::new("Raw records", &["record", "began (UTC)", "revision", "command"]);
    for record in &input.found.records {
        let began = record.started_unix_s().map_or("unknown".to_owned(), date_and_time);
        let revision = record.text(&["environment", "build", "git_revision"]);
        let command = record.command().map_or_else(|| "not derivable from the record".into(), Cell::code);
        table.row([
            Cell::link(record.name(), input.link(record)),
            began.into(),
            revision.map_or("-".into(), |revision| short_revision(revision).into()),
            command,
        ]);
    }
    section.table(table);
    for note in &input.found.notes {
        section.say(format!("Not read, or not all of it: {note}."));
    }
    Ok(section)
}
