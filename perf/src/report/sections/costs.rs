//! Costs of single operations beside the limits of the machine that bind them: the rows of `micro`, `wake` and
//! `limits`, and of any other record whose rows have values.

use super::super::document::{Cell, Figure, Section, Table, Tone};
use super::super::svg::{Axis, Bar, Bars, Chart};
use super::Matter;
use crate::records::Record;
use crate::records::figures::row_name;
use crate::unit::Unit;
use serde_json::Value;

/// A list of rows of a record.
const LISTS: [&str; 2] = ["rows", "limits"];

pub(in crate::report) fn section(matter: &Matter<'_>) -> Result<Section, String> {
    let lead = "A cost in nanoseconds says little of the next machine. A ratio is how many times the cost of what binds \
                it an operation takes, both measured in the same rounds; its middle half is the spread from round to \
                round.";
    let mut section = Section::new("costs", "", lead);
    for record in &matter.found.records {
        for list in LISTS {
            let rows = record.at(&[list]).and_then(Value::as_array);
            let rows: Vec<&Value> = rows
                .into_iter()
                .flatten()
                .filter(|it| value(it).is_some())
                .collect();
            if rows.is_empty() {
                continue;
            }
            if let Some(figure) = ratios(record, &rows) {
                section.chart(figure);
            }
            section.table(table(record, list, &rows));
        }
    }
    if section.blocks.len() > 1 {
        Ok(section)
    } else {
        Err("none of the records has costs of single operations; 'splinter-perf micro --json' makes one".to_owned())
    }
}

/// Finds a row's value, in the unit that its field's name tells.
fn value(row: &Value) -> Option<(Unit, f64)> {
    let units = [
        Unit::Nanoseconds,
        Unit::PerSecond,
        Unit::Bytes,
        Unit::BytesPerSecond,
        Unit::Share,
    ];
    let find = |unit: Unit| Some((unit, row.get(unit.field())?.as_f64()?));
    units.into_iter().find_map(find)
}

/// Finds the middle half of the ratios.
fn middle(row: &Value) -> Option<(f64, f64)> {
    let all = row.get("ratio_quartiles")?;
    let end = |name: &str, index: usize| all.get(name).or_else(|| all.get(index))?.as_f64();
    Some((end("q1", 0)?, end("q3", 1)?))
}

fn ratios(record: &Record, rows: &[&Value]) -> Option<Figure> {
    let mut bars = Vec::new();
    for row in rows {
        let (Some(ratio), Some(target)) = (row["ratio"].as_f64(), row["target"].as_f64()) else {
            continue;
        };
        // Rates are to reach a floor, and some costs a ceiling far away: neither fits the same axis.
        if row["bound"] == ">=" || ratio > 30.0 || target > 30.0 {
            continue;
        }
        let name = row_name(row)?;
        let met = if row["met"] == true { "met" } else { "MISSED" };
        bars.push(Bar {
            hint: format!(
                "{name}: {ratio:.2} times {}, at most {target}",
                row["limit_name"].as_str().unwrap_or("the limit")
            ),
            name,
            parts: vec![(0, ratio)],
            interval: middle(row),
            mark: Some(target),
            text: format!("{ratio:.2}  {met}"),
        });
    }
    (!bars.is_empty()).then(|| Figure {
        title: format!("Times the limit: {}", record.name()),
        caption: "The target of a row is what its ratio may be at most.".to_owned(),
        chart: Chart::Bars(Bars {
            axis: Axis::Linear {
                title: "times the limit".to_owned(),
                unit: None,
            },
            parts: vec!["ratio".to_owned()],
            mark: "target".to_owned(),
            bars,
        }),
    })
}

fn table(record: &Record, list: &str, rows: &[&Value]) -> Table {
    let title = match list {
        "limits" => format!("Limits measured beside: {}", record.name()),
        _ => format!("{}: {}", record.kind, record.name()),
    };
    let compared = rows.iter().any(|row| !row["limit_name"].is_null());
    if !compared {
        let mut table = Table::new(
            &title,
            &["what", ">median", ">least", ">middle half", ">samples"],
        );
        for row in rows {
            let Some((unit, value)) = value(row) else {
                continue;
            };
            let number = |value: &Value| value.as_f64().map(|value| unit.show(value));
            let dash = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
            let half = number(&row["quartiles"][0]).zip(number(&row["quartiles"][1]));
            table.row([
                row_name(row).unwrap_or_default().into(),
                unit.show(value).into(),
                dash(number(&row["min"])),
                dash(half.map(|(low, high)| format!("{low} to {high}"))),
                row["samples"]
                    .as_u64()
                    .map_or("-".into(), |count| count.to_string().into()),
            ]);
        }
        return table;
    }
    let mut table = Table::new(
        &title,
        &[
            "operation",
            ">measured",
            "limit",
            ">at",
            ">ratio",
            ">middle half",
            ">target",
            "judgement",
        ],
    );
    for row in rows {
        let Some((unit, value)) = value(row) else {
            continue;
        };
        let plain = |value: Option<f64>| {
            Cell::from(value.map_or("-".to_owned(), |value| format!("{value:.2}")))
        };
        let limit = row["limit"].as_f64().map(|limit| unit.show(limit));
        let judgement = match row["met"].as_bool() {
            Some(true) => Cell::toned("met", Tone::Good),
            Some(false) => Cell::toned("MISSED", Tone::Bad),
            None => "-".into(),
        };
        let bound = match row["bound"].as_str() {
            Some(bound) => format!("{bound} "),
            None => String::new(),
        };
        table.row([
            row_name(row).unwrap_or_default().into(),
            unit.show(value).into(),
            row["limit_name"].as_str().unwrap_or("-").into(),
            limit.unwrap_or_else(|| "-".to_owned()).into(),
            plain(row["ratio"].as_f64()),
            middle(row).map_or("-".into(), |(low, high)| {
                format!("{low:.2} to {high:.2}").into()
            }),
            row["target"]
                .as_f64()
                .map_or("-".into(), |target| format!("{bound}{target:.2}").into()),
            judgement,
        ]);
    }
    table
}
