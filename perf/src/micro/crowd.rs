//! Crowds on one store: 32 writers on keys of their own, and one writer among 31 readers. Driven by the engine of
//! `splinter-stress`, as its `run` drives them, without the oracle and without latencies.

use super::fixture::{KEYS, say};
use crate::limits::CROWD;
use crate::pinning;
use splinter_harness::progress::Silent;
use splinter_harness::verdict::Verdict;
use splinter_stress::{Counts, Mix, Op, Pin, Span, Totals, ValueLen, Warmup, Workload, run};
use std::time::Duration;

/// Time that the crowd works before it is counted.
const WARM_UP: Duration = Duration::from_millis(50);

/// A crowd, and for how long it is measured.
#[derive(Clone, Debug)]
pub struct Crowd(Workload);

impl Crowd {
    /// Describes `writers` writers, each on its own share of the keys, and as many readers of all keys as make up
    /// the crowd, spread over the processors.
    #[must_use]
    pub fn new(writers: usize, window: Duration, seed: u64) -> Self {
        Self(Workload {
            writers: writers as u32,
            readers: CROWD.saturating_sub(writers) as u32,
            keys: KEYS as u64,
            value_len: ValueLen::Fixed(64),
            mix: Mix::only(Op::Set),
            span: Span::DurationMs((window.as_millis() as u64).max(1)),
            warmup: Warmup::For(WARM_UP),
            pin: Pin::Scatter,
            oracle: false,
            histogram: false,
            seed,
            // Where pinning is not allowed, the crowd runs where the scheduler puts it.
            allow_misplacement: true,
            ..Workload::default()
        })
    }

    /// Takes one sample: sets per second that succeeded.
    ///
    /// # Errors
    /// In one line, what kept the crowd from running, or what it broke.
    pub fn sets_per_s(&self) -> Result<f64, String> {
        self.sample().map(|(totals, _)| totals.writes_per_s)
    }

    /// Takes one sample: gets per second that succeeded, and the share of gets that met "again".
    ///
    /// # Errors
    /// In one line, what kept the crowd from running, or what it broke.
    pub fn gets(&self) -> Result<[f64; 2], String> {
        self.sample()
            .map(|(totals, gets)| [totals.reads_per_s, gets.again as f64 / gets.attempts.max(1) as f64])
    }

    /// Runs the crowd on a store of its own, started from a thread that may use every processor.
    fn sample(&self) -> Result<(Totals, Counts), String> {
        let workload = self.0.clone();
        let record = pinning::unpinned(move || run(&workload, &mut Silent))?.map_err(say)?;
        if record.verdict == Verdict::Fail {
            return Err(record.reasons.join("; "));
        }
        let gets = record.operations.get(Op::Get.name()).map(|get| get.counts);
        Ok((record.totals, gets.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::Crowd;
    use crate::limits::CROWD;
    use std::time::Duration;

    #[test]
    fn writers_write_and_readers_read() {
        let window = Duration::from_millis(50);
        assert!(Crowd::new(CROWD, window, 1).sets_per_s().unwrap() > 0.0);
        let [gets, again] = Crowd::new(1, window, 1).gets().unwrap();
        assert!(gets > 0.0 && (0.0..=1.0).contains(&again));
    }
}
