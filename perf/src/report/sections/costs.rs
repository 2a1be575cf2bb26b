//! Costs of single operations beside the limits of the machine that bind them: the rows of `micro`, `wake` and
//! `limits`, and of any other record whose rows have values.

use super::super::document::{Cell, Section, Table, Tone};
use super::super::svg::{Axis, Bar, Bars, Chart};
use super::Input;
use crate::records::Record;
use crate::records::rows::{Quartiles, Row};

/// Lists of rows that a record may have.
const LISTS: [&str; 2] = ["rows", "limits"];

/// Greater ratios do not fit the axis of the others.
const MOST_RATIO: f64 = 30.0;

pub(super) fn fill(input: &Input<'_>, section: &mut Section) {
    for record in &input.found.records {
        for list in LISTS {
            let mut rows: Vec<Row> = record.list(list);
            rows.retain(|row| row.value().is_some());
            if rows.is_empty() {
                continue;
            }
            if let Some(chart) = ratios(record, &rows) {
                let title = format!("Times the limit: {}", record.name());
                section.chart(title, "The target is the most that a ratio may be.", chart);
            }
            section.table(table(record, list, &rows));
        }
    }
}

fn ratios(record: &Record, rows: &[Row]) -> Option<Chart> {
    let is_hatched = record.disturbed_by().is_some();
    let mut bars = Vec::new();
    for row in rows {
        let (Some(ratio), Some(target)) = (row.ratio, row.target) else {
            continue;
        };
        // Some rates must reach a floor: they do not fit the axis of the others either.
        let is_floor = matches!(row.bound(), Some(">=" | "at least"));
        if is_floor || ratio > MOST_RATIO || target > MOST_RATIO {
            continue;
        }
        let is_met = row.met == Some(true);
        let met = if is_met { "met" } else { "MISSED" };
        let limit = row.limit_name.as_deref().unwrap_or("the limit");
        let name = row.title();
        bars.push(Bar {
            hint: format!("{name}: {ratio:.2} times {limit}, at most {target}"),
            name,
            parts: vec![(usize::from(!is_met), ratio)],
            interval: row.ratio_quartiles.map(Quartiles::ends),
            mark: Some(target),
            text: format!("{ratio:.2}  {met}"),
            is_hatched,
        });
    }
    let count = bars.len();
    let bars = Bars::new(Axis::linear("times the limit", None), &["target met", "target missed"], bars);
    (count > 0).then(|| Chart::Bars(Bars { mark: "target".to_owned(), ..bars }))
}

fn table(record: &Record, list: &str, rows: &[Row]) -> Table {
    let title = match list {
        "limits" => format!("Limits measured beside: {}", record.name()),
        _ => format!("{}: {}", record.kind, record.name()),
    };
    let valued = rows.iter().filter_map(|row| Some((row, row.value()?)));
    if rows.iter().all(|row| row.limit_name.is_none()) {
        let heads = ["what", ">median", ">least", ">middle half", ">samples"];
        let mut table = Table::new(&title, &heads);
        for (row, (unit, value)) in valued {
            let half = row.quartiles.map(Quartiles::ends);
            let count = row.samples.as_ref().and_then(serde_json::Value::as_u64);
            table.row([
                row.title().into(),
                unit.show(value).into(),
                Cell::or_dash(row.min.map(|least| unit.show(least))),
                Cell::or_dash(half.map(|(low, high)| format!("{} to {}", unit.show(low), unit.show(high)))),
                Cell::or_dash(count.map(|count| count.to_string())),
            ]);
        }
        return table;
    }
    let heads = ["operation", ">measured", "limit", ">at", ">ratio", ">middle half", ">target", "judgement"];
    let mut table = Table::new(&title, &heads);
    for (row, (unit, value)) in valued {
        let half = row.ratio_quartiles.map(Quartiles::ends);
        let bound = row.bound().map_or(String::new(), |bound| format!("{bound} "));
        table.row([
            row.title().into(),
            unit.show(value).into(),
            Cell::or_dash(row.limit_name.clone()),
            Cell::or_dash(row.limit.map(|limit| unit.show(limit))),
            Cell::or_dash(row.ratio.map(|ratio| format!("{ratio:.2}"))),
            Cell::or_dash(half.map(|(low, high)| format!("{low:.2} to {high:.2}"))),
            Cell::or_dash(row.target.map(|target| format!("{bound}{target:.2}"))),
            match row.met {
                Some(true) => Cell::toned("met", Tone::Good),
                Some(false) => Cell::toned("MISSED", Tone::Bad),
                None => "-".into(),
            },
        ]);
    }
    table
}
