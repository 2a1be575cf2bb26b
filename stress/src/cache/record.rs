//! What was found, and the record of it. `results/schema.md` is made of these types.

use super::plan::CachePlan;
use serde::{Deserialize, Serialize};
use splinter_harness::environment::Environment;
use splinter_harness::stats::Middle;
use splinter_harness::verdict::Verdict;

/// The record of one comparison of caches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct CacheRecord {
    pub schema_version: u32,
    pub kind: String,
    /// `"fail"`: a broken invariant. Times are judged by nothing.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub labels: Vec<String>,
    /// The flags.
    pub config: CachePlan,
    /// The trace: its requests, and the keys that it can ask for.
    pub requests: u64,
    pub keys: u64,
    /// Completed.
    pub rounds: u32,
    pub rows: Vec<CacheRow>,
    pub invariants: CacheInvariants,
    pub environment: Environment,
}

/// One cache, used by so many threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct CacheRow {
    /// The cache, and how many threads used it. A reference has neither values nor times.
    pub name: String,
    pub situation: String,
    /// Threads.
    pub writers: u32,
    /// Median of the rounds: a thread's time for a request, its set included.
    pub value_ns: Option<f64>,
    /// Middle half of the rounds' times.
    pub quartiles: Option<Middle>,
    /// Median of the rounds: requests answered by all threads together.
    pub goodput_per_s: Option<f64>,
    /// ● Share of hits.
    pub hit_ratio: f64,
    /// ● Of a replay, on average over the rounds.
    pub hits: u64,
    /// ● Of a replay, on average over the rounds.
    pub misses: u64,
    /// Of a replay, on average; null where it is not known.
    pub evictions: Option<u64>,
}

/// What must be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct CacheInvariants {
    /// ● Requests that the store's SIEVE, used by one thread, answered otherwise than the reference.
    pub sieve_differences: u64,
    /// ● Hits above Belady's optimum, of the references and of the store used by one thread.
    pub beyond_optimum: u64,
    /// ● Hits with another key's value.
    pub wrong_values: u64,
    /// ● Requests that a cache refused.
    pub refused_requests: u64,
    /// ● By how many the evictions that the store counted for one thread differ from those that happened.
    pub miscounted_evictions: u64,
    /// ● Keys above `slots` that a store held at the end.
    pub keys_too_many: u64,
}

impl CacheInvariants {
    /// Returns all of them with their names.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("SIEVE differences", self.sieve_differences),
            ("beyond the optimum", self.beyond_optimum),
            ("wrong values", self.wrong_values),
            ("refused requests", self.refused_requests),
            ("miscounted evictions", self.miscounted_evictions),
            ("keys too many", self.keys_too_many),
        ]
    }
}
