//! What a kill test counts, and the record of it. `results/schema.md` is made of these types.

use super::ops::Op;
use super::shared_state::{FAULTS, Fault, KillState};
use crate::latency::{Merged, Percentiles, encode, histogram};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use splinter_harness::environment::Environment;
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

/// What a kill test does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KillPlan {
    /// Kills at random moments.
    pub kills: u64,
    /// Further kills, each of a writer that was seen to hold a claim.
    pub aimed: u64,
    /// Writers that live at any time.
    pub writers: u32,
    /// Readers, which are never killed.
    pub readers: u32,
    /// Longest value: the longer, the more kills fall inside a claim.
    pub max_value_len: u64,
    /// Seed of all random choices.
    pub seed: u64,
}

impl KillPlan {
    /// Checks that the plan can be carried out.
    ///
    /// # Errors
    /// One line that says which flag would put it right.
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.kills + self.aimed == 0 {
            return Err("no writer is to be killed: give --kills a number above 0".to_owned());
        }
        for (flag, count) in [("--writers", self.writers), ("--readers", self.readers)] {
            if !(1..=64).contains(&count) {
                return Err(format!("{flag} is {count}: give 1 to 64"));
            }
        }
        if !(512..=1 << 24).contains(&self.max_value_len) {
            let given = self.max_value_len;
            return Err(format!("--max-value-len is {given}: give 512 to 16777216"));
        }
        Ok(())
    }
}

/// The record of one kill test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct KillRecord {
    pub schema_version: u32,
    pub kind: String,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// The flags.
    pub config: KillPlan,
    pub kills: Kills,
    pub levels: Vec<KillLevel>,
    /// ● From SIGKILL until the writer id is seen to have no owner.
    pub detection_ns: Percentiles,
    /// ● From SIGKILL until a key that the dead writer held took a write.
    pub recovery_ns: Percentiles,
    /// From the first attempt on that key after detection until success.
    #[serde(default)]
    pub rescue_ns: Percentiles,
    /// By name: done, met a claim.
    pub operations: BTreeMap<String, [u64; 2]>,
    /// Values checked; reads given up as busy.
    pub reads: [u64; 2],
    pub invariants: KillInvariants,
    pub took_s: f64,
    pub interrupted: bool,
    pub environment: Environment,
    pub hdr_log: String,
}

/// What the killed writers held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Kills {
    /// ● Kills; an aim that found no writer counts as random.
    pub random: u64,
    /// ● Those that left a claim.
    pub random_in_claim: u64,
    /// ● Kills; an aim that found no writer counts as random.
    pub aimed: u64,
    /// ● Those that left a claim.
    pub aimed_in_claim: u64,
    /// ● The writer had no writer id yet.
    #[serde(alias = "before_a_lane")]
    pub without_writer_id: u64,
    /// ● A starting writer may already have had the id.
    #[serde(alias = "not_looked_into")]
    pub undetermined: u64,
    /// ● Claims left (bucket: of the index).
    pub holding_slots: u64,
    pub holding_several_slots: u64,
    #[serde(alias = "holding_a_chunk")]
    pub holding_a_bucket: u64,
}

/// What a dead writer held.
#[derive(Debug, Default)]
pub(super) struct Claimed {
    pub slots: Vec<usize>,
    pub bucket: bool,
}

impl Kills {
    /// Counts one.
    pub(super) fn count(&mut self, aimed: bool, had_id: bool, looked: bool, claimed: &Claimed) {
        let in_claim = u64::from(claimed.bucket || !claimed.slots.is_empty());
        let [all, hit] = if aimed {
            [&mut self.aimed, &mut self.aimed_in_claim]
        } else {
            [&mut self.random, &mut self.random_in_claim]
        };
        *all += 1;
        *hit += in_claim;
        self.without_writer_id += u64::from(!had_id);
        self.undetermined += u64::from(had_id && !looked);
        self.holding_slots += u64::from(!claimed.slots.is_empty());
        self.holding_several_slots += u64::from(claimed.slots.len() > 1);
        self.holding_a_bucket += u64::from(claimed.bucket);
    }

    /// Returns how many fell inside a claim.
    #[must_use]
    pub fn in_claim(&self) -> u64 {
        self.random_in_claim + self.aimed_in_claim
    }
}

/// One round of a kill test: some kills at one scrub level, in a store of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct KillLevel {
    /// Legs, each in its own store.
    pub scrub: String,
    pub kills: u64,
    pub in_claim: u64,
    #[serde(alias = "takeovers")]
    pub recoveries: u64,
}

/// What must be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct KillInvariants {
    /// ● Each 0, as in a run.
    pub torn_reads: u64,
    pub lost_updates: u64,
    pub spurious_misses: u64,
    /// ● Each 0, as in a run.
    pub epoch_regressions: u64,
    pub stuck_claims: u64,
    /// ● Keys or slots out of place; processes that ended by themselves.
    pub keys_or_slots_astray: u64,
    /// ● Each 0, as in a run.
    pub stale_leaks: u64,
    /// ● Each 0, as in a run.
    pub unexpected_errors: u64,
    /// ● Keys or slots out of place; processes that ended by themselves.
    pub lost_processes: u64,
}

impl KillInvariants {
    fn of(faults: [u64; FAULTS]) -> Self {
        let of = |fault: Fault| faults[fault as usize];
        Self {
            torn_reads: of(Fault::Torn),
            lost_updates: of(Fault::Lost),
            spurious_misses: of(Fault::Missing),
            epoch_regressions: of(Fault::Backwards),
            stuck_claims: of(Fault::Stuck),
            keys_or_slots_astray: of(Fault::Astray),
            stale_leaks: of(Fault::Stale),
            unexpected_errors: of(Fault::Unexpected),
            lost_processes: of(Fault::Ended),
        }
    }

    /// Returns all of them with their names.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); FAULTS] {
        [
            ("torn reads", self.torn_reads),
            ("lost updates", self.lost_updates),
            ("spurious misses", self.spurious_misses),
            ("epoch regressions", self.epoch_regressions),
            ("stuck claims", self.stuck_claims),
            ("keys or slots astray", self.keys_or_slots_astray),
            ("stale leaks", self.stale_leaks),
            ("unexpected errors", self.unexpected_errors),
            ("lost processes", self.lost_processes),
        ]
    }

    /// Tells whether all of them held.
    #[must_use]
    pub fn held(&self) -> bool {
        *self == Self::default()
    }
}

/// From this many aimed kills on, one in [`AIMED_IN_CLAIM`] must fall inside a claim: one in three does where processors
/// are scarce.
const ENOUGH_AIMED: u64 = 100;
const AIMED_IN_CLAIM: u64 = 10;

/// What was counted so far.
pub(super) struct KillTotals {
    pub kills: Kills,
    pub levels: Vec<KillLevel>,
    pub detection: Histogram<u64>,
    pub recovery: Histogram<u64>,
    pub rescue: Histogram<u64>,
    operations: BTreeMap<String, [u64; 2]>,
    reads: [u64; 2],
    faults: [u64; FAULTS],
    fault_texts: Vec<String>,
}

impl KillTotals {
    pub(super) fn new() -> Self {
        Self {
            kills: Kills::default(),
            levels: Vec::new(),
            detection: histogram(),
            recovery: histogram(),
            rescue: histogram(),
            operations: BTreeMap::new(),
            reads: [0; 2],
            faults: [0; FAULTS],
            fault_texts: Vec::new(),
        }
    }

    /// Adds what the processes of a round left.
    pub(super) fn add(&mut self, state: &KillState) {
        for op in Op::ALL {
            let sums = self.operations.entry(op.name().to_owned()).or_default();
            for writer in state.writers() {
                for (sum, count) in sums.iter_mut().zip(writer.count(op)) {
                    *sum += count.load(Relaxed);
                }
            }
        }
        for (sum, reads) in self.reads.iter_mut().zip(state.all_reads()) {
            *sum += reads;
        }
        for (sum, faults) in self.faults.iter_mut().zip(state.faults()) {
            *sum += faults;
        }
        self.fault_texts.extend(state.fault_texts());
    }

    pub(super) fn invariants(&self) -> KillInvariants {
        KillInvariants::of(self.faults)
    }

    /// Names what the test did not reach, so that it proves nothing about it.
    fn gaps(&self, plan: &KillPlan) -> Vec<String> {
        let kills = &self.kills;
        let mut gaps = Vec::new();
        if self.operations.values().all(|&[done, _]| done == 0) {
            gaps.push("the writers did nothing".to_owned());
        }
        if plan.readers > 0 && self.reads[0] == 0 {
            gaps.push("the readers did nothing".to_owned());
        }
        if kills.in_claim() == 0 {
            gaps.push("no kill fell inside a claim".to_owned());
        }
        if kills.aimed >= ENOUGH_AIMED && kills.aimed_in_claim < kills.aimed / AIMED_IN_CLAIM {
            gaps.push(format!(
                "only {} of {} aimed kills fell inside a claim, less than one in {AIMED_IN_CLAIM}",
                kills.aimed_in_claim, kills.aimed
            ));
        }
        if kills.in_claim() > 0 && self.detection.is_empty() {
            gaps.push("no detection of a death was timed".to_owned());
        }
        if kills.holding_slots > 0 && self.recovery.is_empty() {
            gaps.push("no recovery of a key was timed".to_owned());
        }
        gaps
    }

    pub(super) fn into_record(
        self,
        plan: &KillPlan,
        environment: Environment,
        started: SystemTime,
        took: Duration,
        interrupted: bool,
    ) -> KillRecord {
        let (invariants, gaps) = (self.invariants(), self.gaps(plan));
        let broken = invariants.named().into_iter().filter(|(_, count)| *count > 0);
        let mut reasons: Vec<String> = broken.map(|(name, count)| format!("{count} {name}")).collect();
        reasons.extend(self.fault_texts);
        let verdict = match (invariants.held(), interrupted) {
            (false, _) => Verdict::Fail,
            (true, true) => Verdict::Inconclusive,
            (true, false) if gaps.is_empty() => Verdict::Pass,
            (true, false) => {
                reasons.extend(gaps);
                Verdict::Inconclusive
            }
        };
        if interrupted {
            reasons.push("interrupted".to_owned());
        }
        let mut merged = Merged::default();
        let named = [("detection", &self.detection), ("recovery", &self.recovery), ("rescue", &self.rescue)];
        let encoded: Vec<_> = named.iter().filter_map(|(name, it)| encode(name, it)).collect();
        merged.add(&encoded, 1.0).expect("encoded just now");
        KillRecord {
            schema_version: SCHEMA_VERSION,
            kind: "kill".to_owned(),
            verdict,
            reasons,
            config: plan.clone(),
            kills: self.kills,
            levels: self.levels,
            detection_ns: Percentiles::of(&self.detection),
            recovery_ns: Percentiles::of(&self.recovery),
            rescue_ns: Percentiles::of(&self.rescue),
            operations: self.operations,
            reads: self.reads,
            invariants,
            took_s: took.as_secs_f64(),
            interrupted,
            environment,
            hdr_log: merged.log(started, took),
        }
    }
}

/// Prints a record for people.
pub(crate) fn kill_summary(record: &KillRecord) -> String {
    let mut text = String::new();
    let kills = &record.kills;
    let share = |part: u64, of: u64| 100.0 * part as f64 / of.max(1) as f64;
    let _ = writeln!(
        text,
        "{} of {} writers killed in {:.1} s; {} readers checked all the while\n",
        kills.random + kills.aimed,
        record.config.writers,
        record.took_s,
        record.config.readers
    );
    for (name, all, hit) in
        [("random", kills.random, kills.random_in_claim), ("aimed", kills.aimed, kills.aimed_in_claim)]
    {
        let share = share(hit, all);
        let _ = writeln!(text, "  {name:8} {all:8} kills, {hit:6} inside a claim ({share:.1} %)");
    }
    let _ = writeln!(
        text,
        "  holding a slot {}, several {}, a bucket {}; {} before they had a writer id; {} undetermined, since \
         another writer was starting\n",
        kills.holding_slots,
        kills.holding_several_slots,
        kills.holding_a_bucket,
        kills.without_writer_id,
        kills.undetermined
    );
    for level in &record.levels {
        let _ = writeln!(
            text,
            "  scrub {:8} {:6} kills, {:6} inside a claim, {:6} claims recovered",
            level.scrub, level.kills, level.in_claim, level.recoveries
        );
    }
    let _ = writeln!(
        text,
        "\n  {:10} {:>9} {:>9} {:>9} {:>9} {:>9}  {:>7}",
        "us", "p50", "p90", "p99", "p99.9", "max", "samples"
    );
    for (name, it) in
        [("detection", record.detection_ns), ("recovery", record.recovery_ns), ("rescue", record.rescue_ns)]
    {
        let us = |ns: u64| ns as f64 / 1e3;
        let _ = writeln!(
            text,
            "  {name:10} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}  {:>7}",
            us(it.p50),
            us(it.p90),
            us(it.p99),
            us(it.p999),
            us(it.max),
            it.samples
        );
    }
    let writes: u64 = record.operations.values().map(|[done, _]| done).sum();
    let _ = writeln!(
        text,
        "\n  {writes} writes and {} reads, all checked; {} reads given up",
        record.reads[0], record.reads[1]
    );
    for (name, count) in record.invariants.named() {
        let _ = writeln!(text, "  {name:22} {count}");
    }
    for reason in &record.reasons {
        let _ = writeln!(text, "  {reason}");
    }
    let _ = write!(text, "{}", record.verdict.word());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> KillPlan {
        KillPlan { kills: 1, aimed: 0, writers: 1, readers: 1, max_value_len: 512, seed: 1 }
    }

    #[test]
    fn plans_that_cannot_be_carried_out_are_refused_with_the_flag_to_change() {
        assert_eq!(plan().validate(), Ok(()));
        type Spoil = fn(&mut KillPlan);
        let wrong: [(Spoil, &str); 4] = [
            (|plan| plan.kills = 0, "--kills"),
            (|plan| plan.writers = 0, "--writers"),
            (|plan| plan.readers = 65, "--readers"),
            (|plan| plan.max_value_len = 1, "--max-value-len"),
        ];
        for (spoil, flag) in wrong {
            let mut plan = plan();
            spoil(&mut plan);
            assert!(plan.validate().unwrap_err().contains(flag));
        }
    }

    /// What writers and readers did.
    type Done = (BTreeMap<String, [u64; 2]>, [u64; 2]);

    fn done(writes: u64, reads: u64) -> Done {
        (BTreeMap::from([("set".to_owned(), [writes, 7])]), [reads, 7])
    }

    /// Returns the record of a test without a fault, of so many kills.
    fn record(kills: Kills, samples: [u64; 2], done: Done) -> KillRecord {
        let mut counts = KillTotals::new();
        counts.kills = kills;
        (counts.operations, counts.reads) = done;
        for (histogram, count) in [&mut counts.detection, &mut counts.recovery].into_iter().zip(samples) {
            histogram.record_n(1000, count).unwrap();
        }
        let (environment, start) = (Environment::read(), SystemTime::UNIX_EPOCH);
        counts.into_record(&plan(), environment, start, Duration::ZERO, false)
    }

    #[test]
    fn a_test_that_hit_too_few_claims_or_timed_nothing_is_not_passed() {
        let kills = |aimed, aimed_in_claim| Kills {
            random: 1,
            random_in_claim: 1,
            aimed,
            aimed_in_claim,
            holding_slots: 1,
            ..Kills::default()
        };
        for (kills, samples, gap) in [
            (Kills::default(), [1, 1], Some("no kill fell inside")),
            (kills(100, 9), [1, 1], Some("only 9 of 100 aimed kills")),
            (kills(100, 10), [0, 1], Some("no detection")),
            (kills(100, 10), [1, 0], Some("no recovery")),
            (kills(100, 10), [1, 1], None),
            (kills(99, 0), [1, 1], None),
        ] {
            let record = record(kills, samples, done(1, 1));
            let verdict = gap.map_or(Verdict::Pass, |_| Verdict::Inconclusive);
            assert_eq!(record.verdict, verdict, "{:?}", record.reasons);
            assert_eq!(record.reasons.len(), usize::from(gap.is_some()));
            assert!(gap.is_none_or(|gap| record.reasons[0].contains(gap)));
        }
        for (done, idle) in [(done(0, 1), "the writers"), (done(1, 0), "the readers")] {
            let record = record(kills(100, 10), [1, 1], done);
            assert_eq!(record.verdict, Verdict::Inconclusive);
            assert_eq!(record.reasons, [format!("{idle} did nothing")]);
        }
    }

    #[test]
    fn kills_are_read_by_their_old_names_too() {
        let kills = Kills { without_writer_id: 1, undetermined: 2, holding_a_bucket: 3, ..Kills::default() };
        let mut text = serde_json::to_string(&kills).unwrap();
        for (new, old) in [
            ("without_writer_id", "before_a_lane"),
            ("undetermined", "not_looked_into"),
            ("holding_a_bucket", "holding_a_chunk"),
        ] {
            assert!(text.contains(new));
            text = text.replace(new, old);
        }
        assert_eq!(serde_json::from_str::<Kills>(&text).unwrap(), kills);
    }

    #[test]
    fn each_fault_fails_the_test_under_its_own_name() {
        for fault in 0..FAULTS {
            let mut faults = [0; FAULTS];
            faults[fault] = 3;
            let invariants = KillInvariants::of(faults);
            assert!(!invariants.held());
            assert_eq!(invariants.named()[fault].1, 3);
        }
        assert!(KillInvariants::of([0; FAULTS]).held());
    }
}
