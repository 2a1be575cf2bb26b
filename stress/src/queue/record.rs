//! What a queue run does and counts, and the record of it. `results/schema.md` is made of these types.

use super::faults::QueueInvariants;
use super::message::SHORTEST;
use super::shared_state::QueueState;
use super::wake::{Wakes, Waking};
use crate::latency::Percentiles;
use crate::length::ValueLen;
use serde::{Deserialize, Serialize};
use splinter_harness::disturbance::disturbed;
use splinter_harness::environment::Environment;
use splinter_harness::table::{align, grouped, rate, span};
use splinter_harness::text::{parse_count, parse_millis};
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::Verdict;
use std::fmt::Write as _;
use std::time::Duration;

/// The most messages of a run: each takes a byte of memory once it is received.
pub(super) const MOST_MESSAGES: u64 = 1 << 28;

/// How long it runs if neither a time nor a number of messages is given.
const DURATION_MS: u64 = 5_000;

/// What a queue run does: the flags of `queue`, and a part of its record.
#[derive(clap::Args, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct QueuePlan {
    /// Processes that send.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub producers: u32,
    /// Processes that receive, all of one group.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub consumers: u32,
    /// Lengths of the messages, as in 64, 32..256 or 64,1KiB.
    #[arg(long, value_name = "BYTES", default_value = "64")]
    #[schemars(with = "String")]
    pub len: ValueLen,
    /// Messages that the queue holds, a power of two.
    #[arg(long, value_name = "N", default_value = "1024", value_parser = parse_count)]
    pub capacity: u64,
    /// Messages that a consumer takes at once, at most.
    #[arg(long, value_name = "N", default_value = "16", value_parser = parse_count)]
    pub batch: u64,
    /// For how long, as in 500ms or 20s [default: 5s, unless --messages is given].
    #[arg(long = "duration", value_name = "SPAN", value_parser = parse_millis)]
    pub duration_ms: Option<u64>,
    /// Messages, at most; each takes a byte of memory [default: as many as can be, 268435456].
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub messages: Option<u64>,
    /// Kills processes at random moments, so far apart on average, as in 5ms [default: none].
    #[arg(long = "kill", value_name = "MEAN", value_parser = parse_millis)]
    pub kill_ms: Option<u64>,
    /// Seed of all random choices; when they meet is not repeated.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Makes a mistake on purpose, to see that it is found.
    #[arg(long, value_name = "MISTAKE", hide = true)]
    #[serde(default)]
    pub plant: Option<Plant>,
}

/// A mistake that is made on purpose with one message, to see that it is found.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Plant {
    /// A message is not sent, and its producer takes it for acknowledged.
    Lose,
    /// A message is sent twice.
    Repeat,
    /// A message is sent before the one before it.
    Swap,
    /// A byte of a message is changed.
    Tear,
}

impl QueuePlan {
    /// Gives the sending an end, if neither a time nor a number of messages does.
    pub(crate) fn bounded(self) -> Self {
        match (self.duration_ms, self.messages) {
            (None, None) => Self { duration_ms: Some(DURATION_MS), ..self },
            _ => self,
        }
    }

    /// Checks that the plan can be carried out.
    ///
    /// # Errors
    /// One line that says which flag would put it right.
    pub(super) fn validate(&self) -> Result<(), String> {
        for (flag, count) in [("--producers", self.producers), ("--consumers", self.consumers)] {
            if !(1..=64).contains(&count) {
                return Err(format!("{flag} is {count}: give 1 to 64"));
            }
        }
        let lens = [self.len.shortest(), self.len.longest()];
        if let Some(len) = lens.into_iter().find(|len| !(SHORTEST as u32..=1 << 24).contains(len)) {
            return Err(format!(
                "--len has {len}: a message that proves itself takes {SHORTEST} to 16777216 bytes"
            ));
        }
        if !self.capacity.is_power_of_two() || !(2..=1 << 20).contains(&self.capacity) {
            let given = self.capacity;
            return Err(format!("--capacity is {given}: give a power of two from 2 to 1048576"));
        }
        if !(1..=self.capacity).contains(&self.batch) {
            return Err(format!("--batch is {}: give 1 to the capacity, {}", self.batch, self.capacity));
        }
        if self.duration_ms == Some(0) {
            return Err("--duration is too short: give 1ms or more".to_owned());
        }
        if self.messages.is_some_and(|messages| !(1..=MOST_MESSAGES).contains(&messages)) {
            return Err(format!("--messages is out of range: give 1 to {MOST_MESSAGES}"));
        }
        if self.kill_ms == Some(0) {
            return Err("--kill is too short: give a mean of 1ms or more".to_owned());
        }
        Ok(())
    }
}

/// The record of one queue run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct QueueRecord {
    pub schema_version: u32,
    pub kind: String,
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    /// The flags.
    pub config: QueuePlan,
    /// ● Different messages received; per second, from the first send to the last acknowledgement.
    pub received: u64,
    pub messages_per_s: f64,
    /// ● Messages received again, after the death of a consumer that had not acknowledged them.
    pub redelivered: u64,
    pub kills: QueueKills,
    pub wake: Waking,
    pub invariants: QueueInvariants,
    pub took_s: f64,
    pub interrupted: bool,
    pub environment: Environment,
}

/// Processes that were killed, and replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct QueueKills {
    /// ● Producers killed.
    pub producers: u64,
    /// ● Consumers killed.
    pub consumers: u64,
    /// Sends that a death cut off: each may have happened or not.
    pub cut_off: u64,
    /// Those of them that were received.
    pub cut_off_and_received: u64,
}

/// What a run counted beside the faults.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub received: u64,
    pub redelivered: u64,
    pub kills: QueueKills,
    /// From the first send to the last acknowledgement.
    pub took: Duration,
    pub interrupted: bool,
}

impl Totals {
    /// Names what the run did not reach, so that it proves nothing about it.
    fn gaps(&self, plan: &QueuePlan) -> Vec<String> {
        let kills = plan.kill_ms.is_some();
        let gaps = [
            (self.received == 0, "no message was received"),
            (
                kills && self.kills.producers == 0,
                "no producer was killed: give more time, or kills more often",
            ),
            (
                kills && self.kills.consumers == 0,
                "no consumer was killed: give more time, or kills more often",
            ),
        ];
        gaps.into_iter().filter(|(is_one, _)| *is_one).map(|(_, text)| text.to_owned()).collect()
    }

    /// Makes the record.
    pub(super) fn into_record(
        self,
        plan: &QueuePlan,
        state: &QueueState,
        wakes: &Wakes,
        environment: Environment,
    ) -> QueueRecord {
        let invariants = QueueInvariants::of(state.faults());
        let broken = invariants.named().into_iter().filter(|(_, count)| *count > 0);
        let mut reasons: Vec<String> = broken.map(|(name, count)| format!("{count} {name}")).collect();
        reasons.extend(state.fault_texts());
        let gaps = if self.interrupted { vec!["interrupted".to_owned()] } else { self.gaps(plan) };
        let verdict = match (invariants.held(), gaps.is_empty()) {
            (false, _) => Verdict::Fail,
            (true, false) => Verdict::Inconclusive,
            (true, true) => Verdict::Pass,
        };
        if verdict == Verdict::Inconclusive || self.interrupted {
            reasons.extend(gaps);
        }
        QueueRecord {
            schema_version: SCHEMA_VERSION,
            kind: "queue".to_owned(),
            verdict,
            reasons,
            config: plan.clone(),
            received: self.received,
            messages_per_s: self.received as f64 / self.took.as_secs_f64().max(1e-9),
            redelivered: self.redelivered,
            kills: self.kills,
            wake: wakes.summary(),
            invariants,
            took_s: self.took.as_secs_f64(),
            interrupted: self.interrupted,
            environment,
        }
    }
}

/// Prints a record for people.
pub(crate) fn queue_summary(record: &QueueRecord) -> String {
    let QueuePlan { producers, consumers, len, capacity, batch, .. } = &record.config;
    let mut text = format!(
        "{producers} producers and {consumers} consumers in {:.1} s; messages of {len} bytes, capacity {capacity}, \
         batches up to {batch}\n\n",
        record.took_s
    );
    let received = grouped(record.received);
    let _ = writeln!(text, "  {received} messages, {} messages/s", rate(record.messages_per_s));
    let QueueKills { producers, consumers, cut_off, cut_off_and_received } = record.kills;
    if record.config.kill_ms.is_some() {
        let _ = writeln!(
            text,
            "  {producers} producers killed, which cut {cut_off} sends off; {cut_off_and_received} of them had happened\n  \
             {consumers} consumers killed; {} messages redelivered",
            record.redelivered
        );
    }
    let row = |name: &str, it: Percentiles| {
        let times = [it.p50, it.p90, it.p99, it.max].map(span);
        [vec![name.to_owned()], times.to_vec(), vec![it.samples.to_string()]].concat()
    };
    let heads = ["wake", "p50", "p90", "p99", "max", "samples"].map(str::to_owned);
    let Waking { queue_ns, futex_ns, ratio, .. } = record.wake;
    text.push('\n');
    align(&mut text, &[heads.to_vec(), row("queue", queue_ns), row("bare futex", futex_ns)]);
    if let Some(ratio) = ratio {
        let _ = writeln!(text, "  the queue's median is {ratio:.2} times the futex's");
    }
    if let Some(why) = disturbed(&record.environment.disturbances) {
        let _ = writeln!(text, "  figures: no verdict, {why}");
    }
    text.push('\n');
    for (name, count) in record.invariants.named() {
        let _ = writeln!(text, "  {name:18} {count}");
    }
    for reason in &record.reasons {
        let _ = writeln!(text, "  {reason}");
    }
    text + record.verdict.word()
}

#[cfg(test)]
mod tests {
    use super::super::faults::Fault;
    use super::*;

    fn plan() -> QueuePlan {
        QueuePlan {
            producers: 1,
            consumers: 1,
            len: ValueLen::Fixed(64),
            capacity: 16,
            batch: 4,
            duration_ms: None,
            messages: Some(100),
            kill_ms: None,
            seed: 1,
            plant: None,
        }
    }

    #[test]
    fn plans_that_cannot_be_carried_out_are_refused_with_the_flag_to_change() {
        assert_eq!(plan().validate(), Ok(()));
        type Spoil = fn(&mut QueuePlan);
        let wrong: [(Spoil, &str); 11] = [
            (|plan| plan.producers = 0, "--producers"),
            (|plan| plan.consumers = 65, "--consumers"),
            (|plan| plan.len = ValueLen::Fixed(31), "--len"),
            (|plan| plan.len = ValueLen::Uniform(64, 1 << 25), "--len"),
            (|plan| plan.capacity = 12, "--capacity"),
            (|plan| plan.capacity = 1, "--capacity"),
            (|plan| plan.batch = 0, "--batch"),
            (|plan| plan.batch = 17, "--batch"),
            (|plan| plan.duration_ms = Some(0), "--duration"),
            (|plan| plan.messages = Some(0), "--messages"),
            (|plan| plan.kill_ms = Some(0), "--kill"),
        ];
        for (spoil, flag) in wrong {
            let mut plan = plan();
            spoil(&mut plan);
            assert!(plan.validate().unwrap_err().contains(flag));
        }
    }

    /// Returns the record of a run with these faults.
    fn record(plan: &QueuePlan, totals: Totals, faults: &[Fault]) -> QueueRecord {
        let state = QueueState::new(1, 1, 1).unwrap();
        for fault in faults {
            state.fault(0, *fault, "why");
        }
        totals.into_record(plan, &state, &Wakes::default(), Environment::read())
    }

    #[test]
    fn a_run_that_did_too_little_is_not_passed_and_a_fault_fails_it_whatever_it_did() {
        let totals = |received, producers, consumers, interrupted| Totals {
            received,
            kills: QueueKills { producers, consumers, ..QueueKills::default() },
            interrupted,
            ..Totals::default()
        };
        let killing = QueuePlan { kill_ms: Some(5), ..plan() };
        for (plan, totals, gap) in [
            (plan(), totals(1, 0, 0, false), None),
            (plan(), totals(0, 0, 0, false), Some("no message")),
            (plan(), totals(1, 0, 0, true), Some("interrupted")),
            (killing.clone(), totals(1, 1, 1, false), None),
            (killing.clone(), totals(1, 0, 1, false), Some("no producer")),
            (killing, totals(1, 1, 0, false), Some("no consumer")),
        ] {
            let record = record(&plan, totals, &[]);
            let verdict = gap.map_or(Verdict::Pass, |_| Verdict::Inconclusive);
            assert_eq!(record.verdict, verdict, "{:?}", record.reasons);
            assert_eq!(record.reasons.len(), usize::from(gap.is_some()));
            assert!(gap.is_none_or(|gap| record.reasons[0].contains(gap)));
        }
        let failed = record(&plan(), totals(1, 0, 0, true), &[Fault::Lost]);
        assert_eq!(failed.verdict, Verdict::Fail);
        assert_eq!(failed.reasons, ["1 lost", "why", "interrupted"]);
    }
}
