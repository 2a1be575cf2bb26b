//! Latencies: a histogram per worker and operation, in cycles of the time-stamp counter while it
//! runs, in nanoseconds once merged.

use crate::mix::Op;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer, V2Serializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// The longest latency that is distinguished from longer ones, in cycles: some minutes.
const LONGEST: u64 = 1 << 40;
/// Significant decimal digits.
const DIGITS: u8 = 3;

/// What the name of an operation's latencies from the planned start ends in.
pub(crate) const PLANNED: &str = "-planned";

/// Makes an empty histogram, all its memory touched.
#[must_use]
pub(crate) fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("bounds are sound");
    // Zeroed memory comes as untouched pages; writing all of it once keeps page faults out of the
    // run.
    histogram.record(LONGEST - 1).expect("within bounds");
    histogram.reset();
    histogram
}

/// Chooses one of every so many; none where that is 0.
#[derive(Debug)]
pub(crate) struct OneOf {
    every: u32,
    left: u32,
}

impl OneOf {
    /// Prepares to choose; the first is chosen after `every`.
    pub(crate) fn new(every: u32) -> Self {
        Self { every, left: every }
    }

    /// Tells whether the next one is chosen, and counts it.
    #[inline]
    pub(crate) fn due(&mut self) -> bool {
        if self.left > 1 {
            self.left -= 1;
            return false;
        }
        self.left = self.every;
        self.every > 0
    }
}

/// One worker's histograms.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// By operation.
    histograms: [Option<Box<Histogram<u64>>>; Op::COUNT],
    timed: OneOf,
}

impl Latencies {
    /// Prepares for some operations, timing one attempt of `every`; none where that is 0.
    pub(crate) fn new(ops: impl Iterator<Item = Op>, every: u32) -> Self {
        let mut histograms = [const { None }; Op::COUNT];
        if every > 0 {
            for op in ops {
                histograms[op as usize] = Some(Box::new(histogram()));
            }
        }
        Self { histograms, timed: OneOf::new(every) }
    }

    /// Tells whether the next attempt is to be timed, and counts it.
    #[inline]
    pub(crate) fn due(&mut self) -> bool {
        self.timed.due()
    }

    /// Records one attempt.
    #[inline]
    pub(crate) fn record(&mut self, op: Op, cycles: u64) {
        if let Some(histogram) = &mut self.histograms[op as usize] {
            histogram.saturating_record(cycles);
        }
    }

    /// Forgets what was recorded.
    pub(crate) fn reset(&mut self) {
        self.histograms.iter_mut().flatten().for_each(|histogram| histogram.reset());
    }

    /// Encodes what was recorded, in the V2 format, by operation.
    #[must_use]
    pub(crate) fn encode(&self) -> Vec<(String, Vec<u8>)> {
        let mut encoded = Vec::new();
        for op in Op::ALL {
            let histogram = self.histograms[op as usize].as_ref();
            encoded.extend(histogram.and_then(|histogram| encode(op.name(), histogram)));
        }
        encoded
    }
}

/// Encodes a histogram in the V2 format, with its name, if anything was recorded.
#[must_use]
pub(crate) fn encode(name: &str, histogram: &Histogram<u64>) -> Option<(String, Vec<u8>)> {
    if histogram.is_empty() {
        return None;
    }
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(histogram, &mut bytes).expect("writing to memory");
    Some((name.to_owned(), bytes))
}

/// Merged histograms, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    by_name: BTreeMap<String, Histogram<u64>>,
}

impl Merged {
    /// Adds what one worker encoded, in cycles of `cycle_ns`.
    ///
    /// # Errors
    /// One line if it cannot be decoded.
    pub(crate) fn add(&mut self, encoded: &[(String, Vec<u8>)], cycle_ns: f64) -> Result<(), String> {
        for (name, bytes) in encoded {
            let cycles: Histogram<u64> = Deserializer::new()
                .deserialize(&mut bytes.as_slice())
                .map_err(|error| format!("histogram of {name}: {error:?}"))?;
            let merged = self.by_name.entry(name.clone()).or_insert_with(histogram);
            for step in cycles.iter_recorded() {
                let value = step.value_iterated_to();
                // The middle of the bucket, but never beyond the largest value there was.
                let value = cycles.median_equivalent(value).min(cycles.max());
                merged.saturating_record_n(to_ns(value, cycle_ns), step.count_at_value());
            }
        }
        Ok(())
    }

    /// Returns the percentiles of an operation, by its name; zeroes if it was never timed.
    #[must_use]
    pub(crate) fn percentiles(&self, name: &str) -> Percentiles {
        self.known(name).unwrap_or_default()
    }

    /// Returns the percentiles of an operation, by its name, if there are any.
    #[must_use]
    pub(crate) fn known(&self, name: &str) -> Option<Percentiles> {
        self.by_name.get(name).map(Percentiles::of)
    }

    /// Writes an HdrHistogram V2 log: one interval, one tagged histogram per operation, values in
    /// nanoseconds.
    #[must_use]
    pub(crate) fn log(&self, started: SystemTime, took: Duration) -> String {
        let mut log = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut builder = IntervalLogWriterBuilder::new();
        builder.add_comment(
            "[splinter-stress: latency of successful attempts and of notifications in nanoseconds, \
             tagged by operation]",
        );
        builder.with_start_time(started);
        let mut writer = builder.begin_log_with(&mut log, &mut serializer).expect("writing to memory");
        for (name, histogram) in &self.by_name {
            writer
                .write_histogram(histogram, Duration::ZERO, took, Tag::new(name))
                .expect("writing to memory");
        }
        String::from_utf8(log).unwrap_or_default()
    }
}

pub(crate) fn to_ns(cycles: u64, cycle_ns: f64) -> u64 {
    (cycles as f64 * cycle_ns).round() as u64
}

/// Latencies in nanoseconds. `samples` is how many attempts were timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)] // Older records lack some.
#[allow(missing_docs)] // The names say it all.
pub struct Percentiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub p9999: u64,
    pub max: u64,
    pub samples: u64,
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
            samples: histogram.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_merge_and_cycles_become_nanoseconds() {
        let mut merged = Merged::default();
        for worker in 0..2 {
            let mut latencies = Latencies::new([Op::Set].into_iter(), 1);
            for value in 1..=1000 {
                assert!(latencies.due());
                latencies.record(Op::Set, value + worker * 1000);
            }
            merged.add(&latencies.encode(), 0.5).unwrap();
        }
        let percentiles = merged.percentiles("set");
        assert_eq!(percentiles.samples, 2000);
        assert!(percentiles.p50.abs_diff(500) <= 2, "{percentiles:?}");
        assert!(percentiles.max.abs_diff(1000) <= 2, "{percentiles:?}");
        assert_eq!(merged.percentiles("get"), Percentiles::default());
        assert!(merged.add(&[("set".to_owned(), vec![1, 2, 3])], 1.0).is_err());
    }

    #[test]
    fn one_attempt_of_n_is_timed() {
        let due = |every| {
            let mut latencies = Latencies::new([Op::Get].into_iter(), every);
            (0..100).filter(|_| latencies.due()).count()
        };
        assert_eq!([due(0), due(1), due(10)], [0, 100, 10]);
    }

    #[test]
    fn the_log_can_be_read_back() {
        use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
        let mut latencies = Latencies::new([Op::Get].into_iter(), 1);
        latencies.record(Op::Get, 100);
        let mut merged = Merged::default();
        merged.add(&latencies.encode(), 1.0).unwrap();
        let log = merged.log(SystemTime::UNIX_EPOCH, Duration::from_secs(2));
        let tags: Vec<String> = IntervalLogIterator::new(log.as_bytes())
            .filter_map(|entry| match entry.unwrap() {
                LogEntry::Interval(interval) => Some(interval.tag().unwrap().as_str().to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(tags, ["get"]);
    }
}
