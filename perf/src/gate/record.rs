//! What a gate found, as it is written to JSON: the verdict, and a table for each tier. `results/schema.md` is made of
//! these types. Knows nothing of how it was found out.

use serde::{Deserialize, Serialize};
use splinter_harness::environment::Environment;
use splinter_harness::verdict::Verdict;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Version of the records and of the stored baselines.
pub const SCHEMA_VERSION: u32 = 1;

/// The record of one gate.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Record {
    pub schema_version: u32,
    pub kind: &'static str,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub interrupted: bool,
    /// Both sides; a revision mentions changes; `base` null: only invariants asked for.
    pub base: Option<Subject>,
    /// Both sides; a revision mentions changes; `base` null: only invariants asked for.
    pub head: Subject,
    /// The flags; from `blocks` on those of tier `time`.
    pub config: Config,
    pub tiers: Tiers,
    /// `build` is this program's own.
    pub environment: Environment,
}

/// What the gate was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Config {
    pub tiers: Vec<String>,
    pub build_flags: String,
    pub base_environment: Vec<String>,
    pub head_environment: Vec<String>,
    pub repeats: u32,
    pub only: Option<String>,
    pub blocks: usize,
    pub sample_ms: u64,
    pub goodput_threshold_percent: f64,
    pub p99_threshold_percent: f64,
    pub processor: usize,
    pub seed: u64,
}

/// A side of the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Subject {
    /// What was compared.
    pub name: String,
    pub revision: String,
}

/// The tiers that were asked for.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Tiers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<Tier<InstructionRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invariants: Option<Tier<InvariantRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Tier<TimeRow>>,
}

/// One tier: its verdict is the gravest of its rows', unless nothing of it could be measured.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Tier<R> {
    /// ● Only if asked for.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// ●
    pub rows: Vec<R>,
}

impl<R> Tier<R> {
    /// Creates a tier without rows, with the reason why nothing was measured.
    #[must_use]
    pub fn inconclusive(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Inconclusive, reasons: vec![why.into()], rows: Vec::new() }
    }
}

/// The instructions of one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct InstructionRow {
    /// Of one operation; null: not counted.
    pub name: String,
    pub verdict: Verdict,
    pub base: Option<f64>,
    pub head: Option<f64>,
    pub change_percent: Option<f64>,
    pub limit_percent: f64,
}

/// One stress run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct InvariantRow {
    /// Each of `invariants` must be 0.
    pub name: String,
    pub verdict: Verdict,
    pub successes: u64,
    pub invariants: BTreeMap<String, u64>,
    pub reasons: Vec<String>,
}

/// Goodput or latency of one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct TimeRow {
    /// Medians over blocks.
    pub name: String,
    pub measure: Measure,
    pub verdict: Verdict,
    pub base: f64,
    pub head: f64,
    /// Of head, and of base again, against base; `p_holm` is Holm-corrected over all rows.
    pub change: Effect,
    /// Of head, and of base again, against base; `p_holm` is Holm-corrected over all rows.
    pub control: Effect,
    /// The least change that counts.
    pub threshold_percent: f64,
    /// The least loss that these blocks find with probability 0.8; null: none.
    pub detectable_percent: Option<f64>,
    /// Why a row is undecided.
    pub reason: Option<String>,
}

/// The measure of an operation's time.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Successes per second: more is better.
    GoodputPerS,
    /// The 99th percentile of the latency in nanoseconds: less is better.
    P99Ns,
}

impl Measure {
    /// Both.
    pub const ALL: [Self; 2] = [Self::GoodputPerS, Self::P99Ns];

    /// Returns the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::GoodputPerS => "goodput",
            Self::P99Ns => "p99",
        }
    }

    /// Returns the sign of a logarithm of a ratio that is a change for the worse.
    #[must_use]
    pub fn worse(self) -> f64 {
        match self {
            Self::GoodputPerS => -1.0,
            Self::P99Ns => 1.0,
        }
    }
}

/// A change over the blocks, in percent of the base: the median, its 95 % interval, and the signed-rank test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Effect {
    /// Blocks, median with interval, and both p-values.
    pub blocks: usize,
    pub median_percent: f64,
    pub low_percent: f64,
    pub high_percent: f64,
    pub p: f64,
    pub p_holm: f64,
}

impl Tiers {
    /// Returns the tiers that were asked for by name, with verdict and reasons.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, Verdict, &[String])> {
        let mut named = Vec::new();
        if let Some(tier) = &self.instructions {
            named.push(("instructions", tier.verdict, tier.reasons.as_slice()));
        }
        if let Some(tier) = &self.invariants {
            named.push(("invariants", tier.verdict, tier.reasons.as_slice()));
        }
        if let Some(tier) = &self.time {
            named.push(("time", tier.verdict, tier.reasons.as_slice()));
        }
        named
    }

    /// Returns the gravest verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        gravest(self.named().into_iter().map(|(_, verdict, _)| verdict))
    }
}

impl Record {
    /// Returns the program's exit code: 1 for a broken invariant, 3 for a regression, 4 where it cannot be told.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        let broken = self.tiers.invariants.as_ref();
        match self.verdict {
            _ if broken.is_some_and(|tier| tier.verdict == Verdict::Fail) => 1,
            Verdict::Fail => 3,
            Verdict::Inconclusive => 4,
            Verdict::Pass => 0,
        }
    }
}

/// Returns the gravest of verdicts.
#[must_use]
pub fn gravest(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    verdicts.into_iter().max().unwrap_or(Verdict::Pass)
}

#[cfg(test)]
pub(super) mod samples {
    //! Records for tests.

    use super::*;

    /// Returns a record with a row of each tier: a grown operation, a run that held, a slowdown.
    pub(in crate::gate) fn record() -> Record {
        let effect = |median_percent, p| Effect {
            blocks: 20,
            median_percent,
            low_percent: median_percent - 1.0,
            high_percent: median_percent + 1.0,
            p,
            p_holm: p,
        };
        let tiers = Tiers {
            instructions: Some(Tier {
                verdict: Verdict::Fail,
                reasons: vec!["get <64 B> grew".to_owned()],
                rows: vec![InstructionRow {
                    name: "get <64 B>".to_owned(),
                    verdict: Verdict::Fail,
                    base: Some(200.0),
                    head: Some(206.0),
                    change_percent: Some(3.0),
                    limit_percent: 0.2,
                }],
            }),
            invariants: Some(Tier {
                verdict: Verdict::Pass,
                reasons: Vec::new(),
                rows: vec![InvariantRow {
                    name: "crowd, scrub none".to_owned(),
                    verdict: Verdict::Pass,
                    successes: 1_000_000,
                    invariants: BTreeMap::from([("torn_reads".to_owned(), 0)]),
                    reasons: Vec::new(),
                }],
            }),
            time: Some(Tier {
                verdict: Verdict::Inconclusive,
                reasons: Vec::new(),
                rows: vec![TimeRow {
                    name: "set".to_owned(),
                    measure: Measure::GoodputPerS,
                    verdict: Verdict::Inconclusive,
                    base: 50e6,
                    head: 45e6,
                    change: effect(-10.0, 0.01),
                    control: effect(0.1, 0.7),
                    threshold_percent: 10.0,
                    detectable_percent: Some(4.0),
                    reason: Some("the interval reaches the threshold".to_owned()),
                }],
            }),
        };
        Record {
            schema_version: SCHEMA_VERSION,
            kind: "gate",
            verdict: tiers.verdict(),
            reasons: Vec::new(),
            interrupted: false,
            base: Some(Subject { name: "main".to_owned(), revision: "0123456".to_owned() }),
            head: Subject { name: "working tree".to_owned(), revision: "89abcde and changes".to_owned() },
            config: Config { seed: 1, ..Config::default() },
            tiers,
            environment: Environment::read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, samples};

    #[test]
    fn the_exit_code_is_that_of_the_gravest_finding() {
        let mut record = samples::record();
        assert_eq!((record.verdict, record.code()), (Verdict::Fail, 3));
        record.tiers.invariants.as_mut().unwrap().verdict = Verdict::Fail;
        assert_eq!(record.code(), 1);
        record.tiers.invariants = None;
        record.tiers.instructions = None;
        record.verdict = record.tiers.verdict();
        assert_eq!(record.code(), 4);
        record.tiers.time = None;
        record.verdict = record.tiers.verdict();
        assert_eq!(record.code(), 0);
    }
}
