//! The executor in earnest: a fresh process of the probe for each sample, pinned to one processor. Knows the probe's command
//! line, not what its figures are for.

use super::child::{self, Stop};
use super::time::{Arm, Executor, Sample};
use crate::pinning;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Longest that one sample may take, beyond its own span.
const LIMIT: Duration = Duration::from_secs(60);

/// One side: its probe, and what is set in its processes' environment.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The program.
    pub program: PathBuf,
    /// Names and values.
    pub environment: Vec<(String, String)>,
}

/// Starts the processes.
#[derive(Debug)]
pub struct Processes {
    /// The base.
    pub base: Probe,
    /// The head.
    pub head: Probe,
    /// Where their output goes.
    pub folder: PathBuf,
    /// Which of this process's processors they are pinned to.
    pub processor: usize,
    /// Seed of the orders of keys.
    pub seed: u64,
    /// How long each measures.
    pub span: Duration,
}

impl Executor for Processes {
    fn sample(&mut self, arm: Arm, benchmark: &str) -> Result<Sample, Stop> {
        let (probe, of) = match arm {
            Arm::Base | Arm::Control => (&self.base, "base"),
            Arm::Head => (&self.head, "head"),
        };
        let what = format!("{benchmark} of the {of}");
        let mut command = Command::new(&probe.program);
        command.args(["time", benchmark, &self.seed.to_string()]);
        command.arg(self.span.as_millis().to_string());
        command.envs(probe.environment.iter().cloned());
        // Both sides have their keys in the same places, in every round.
        command.env("SPLINTER_HASH_SEED", "0");
        let processor = self.processor;
        let left = child::run_as(&mut command, &self.folder, &what, LIMIT + 4 * self.span, |command| {
            // A child runs where the thread that starts it may: this thread waits elsewhere.
            let start = || {
                let _ = pinning::pin(processor);
                command.spawn()
            };
            pinning::apart(start).unwrap_or_else(|why| Err(std::io::Error::other(why)))
        })?;
        parse(&left.success(&what)?).ok_or_else(|| Stop::Failed(format!("{what}: no figures")))
    }
}

/// Reads a probe's line: goodput and latency.
fn parse(line: &str) -> Option<Sample> {
    let mut figures = line.split_whitespace().map(str::parse::<f64>);
    let sample = Sample { goodput_per_s: figures.next()?.ok()?, p99_ns: figures.next()?.ok()? };
    figures.next().is_none().then_some(sample)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_line_is_goodput_and_latency_and_nothing_else() {
        let sample = parse("49000000.5 23.5\n").unwrap();
        assert_eq!((sample.goodput_per_s, sample.p99_ns), (49_000_000.5, 23.5));
        assert!(
            parse("").is_none() && parse("1").is_none() && parse("1 2 3").is_none() && parse("1 x").is_none()
        );
    }
}
