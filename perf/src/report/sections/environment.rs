//! The machines and builds, field by field, and what passed while the records were made.

use super::super::document::{Cell, Section, Table};
use super::super::{by_file, by_key};
use super::Input;
use crate::records::Record;
use crate::records::config::Fields;
use crate::records::group::varying;
use crate::records::paths::link;

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    let records = input.found.records.iter().map(|record| (record.machine_and_build(), record.name()));
    let machines = by_key(records.filter(|(machine, _)| !machine.is_empty()));
    if machines.is_empty() {
        return;
    }
    let differing = varying(machines.iter().map(|(fields, _)| fields));
    section.say(match machines.len() {
        1 => "All records were made on one machine by one build.".to_owned(),
        count => format!("There are {count} machines or builds; rows in which they differ come first."),
    });
    let several = machines.len() > 1;
    let mut heads = vec!["field".to_owned()];
    heads.extend((1..=machines.len()).map(|it| if several { it.to_string() } else { "value".to_owned() }));
    let mut table = Table::new("Machine and build", &heads);
    let mut names: Vec<&String> = machines.iter().flat_map(|(fields, _)| fields.keys()).collect();
    names.sort_by_key(|name| (!differing.contains(*name), (*name).clone()));
    names.dedup();
    for name in names {
        let value = |fields: &Fields| fields.get(name).map_or("-", String::as_str).to_owned();
        let title = name.replace("build.", "").replace(['_', '.'], " ");
        let values = machines.iter().map(|(fields, _)| Cell::from(value(fields)));
        table.row(std::iter::once(title.into()).chain(values));
    }
    if several {
        let of = |(_, names): &(Fields, Vec<String>)| {
            let shown = names.iter().take(6).cloned().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(6);
            Cell::from(if more > 0 { format!("{shown} and {more} more") } else { shown })
        };
        table.row(std::iter::once("records".into()).chain(machines.iter().map(of)));
    }
    section.table(table);
    section.table(transient(input));
}

/// Says what passed while the records of each file were made, from the least to the greatest.
fn transient(input: &Input<'_>) -> Table {
    let heads = ["file", ">load before (1 min)", ">steal ms", ">counter GHz", ">own share of processors %"];
    let mut table = Table::new("While it was measured", &heads);
    for (file, records) in by_file(input.found) {
        let name = file.path.file_name().unwrap_or_default();
        table.row([
            Cell::link(name.to_string_lossy(), link(input.folder, &file.path)),
            range(records, 2, Record::load_before),
            range(records, 0, |it| it.number(&["environment", "steal_ms"])),
            range(records, 3, |it| it.number(&["environment", "tsc_ghz"])),
            range(records, 0, |it| Some(it.number(&["window", "processor_share"])? * 100.0)),
        ]);
    }
    table
}

fn range(records: &[Record], decimals: usize, of: impl Fn(&Record) -> Option<f64>) -> Cell {
    let values = || records.iter().filter_map(&of);
    let (Some(low), Some(high)) = (values().reduce(f64::min), values().reduce(f64::max)) else {
        return "-".into();
    };
    let (low, high) = (format!("{low:.decimals$}"), format!("{high:.decimals$}"));
    if low == high { low.into() } else { format!("{low} to {high}").into() }
}
