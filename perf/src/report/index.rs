//! The table of a folder's records that stands in its README between two marks: one row a file, or a folder of files,
//! with what a reader wants to know before opening it. It is made of the records alone, so that it can be checked.

use super::document::{Cell, Table};
use super::markdown::write_table;
use super::{Together, together};
use crate::records::group::{groups, labels};
use crate::records::paths::link;
use crate::records::peers::Entrant;
use crate::records::record::date_and_time;
use crate::records::rows::Row;
use crate::records::{Collection, File, Record};
use crate::tune::Outcome;
use crate::unit::Unit;
use serde_json::Value;
use splinter_harness::verdict::Verdict;
use std::collections::BTreeMap;
use std::path::Path;

/// The marks between which the table stands.
pub(crate) const MARKS: [&str; 2] = ["<!-- records -->", "<!-- end of records -->"];

/// Units of the first values of rows that are shown.
const TOLD: [Unit; 2] = [Unit::Nanoseconds, Unit::PerSecond];

/// The most configurations whose goodput is told each by itself.
const MOST_TOLD: usize = 3;

/// Makes the table of records. `folder` is where the file lies that it is for: links begin there.
pub(crate) fn table(found: &Collection, folder: &Path) -> String {
    let heads = ["record", "date (UTC)", "kind", "machine", "what", "key figures", "verdict"];
    let mut table = Table::new("", &heads);
    // The cells of a matrix have a folder of their own: one row is enough for them.
    for Together { place, files, records } in together(found, |parent| parent != folder, |_, _| true) {
        table.row(row(place, &files, &records, folder));
    }
    let mut text = String::new();
    write_table(&mut text, &table);
    text
}

/// Puts a table between the marks of a text.
///
/// # Errors
/// One line if the marks are not there.
pub(crate) fn insert(text: &str, table: &str) -> Result<String, String> {
    let [begin, end] = MARKS;
    let missing = || {
        format!("it has no line '{begin}' with a line '{end}' below it: put both where the table is to stand")
    };
    let (before, rest) = text.split_once(begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{table}{end}{after}"))
}

fn row(place: &Path, files: &[&File], records: &[&Record], folder: &Path) -> Vec<Cell> {
    let name = place.strip_prefix(folder).unwrap_or(place).display().to_string();
    let name = if files.len() > 1 { format!("{name}/, {} files", files.len()) } else { name };
    let began = records.iter().filter_map(|it| it.started_unix_s()).reduce(f64::min);
    let gravest = files.iter().filter_map(|file| file.verdict).max();
    let mut kinds: Vec<&str> = files.iter().map(|file| file.kind.as_str()).collect();
    kinds.dedup();
    vec![
        Cell::link(name, link(folder, place)),
        began.map_or("unknown".to_owned(), date_and_time).into(),
        kinds.join(", ").into(),
        records.first().and_then(|record| record.machine()).unwrap_or_else(|| "-".to_owned()).into(),
        what(records).into(),
        key_figures(records).into(),
        gravest.map_or("none", Verdict::word).into(),
    ]
}

fn what(records: &[&Record]) -> String {
    match records {
        [] => "-".to_owned(),
        [one] => one.what(),
        several => {
            let first = several[0].what();
            format!("{} records, the first: {first}", several.len())
        }
    }
}

fn key_figures(records: &[&Record]) -> String {
    let runs = groups(records.iter().copied().filter(|it| it.goodput_per_s().is_some()));
    if !runs.is_empty() {
        let rate = |record: &Record| Unit::PerSecond.show(record.goodput_per_s().unwrap_or(0.0));
        if runs.len() == 1 {
            return format!("{} goodput{}", rate(runs[0].records[0]), tail(runs[0].records[0]));
        }
        if runs.len() <= MOST_TOLD {
            let told = runs.iter().zip(labels(&runs));
            let told: Vec<String> =
                told.map(|(group, label)| format!("{label} {}", rate(group.records[0]))).collect();
            return format!("goodput: {}", told.join(", "));
        }
        let all = || runs.iter().filter_map(|group| group.records[0].goodput_per_s());
        let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
        let rate = |value| Unit::PerSecond.show(value);
        return format!("goodput from {} to {}", rate(least), rate(most));
    }
    records.first().map_or("-".to_owned(), |record| of_other(record))
}

/// Tells the slowest percent of the operation that was done most.
fn tail(record: &Record) -> String {
    let operations = record.operations();
    let most = operations.iter().max_by_key(|operation| operation.successes());
    let tail = most.filter(|most| most.latency_ns.p99 > 0).map(|most| {
        let ns = Unit::Nanoseconds.show(most.latency_ns.p99 as f64);
        format!(", p99 of {} {ns}", most.name)
    });
    tail.unwrap_or_default()
}

fn of_other(record: &Record) -> String {
    let ns = |path: &[&str]| record.number(path).map_or("?".to_owned(), |ns| Unit::Nanoseconds.show(ns));
    let count = |path: &[&str]| record.number(path).map_or("?".to_owned(), |count| format!("{count:.0}"));
    match record.kind.as_str() {
        "kill" => {
            format!("recovery p50 {}, p99 {}", ns(&["recovery_ns", "p50"]), ns(&["recovery_ns", "p99"]))
        }
        "sweep" => format!("{} points, {} violations", count(&["points"]), count(&["violations"])),
        "hostile" => format!("{} crashes, {} hangs", count(&["crashes"]), count(&["hangs"])),
        "queue" => {
            let rate =
                record.number(&["messages_per_s"]).map_or("?".to_owned(), |it| Unit::PerSecond.show(it));
            format!("{rate} messages, wake p50 {}", ns(&["wake", "queue_ns", "p50"]))
        }
        "tune" => of_tuning(record),
        "cache" => of_caches(record),
        "peers" => of_peers(record),
        _ => of_rows(record),
    }
}

/// Tells the hit ratios of the first cache and of the last, which is the optimum.
fn of_caches(record: &Record) -> String {
    let rows: Vec<Value> = record.list("rows");
    let ratio =
        |row: &Value| Some(format!("{} {:.1} %", row["name"].as_str()?, row["hit_ratio"].as_f64()? * 100.0));
    let ratios: Vec<String> = [rows.first(), rows.last()].into_iter().flatten().filter_map(ratio).collect();
    format!("hits: {}", ratios.join(", "))
}

/// Tells how many times others' goodput Splinter's is, under the last load.
fn of_peers(record: &Record) -> String {
    let Some(load) = record.loads().pop() else {
        return "-".to_owned();
    };
    let ratio = |entrant: &Entrant| {
        let ratio = entrant.ratio.as_ref()?.median;
        Some(format!("{ratio:.1} x {}", entrant.name))
    };
    let ratios: Vec<String> = load.entrants.iter().filter_map(ratio).collect();
    format!("{}: {}", load.load, ratios.join(", "))
}

/// Tells what a search came to.
fn of_tuning(record: &Record) -> String {
    let best = record.rows().into_iter().nth(1);
    match (record.text(&["finding"]), best, record.part(&["outcome"])) {
        (Some("winner"), Some(best), Some(Outcome { gain_percent, low_percent, high_percent, .. })) => {
            let name = best.name;
            format!("{name}: {gain_percent:+.1} % ({low_percent:+.1} % to {high_percent:+.1} %)")
        }
        (Some(finding), ..) => finding.replace('_', " "),
        _ => "-".to_owned(),
    }
}

/// Tells the first value of rows, and how many of them met their targets or passed.
fn of_rows(record: &Record) -> String {
    let lists = ["rows", "cells", "claims", "tiers"].into_iter();
    let rows: Option<Vec<Row>> = lists.map(|name| record.list(name)).find(|rows: &Vec<Row>| !rows.is_empty());
    let Some(rows) = rows else {
        return "-".to_owned();
    };
    let mut parts = Vec::new();
    let value = |row: &Row| {
        let mut values = row.values();
        let (unit, value) = values.find(|(unit, _)| TOLD.contains(unit))?;
        Some(format!("{} {}", row.title(), unit.show(value)))
    };
    parts.extend(rows.iter().find_map(value));
    let judged: Vec<bool> = rows.iter().filter_map(|row| row.met).collect();
    if !judged.is_empty() {
        let met = judged.iter().filter(|met| **met).count();
        parts.push(format!("{met} of {} targets met", judged.len()));
    }
    let mut verdicts = BTreeMap::<String, usize>::new();
    for verdict in rows.iter().filter_map(|row| row.verdict.clone()) {
        *verdicts.entry(verdict).or_default() += 1;
    }
    parts.extend(verdicts.iter().map(|(word, count)| format!("{count} {}", word.replace('_', " "))));
    if parts.is_empty() { format!("{} rows", rows.len()) } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_stands_between_the_marks_and_nothing_else_changes() {
        let text = format!("before\n{}\nold\n{}\nafter\n", MARKS[0], MARKS[1]);
        let once = insert(&text, "| new |\n").unwrap();
        assert_eq!(once, format!("before\n{}\n| new |\n{}\nafter\n", MARKS[0], MARKS[1]));
        assert_eq!(insert(&once, "| new |\n").unwrap(), once);
        for text in ["nothing", MARKS[0], MARKS[1]] {
            assert!(insert(text, "").unwrap_err().contains(MARKS[0]), "{text}");
        }
    }

    #[test]
    fn every_kind_has_key_figures() {
        let figures = |value: Value| {
            let records = crate::records::file::tests::records("x-20260102T030405Z.json", &value);
            key_figures(&records.iter().collect::<Vec<_>>())
        };
        let run = |scrub: &str, goodput: f64| {
            json!({"schema_version": 1, "kind": "run", "config": {"scrub": scrub},
                "operations": {"set": {"attempts": 4, "goodput_per_s": goodput, "latency_ns": {"p99": 80, "samples": 4}}}})
        };
        assert_eq!(figures(run("none", 2e6)), "2.00 M/s goodput, p99 of set 80.0 ns");
        let cells =
            json!({"schema_version": 1, "kind": "run", "cells": [run("none", 2e6), run("full", 1e6)]});
        assert_eq!(figures(cells), "goodput: scrub none 2.00 M/s, scrub full 1.00 M/s");
        let wake = json!({"schema_version": 1, "kind": "wake", "rows": [
            {"name": "futex", "situation": "idle", "value_ns": 17000.0, "met": null},
            {"name": "watcher", "value_ns": 18000.0, "met": true}, {"name": "other", "value_ns": 1.0, "met": false}]});
        assert_eq!(figures(wake), "futex (idle) 17.0 us, 1 of 2 targets met");
        let claims = json!({"schema_version": 1, "kind": "reproduce", "cells": [
            {"claim": "a", "verdict": "reproduced", "bound": {"per_s": 1.0, "by": "c"}}, {"claim": "b", "verdict": "not comparable"}]});
        assert_eq!(figures(claims), "1 not comparable, 1 reproduced");
        let tuned = |finding: &str| {
            json!({"schema_version": 1, "kind": "tune", "finding": finding,
                "rows": [{"name": "default", "value_per_s": 1e6}, {"name": "pin=none", "value_per_s": 2e6}],
                "outcome": {"rounds": 15, "gain_percent": 100.0, "low_percent": 90.04, "high_percent": 110.0, "p": 0.01,
                    "beats": true}})
        };
        assert_eq!(figures(tuned("winner")), "pin=none: +100.0 % (+90.0 % to +110.0 %)");
        let nothing = figures(tuned("nothing_beats_the_default"));
        assert_eq!(nothing, "nothing beats the default");
        let peers = json!({"schema_version": 1, "kind": "peers", "cells": [{"load": "one gets", "entrants": [
            {"name": "splinter"}, {"name": "Redis", "ratio": {"of": "splinter", "median": 400.04, "low": 1.0, "high": 2.0}}]}]});
        assert_eq!(figures(peers), "one gets: 400.0 x Redis");
        let cache = json!({"schema_version": 1, "kind": "cache", "rows": [
            {"name": "store, sieve", "value_ns": 90.0, "hit_ratio": 0.4778}, {"name": "moka", "hit_ratio": 0.46},
            {"name": "Belady's optimum", "value_ns": null, "hit_ratio": 0.6}]});
        assert_eq!(figures(cache), "hits: store, sieve 47.8 %, Belady's optimum 60.0 %");
        let sweep = json!({"schema_version": 1, "kind": "sweep", "points": 70, "violations": 0});
        assert_eq!(figures(sweep), "70 points, 0 violations");
        let queue = json!({"schema_version": 1, "kind": "queue", "messages_per_s": 2.5e6, "wake": {"queue_ns": {"p50": 20000}}});
        assert_eq!(figures(queue), "2.50 M/s messages, wake p50 20.0 us");
    }
}
