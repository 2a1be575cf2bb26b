//! Which worker was on which processor of which node, and where the store's memory was.

use super::super::by_key;
use super::super::document::{Cell, Section, Table, Tone};
use super::super::svg::{Chart, Mark, Place, Places};
use super::Input;
use crate::records::Record;
use crate::records::place::{Node, Worker};
use std::collections::BTreeMap;

/// The most maps that are drawn.
const MOST: usize = 2;

const ROLES: [&str; 3] = ["writer", "reader", "watcher"];

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    let mut table = Table::new(
        "Workers and memory",
        &["record", "asked", ">workers", ">pinned", ">migrations", "memory", "pages by node", "misplaced"],
    );
    // Many records are placed alike: each map is drawn once.
    let records = input.found.records.iter().map(|record| (record, record.placed()));
    let maps = by_key(records.filter(|(_, placed)| !placed.is_empty()).map(|(record, placed)| {
        table.row(row(input, record, &placed));
        (placed.iter().map(frame).collect::<Vec<_>>(), record.name())
    }));
    if maps.is_empty() {
        return;
    }
    let count = maps.len();
    for (frames, names) in maps.into_iter().take(MOST) {
        let more = match names.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        let caption = format!("Of {}{more}. A square is a worker.", names[0]);
        let places = Places {
            keys: ROLES.map(str::to_owned).into(),
            ring: "moved, or elsewhere than asked".to_owned(),
            frames,
        };
        section.chart("Workers on processors", caption, Chart::Places(places));
    }
    if count > MOST {
        section.say(format!("{MOST} of {count} different placements are drawn; all are in the table."));
    }
    section.table(table);
}

fn frame(node: &Node) -> (String, Vec<Place>) {
    let place = |processor: &crate::records::place::Processor| Place {
        name: format!("cpu {}", processor.id),
        marks: processor.workers.iter().map(mark).collect(),
    };
    (node.name.clone(), node.processors.iter().map(place).collect())
}

fn mark(worker: &Worker) -> Mark {
    let asked =
        worker.requested().map_or("left to the scheduler".to_owned(), |cpu| format!("asked for cpu {cpu}"));
    let seen = worker.seen().map_or("not seen".to_owned(), |cpu| format!("seen on cpu {cpu}"));
    Mark {
        key: ROLES.iter().position(|role| *role == worker.role).unwrap_or(ROLES.len()),
        ringed: worker.is_misplaced() || (worker.requested().is_some() && worker.migrations > 0),
        hint: format!("{} {}: {asked}, {seen}, {} migrations", worker.role, worker.number, worker.migrations),
    }
}

fn row(input: &Input<'_>, record: &Record, placed: &[Node]) -> Vec<Cell> {
    let workers = || placed.iter().flat_map(|node| &node.processors).flat_map(|processor| &processor.workers);
    let pinned = workers().filter(|worker| worker.requested().is_some()).count();
    let migrations: u64 = workers().map(|worker| worker.migrations).sum();
    let nodes: Option<BTreeMap<String, u64>> = record.part(&["placement", "memory", "after", "nodes"]);
    let nodes = nodes.unwrap_or_default();
    let pages: Vec<String> = nodes.iter().map(|(node, pages)| format!("{pages} on {node}")).collect();
    let misplaced = record.texts(&["placement", "misplaced"]);
    vec![
        Cell::link(record.name(), input.link(record)),
        record.text(&["config", "pin"]).unwrap_or("-").into(),
        workers().count().to_string().into(),
        pinned.to_string().into(),
        migrations.to_string().into(),
        record.text(&["placement", "memory", "requested"]).unwrap_or("-").into(),
        if pages.is_empty() { "-".into() } else { pages.join(", ").into() },
        if misplaced.is_empty() { "nothing".into() } else { Cell::toned(misplaced.join("; "), Tone::Bad) },
    ]
}
