//! Splinter beside other stores under the same loads, as `splinter-perf peers` measures them.

use super::super::distinct;
use super::super::document::{Cell, Section, Table};
use super::super::svg::{Axis, Bar, Bars, Chart};
use super::Input;
use crate::records::peers::{Entrant, Load};
use crate::unit::Unit;

/// The colour of other stores.
const OTHERS: usize = 6;

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    for record in &input.found.records {
        let loads = record.loads();
        let is_hatched = record.disturbed_by().is_some();
        let all = loads.iter().flat_map(|load| &load.entrants);
        let ends = |entrant: &Entrant| {
            let (low, high) = entrant.interval().unzip();
            [entrant.goodput_per_s, low, high]
        };
        let all: Vec<f64> = all.flat_map(ends).flatten().collect();
        let charts = loads.iter().filter_map(|load| chart(load, &all, is_hatched));
        let title = format!("Goodput by load: {}", record.name());
        section.charts(title, notes(&loads), charts.collect());
        if !loads.is_empty() {
            section.table(table(&record.name(), &loads));
        }
    }
}

/// Draws a load: Splinter first, then the others from the fastest. The axis reaches all of some values, so that charts
/// side by side have the same.
fn chart(load: &Load, reached: &[f64], is_hatched: bool) -> Option<(String, Chart)> {
    let bar = |entrant: &Entrant| {
        let goodput = entrant.goodput_per_s?;
        let text = Unit::PerSecond.show(goodput);
        Some(Bar {
            name: entrant.name.clone(),
            parts: vec![(if entrant.is_splinter() { 0 } else { OTHERS }, goodput)],
            interval: entrant.interval(),
            hint: format!("{} ({}): {text}", entrant.name, entrant.version),
            text,
            is_hatched,
            ..Bar::default()
        })
    };
    let mut entrants: Vec<&Entrant> = load.entrants.iter().collect();
    let rate = |entrant: &Entrant| entrant.goodput_per_s.unwrap_or(0.0);
    entrants.sort_by(|a, b| {
        let splinter_first = b.is_splinter().cmp(&a.is_splinter());
        splinter_first.then(rate(b).total_cmp(&rate(a)))
    });
    let bars: Vec<Bar> = entrants.into_iter().filter_map(bar).collect();
    let mut parts = vec![String::new(); OTHERS + 1];
    parts[0] = "Splinter".to_owned();
    parts[OTHERS] = "other stores".to_owned();
    if bars.is_empty() {
        return None;
    }
    let bars = Bars::new(Axis::log("goodput", Unit::PerSecond), &[], bars);
    Some((load.load.clone(), Chart::Bars(Bars { parts, reached: reached.to_vec(), ..bars })))
}

/// Says what a reader must know of each store, each thing once.
fn notes(loads: &[Load]) -> String {
    let notes = loads.iter().flat_map(|load| &load.entrants).flat_map(|entrant| {
        let said = [&entrant.note, &entrant.problem].into_iter().flatten();
        said.map(|said| format!("{}: {said}.", entrant.name))
    });
    distinct(notes).join(" ")
}

fn table(name: &str, loads: &[Load]) -> Table {
    let heads =
        ["load", "store", ">goodput", ">interval", ">Splinter is", ">interval of that", ">p50", ">p99"];
    let mut table = Table::new(&format!("Goodput and latency beside other stores: {name}"), &heads);
    let rate = |value: f64| Unit::PerSecond.show(value);
    for load in loads {
        for entrant in &load.entrants {
            // The slowest operation is the one that waits for a write.
            let slowest = entrant.latency_ns.values().max_by_key(|it| it.p50);
            let ns = |value: u64| Unit::Nanoseconds.show(value as f64);
            let ratio = entrant.ratio.as_ref();
            let version = match entrant.version.as_str() {
                "" => entrant.name.clone(),
                version => format!("{} ({version})", entrant.name),
            };
            table.row([
                load.load.clone().into(),
                version.into(),
                Cell::or_dash(entrant.goodput_per_s.map(rate)),
                Cell::or_dash(
                    entrant.interval().map(|(low, high)| format!("{} to {}", rate(low), rate(high))),
                ),
                Cell::or_dash(ratio.map(|ratio| times(ratio.median))),
                Cell::or_dash(ratio.map(|it| format!("{} to {}", times(it.low), times(it.high)))),
                Cell::or_dash(slowest.map(|it| ns(it.p50))),
                Cell::or_dash(slowest.map(|it| ns(it.p99))),
            ]);
        }
    }
    table
}

/// Writes a factor with the digits that mean something.
pub(in crate::report) fn times(ratio: f64) -> String {
    let decimals = usize::from(ratio < 100.0) + usize::from(ratio < 10.0);
    format!("{ratio:.decimals$}×")
}
