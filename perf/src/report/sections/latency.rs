//! Latencies: small charts side by side, one for each operation, with a line for each configuration, and a table.

use super::super::document::{Cell, Section, Table};
use super::super::svg::{Axis, Chart, Line, Lines};
use super::super::{distinct, place_in};
use super::{Input, evenly, spread};
use crate::records::Record;
use crate::records::group::{Group, groups, labels};
use crate::records::latency::{Curve, PLANNED, curves};
use crate::records::record::PERCENTILES;
use crate::unit::Unit;

/// Lines of one chart.
const MOST_LINES: usize = 5;

/// Labels of runs whose latencies say little of the store, and what to say of them.
const LABELS: [(&str, &str); 2] = [
    (
        "oversubscribed",
        "Some of these runs had more workers than processors (label \"oversubscribed\"). Their tails are times at which \
         a worker was not running: they tell of the scheduler, not of the store.",
    ),
    (
        "saturated",
        "Some of these runs were saturated: more was asked of them than they could do. Their latencies are those of a \
         queue that grows; do not trust them.",
    ),
];

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    let timed = |record: &&Record| !curves(&[record]).is_empty();
    let groups = groups(input.found.records.iter().filter(timed));
    if groups.is_empty() {
        return;
    }
    for (label, said) in LABELS {
        let mut records = groups.iter().flat_map(|group| &group.records);
        let has = |record: &&Record| record.texts(&["labels"]).iter().any(|it| it.contains(label));
        if records.any(has) {
            section.say(said);
        }
    }
    // One kind of record at a time: "get" of a run is not "get" of anything else.
    let mut kinds: Vec<&str> = groups.iter().map(Group::kind).collect();
    kinds.dedup();
    let several = kinds.len() > 1;
    for kind in kinds {
        let of: Vec<Group<'_>> = groups.iter().filter(|it| it.kind() == kind).cloned().collect();
        kind_of_record(section, &of, if several { kind } else { "" });
    }
}

fn kind_of_record(section: &mut Section, groups: &[Group<'_>], kind: &str) {
    let all: Vec<(&Group<'_>, String, Vec<Curve>)> = groups
        .iter()
        .zip(labels(groups))
        .map(|(group, name)| (group, name, curves(&group.records)))
        .collect();
    let operations = distinct(all.iter().flat_map(|(.., curves)| curves).map(|curve| curve.name.as_str()));
    let heads =
        ["operation", "configuration", ">samples", ">p50", ">p90", ">p99", ">p99.9", ">p99.99", ">max"];
    let mut table = Table::new(&join("Percentiles", kind), &heads);
    // Those that have a colour, in all charts the same.
    let mut names: Vec<String> = Vec::new();
    let (mut charts, mut is_cut) = (Vec::new(), false);
    for operation in operations {
        let find = |curves: &[Curve]| curves.iter().find(|it| it.name == operation).cloned();
        for (group, name, curves) in &all {
            let Some(curve) = find(curves) else { continue };
            let mut row = vec![operation.into(), name.clone().into(), curve.samples.to_string().into()];
            row.extend(PERCENTILES.map(|percentile| {
                let median = spread(group, |record| percentile.of(&record.latency(operation)?));
                Cell::or_dash(median.map(|it| Unit::Nanoseconds.show(it.median)))
            }));
            table.row(row);
        }
        let mut timed: Vec<_> = all.iter().filter(|(.., curves)| find(curves).is_some()).collect();
        is_cut |= timed.len() > MOST_LINES;
        let rate = |group: &Group<'_>| group.records[0].goodput_per_s().unwrap_or(0.0);
        timed.sort_by(|a, b| rate(b.0).total_cmp(&rate(a.0)));
        let drawn = if names.is_empty() {
            evenly(timed, MOST_LINES)
        } else {
            // The same as in the charts before, if they have it.
            timed.sort_by_key(|(_, name, _)| !names.contains(name));
            timed.truncate(MOST_LINES);
            timed
        };
        let mut line = |(_, name, curves): &&(_, String, Vec<Curve>)| {
            let curve = find(curves)?;
            let colour = Some(place_in(&mut names, name));
            let (name, points, marked) = (name.clone(), curve.points, curve.sparse);
            Some(Line { name, points, marked, colour, ..Line::default() })
        };
        let mut lines: Vec<Line> = drawn.iter().filter_map(&mut line).collect();
        lines.extend(floor(groups, &lines));
        let records = || drawn.iter().flat_map(|(group, ..)| &group.records);
        let chart = Chart::Lines(Lines {
            x: Axis::percentile(),
            y: Axis::log("latency", Unit::Nanoseconds),
            lines,
            is_hatched: records().any(|it| it.latencies_disturbed_by().is_some()),
        });
        charts.push((title_of(operation), chart));
    }
    let mut caption = String::new();
    if is_cut {
        caption = format!(
            "A chart has at most {MOST_LINES} of {} configurations, evenly from the most goodput to the least; the table \
             has all.",
            groups.len()
        );
    }
    if all.iter().flat_map(|(.., curves)| curves).any(|curve| curve.sparse) {
        caption.push_str(" Dots are all that is known where a record has no histogram.");
    }
    section.charts(join("Latency by operation", kind), caption.trim(), charts);
    section.table(table);
}

/// Returns a line at what reading the clock costs, the least of all records, as long as the others.
fn floor(groups: &[Group<'_>], lines: &[Line]) -> Option<Line> {
    let records = groups.iter().flat_map(|group| &group.records);
    let costs = records.filter_map(|record| record.number(&["observer", "clock_ns"]));
    let floor = costs.filter(|ns| *ns > 0.0).reduce(f64::min)?;
    let ends = lines.iter().filter_map(|line| line.points.last());
    let end = ends.map(|&(share, _)| share).reduce(f64::max)?;
    Some(Line {
        name: format!("clock's floor, {}", Unit::Nanoseconds.show(floor)),
        points: vec![(0.0, floor), (end, floor)],
        is_reference: true,
        ..Line::default()
    })
}

fn title_of(operation: &str) -> String {
    match operation.strip_suffix(PLANNED) {
        Some(name) => format!("{name}, from the planned start"),
        None => operation.to_owned(),
    }
}

fn join(text: &str, kind: &str) -> String {
    if kind.is_empty() { text.to_owned() } else { format!("{text} ({kind})") }
}
