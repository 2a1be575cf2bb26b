//! Goodput over how many work: lines through records that differ in nothing else.

use super::super::document::{Figure, Section, Table};
use super::super::svg::{Axis, COLOURS, Chart, Line, Lines};
use super::{Matter, about_intervals, evenly, runs, spread};
use crate::records::Record;
use crate::records::group::{Group, labels};
use crate::records::spread::Spread;
use crate::unit::Unit;
use serde_json::Value;

/// What may differ along a line.
struct Dimension {
    /// What is counted.
    name: &'static str,
    /// The fields that tell how many, whose numbers are added.
    counts: &'static [&'static str],
    /// Fields beside them that differ with the count.
    follow: &'static [&'static str],
}

#[rustfmt::skip]
const DIMENSIONS: [Dimension; 4] = [
    Dimension { name: "writers", counts: &["writers"], follow: &[] },
    Dimension { name: "readers", counts: &["readers"], follow: &[] },
    Dimension { name: "writers and readers", counts: &["writers", "readers"], follow: &[] },
    Dimension { name: "processors", counts: &["processors"], follow: &["pin", "pin_readers", "nodes", "writers", "readers"] },
];

/// One line: the records that differ in the count only, by it.
struct Row<'a> {
    sample: Group<'a>,
    points: Vec<(f64, Spread)>,
}

pub(in crate::report) fn section(matter: &Matter<'_>) -> Result<Section, String> {
    let groups = runs(matter.found);
    let lead = "Goodput over the number of those who work, all else being the same. The dotted line is what it would be \
                if each did as much as those of the first point.";
    let mut section = Section::new("scaling", "", lead);
    for dimension in &DIMENSIONS {
        let rows = rows(&groups, dimension);
        if !rows.is_empty() {
            draw(&mut section, dimension, &rows, &groups);
        }
    }
    for record in &matter.found.records {
        of_claims(&mut section, record);
    }
    if section.blocks.len() > 1 {
        Ok(section)
    } else {
        Err(
            "no two records differ in the number of writers, readers or processors alone"
                .to_owned(),
        )
    }
}

/// Draws the scaling that the claims of a reproduction measured: goodput by processors in use.
fn of_claims(section: &mut Section, record: &Record) {
    let cells = record.at(&["cells"]).and_then(Value::as_array);
    let mut table = Table::new(
        &format!("Scaling of claims: {}", record.name()),
        &["claim", ">processors", ">goodput", ">efficiency %"],
    );
    let mut lines = Vec::new();
    for cell in cells.into_iter().flatten() {
        let mut points: Vec<(f64, f64)> = Vec::new();
        let name = cell["claim"].as_str().unwrap_or("a claim");
        for point in cell["scaling"].as_array().into_iter().flatten() {
            let number = |name: &str| point[name].as_f64();
            let (Some(count), Some(goodput)) = (number("processors"), number("goodput_per_s"))
            else {
                continue;
            };
            points.push((count, goodput));
            let efficiency = number("efficiency").map(|share| format!("{:.0}", share * 100.0));
            table.row([
                name.into(),
                format!("{count:.0}").into(),
                Unit::PerSecond.show(goodput).into(),
                efficiency.unwrap_or_else(|| "-".to_owned()).into(),
            ]);
        }
        if points.len() > 1 {
            lines.push(Line {
                name: name.to_owned(),
                points,
                marked: true,
                ..Line::default()
            });
        }
    }
    lines.truncate(COLOURS);
    if lines.is_empty() {
        return;
    }
    section.chart(Figure {
        title: format!("Goodput over processors in use: {}", record.name()),
        caption: String::new(),
        chart: chart("processors", lines),
    });
    section.table(table);
}

fn chart(x: &str, lines: Vec<Line>) -> Chart {
    Chart::Lines(Lines {
        x: Axis::Linear {
            title: x.to_owned(),
            unit: None,
        },
        y: Axis::Linear {
            title: "goodput".to_owned(),
            unit: Some(Unit::PerSecond),
        },
        lines,
    })
}

fn rows<'a>(groups: &[Group<'a>], dimension: &Dimension) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for group in groups {
        let count = |name: &&str| group.field(name)?.parse::<f64>().ok();
        let counts: Option<Vec<f64>> = dimension.counts.iter().map(count).collect();
        let (Some(counts), Some(goodput)) = (counts, spread(group, Record::goodput_per_s)) else {
            continue;
        };
        let mut sample = group.clone();
        for name in dimension.counts.iter().chain(dimension.follow) {
            sample.config.remove(*name);
            sample.environment.remove(*name);
            sample
                .environment
                .retain(|field, _| !field.starts_with(&format!("{name}.")));
        }
        // Of several counts the proportion stays the same.
        let share = counts[0] / counts.iter().sum::<f64>();
        if counts.len() > 1 {
            if counts.contains(&0.0) {
                continue;
            }
            let share = format!("{share:.4}");
            sample.config.insert("share of writers".to_owned(), share);
        }
        let point = (counts.iter().sum(), goodput);
        let same = rows.iter_mut().find(|row| {
            row.sample.config == sample.config && row.sample.environment == sample.environment
        });
        match same {
            Some(row) => row.points.push(point),
            None => rows.push(Row {
                sample,
                points: vec![point],
            }),
        }
    }
    rows.retain_mut(|row| {
        row.points.sort_by(|a, b| a.0.total_cmp(&b.0));
        row.points.dedup_by(|a, b| a.0 == b.0);
        row.points.len() > 1
    });
    rows
}

fn draw(section: &mut Section, dimension: &Dimension, rows: &[Row<'_>], groups: &[Group<'_>]) {
    let samples: Vec<Group<'_>> = rows.iter().map(|row| row.sample.clone()).collect();
    let names = labels(&samples);
    let rate = Unit::PerSecond;
    let mut table = Table::new(
        &format!("Scaling over {}", dimension.name),
        &[
            "configuration",
            ">count",
            ">goodput",
            ">for each",
            ">efficiency %",
            ">processors",
        ],
    );
    let mut lines = Vec::new();
    for (row, name) in rows.iter().zip(names) {
        let each = |&(count, goodput): &(f64, Spread)| goodput.median / count;
        let first = each(&row.points[0]);
        let processors = row.sample.field("processors").unwrap_or("-").to_owned();
        for point in &row.points {
            table.row([
                name.clone().into(),
                format!("{:.0}", point.0).into(),
                rate.show(point.1.median).into(),
                rate.show(each(point)).into(),
                format!("{:.0}", 100.0 * each(point) / first).into(),
                processors.clone().into(),
            ]);
        }
        let several = row.points.iter().any(|(_, goodput)| goodput.samples > 1);
        lines.push(Line {
            name,
            points: row
                .points
                .iter()
                .map(|(count, it)| (*count, it.median))
                .collect(),
            intervals: if several {
                row.points.iter().map(|(_, it)| (it.low, it.high)).collect()
            } else {
                Vec::new()
            },
            marked: true,
            is_reference: false,
        });
    }
    let count = lines.len();
    let mut lines = evenly(lines, COLOURS);
    let top = lines
        .iter()
        .flat_map(|line| &line.points)
        .map(|it| it.1)
        .fold(0.0, f64::max);
    let best = lines
        .iter()
        .max_by(|a, b| a.points[0].1.total_cmp(&b.points[0].1));
    if let Some(best) = best {
        // Not beyond what was measured: it would make everything else small.
        let (first, each) = (best.points[0], best.points[0].1 / best.points[0].0);
        let last = best.points[best.points.len() - 1].0.min(top / each);
        if last > first.0 && each > 0.0 {
            lines.push(Line {
                name: "proportional".to_owned(),
                points: vec![first, (last, last * each)],
                is_reference: true,
                ..Line::default()
            });
        }
    }
    let mut caption = about_intervals(groups);
    if lines.len() < count {
        caption.push_str(&format!(
            " {COLOURS} of {count} lines are drawn; all are in the table."
        ));
    }
    section.chart(Figure {
        title: format!("Goodput over {}", dimension.name),
        caption,
        chart: chart(dimension.name, lines),
    });
    section.table(table);
}
