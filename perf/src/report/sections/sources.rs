//! The raw records: where each lies, when it was made, and the command that makes it again.

use super::super::document::{Cell, Section, Table};
use super::Input;
use crate::records::group::short_revision;
use crate::records::record::date_and_time;

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    let mut table = Table::new("Raw records", &["record", "began (UTC)", "revision", "command"]);
    for record in &input.found.records {
        let began = record.started_unix_s().map_or("unknown".to_owned(), date_and_time);
        let revision = record.text(&["environment", "build", "git_revision"]);
        let command = record.command().map_or_else(|| "not derivable from the record".into(), Cell::code);
        table.row([
            Cell::link(record.name(), input.link(record)),
            began.into(),
            Cell::or_dash(revision.map(|revision| short_revision(revision).to_owned())),
            command,
        ]);
    }
    section.table(table);
    for note in &input.found.notes {
        section.say(format!("Not read, or not all of it: {note}."));
    }
}
