//! Latencies: a curve over the percentiles for each operation, with a line for each configuration, and a table.

use super::super::document::{Figure, Section, Table};
use super::super::svg::{Axis, COLOURS, Chart, Line, Lines};
use super::{Matter, evenly};
use crate::records::Record;
use crate::records::group::{Group, groups, labels};
use crate::records::latency::{Curve, curves};
use crate::records::record::{PERCENTILES, Percentile, percentiles};
use crate::records::spread::Spread;
use crate::unit::Unit;

/// What the name of an operation ends with in a log where its latency is taken from the planned start.
const PLANNED: &str = "-planned";

pub(in crate::report) fn section(matter: &Matter<'_>) -> Result<Section, String> {
    let timed = |record: &&Record| !curves(&[record]).is_empty();
    let groups = groups(matter.found.records.iter().filter(timed));
    if groups.is_empty() {
        return Err("none of the records has latencies of operations".to_owned());
    }
    let lead = "Of successful attempts, over the share of them that was not slower. Each step to the right is a tenth \
                of what the step before left; the last point is the slowest sample.";
    let mut section = Section::new("latency", "", lead);
    let oversubscribed = groups.iter().any(|group| {
        let labels = group.records[0].texts(&["labels"]);
        labels.iter().any(|label| label.contains("oversubscribed"))
    });
    if oversubscribed {
        section.say(
            "Some of these runs had more workers than processors (label \"oversubscribed\"): their tails are times at \
             which a worker was not running, and tell of the scheduler, not of the store.",
        );
    }
    let labelled = |group: &Group<'_>| {
        group
            .records
            .iter()
            .any(|it| it.texts(&["labels"]).contains(&"saturated"))
    };
    if groups.iter().any(labelled) {
        section.say(
            "Some of these runs were saturated: more was asked of them than they could do, so their latencies are those \
             of a queue that grows, and not to be trusted.",
        );
    }
    // One kind of record at a time: "get" of a run is not "get" of anything else.
    let mut kinds: Vec<&str> = groups.iter().map(Group::kind).collect();
    kinds.dedup();
    let several = kinds.len() > 1;
    for kind in kinds {
        let of: Vec<Group<'_>> = groups
            .iter()
            .filter(|it| it.kind() == kind)
            .cloned()
            .collect();
        kind_of_record(&mut section, &of, if several { kind } else { "" });
    }
    Ok(section)
}

fn kind_of_record(section: &mut Section, groups: &[Group<'_>], kind: &str) {
    let names = labels(groups);
    let all: Vec<Vec<Curve>> = groups.iter().map(|group| curves(&group.records)).collect();
    let mut operations: Vec<&str> = Vec::new();
    for curve in all.iter().flatten() {
        if !operations.contains(&curve.name.as_str()) {
            operations.push(&curve.name);
        }
    }
    let mut table = Table::new(
        &join("Percentiles", kind),
        &[
            "operation",
            "configuration",
            ">samples",
            ">p50",
            ">p90",
            ">p99",
            ">p99.9",
            ">p99.99",
            ">max",
        ],
    );
    for operation in operations {
        let mut lines: Vec<(f64, Line)> = Vec::new();
        for ((group, name), curves) in groups.iter().zip(&names).zip(&all) {
            let Some(curve) = curves.iter().find(|curve| curve.name == operation) else {
                continue;
            };
            let mut row = vec![
                operation.into(),
                name.clone().into(),
                curve.samples.to_string().into(),
            ];
            row.extend(PERCENTILES.map(|percentile| {
                let median = Spread::of(
                    group
                        .records
                        .iter()
                        .filter_map(|record| latency(record, operation, percentile)),
                );
                let shown = median.map(|it| Unit::Nanoseconds.show(it.median));
                shown.unwrap_or_else(|| "-".to_owned()).into()
            }));
            table.row(row);
            let line = Line {
                name: name.clone(),
                points: curve.points.clone(),
                marked: curve.sparse,
                ..Line::default()
            };
            lines.push((group.records[0].goodput_per_s().unwrap_or(0.0), line));
        }
        let count = lines.len();
        if count > COLOURS {
            lines.sort_by(|a, b| b.0.total_cmp(&a.0));
        }
        let lines: Vec<Line> = evenly(lines, COLOURS)
            .into_iter()
            .map(|(_, line)| line)
            .collect();
        let mut caption = String::new();
        if lines.len() < count {
            caption = format!(
                "{} of {count} configurations are drawn, evenly from the most goodput to the least; all are in the \
                 table.",
                lines.len()
            );
        }
        if lines.iter().any(|line| line.marked) {
            caption.push_str(" Dots are all that is known where a record has no histogram.");
        }
        section.chart(Figure {
            title: join(&title_of(operation), kind),
            caption: caption.trim().to_owned(),
            chart: Chart::Lines(Lines {
                x: Axis::Percentile,
                y: Axis::Log {
                    title: "latency".to_owned(),
                    unit: Unit::Nanoseconds,
                },
                lines,
            }),
        });
    }
    section.table(table);
}

fn title_of(operation: &str) -> String {
    match operation.strip_suffix(PLANNED) {
        Some(name) => format!("Latency of {name}, from the planned start"),
        None => format!("Latency of {operation}"),
    }
}

fn join(text: &str, kind: &str) -> String {
    if kind.is_empty() {
        text.to_owned()
    } else {
        format!("{text} ({kind})")
    }
}

/// Finds a percentile of what was timed, wherever its kind of record has it.
fn latency(record: &Record, operation: &str, percentile: Percentile) -> Option<f64> {
    let field = format!("{operation}_ns");
    if let Some(name) = operation.strip_suffix(PLANNED) {
        let place = record.at(&["operations", name, "latency_from_planned_ns"])?;
        let mut all = percentiles(Some(place)).into_iter();
        return all.find(|(it, _)| *it == percentile).map(|(_, ns)| ns);
    }
    let ways: [&[&str]; 4] = [
        &["operations", operation, "latency_ns"],
        &[&field],
        if operation == "notification" {
            &["notifications", "latency_ns"]
        } else {
            &["notifications", "wake_latency_ns"]
        },
        &[],
    ];
    let place = ways[..if operation == "notification" || operation == "wake" {
        3
    } else {
        2
    }]
        .iter()
        .find_map(|way| record.at(way))?;
    let all = percentiles(Some(place));
    let found = all.into_iter().find(|(it, _)| *it == percentile);
    found.map(|(_, ns)| ns)
}
