//! Goodput of each configuration: bars with their parts by operation, and intervals where there are several records.

use super::super::document::{Cell, Section, Table};
use super::super::place_in;
use super::super::svg::{Axis, Bar, Bars, Chart};
use super::{Input, about_intervals, evenly, interval, runs, spread};
use crate::records::Record;
use crate::records::group::{Group, labels};
use crate::records::spread::Spread;
use crate::unit::Unit;

/// Bars of one chart.
const MOST_BARS: usize = 16;

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    let groups = runs(input.found);
    if groups.is_empty() {
        return;
    }
    let rate = Unit::PerSecond;
    let mut table = Table::new(
        "Goodput by configuration",
        &["configuration", ">records", ">goodput", ">interval", ">attempts", ">writes", ">reads", ">cpu %"],
    );
    let mut names: Vec<String> = Vec::new();
    let mut bars = Vec::new();
    for (group, label) in groups.iter().zip(labels(&groups)) {
        let Some(goodput) = spread(group, Record::goodput_per_s) else {
            continue;
        };
        let attempts = attempts(group).unwrap_or(goodput.median);
        let of = |field: &str| {
            let found = spread(group, |record| record.number(&["totals", field]));
            Cell::or_dash(found.map(|spread| rate.show(spread.median)))
        };
        let share = spread(group, |record| record.number(&["window", "processor_share"]));
        table.row([
            label.clone().into(),
            goodput.samples.to_string().into(),
            rate.show(goodput.median).into(),
            interval(rate, &goodput).into(),
            rate.show(attempts).into(),
            of("writes_per_s"),
            of("reads_per_s"),
            Cell::or_dash(share.map(|share| format!("{:.0}", share.median * 100.0))),
        ]);
        bars.push(bar(group, label, &goodput, attempts, &mut names));
    }
    let all = bars.len();
    bars.sort_by(|a: &(f64, Bar), b| b.0.total_cmp(&a.0));
    let bars: Vec<Bar> = evenly(bars, MOST_BARS).into_iter().map(|(_, bar)| bar).collect();
    let mut caption = about_intervals(&groups);
    if bars.len() < all {
        caption.push_str(&format!(
            " {} of {all} configurations are drawn, evenly from the most to the least; all are in the table.",
            bars.len()
        ));
    }
    let bars = Bars {
        parts: names,
        mark: "attempts".to_owned(),
        ..Bars::new(Axis::linear("goodput", Some(rate)), &[], bars)
    };
    section.chart("Goodput by operation", caption, Chart::Bars(bars));
    section.table(table);
}

fn attempts(group: &Group<'_>) -> Option<f64> {
    let found = spread(group, |record| {
        let sum = || record.operations().iter().map(|it| it.attempts_per_s.max(it.goodput_per_s)).sum();
        Some(record.number(&["totals", "attempts_per_s"]).unwrap_or_else(sum))
    });
    found.map(|spread| spread.median)
}

/// Makes a group's bar, and adds the names of its operations to those that have a colour.
fn bar(
    group: &Group<'_>,
    name: String,
    goodput: &Spread,
    attempts: f64,
    names: &mut Vec<String>,
) -> (f64, Bar) {
    let rate = Unit::PerSecond;
    let operations = group.records[0].operations();
    let mut parts = Vec::new();
    for operation in &operations {
        let of = spread(group, |record| {
            let all = record.operations();
            let same = all.iter().find(|other| other.name == operation.name);
            same.map(|same| same.goodput_per_s)
        });
        let colour = place_in(names, &operation.name);
        parts.extend(of.map(|of| (colour, of.median)));
    }
    // Medians of parts need not add up to the median of the whole.
    let sum: f64 = parts.iter().map(|&(_, length)| length).sum();
    if sum > 0.0 {
        for (_, length) in &mut parts {
            *length *= goodput.median / sum;
        }
    }
    let mut text = rate.show(goodput.median);
    if goodput.samples > 1 {
        text.push_str(&format!(" (n = {})", goodput.samples));
    }
    let shares: Vec<String> =
        parts.iter().map(|&(colour, length)| format!("{} {}", names[colour], rate.show(length))).collect();
    let bar = Bar {
        hint: format!("{name}: {text}; {}", shares.join(", ")),
        name,
        parts,
        interval: (goodput.samples > 1).then_some((goodput.low, goodput.high)),
        mark: (attempts > goodput.median * 1.005).then_some(attempts),
        text,
        is_hatched: group.disturbed_by().is_some(),
    };
    (goodput.median, bar)
}
