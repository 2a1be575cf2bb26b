//! The judged rows as a record for scripts. Its fields are stable from schema version 1 on.

use super::judge::{Row, verdict};
use crate::limits::Limit;
use crate::unit::Unit;
use serde_json::{Map, Value, json};
use splinter::Tuning;
use splinter_harness::environment::Environment;
use splinter_harness::sampler::{Schedule, Series};
use splinter_stress::TuningFacts;
use std::time::Duration;

/// Version of the record's schema.
pub const SCHEMA_VERSION: u32 = 1;

/// How the samples were taken.
#[derive(Clone, Debug)]
pub struct Method {
    /// The rounds.
    pub schedule: Schedule,
    /// Length of one sample.
    pub sample: Duration,
    /// The processor the single-threaded probes ran on, if they could be pinned.
    pub pinned_to: Option<usize>,
}

impl Method {
    /// Returns it as part of a record.
    #[must_use]
    pub fn record(&self) -> Value {
        json!({
            "rounds": self.schedule.rounds,
            "seed": self.schedule.seed,
            "sample_ms": self.sample.as_secs_f64() * 1e3,
            "pinned_to": self.pinned_to,
            "tuning": TuningFacts::from(Tuning::current()),
        })
    }
}

/// A limit that was measured, or the reason why it was not.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The unit of its samples.
    pub unit: Unit,
    /// Its samples.
    pub series: Series,
}

/// Returns the whole record of a run.
#[must_use]
pub fn record(environment: &Environment, method: &Method, rows: &[Row], limits: &[Measured]) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "kind": "micro",
        "verdict": verdict(rows).word(),
        "environment": environment,
        "config": method.record(),
        "rows": rows.iter().map(row_record).collect::<Vec<_>>(),
        "limits": limits.iter().map(Measured::record).collect::<Vec<_>>(),
    })
}

fn row_record(row: &Row) -> Value {
    let unit = row.claim.unit;
    let ratio = |ratio: f64| (ratio * 1e4).round() / 1e4;
    let mut record = Map::new();
    record.insert("name".to_owned(), json!(row.claim.name));
    record.insert(unit.field().to_owned(), json!(row.value.map(|value| unit.round(value.median))));
    record.insert("limit_name".to_owned(), json!(row.claim.goal.against.name()));
    record.insert("limit".to_owned(), json!(row.limit.map(|limit| unit.round(limit))));
    record.insert("ratio".to_owned(), json!(row.ratio.map(ratio)));
    record.insert("target".to_owned(), json!(ratio(row.claim.goal.target)));
    record.insert("bound".to_owned(), json!(row.claim.goal.bound.name()));
    record.insert("met".to_owned(), json!(row.met));
    record.insert("clear".to_owned(), json!(row.judgement().is_none_or(|judged| judged.clear)));
    record.insert(
        "ratio_quartiles".to_owned(),
        json!(row.ratio_quartiles.map(|middle| [ratio(middle.q1), ratio(middle.q3)])),
    );
    record.insert("min".to_owned(), json!(row.value.map(|value| unit.round(value.min))));
    record.insert(
        "quartiles".to_owned(),
        json!(row.value.map(|value| [unit.round(value.q1), unit.round(value.q3)])),
    );
    record.insert("samples".to_owned(), json!(row.value.map_or(0, |value| value.samples)));
    record.insert("per_operation".to_owned(), json!(row.per_operation));
    record.insert("note".to_owned(), json!(row.claim.note));
    record.insert("problem".to_owned(), json!(row.problem));
    Value::Object(record)
}

impl Measured {
    /// Finds the series of limits, in the order the limits are given.
    #[must_use]
    pub fn of(limits: &[Limit], series: &[Series]) -> Vec<Self> {
        let find = |limit: &Limit| {
            let series = series.iter().find(|series| series.name == limit.name())?;
            Some(Self { unit: limit.unit(), series: series.clone() })
        };
        limits.iter().filter_map(find).collect()
    }

    /// Returns it as part of a record.
    #[must_use]
    pub fn record(&self) -> Value {
        let (unit, summary) = (self.unit, self.series.summary());
        let mut record = Map::new();
        record.insert("name".to_owned(), json!(self.series.name));
        record.insert(unit.field().to_owned(), json!(summary.map(|summary| unit.round(summary.median))));
        record.insert("min".to_owned(), json!(summary.map(|summary| unit.round(summary.min))));
        record.insert("quartiles".to_owned(), json!(summary.map(|s| [unit.round(s.q1), unit.round(s.q3)])));
        record.insert("samples".to_owned(), json!(summary.map_or(0, |summary| summary.samples)));
        record.insert("note".to_owned(), json!(self.series.note));
        record.insert("problem".to_owned(), json!(self.series.error));
        Value::Object(record)
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::samples;
    use super::{Measured, Method, Schedule, Series, record};
    use crate::unit::Unit;
    use splinter_harness::environment::Environment;
    use std::time::Duration;

    fn method() -> Method {
        let schedule = Schedule { rounds: 2, seed: 1, warm_up: true };
        Method { schedule, sample: Duration::from_millis(15), pinned_to: Some(1) }
    }

    #[test]
    fn the_record_has_the_fields_scripts_rely_on() {
        let limits = [Measured { unit: Unit::Nanoseconds, series: Series::of("L2 chase", [4.0]) }];
        let record = record(&Environment::read(), &method(), &samples::rows(), &limits);
        assert_eq!((&record["schema_version"], &record["kind"]), (&1.into(), &"micro".into()));
        assert_eq!(record["verdict"], "inconclusive");
        assert!(record["environment"].is_object());
        let get = &record["rows"][0];
        assert_eq!(get["name"], "get 64 B");
        assert_eq!(get["value_ns"], 9.5);
        assert_eq!((&get["limit_name"], &get["limit"]), (&"L2 chase".into(), &4.0.into()));
        assert_eq!((&get["ratio"], &get["target"], &get["met"]), (&2.375.into(), &3.0.into(), &true.into()));
        let missing = &record["rows"][1];
        assert!(missing["value_ns"].is_null() && missing["ratio"].is_null() && missing["met"].is_null());
        assert_eq!(record["rows"][2]["value_per_s"], 30e6);
        assert!(record["rows"][2].get("value_ns").is_none());
        assert_eq!(record["limits"][0]["value_ns"], 4.0);
    }
}
