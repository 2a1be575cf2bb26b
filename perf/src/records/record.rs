//! One record for its readers: parts of it by name, read as types when they are asked for. It knows no files.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use splinter_harness::verdict::Verdict;
use splinter_stress::Percentiles;
use std::collections::BTreeMap;
use std::ops::Deref;

/// Where a record was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, as it was named or found.
    pub path: std::path::PathBuf,
    /// Its number within the file, from 1 on, where that holds several.
    pub cell: Option<usize>,
}

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it was read from.
    pub source: Source,
    /// What made it: "run", "wake", "micro" and so on.
    pub kind: String,
    /// All of it.
    pub value: Value,
    /// Top-level fields that its kind is not documented to have.
    pub unknown_fields: Vec<String>,
    /// Whether it is what held cells that are records of their own.
    pub is_frame: bool,
}

/// One operation's counts and latencies.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// What was counted and timed.
    pub of: splinter_stress::Operation,
}

impl Deref for Operation {
    type Target = splinter_stress::Operation;

    fn deref(&self) -> &Self::Target {
        &self.of
    }
}

/// A percentile that records hold.
#[derive(Clone, Copy, Debug)]
pub struct Percentile {
    /// How people write it.
    pub label: &'static str,
    /// The share of samples at or below it.
    pub share: f64,
    value: fn(&Percentiles) -> u64,
}

/// The percentiles that records hold, in order.
pub const PERCENTILES: [Percentile; 6] = [
    percentile("p50", 0.5, |it| it.p50),
    percentile("p90", 0.9, |it| it.p90),
    percentile("p99", 0.99, |it| it.p99),
    percentile("p99.9", 0.999, |it| it.p999),
    percentile("p99.99", 0.9999, |it| it.p9999),
    percentile("max", 1.0, |it| it.max),
];

const fn percentile(label: &'static str, share: f64, value: fn(&Percentiles) -> u64) -> Percentile {
    Percentile { label, share, value }
}

impl Percentile {
    /// Returns its nanoseconds; `None` if nothing was timed.
    #[must_use]
    pub fn of(&self, latency: &Percentiles) -> Option<f64> {
        let ns = (self.value)(latency);
        (ns > 0).then_some(ns as f64)
    }
}

impl Operation {
    /// Returns how many calls did their work: all that did not end otherwise.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.counts.attempts.saturating_sub(self.counts.again + self.counts.failures)
    }

    /// Tells whether it only reads: such a call that meets a claim is not tried again.
    #[must_use]
    pub fn reads(&self) -> bool {
        self.name == "get" || self.name.starts_with("read_")
    }

    /// Returns the share of calls that met a claim.
    #[must_use]
    pub fn again_share(&self) -> f64 {
        self.counts.again as f64 / self.counts.attempts.max(1) as f64
    }
}

impl Record {
    /// Finds a value by the names that lead to it.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let mut value = &self.value;
        for name in path {
            value = value.get(name)?;
        }
        (!value.is_null()).then_some(value)
    }

    /// Finds a text.
    #[must_use]
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        self.at(path)?.as_str()
    }

    /// Reads a part as a type; `None` where it is missing or is no such thing.
    #[must_use]
    pub fn part<T: DeserializeOwned>(&self, path: &[&str]) -> Option<T> {
        T::deserialize(self.at(path)?).ok()
    }

    /// Reads a list; what of it is of another type is left out, and [`dropped`](Self::dropped) counts it.
    #[must_use]
    pub fn list<T: DeserializeOwned>(&self, name: &str) -> Vec<T> {
        let list = self.at(&[name]).and_then(Value::as_array);
        let list = list.into_iter().flatten();
        list.filter_map(|one| T::deserialize(one).ok()).collect()
    }

    /// Counts what [`list`](Self::list) leaves out.
    #[must_use]
    pub fn dropped<T: DeserializeOwned>(&self, name: &str) -> usize {
        let list = self.at(&[name]).and_then(Value::as_array);
        list.map_or(0, Vec::len) - self.list::<T>(name).len()
    }

    /// Finds a number.
    #[must_use]
    pub fn number(&self, path: &[&str]) -> Option<f64> {
        self.at(path)?.as_f64()
    }

    /// Finds a list of texts; empty where there is none.
    #[must_use]
    pub fn texts(&self, path: &[&str]) -> Vec<&str> {
        texts(self.at(path))
    }

    /// Returns its name in tables: the file's, and which of its records.
    #[must_use]
    pub fn name(&self) -> String {
        let stem = self.source.path.file_stem();
        let stem = stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        match self.source.cell {
            Some(cell) => format!("{stem} [{cell}]"),
            None => stem,
        }
    }

    /// Returns what it came to, if it says so in a word that is known.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        verdict(&self.value)
    }

    /// Returns what its verdict rests on, in words: what it says, and broken invariants that it does not name.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.texts(&["reasons"]).into_iter().map(str::to_owned).collect();
        for (name, count) in self.broken() {
            let said = reasons.iter().any(|reason| reason.contains(&name));
            if !said {
                reasons.push(format!("{count} {name}"));
            }
        }
        let rows = self.rows().into_iter();
        let missed = rows.filter(|row| row.met == Some(false)).count();
        if missed > 0 && self.verdict() != Some(Verdict::Pass) {
            let rows = if missed == 1 { "row" } else { "rows" };
            reasons.push(format!("{missed} {rows} missed the target"));
        }
        reasons
    }

    /// Returns what must be 0, with the counts, under the names that people read.
    #[must_use]
    pub fn invariants(&self) -> Vec<(String, u64)> {
        let own: BTreeMap<String, Value> = self.part(&["invariants"]).unwrap_or_default();
        let own = own.into_iter().filter_map(|(name, count)| Some((name.replace('_', " "), count.as_u64()?)));
        let mut all: Vec<(String, u64)> = own.collect();
        let beside: &[&str] = match self.kind.as_str() {
            "hostile" => &["crashes", "hangs", "panics", "out_of_bounds"],
            "sweep" => &["violations"],
            "tune" => &["broken"],
            _ => &[],
        };
        all.extend(
            beside.iter().filter_map(|name| Some((name.replace('_', " "), self.at(&[name])?.as_u64()?))),
        );
        // What a list holds is not to be lost.
        for (_, value) in self.value.as_object().into_iter().flatten() {
            within(value, false, &mut all);
        }
        all
    }

    /// Returns the invariants that did not hold.
    #[must_use]
    pub fn broken(&self) -> Vec<(String, u64)> {
        let mut all = self.invariants();
        all.retain(|&(_, count)| count > 0);
        all
    }

    /// Returns its operations, as far as they have counts and rates, in the suite's order.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        let operations = self.at(&["operations"]).and_then(Value::as_object);
        let read = |(name, value): (&String, &Value)| {
            // A record of kills has lists of counts, which would be read as fields in their order.
            let of = Deserialize::deserialize(value.as_object()?).ok()?;
            Some(Operation { name: name.clone(), of })
        };
        let mut all: Vec<Operation> = operations.into_iter().flatten().filter_map(read).collect();
        let order = |name: &str| {
            name.parse::<splinter_stress::Op>().map_or(usize::MAX, |operation| operation as usize)
        };
        all.sort_by_key(|operation| order(&operation.name));
        all
    }

    /// Returns the goodput of all operations together, in operations per second.
    #[must_use]
    pub fn goodput_per_s(&self) -> Option<f64> {
        self.number(&["totals", "goodput_per_s"]).or_else(|| {
            let operations = self.operations();
            let sum = operations.iter().map(|operation| operation.goodput_per_s);
            (!operations.is_empty()).then(|| sum.sum())
        })
    }

    /// Returns when it began, in seconds since 1970: by its own word, or by its file's name.
    #[must_use]
    pub fn started_unix_s(&self) -> Option<f64> {
        let log = || start_of_log(self.text(&["hdr_log"])?);
        self.number(&["window", "started_unix_s"])
            .or_else(|| self.number(&["started_unix_s"]))
            .or_else(log)
            .or_else(|| stamp(&self.source.path.file_stem()?.to_string_lossy()))
    }
}

/// Adds up the invariants of what is within a value: of the rows of a gate, the claims of a reproduction.
///
/// What says of itself how much is broken in all has said so of what is within it.
fn within(value: &Value, is_counted: bool, all: &mut Vec<(String, u64)>) {
    let mut add = |name: String, count: u64| match all.iter_mut().find(|(known, _)| *known == name) {
        Some((_, sum)) => *sum += count,
        None => all.push((name, count)),
    };
    match value {
        Value::Array(list) => {
            for value in list {
                within(value, is_counted, all);
            }
        }
        Value::Object(object) => {
            if let Some(counts) = object.get("invariants").and_then(Value::as_object) {
                for (name, count) in counts {
                    if let Some(count) = count.as_u64() {
                        add(name.replace('_', " "), count);
                    }
                }
            }
            let broken = object.get("broken").and_then(Value::as_u64);
            if let Some(count) = broken.filter(|_| !is_counted) {
                add("broken invariants".to_owned(), count);
            }
            for value in object.values() {
                within(value, is_counted || broken.is_some(), all);
            }
        }
        _ => {}
    }
}

/// Reads a verdict.
pub(super) fn verdict(value: &Value) -> Option<Verdict> {
    serde_json::from_value(value.get("verdict")?.clone()).ok()
}

/// Reads a list of texts; empty where there is none.
pub(super) fn texts(value: Option<&Value>) -> Vec<&str> {
    let list = value.and_then(Value::as_array);
    list.map_or(Vec::new(), |list| list.iter().filter_map(Value::as_str).collect())
}

fn start_of_log(log: &str) -> Option<f64> {
    let (_, rest) = log.split_once("#[StartTime: ")?;
    rest.split([' ', ']']).next()?.parse().ok()
}

/// Finds a time such as `20261121T081700Z` in a file's name.
fn stamp(name: &str) -> Option<f64> {
    let parse = |part: &str| DateTime::strptime("%Y%m%dT%H%M%SZ", part).ok();
    let time = name.split(['-', '.', '_']).find_map(parse)?;
    let time = time.to_zoned(TimeZone::UTC).ok()?;
    Some(time.timestamp().as_second() as f64)
}

/// Prints seconds since 1970 as a date and a time of the day, UTC.
#[must_use]
pub fn date_and_time(unix_s: f64) -> String {
    let time = Timestamp::from_second(unix_s.max(0.0) as i64).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::file::tests::record;
    use serde_json::json;

    #[test]
    fn dates_go_both_ways() {
        for (stamped, text) in [
            ("run-20261121T081700Z-2cpu", "2026-11-21 08:17"),
            ("a-20240229T235959Z", "2024-02-29 23:59"),
            ("x-20000301T000000Z", "2000-03-01 00:00"),
            ("x-19700101T000000Z", "1970-01-01 00:00"),
        ] {
            assert_eq!(date_and_time(stamp(stamped).unwrap()), text);
        }
        // 10^9 seconds: the well-known moment in September 2001.
        assert_eq!(date_and_time(1e9), "2001-09-09 01:46");
        for name in ["run", "run-2026T08Z", "run-20261121", "xZ-T"] {
            assert_eq!(stamp(name), None, "{name}");
        }
    }

    #[test]
    fn a_record_says_when_it_began_or_its_name_does() {
        let value = json!({"schema_version": 1, "kind": "run", "window": {"started_unix_s": 5.5}});
        assert_eq!(record(value).started_unix_s(), Some(5.5));
        let log = "#[StartTime: 17.25 (seconds since epoch)]\nTag=get,...";
        let value = json!({"schema_version": 1, "kind": "kill", "hdr_log": log});
        assert_eq!(record(value).started_unix_s(), Some(17.25));
        let value = json!({"schema_version": 1, "kind": "wake"});
        assert_eq!(record(value).started_unix_s(), None);
    }

    #[test]
    fn operations_come_in_the_suites_order_and_only_with_counts() {
        let value = json!({"schema_version": 1, "kind": "run", "operations": {
            "set": {"attempts": 10, "successes": 7, "again": 2, "failures": 1, "goodput_per_s": 7.0,
                "latency_ns": {"p50": 4, "max": 9, "samples": 7}},
            "get": {"attempts": 4, "goodput_per_s": 4.0, "latency_ns": {"p50": 0, "samples": 0}},
            "odd": [1, 2],
        }});
        let operations = record(value).operations();
        let names: Vec<&str> = operations.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["get", "set"]);
        assert!(operations[0].reads() && !operations[1].reads());
        assert_eq!((operations[0].successes(), operations[1].again_share()), (4, 0.2));
        let [get, set] = [0, 1].map(|at| PERCENTILES.map(|it| it.of(&operations[at].latency_ns)));
        assert_eq!(get, [None; 6]);
        assert_eq!(set, [Some(4.0), None, None, None, None, Some(9.0)]);
    }

    #[test]
    fn a_broken_invariant_is_a_reason_even_if_the_record_gives_none() {
        let value = json!({"schema_version": 1, "kind": "run", "verdict": "fail", "reasons": [],
            "invariants": {"torn_reads": 3, "stale_leaks": 0}});
        assert_eq!(record(value).reasons(), ["3 torn reads"]);
        let value = json!({"schema_version": 1, "kind": "gate", "verdict": "fail", "tiers": {"invariants": {"rows": [
            {"invariants": {"torn_reads": 2, "stale_leaks": 0}}, {"invariants": {"torn_reads": 1}}]}}});
        assert_eq!(record(value).reasons(), ["3 torn reads"]);
        let value = json!({"schema_version": 1, "kind": "reproduce", "cells": [{"claim": "a", "broken": 4, "runs": [{"broken": 4}]}]});
        assert_eq!(record(value).reasons(), ["4 broken invariants"]);
        let value =
            json!({"schema_version": 1, "kind": "hostile", "verdict": "fail", "crashes": 2, "hangs": 0});
        assert_eq!(record(value).reasons(), ["2 crashes"]);
    }
}
