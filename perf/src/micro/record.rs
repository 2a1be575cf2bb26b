//! Measured limits and judged rows as the rows of records.

use super::judge::Row;
use crate::limits::Limit;
use crate::records::rows::{self, InUnit, LimitRow, MicroRow};
use crate::unit::Unit;
use splinter::Tuning;
use splinter_harness::sampler::{Schedule, Series};
use std::time::Duration;

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
    pub fn record(&self) -> rows::Method {
        rows::Method {
            rounds: self.schedule.rounds,
            seed: self.schedule.seed,
            sample_ms: self.sample.as_secs_f64() * 1e3,
            tuning: Tuning::current().into(),
            pinned_to: self.pinned_to,
        }
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

impl Row {
    /// Returns it as part of a record.
    #[must_use]
    pub fn record(&self) -> MicroRow {
        let (claim, unit) = (&self.claim, self.claim.unit);
        let ratio = |ratio: f64| (ratio * 1e4).round() / 1e4;
        MicroRow {
            name: claim.name.clone(),
            value: InUnit::of(unit, self.value.map(|value| value.median)),
            limit_name: claim.goal.against.name(),
            limit: self.limit.map(|limit| unit.round(limit)),
            ratio: self.ratio.map(ratio),
            ratio_quartiles: self.ratio_quartiles.map(|middle| [ratio(middle.q1), ratio(middle.q3)]),
            target: ratio(claim.goal.target),
            bound: claim.goal.bound.name().to_owned(),
            met: self.met,
            clear: self.judgement().is_none_or(|judged| judged.clear),
            min: self.value.map(|value| unit.round(value.min)),
            quartiles: self.value.map(|value| [unit.round(value.q1), unit.round(value.q3)]),
            samples: self.value.map_or(0, |value| value.samples),
            note: claim.note.clone(),
            problem: self.problem.clone(),
            per_operation: self.per_operation.iter().map(|(&name, &mean)| (name.to_owned(), mean)).collect(),
        }
    }
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
    pub fn record(&self) -> LimitRow {
        let (unit, summary) = (self.unit, self.series.summary());
        LimitRow {
            name: self.series.name.clone(),
            value: InUnit::of(unit, summary.map(|summary| summary.median)),
            min: summary.map(|summary| unit.round(summary.min)),
            quartiles: summary.map(|summary| [unit.round(summary.q1), unit.round(summary.q3)]),
            samples: summary.map_or(0, |summary| summary.samples),
            note: self.series.note.clone(),
            problem: self.series.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge::samples;
    use super::{Measured, Series};
    use crate::unit::Unit;
    use serde_json::to_value;

    #[test]
    fn rows_have_the_fields_scripts_rely_on() {
        let rows: Vec<_> = samples::rows().iter().map(|row| to_value(row.record()).unwrap()).collect();
        let get = &rows[0];
        assert_eq!(get["name"], "get 64 B");
        assert_eq!(get["value_ns"], 9.5);
        assert_eq!((&get["limit_name"], &get["limit"]), (&"L2 chase".into(), &4.0.into()));
        assert_eq!((&get["ratio"], &get["target"], &get["met"]), (&2.375.into(), &3.0.into(), &true.into()));
        let missing = &rows[1];
        assert!(missing.get("value_ns").is_some_and(|value| value.is_null()));
        assert!(missing["ratio"].is_null() && missing["met"].is_null());
        assert_eq!(rows[2]["value_per_s"], 30e6);
        assert!(rows[2].get("value_ns").is_none());
        let limit = Measured { unit: Unit::Nanoseconds, series: Series::of("L2 chase", [4.0]) };
        assert_eq!(to_value(limit.record()).unwrap()["value_ns"], 4.0);
    }
}
