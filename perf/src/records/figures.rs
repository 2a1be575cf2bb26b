//! The figures of a record, of whatever kind, as one flat list: what can be set beside the same figure of another
//! record. It compares nothing.

use super::record::{PERCENTILES, Record, percentiles};
use crate::unit::Unit;
use serde_json::Value;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What was done.
    pub subject: String,
    /// What was measured of it: "goodput", "p99" and so on.
    pub measure: String,
    /// What the value counts.
    pub unit: Unit,
    /// Its value.
    pub value: f64,
}

impl Figure {
    /// Tells whether more of it is better.
    #[must_use]
    pub fn more_is_better(&self) -> bool {
        matches!(self.unit, Unit::PerSecond | Unit::BytesPerSecond)
    }
}

impl Record {
    /// Returns all figures, in the order in which they are shown.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let mut all = Vec::new();
        let mut add = |subject: &str, measure: &str, unit, value: Option<f64>| {
            all.extend(value.map(|value| Figure {
                subject: subject.to_owned(),
                measure: measure.to_owned(),
                unit,
                value,
            }));
        };
        let operations = self.operations();
        for operation in &operations {
            let name = &operation.name;
            add(
                name,
                "goodput",
                Unit::PerSecond,
                Some(operation.goodput_per_s),
            );
            for percentile in PERCENTILES {
                let ns = operation.latency(percentile.field);
                add(name, percentile.label, Unit::Nanoseconds, ns);
            }
            add(name, "again", Unit::Share, Some(operation.again_share()));
        }
        if operations.len() > 1 {
            add("all", "goodput", Unit::PerSecond, self.goodput_per_s());
        }
        for (subject, path) in [
            ("notification", &["notifications", "latency_ns"][..]),
            ("wake", &["notifications", "wake_latency_ns"]),
            ("detection", &["detection_ns"]),
            ("recovery", &["recovery_ns"]),
            ("rescue", &["rescue_ns"]),
        ] {
            for (percentile, ns) in percentiles(self.at(path)) {
                add(subject, percentile.label, Unit::Nanoseconds, Some(ns));
            }
        }
        for row in self.rows() {
            let Some(name) = row_name(row) else { continue };
            for (field, unit) in [
                ("value_ns", Unit::Nanoseconds),
                ("value_per_s", Unit::PerSecond),
                ("value_bytes", Unit::Bytes),
                ("value_bytes_per_s", Unit::BytesPerSecond),
                ("value_share", Unit::Share),
            ] {
                add(&name, "value", unit, row[field].as_f64());
            }
        }
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        for cell in self.at(&["cells"]).map(list).unwrap_or_default() {
            // Of a comparison with other stores: a load, and who took part in it.
            for entrant in list(&cell["entrants"]) {
                if let (Some(load), Some(name)) = (cell["load"].as_str(), entrant["name"].as_str())
                {
                    let goodput = entrant["goodput_per_s"].as_f64();
                    add(
                        &format!("{load}: {name}"),
                        "goodput",
                        Unit::PerSecond,
                        goodput,
                    );
                }
            }
            // Of a reproduction: a claim.
            if let Some(claim) = cell["claim"].as_str() {
                add(
                    claim,
                    "rate",
                    Unit::PerSecond,
                    cell["measured_per_s"].as_f64(),
                );
                add(
                    claim,
                    "time",
                    Unit::Nanoseconds,
                    cell["measured_ns"].as_f64(),
                );
                for way in list(&cell["ways"]) {
                    let name = format!("{claim}: {}", way["name"].as_str().unwrap_or_default());
                    add(&name, "time", Unit::Nanoseconds, way["ns"].as_f64());
                }
            }
        }
        all
    }
}

/// Names a row: by its name, and the situation where there is one.
#[must_use]
pub fn row_name(row: &Value) -> Option<String> {
    let name = row["name"].as_str().or(row["check"].as_str())?;
    Some(match row["situation"].as_str() {
        Some(situation) => format!("{name} ({situation})"),
        None => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::file::tests::record;
    use serde_json::json;

    #[test]
    fn runs_and_rows_have_figures_under_names_of_their_own() {
        let run = record(json!({"schema_version": 1, "kind": "run", "operations": {
            "get": {"attempts": 4, "again": 1, "goodput_per_s": 3.0, "latency_ns": {"p50": 7, "samples": 3}}}}));
        let named = |record: &Record| -> Vec<String> {
            let figures = record.figures();
            figures
                .iter()
                .map(|it| format!("{} {} {}", it.subject, it.measure, it.unit.show(it.value)))
                .collect()
        };
        assert_eq!(
            named(&run),
            [
                "get goodput 3.00 /s",
                "get p50 7.00 ns",
                "get again 25.000 %"
            ]
        );
        let wake = record(json!({"schema_version": 1, "kind": "wake", "rows": [
            {"name": "futex", "situation": "idle", "value_ns": 17000.0},
            {"name": "futex", "situation": "same", "value_ns": null}]}));
        assert_eq!(named(&wake), ["futex (idle) value 17.0 us"]);
        let peers = record(json!({"schema_version": 1, "kind": "peers", "cells": [
            {"load": "one gets", "entrants": [{"name": "splinter", "goodput_per_s": 2e6}, {"name": "absent"}]}]}));
        assert_eq!(named(&peers), ["one gets: splinter goodput 2.00 M/s"]);
        let reproduced = record(json!({"schema_version": 1, "kind": "reproduce", "cells": [
            {"claim": "writers", "measured_per_s": 1e6},
            {"claim": "latency", "measured_ns": 40.0},
            {"claim": "wake", "ways": [{"name": "poll", "ns": 17e3}]}]}));
        assert_eq!(
            named(&reproduced),
            [
                "writers rate 1.00 M/s",
                "latency time 40.0 ns",
                "wake: poll time 17.0 us"
            ]
        );
    }
}
