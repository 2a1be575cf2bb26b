//! The headline figures, each with what was run and what disturbed it.

use super::super::document::Tile;
use super::rivals::times;
use crate::records::peers::{Entrant, Load};
use crate::records::{Collection, Record};
use crate::unit::Unit;
use splinter_stress::Percentiles;

/// The rivals that a tile names, if they took part.
const RIVALS: [&str; 3] = ["Redis", "LMDB", "DashMap"];

/// A figure with the record that it is from.
struct Found<'a> {
    record: &'a Record,
    value: f64,
    detail: String,
}

/// Makes the tiles that the records have figures for.
pub(in crate::report) fn tiles(found: &Collection) -> Vec<Tile> {
    let records = &found.records;
    let mut tiles = Vec::new();
    tiles.extend(goodput(records));
    tiles.extend(["get", "set"].into_iter().filter_map(|operation| latency(records, operation)));
    tiles.extend(wake(records));
    tiles.extend(rivals(records));
    tiles
}

/// Finds the most goodput: of runs, of Splinter beside other stores, and of tried claims.
fn goodput(records: &[Record]) -> Option<Tile> {
    let mut all: Vec<Found<'_>> = Vec::new();
    for record in records {
        let mut add = |value: Option<f64>, detail: String| {
            all.extend(value.map(|value| Found { record, value, detail }));
        };
        if record.kind == "run" {
            add(record.goodput_per_s(), record.what());
        }
        for Load { load, entrants, .. } in record.loads() {
            for entrant in entrants.iter().filter(|it| it.is_splinter()) {
                add(entrant.goodput_per_s, format!("load \"{load}\", {}", entrant.name));
            }
        }
        for claim in record.claims() {
            if claim.figures.definition.starts_with("goodput") {
                add(claim.figures.measured_per_s, claim.configuration);
            }
        }
    }
    let most = all.into_iter().max_by(|a, b| a.value.total_cmp(&b.value))?;
    Some(Tile {
        title: "Peak goodput".to_owned(),
        value: Unit::PerSecond.show(most.value),
        detail: shortened(&most.detail),
        disturbed_by: most.record.disturbed_by().unwrap_or_default(),
    })
}

/// Finds the latency of an operation: of one worker beside other stores if there is such a record, otherwise of the run
/// with the least median.
fn latency(records: &[Record], operation: &str) -> Option<Tile> {
    let mut all: Vec<(bool, Percentiles, String, String)> = Vec::new();
    for record in records {
        for Load { load, entrants, .. } in record.loads() {
            let ours = entrants.iter().find(|it| it.is_splinter());
            let found = ours.and_then(|it| it.latency_ns.get(operation).copied());
            let by = record.disturbed_by().unwrap_or_default();
            let detail = format!("load \"{load}\", the clock's cost included");
            all.extend(found.map(|it| (load.starts_with("one"), it, detail, by)));
        }
        if record.kind == "run" {
            let found = record.latency(operation);
            let by = record.latencies_disturbed_by().unwrap_or_default();
            all.extend(found.map(|it| (false, it, record.what(), by)));
        }
    }
    all.retain(|(_, latency, ..)| latency.samples > 0);
    let best = all.into_iter().min_by_key(|(alone, it, ..)| (!alone, it.p50, it.p99));
    let (_, latency, detail, disturbed_by) = best?;
    let ns = |value: u64| Unit::Nanoseconds.show(value as f64).replace(".0 ", " ");
    let (median, tail) = (ns(latency.p50), ns(latency.p99));
    let median = match (median.split_once(' '), tail.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => number.to_owned(),
        _ => median,
    };
    Some(Tile {
        title: format!("Latency of {operation}, p50 / p99"),
        value: format!("{median} / {tail}"),
        detail: shortened(&detail),
        disturbed_by,
    })
}

/// Finds how long a sleeping watcher takes to wake, beside the kernel's own way.
fn wake(records: &[Record]) -> Option<Tile> {
    let of = |record| {
        let rows = Record::rows(record).into_iter();
        let mut rows = rows.filter(|row| row.name == "watcher, asleep");
        let row = rows.find(|row| row.situation.as_deref().is_none_or(|it| it == "idle"))?;
        Some((record, row.value.value_ns??, row))
    };
    let (record, ns, row) = records.iter().filter(|it| it.kind == "wake").find_map(of)?;
    let beside = row.limit_name.zip(row.ratio).map(|(name, ratio)| format!("{} of {name}", times(ratio)));
    Some(Tile {
        title: "Wake of a sleeping watcher".to_owned(),
        value: Unit::Nanoseconds.show(ns),
        detail: beside.unwrap_or_else(|| "one way, between two processors".to_owned()),
        disturbed_by: record.disturbed_by().unwrap_or_default(),
    })
}

/// Compares with rivals under the last load, which mixes reads and writes.
fn rivals(records: &[Record]) -> Option<Tile> {
    let (record, load) = records.iter().find_map(|it| Some((it, it.loads().pop()?)))?;
    let ratio = |entrant: &Entrant| Some((entrant.name.clone(), times(entrant.ratio.as_ref()?.median)));
    let ratios: Vec<(String, String)> = load.entrants.iter().filter_map(ratio).collect();
    let find = |name: &&str| ratios.iter().find(|(it, _)| it.starts_with(*name));
    let mut chosen: Vec<&(String, String)> = RIVALS.iter().filter_map(find).collect();
    if chosen.is_empty() {
        chosen.extend(ratios.iter().take(RIVALS.len()));
    }
    let ((first, value), rest) = chosen.split_first()?;
    let rest = rest.iter().map(|(name, ratio)| format!("{ratio} {name}, "));
    Some(Tile {
        title: format!("Goodput beside {first}"),
        value: value.clone(),
        detail: format!("{}load \"{}\"", rest.collect::<String>(), load.load),
        disturbed_by: record.disturbed_by().unwrap_or_default(),
    })
}

/// Keeps the parts of a long description that there is room for.
fn shortened(detail: &str) -> String {
    const LONGEST: usize = 75;
    let mut kept = String::new();
    for part in detail.split(", ") {
        if !kept.is_empty() && kept.len() + part.len() > LONGEST {
            continue;
        }
        if !kept.is_empty() {
            kept.push_str(", ");
        }
        kept.push_str(part);
    }
    kept
}
