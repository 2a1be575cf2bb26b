//! Latencies as curves over the percentiles, out of the HdrHistogram logs that records hold; or as the few points that
//! a record without a log has. It draws nothing.

use super::record::{Record, percentiles};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
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

/// Returns the curves of records that were made alike, by name: their histograms added up. Where none of them has a
/// log, the percentiles of the first are the points.
#[must_use]
pub fn curves(records: &[&Record]) -> Vec<Curve> {
    let mut merged: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
    for record in records {
        for (name, histogram) in record.text(&["hdr_log"]).map(decode).unwrap_or_default() {
            match merged.entry(name) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(histogram);
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    // A value beyond the first one's bounds has it grow.
                    let all = entry.get_mut();
                    all.auto(true);
                    if all.add(&histogram).is_err() {
                        debug_assert!(false, "a growing histogram takes any other");
                    }
                }
            }
        }
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

/// Reads a log. What of it cannot be read is left out.
fn decode(log: &str) -> Vec<(String, Histogram<u64>)> {
    let mut found: Vec<(String, Histogram<u64>)> = Vec::new();
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        let Ok(LogEntry::Interval(interval)) = entry else {
            continue;
        };
        let name = interval
            .tag()
            .map_or_else(String::new, |tag| tag.as_str().to_owned());
        let histogram = STANDARD
            .decode(interval.encoded_histogram())
            .ok()
            .and_then(|bytes| Deserializer::new().deserialize(&mut bytes.as_slice()).ok());
        let Some(histogram) = histogram else { continue };
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => {
                all.auto(true);
                if all.add(&histogram).is_err() {
                    debug_assert!(false, "a growing histogram takes any other");
                }
            }
            None => found.push((name, histogram)),
        }
    }
    found.retain(|(_, histogram)| !histogram.is_empty());
    found
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
    let mut all = Vec::new();
    let mut add = |name: &str, value: Option<&serde_json::Value>| {
        let mut points: Vec<(f64, f64)> = percentiles(value)
            .into_iter()
            .map(|(percentile, ns)| (percentile.share, ns))
            .collect();
        points.retain(|&(share, ns)| share < 1.0 && ns > 0.0);
        if points.len() > 1 {
            all.push(Curve {
                name: name.to_owned(),
                points,
                samples: value
                    .and_then(|value| value.get("samples")?.as_u64())
                    .unwrap_or(0),
                sparse: true,
            });
        }
    };
    for operation in record.operations() {
        add(
            &operation.name,
            record.at(&["operations", &operation.name, "latency_ns"]),
        );
    }
    add("detection", record.at(&["detection_ns"]));
    add("recovery", record.at(&["recovery_ns"]));
    add("rescue", record.at(&["rescue_ns"]));
    all
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
            .write_histogram(
                &histogram,
                Duration::ZERO,
                Duration::from_secs(1),
                Tag::new("get"),
            )
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
        assert_eq!(
            (curve.name.as_str(), curve.samples, curve.sparse),
            ("get", 1000, false)
        );
        for (share, value) in [(0.0, 1.0), (0.9, 900.0), (0.99, 990.0), (0.999, 999.0)] {
            assert!(
                (at(&curve, share) - value).abs() <= 1.0,
                "{share}: {}",
                at(&curve, share)
            );
        }
        assert!(curve.points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        assert!(
            curve.points.last().unwrap().0 < 1.0,
            "the last sample is not beyond the axis"
        );
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
