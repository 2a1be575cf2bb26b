//! Goodput over how many work: lines through records that differ in nothing else.

use super::super::document::{Section, Table};
use super::super::svg::{Axis, COLOURS, Chart, Line, Lines};
use super::{Input, about_intervals, evenly, runs, spread};
use crate::records::Record;
use crate::records::group::{Group, labels};
use crate::records::spread::Spread;
use crate::unit::Unit;

/// A dimension along which a line goes.
struct Dimension {
    /// The name of the count.
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

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    let groups = runs(input.found);
    for dimension in &DIMENSIONS {
        let rows = rows(&groups, dimension);
        if !rows.is_empty() {
            draw(section, dimension, &rows, &groups);
        }
    }
    for record in &input.found.records {
        of_claims(section, record);
    }
}

/// Draws the scaling that the claims of a reproduction measured: goodput by processors in use.
fn of_claims(section: &mut Section, record: &Record) {
    let name = record.name();
    let heads = ["claim", ">processors", ">goodput", ">efficiency %"];
    let mut table = Table::new(&format!("Scaling of claims: {name}"), &heads);
    let mut charts = Vec::new();
    for claim in record.claims().into_iter().filter(|claim| claim.figures.scaling.len() > 1) {
        for point in &claim.figures.scaling {
            table.row([
                claim.claim.clone().into(),
                point.processors.to_string().into(),
                Unit::PerSecond.show(point.goodput_per_s).into(),
                point.efficiency.map_or("-".to_owned(), |share| format!("{:.0}", share * 100.0)).into(),
            ]);
        }
        let points = claim.figures.scaling.iter().map(|it| (it.processors as f64, it.goodput_per_s));
        let line =
            Line { name: "measured".to_owned(), points: points.collect(), marked: true, ..Line::default() };
        let ideal = ideal(&line, f64::INFINITY);
        let lines = std::iter::once(line).chain(ideal).collect();
        let chart = chart("processors", lines, record.disturbed_by().is_some());
        charts.push((format!("claim \"{}\"", claim.claim), chart));
    }
    section.charts(format!("Goodput over processors in use: {name}"), "", charts);
    if !table.rows.is_empty() {
        section.table(table);
    }
}

/// Returns what goodput would be if each did as much as each of the first point, as far as to some goodput.
fn ideal(line: &Line, most: f64) -> Option<Line> {
    let (first, last) = (*line.points.first()?, *line.points.last()?);
    let each = first.1 / first.0;
    let end = last.0.min(most / each);
    (end > first.0 && each > 0.0).then(|| Line {
        name: "ideal: proportional".to_owned(),
        points: vec![first, (end, end * each)],
        is_reference: true,
        ..Line::default()
    })
}

fn chart(x: &str, lines: Vec<Line>, is_hatched: bool) -> Chart {
    Chart::Lines(Lines {
        x: Axis::linear(x, None),
        y: Axis::linear("goodput", Some(Unit::PerSecond)),
        lines,
        is_hatched,
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
            sample.environment.retain(|field, _| !field.starts_with(&format!("{name}.")));
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
        let same = rows
            .iter_mut()
            .find(|row| row.sample.config == sample.config && row.sample.environment == sample.environment);
        match same {
            Some(row) => row.points.push(point),
            None => rows.push(Row { sample, points: vec![point] }),
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
        &["configuration", ">count", ">goodput", ">for each", ">efficiency %", ">processors"],
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
            points: row.points.iter().map(|(count, it)| (*count, it.median)).collect(),
            intervals: row.points.iter().filter(|_| several).map(|(_, it)| (it.low, it.high)).collect(),
            marked: true,
            ..Line::default()
        });
    }
    let count = lines.len();
    let mut lines = evenly(lines, COLOURS);
    let top = lines.iter().flat_map(|line| &line.points).map(|it| it.1).fold(0.0, f64::max);
    let best = lines.iter().max_by(|a, b| a.points[0].1.total_cmp(&b.points[0].1));
    // Not beyond what was measured: it would make everything else small.
    let ideal = best.and_then(|best| ideal(best, top));
    lines.extend(ideal);
    let mut caption = about_intervals(groups);
    if lines.len() < count {
        caption.push_str(&format!(" {COLOURS} of {count} lines are drawn; all are in the table."));
    }
    let records = || groups.iter().flat_map(|group| &group.records);
    let is_hatched = records().any(|record| record.disturbed_by().is_some());
    let title = format!("Goodput over {}", dimension.name);
    section.chart(title, caption, chart(dimension.name, lines, is_hatched));
    section.table(table);
}
