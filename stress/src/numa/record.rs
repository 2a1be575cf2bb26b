//! What was asked and what was found: the plan, the rows and the record. `results/schema.md` is made
//! of these types.

use super::expected::{Expected, balancing, may_move_all};
use super::verdict;
use serde::{Deserialize, Serialize};
use splinter_harness::environment::Environment;
use splinter_harness::machine::Machine;
use splinter_harness::text::parse_count;
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::Verdict;
use std::collections::BTreeMap;

/// What to check: the flags of `numa`, and a part of its record.

#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NumaPlan {
    /// Nodes with memory that the machine must have: with fewer it fails.
    #[arg(long, value_name = "N")]
    pub nodes: Option<usize>,
    /// Processors that the machine must have.
    #[arg(long, value_name = "N")]
    pub processors: Option<usize>,
    /// What a node must be like, as in 0=0-7/10,21: its processors and its distances to all nodes;
    /// give it for every node.
    #[arg(long, value_name = "NODE=PROCESSORS/DISTANCES")]
    pub expect: Vec<Expected>,
    /// Looks at the machine only, and makes no store.
    #[arg(long)]
    #[serde(default)]
    pub machine_only: bool,
    /// Operations of each stress run.
    #[arg(long, value_name = "N", default_value = "20000", value_parser = parse_count)]
    pub ops: u64,
    /// Seed of all random choices.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Makes a mistake on purpose, to see that it is found.
    #[arg(long, value_name = "MISTAKE", hide = true)]
    pub plant: Option<Plant>,
}

/// A mistake that is made on purpose, to see that it is found.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Plant {
    /// Memory that is said to be bound is not.
    Unbound,
    /// One page of what is bound is elsewhere.
    Page,
    /// A store is said to be moved and is not.
    Unmoved,
    /// Workers are put on processors other than those asked for.
    Unpinned,
}

/// One thing asked, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct NumaRow {
    /// The request, the kernel's answer, pages by node, the faults.
    pub check: String,
    pub asked: String,
    pub found: String,
    pub pages: BTreeMap<u32, u64>,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
}

impl NumaRow {
    /// Makes a row about something other than pages; any reason makes it fail.
    pub(super) fn new(
        check: impl Into<String>,
        asked: impl Into<String>,
        found: impl Into<String>,
        reasons: impl IntoIterator<Item = String>,
    ) -> Self {
        let reasons: Vec<String> = reasons.into_iter().collect();
        Self {
            check: check.into(),
            asked: asked.into(),
            found: found.into(),
            pages: BTreeMap::new(),
            verdict: if reasons.is_empty() { Verdict::Pass } else { Verdict::Fail },
            reasons,
        }
    }

    /// Makes a row that failed before anything could be found.
    pub(super) fn failed(check: impl Into<String>, asked: impl Into<String>, why: String) -> Self {
        Self::new(check, asked, "", [why])
    }

    /// Makes a row that cannot be checked here.
    pub(super) fn not_checked(check: &str, asked: &str, why: &str) -> Self {
        Self { verdict: Verdict::Inconclusive, ..Self::failed(check, asked, format!("not checked: {why}")) }
    }

    /// Adds where the pages are.
    pub(super) fn with_pages(self, pages: BTreeMap<u32, u64>) -> Self {
        Self { pages, ..self }
    }
}

/// The record of one proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct NumaRecord {
    pub schema_version: u32,
    pub kind: String,
    /// `"fail"`: a row failed; `"inconclusive"`: a row unchecked.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// The flags; `ops`: of each run; `plant`: a deliberate mistake, or null.
    pub config: NumaPlan,
    /// As in `topology`, by `/sys`.
    pub machine: Machine,
    /// May move others' pages (`CAP_SYS_NICE`); the kernel's NUMA balancing.
    #[serde(default)]
    pub may_move_all: bool,
    #[serde(default)]
    pub balancing: String,
    pub rows: Vec<NumaRow>,
    pub environment: Environment,
}

impl NumaRecord {
    pub(super) fn new(
        plan: &NumaPlan,
        machine: Machine,
        rows: Vec<NumaRow>,
        environment: Environment,
    ) -> Self {
        let bad = rows.iter().filter(|row| row.verdict != Verdict::Pass);
        let reasons = bad
            .flat_map(|row| {
                let reason = |why: &String| format!("{}, {}: {why}", row.check, row.asked);
                row.reasons.iter().map(reason)
            })
            .collect();
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "numa".to_owned(),
            verdict: verdict(&rows),
            reasons,
            config: plan.clone(),
            machine,
            may_move_all: may_move_all(),
            balancing: balancing().to_owned(),
            rows,
            environment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_row_is_enough_and_what_was_not_checked_is_no_pass() {
        let good = NumaRow::new("a", "b", "c", None);
        let unknown = NumaRow::not_checked("a", "b", "one node");
        let bad = NumaRow::failed("a", "b", "no".to_owned());
        assert_eq!(verdict(&[]), Verdict::Inconclusive);
        assert_eq!(verdict(std::slice::from_ref(&good)), Verdict::Pass);
        assert_eq!(verdict(&[good.clone(), unknown.clone()]), Verdict::Inconclusive);
        assert_eq!(verdict(&[good, unknown, bad]), Verdict::Fail);
    }
}
