//! What to replay: the flags of `cache`, and a part of its record.

use super::pattern::Pattern;
use super::trace::{MOST_KEYS, MOST_REQUESTS, Trace, memory_of};
use serde::{Deserialize, Serialize};
use splinter_harness::environment::available_memory;
use splinter_harness::error::RunError;
use splinter_harness::text::parse_count;
use std::path::PathBuf;

/// The most threads that share a cache.
const MOST_WRITERS: u32 = 256;

/// What to replay, and against how large caches.
#[derive(clap::Args, Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CachePlan {
    /// Trace: zipf:THETA as YCSB draws it, zipf-exact:THETA, scan (each key once) or loop (all keys, over and over).
    #[arg(long, value_name = "TRACE", default_value = "zipf:0.99")]
    pub trace: Pattern,
    /// Trace in a file, a key on each line; - is standard input.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["trace", "keys"])]
    pub trace_file: Option<PathBuf>,
    /// Keys that the trace asks for.
    #[arg(long, value_name = "N", default_value = "100k", value_parser = parse_count)]
    pub keys: u64,
    /// Requests [default: 15 for each key; of a scan 1; of a file all lines].
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub requests: Option<u64>,
    /// Keys that each cache has room for.
    #[arg(long, value_name = "N", default_value = "1k", value_parser = parse_count)]
    pub slots: u64,
    /// Length of a value.
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = parse_count)]
    pub len: u64,
    /// Threads that share a cache; above 1, beside the replays by one.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub writers: u32,
    /// Rounds; each replays the trace against each cache, newly made.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Seed of the trace, of the order within the rounds, and of the hash.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl CachePlan {
    /// Checks what can be checked before the trace is there.
    fn validate(&self) -> Result<(), String> {
        let counts = [
            ("--keys", self.keys, MOST_KEYS),
            ("--requests", self.requests.unwrap_or(1), MOST_REQUESTS),
            ("--slots", self.slots, MOST_KEYS),
            ("--len", self.len, 1 << 24),
            ("--writers", self.writers.into(), MOST_WRITERS.into()),
        ];
        for (flag, count, most) in counts {
            if !(1..=most).contains(&count) {
                return Err(format!("{flag} is {count}: give 1 to {most}"));
            }
        }
        Ok(())
    }

    /// Returns how many requests a trace by rule has.
    fn requests(&self) -> Result<u64, String> {
        let requests = self.requests.unwrap_or(self.keys * self.trace.requests_per_key());
        if self.trace == Pattern::Scan && requests > self.keys {
            return Err(format!(
                "a scan asks for each key once: give --requests at most {}, or --trace loop",
                self.keys
            ));
        }
        // Many keys can make it too many by default.
        Ok(requests.min(MOST_REQUESTS))
    }

    /// Checks that `free` bytes of memory suffice for a trace and its references, and for the caches.
    fn fits(&self, trace: u64, free: u64) -> Result<(), String> {
        const MIB: u64 = 1 << 20;
        // Values, and what is beside them.
        let needed = trace + self.slots * (2 * self.len + 512);
        if needed <= free {
            return Ok(());
        }
        let flags = if self.trace_file.is_some() { "--requests" } else { "--requests, --keys" };
        Err(format!(
            "this takes about {} MiB of memory or more, and {} MiB are free: lower {flags}, --slots or --len",
            needed / MIB,
            free / MIB
        ))
    }

    /// Makes or reads the trace.
    ///
    /// # Errors
    /// [`RunError::Usage`]: what cannot be replayed, or why the file is no trace.
    pub(super) fn make_trace(&self) -> Result<Trace, RunError> {
        self.validate().map_err(RunError::Usage)?;
        // Before anything of the trace is there.
        let free = available_memory().unwrap_or(u64::MAX);
        if let Some(path) = &self.trace_file {
            return Trace::load(path, self.requests, |trace| self.fits(trace, free));
        }
        let requests = self.requests().map_err(RunError::Usage)?;
        self.fits(memory_of(requests, self.keys), free).map_err(RunError::Usage)?;
        // Both are within bounds that `validate` knows.
        Ok(Trace::by(self.trace, self.keys as u32, requests as usize, self.seed))
    }

    /// Says in words what is replayed.
    pub(super) fn trace_in_words(&self) -> String {
        match &self.trace_file {
            Some(path) if path.as_os_str() == "-" => "standard input".to_owned(),
            Some(path) => path.display().to_string(),
            None => self.trace.to_string(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A small plan.
    pub(in crate::cache) fn plan() -> CachePlan {
        CachePlan {
            trace: Pattern::Zipf(0.9),
            trace_file: None,
            keys: 300,
            requests: None,
            slots: 20,
            len: 16,
            writers: 1,
            rounds: 1,
            seed: 1,
        }
    }

    #[test]
    fn a_trace_has_fifteen_requests_for_each_key_and_a_scan_one() {
        assert_eq!(plan().requests(), Ok(4500));
        let scan = CachePlan { trace: Pattern::Scan, ..plan() };
        assert_eq!(scan.requests(), Ok(300));
        assert!(CachePlan { requests: Some(301), ..scan }.requests().unwrap_err().contains("--requests"));
        assert_eq!(CachePlan { keys: MOST_KEYS, requests: None, ..plan() }.requests(), Ok(15 * MOST_KEYS));
    }

    #[test]
    fn what_cannot_be_replayed_is_refused_by_the_flag_that_would_put_it_right() {
        for (flag, plan) in [
            ("--keys", CachePlan { keys: 0, ..plan() }),
            ("--requests", CachePlan { requests: Some(0), ..plan() }),
            ("--slots", CachePlan { slots: 1 << 40, ..plan() }),
            ("--len", CachePlan { len: 0, ..plan() }),
            ("--writers", CachePlan { writers: 0, ..plan() }),
        ] {
            let refused = plan.validate().unwrap_err();
            assert!(refused.starts_with(flag), "{refused}");
        }
        assert_eq!(plan().validate(), Ok(()));
    }
}
