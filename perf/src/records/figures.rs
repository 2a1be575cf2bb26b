//! The figures of a record, of whatever kind, as one flat list: what can be set beside the same figure of another
//! record. It compares nothing.

use super::peers::{Entrant, Load};
use super::record::{PERCENTILES, Record};
use crate::unit::Unit;

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
        // The one share that is not of failures.
        matches!(self.unit, Unit::PerSecond | Unit::BytesPerSecond) || self.subject.starts_with("recall@")
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
            add(name, "goodput", Unit::PerSecond, Some(operation.goodput_per_s));
            for percentile in PERCENTILES {
                let ns = percentile.of(&operation.latency_ns);
                add(name, percentile.label, Unit::Nanoseconds, ns);
            }
            add(name, "again", Unit::Share, Some(operation.again_share()));
        }
        if operations.len() > 1 {
            add("all", "goodput", Unit::PerSecond, self.goodput_per_s());
        }
        for subject in ["notification", "wake", "detection", "recovery", "rescue"] {
            let latency = self.latency(subject).unwrap_or_default();
            for percentile in PERCENTILES {
                add(subject, percentile.label, Unit::Nanoseconds, percentile.of(&latency));
            }
        }
        for row in self.rows().iter().filter(|row| !row.name.is_empty()) {
            for (unit, value) in row.values() {
                add(&row.title(), "value", unit, Some(value));
            }
        }
        for Load { load, entrants, .. } in self.loads() {
            for Entrant { name, goodput_per_s, .. } in entrants {
                let subject = format!("{load}: {name}");
                add(&subject, "goodput", Unit::PerSecond, goodput_per_s);
            }
        }
        for claim in self.claims() {
            let name = &claim.claim;
            add(name, "rate", Unit::PerSecond, claim.figures.measured_per_s);
            add(name, "time", Unit::Nanoseconds, claim.figures.measured_ns);
            for way in &claim.figures.ways {
                let subject = format!("{name}: {}", way.name);
                add(&subject, "time", Unit::Nanoseconds, way.ns);
            }
        }
        all
    }
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
        assert_eq!(named(&run), ["get goodput 3.00 /s", "get p50 7.00 ns", "get again 25.000 %"]);
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
            ["writers rate 1.00 M/s", "latency time 40.0 ns", "wake: poll time 17.0 us"]
        );
    }
}
