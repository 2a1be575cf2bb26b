//! The machines and builds, field by field, and what passed while the records were made.

use super::super::document::{Cell, Section, Table};
use super::Matter;
use crate::records::config::{Fields, PASSING};
use crate::records::group::varying;

pub(in crate::report) fn section(matter: &Matter<'_>) -> Result<Section, String> {
    let mut machines: Vec<(Fields, Vec<String>)> = Vec::new();
    let mut passing = Table::new(
        "While it was measured",
        &[
            "record",
            "load before (1, 5, 15 min)",
            ">steal ms",
            ">counter GHz",
            ">own share of processors %",
        ],
    );
    for record in &matter.found.records {
        let machine = record.machine_and_build();
        if machine.is_empty() {
            continue;
        }
        match machines.iter_mut().find(|(known, _)| *known == machine) {
            Some((_, names)) => names.push(record.name()),
            None => machines.push((machine, vec![record.name()])),
        }
        let all = record.environment();
        let [load, steal, ghz] =
            PASSING.map(|name| all.get(name).cloned().unwrap_or_else(|| "-".to_owned()));
        let ghz = ghz
            .parse::<f64>()
            .map_or(ghz.clone(), |ghz| format!("{ghz:.3}"));
        let share = record.number(&["window", "processor_share"]);
        passing.row([
            Cell::link(record.name(), matter.link(record)),
            load.into(),
            steal.into(),
            ghz.into(),
            share.map_or("-".into(), |share| format!("{:.0}", share * 100.0).into()),
        ]);
    }
    if machines.is_empty() {
        return Err("none of the records says where it was made".to_owned());
    }
    let differing = varying(machines.iter().map(|(fields, _)| fields));
    let lead = match machines.len() {
        1 => "All records were made on one machine by one build.".to_owned(),
        count => {
            format!("There are {count} machines or builds; rows in which they differ come first.")
        }
    };
    let mut section = Section::new("environment", "", &lead);
    let several = machines.len() > 1;
    let heads: Vec<String> = (1..=machines.len())
        .map(|number| {
            if several {
                number.to_string()
            } else {
                "value".to_owned()
            }
        })
        .collect();
    let heads: Vec<&str> = std::iter::once("field")
        .chain(heads.iter().map(String::as_str))
        .collect();
    let mut table = Table::new("Machine and build", &heads);
    let mut names: Vec<&String> = machines
        .iter()
        .flat_map(|(fields, _)| fields.keys())
        .collect();
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
            Cell::from(if more > 0 {
                format!("{shown} and {more} more")
            } else {
                shown
            })
        };
        table.row(std::iter::once("records".into()).chain(machines.iter().map(of)));
    }
    section.table(table);
    section.table(passing);
    Ok(section)
}
