//! Latencies as curves over the percentiles, out of the HdrHistogram logs that records hold; or as the few points that
//! a record without a log has. It draws nothing.

use super::record::{PERCENTILES, Record};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use splinter_stress::Percentiles;
use std::collections::BTreeMap;

/// Points of a curve for each factor of ten in what is beyond it.
const POINTS_A_DECADE: u32 = 24;

/// The latencies of one operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The operation, or what else was timed.
    pub name: String,
    /// Shares of the samples, growing, and the nanoseconds that they do not exceed.
    pub points: Vec<(f64, f64)>,
    /// How many samples there were; 0 where the record does not say.
    pub samples: u64,
    /// Whether the points are all there is: no log was kept.
    pub sparse: bool,
}

/// The end of an operation's name in a log where its latency is taken from the planned start.
pub const PLANNED: &str = "-planned";

impl Record {
    /// Returns a latency by its name in logs: an operation, maybe from the planned start, or what else its kind times.
    #[must_use]
    pub fn latency(&self, name: &str) -> Option<Percentiles> {
        let operation = |name: &str| self.operations().into_iter().find(|it| it.name == name);
        match (name, name.strip_suffix(PLANNED)) {
            (_, Some(name)) => operation(name)?.latency_from_planned_ns,
            ("notification", _) => self.part(&["notifications", "latency_ns"]),
            ("wake", _) => self.part(&["notifications", "wake_latency_ns"]),
            _ => {
                let own = operation(name).map(|it| it.latency_ns);
                own.or_else(|| self.part(&[&format!("{name}_ns")]))
            }
        }
    }
}

/// Returns the curves of records that were made alike, by name: their histograms added up. Where none of them has a
/// log, the percentiles of the first are the points.
#[must_use]
pub fn curves(records: &[&Record]) -> Vec<Curve> {
    let mut merged: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
    for record in records {
        decode(record.text(&["hdr_log"]).unwrap_or_default(), &mut merged);
    }
    if merged.is_empty() {
        return records.first().map_or(Vec::new(), |record| sparse(record));
    }
    merged
        .iter()
        .map(|(name, histogram)| Curve {
            name: name.clone(),
            points: points(histogram),
            samples: histogram.len(),
            sparse: false,
        })
        .collect()
}

/// Reads a log and adds its histograms to those of the same name. What of it cannot be read is left out.
fn decode(log: &str, merged: &mut BTreeMap<String, Histogram<u64>>) {
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        let Ok(LogEntry::Interval(interval)) = entry else {
            continue;
        };
        let name = interval.tag().map_or("", |tag| tag.as_str());
        let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap_or_default();
        let Ok(histogram) = Deserializer::new().deserialize::<u64, _>(&mut bytes.as_slice()) else {
            continue;
        };
        if histogram.is_empty() {
            continue;
        }
        match merged.get_mut(name) {
            Some(all) => {
                // A value beyond the first one's bounds has it grow.
                all.auto(true);
                let added = all.add(&histogram);
                debug_assert!(added.is_ok(), "a growing histogram takes any other");
            }
            None => {
                merged.insert(name.to_owned(), histogram);
            }
        }
    }
}

/// Walks up a histogram in equal steps of the logarithm of what is beyond, as its plots are drawn, to the last sample.
fn points(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let decades = (histogram.len() as f64).log10();
    let steps = (decades * f64::from(POINTS_A_DECADE)).ceil() as u32;
    let mut points: Vec<(f64, f64)> = (0..=steps)
        .map(|step| {
            let beyond = (f64::from(step) / f64::from(POINTS_A_DECADE)).min(decades);
            let share = 1.0 - 10_f64.powf(-beyond);
            (share, histogram.value_at_quantile(share).max(1) as f64)
        })
        .collect();
    // Of points at the same height only the outer ones are seen.
    let mut at = 1;
    while at + 1 < points.len() {
        if points[at - 1].1 == points[at].1 && points[at].1 == points[at + 1].1 {
            points.remove(at);
        } else {
            at += 1;
        }
    }
    points
}

fn sparse(record: &Record) -> Vec<Curve> {
    let operations = record.operations().into_iter();
    let mut timed: Vec<(String, Percentiles)> = operations.map(|it| (it.name, it.of.latency_ns)).collect();
    for name in ["detection", "recovery", "rescue"] {
        timed.extend(record.latency(name).map(|latency| (name.to_owned(), latency)));
    }
    let curve = |(name, latency): (String, Percentiles)| {
        let below_all = PERCENTILES.iter().filter(|percentile| percentile.share < 1.0);
        let points = below_all.filter_map(|percentile| Some((percentile.share, percentile.of(&latency)?)));
        let points: Vec<(f64, f64)> = points.collect();
        (points.len() > 1).then_some(Curve { name, points, samples: latency.samples, sparse: true })
    };
    timed.into_iter().filter_map(curve).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::file::tests::record;
    use hdrhistogram::serialization::V2DeflateSerializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
    use serde_json::json;
    use std::time::Duration;

    fn log(values: impl IntoIterator<Item = u64>) -> String {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in values {
            histogram.record(value).unwrap();
        }
        let (mut log, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut log, &mut serializer)
            .unwrap()
            .write_histogram(&histogram, Duration::ZERO, Duration::from_secs(1), Tag::new("get"))
            .unwrap();
        String::from_utf8(log).unwrap()
    }

    fn with_log(log: &str) -> Record {
        record(json!({"schema_version": 1, "kind": "run", "hdr_log": log}))
    }

    /// Returns the height of a curve at a share, by its last point up to there.
    fn at(curve: &Curve, share: f64) -> f64 {
        let below = curve.points.iter().rfind(|point| point.0 <= share + 1e-9);
        below.unwrap().1
    }

    #[test]
    fn a_curve_has_the_percentiles_of_what_was_recorded() {
        let one = with_log(&log(1..=1000));
        let curve = curves(&[&one]).remove(0);
        assert_eq!((curve.name.as_str(), curve.samples, curve.sparse), ("get", 1000, false));
        for (share, value) in [(0.0, 1.0), (0.9, 900.0), (0.99, 990.0), (0.999, 999.0)] {
            assert!((at(&curve, share) - value).abs() <= 1.0, "{share}: {}", at(&curve, share));
        }
        assert!(curve.points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        assert!(curve.points.last().unwrap().0 < 1.0, "the last sample is not beyond the axis");
    }

    #[test]
    fn records_made_alike_are_added_up() {
        let (low, high) = (with_log(&log([10; 900])), with_log(&log([5_000_000; 100])));
        let curve = curves(&[&low, &high]).remove(0);
        assert_eq!(curve.samples, 1000);
        assert_eq!(at(&curve, 0.5), 10.0);
        assert!((at(&curve, 0.95) / 5e6 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn without_a_log_the_percentiles_are_the_points_and_a_broken_log_is_none() {
        let latency = json!({"p50": 10, "p99": 40, "max": 90, "samples": 7});
        let value = json!({"schema_version": 1, "kind": "run", "hdr_log": "Tag=get,0,1,2,AAAA\n",
            "operations": {"get": {"attempts": 7, "latency_ns": latency}}});
        let curve = curves(&[&record(value)]).remove(0);
        assert!(curve.sparse);
        assert_eq!(curve.points, [(0.5, 10.0), (0.99, 40.0)]);
        assert_eq!(curves(&[]), []);
    }
}
