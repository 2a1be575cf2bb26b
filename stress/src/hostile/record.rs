//! What a hostile run counts, and the record of it. `results/schema.md` is made of these types.

use super::calls::CALLS;
use super::shared_state::HostileState;
use super::target::Target;
use serde::{Deserialize, Serialize};
use splinter_harness::disturbance::Usage;
use splinter_harness::environment::Environment;
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// What a hostile run does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HostilePlan {
    /// Processes that call the stores.
    pub workers: u32,
    /// Duration, all stores together.
    pub duration_ms: u64,
    /// Time without progress after which a worker hangs.
    pub patience_ms: u64,
    /// Parts that are damaged.
    pub targets: Vec<Target>,
    /// Seed of all random choices.
    pub seed: u64,
}

impl HostilePlan {
    /// Checks that the plan can be carried out.
    ///
    /// # Errors
    /// One line that says which flag would put it right.
    pub(super) fn validate(&self) -> Result<(), String> {
        if !(1..=64).contains(&self.workers) {
            return Err(format!("--workers is {}: give 1 to 64", self.workers));
        }
        if self.duration_ms == 0 {
            return Err("--duration is 0: give some time, as in 20s".to_owned());
        }
        if self.patience_ms < 100 {
            return Err("--patience is too short: give 100ms or more".to_owned());
        }
        if self.targets.is_empty() {
            return Err("--target names nothing: give parts, or leave it out for all".to_owned());
        }
        Ok(())
    }
}

/// The record of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct HostileRecord {
    pub schema_version: u32,
    pub kind: String,
    /// `"inconclusive"`: interrupted, no guards, a call never made or never successful, or a part never damaged.
    pub verdict: Verdict,
    /// Each crash, hang and panic with its call and the worker's part of the seed.
    pub reasons: Vec<String>,
    /// The flags.
    pub config: HostilePlan,
    /// By part, times damaged.
    pub damage: BTreeMap<String, u64>,
    /// ● By call: made; answered by an error or nothing. Calls lacking a writer, handle, watcher or file are not
    /// made.
    pub operations: BTreeMap<String, u64>,
    pub errors: BTreeMap<String, u64>,
    /// ● Processes ended by signal or sanitizer; must be 0.
    pub crashes: u64,
    /// ● No progress for `patience_ms`; must be 0.
    pub hangs: u64,
    /// ● Processes that panicked; must be 0.
    pub panics: u64,
    /// ● Answers beyond the longest value, slots or the caller's buffer; must be 0.
    pub out_of_bounds: u64,
    /// Guarded sides of mappings made before the fork.
    pub guards: u64,
    pub took_s: f64,
    pub interrupted: bool,
    pub environment: Environment,
}

impl HostileRecord {
    /// Begins the record of a run.
    pub(super) fn new(plan: &HostilePlan) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            kind: "hostile".to_owned(),
            verdict: Verdict::Pass,
            reasons: Vec::new(),
            config: plan.clone(),
            damage: BTreeMap::new(),
            operations: BTreeMap::new(),
            errors: BTreeMap::new(),
            crashes: 0,
            hangs: 0,
            panics: 0,
            out_of_bounds: 0,
            guards: 0,
            took_s: 0.0,
            interrupted: false,
            environment: Environment::read(),
        }
    }

    pub(super) fn crash(&mut self, call: &str, finding: &str) {
        self.crashes += 1;
        self.reasons.push(format!("crash in {call}: {finding}"));
    }

    pub(super) fn hang(&mut self, call: &str, finding: &str) {
        self.hangs += 1;
        self.reasons.push(format!("hang in {call}: {finding}"));
    }

    pub(super) fn panic(&mut self, call: &str, finding: &str) {
        self.panics += 1;
        self.reasons.push(format!("panic in {call}: {finding}"));
    }

    /// Returns how many violations were found.
    pub(super) fn violations(&self) -> usize {
        self.reasons.len()
    }

    /// Adds what the processes of one store left.
    pub(super) fn add(&mut self, state: &HostileState) {
        for (call, (name, _)) in CALLS.iter().enumerate() {
            let [attempts, errors, beyond] = state.counts(call);
            if beyond > 0 {
                let finding = format!("out of bounds in {name}: {beyond} answers");
                self.reasons.push(finding);
            }
            self.out_of_bounds += beyond;
            *self.operations.entry((*name).to_owned()).or_default() += attempts;
            *self.errors.entry((*name).to_owned()).or_default() += errors;
        }
        for target in Target::ALL {
            let damage = state.damage(target).load(Relaxed);
            *self.damage.entry(target.to_string()).or_default() += damage;
        }
    }

    /// Names what was not tried, so that the run proves nothing about it.
    fn gaps(&self) -> Vec<String> {
        let answered = |(name, made): (&String, &u64)| {
            let errors = self.errors.get(name).copied().unwrap_or(0);
            (name.clone(), made - errors.min(*made))
        };
        let answered = self.operations.iter().map(answered).collect();
        let named = |name: &String| self.config.targets.iter().any(|part| part.to_string() == *name);
        let mut spared = idle(&self.damage);
        spared.retain(named);
        let (uncalled, refused) = (idle(&self.operations), idle(&answered));
        let mut gaps = Vec::new();
        if [&uncalled, &refused, &spared].into_iter().any(|names| !names.is_empty()) {
            gaps.push(format!(
                "too short: never called {uncalled:?}, never answered but by an error or nothing {refused:?}, never \
                 damaged {spared:?}; give --duration more"
            ));
        }
        if self.guards == 0 {
            gaps.push(
                "no side of any mapping could be guarded: an access beyond one may have gone unseen"
                    .to_owned(),
            );
        }
        gaps
    }

    /// Ends the record with a verdict.
    pub(super) fn finish(mut self, usage: &Usage, took: Duration, interrupted: bool) -> Self {
        let gaps = self.gaps();
        self.verdict = match () {
            () if self.crashes + self.hangs + self.panics + self.out_of_bounds > 0 => Verdict::Fail,
            () if interrupted => Verdict::Inconclusive,
            () if gaps.is_empty() => Verdict::Pass,
            () => {
                self.reasons.extend(gaps);
                Verdict::Inconclusive
            }
        };
        if interrupted {
            self.reasons.push("interrupted".to_owned());
        }
        self.environment.note(usage);
        (self.took_s, self.interrupted) = (took.as_secs_f64(), interrupted);
        self
    }
}

/// Lists the counters that are 0.
fn idle(counts: &BTreeMap<String, u64>) -> Vec<String> {
    let idle = counts.iter().filter(|(_, count)| **count == 0);
    idle.map(|(name, _)| name.clone()).collect()
}

/// Prints a record for people.
pub(crate) fn hostile_summary(record: &HostileRecord) -> String {
    let mut text = String::new();
    let sum = |counts: &BTreeMap<String, u64>| -> u64 { counts.values().sum() };
    let _ = writeln!(
        text,
        "{} calls of {} kinds by {} processes in {:.1} s, {} answered by an error or nothing",
        sum(&record.operations),
        record.operations.len(),
        record.config.workers,
        record.took_s,
        sum(&record.errors)
    );
    let _ = writeln!(text, "{} damages:", sum(&record.damage));
    for (target, count) in &record.damage {
        let _ = writeln!(text, "  {target:10} {count:>10}");
    }
    for (name, count) in &record.operations {
        let errors = record.errors.get(name).copied().unwrap_or(0);
        let _ = writeln!(text, "  {name:16} {count:>10} calls {errors:>10} errors");
    }
    for (name, count) in [
        ("crashes", record.crashes),
        ("hangs", record.hangs),
        ("panics", record.panics),
        ("out of bounds", record.out_of_bounds),
    ] {
        let _ = writeln!(text, "  {name:16} {count}");
    }
    for reason in &record.reasons {
        let _ = writeln!(text, "  {reason}");
    }
    if record.verdict == Verdict::Fail {
        let targets: Vec<_> = record.config.targets.iter().map(Target::to_string).collect();
        let _ = writeln!(
            text,
            "  the same damage again: --seed {} --target {} --duration {}ms --workers {}",
            record.config.seed,
            targets.join(","),
            record.config.duration_ms,
            record.config.workers
        );
    }
    let _ = write!(text, "{}", record.verdict.word());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_harness::disturbance::ProcessorUse;

    fn plan() -> HostilePlan {
        HostilePlan { workers: 1, duration_ms: 1, patience_ms: 1000, targets: Target::ALL.to_vec(), seed: 1 }
    }

    fn record(change: impl FnOnce(&mut HostileRecord)) -> HostileRecord {
        let mut record = HostileRecord::new(&plan());
        record.guards = 1;
        change(&mut record);
        record.finish(&Usage::now(&ProcessorUse::up_to(1)), Duration::ZERO, false)
    }

    #[test]
    fn anything_that_must_not_happen_fails_the_run() {
        assert_eq!(record(|_| ()).verdict, Verdict::Pass);
        let wrongs: [fn(&mut HostileRecord); 4] = [
            |record| record.crash("get", "SIGSEGV"),
            |record| record.hang("poll", "no progress"),
            |record| record.panic("keys", "panicked"),
            |record| record.out_of_bounds = 1,
        ];
        for wrong in wrongs {
            assert_eq!(record(wrong).verdict, Verdict::Fail);
        }
    }

    #[test]
    fn what_was_not_tried_is_not_passed() {
        let never = record(|record| {
            record.operations.insert("get".to_owned(), 0);
        });
        assert_eq!(never.verdict, Verdict::Inconclusive);
        let refused = |errors| {
            record(|record| {
                record.operations.insert("get".to_owned(), 5);
                record.errors.insert("get".to_owned(), errors);
            })
        };
        assert_eq!(refused(5).verdict, Verdict::Inconclusive);
        assert_eq!(refused(4).verdict, Verdict::Pass);
    }

    #[test]
    fn without_guards_nothing_is_known_of_what_lies_beyond() {
        let unguarded = record(|record| record.guards = 0);
        assert_eq!(unguarded.verdict, Verdict::Inconclusive);
        assert!(unguarded.reasons[0].contains("guarded"));
    }

    #[test]
    fn plans_that_cannot_be_carried_out_are_refused_with_the_flag_to_change() {
        assert_eq!(plan().validate(), Ok(()));
        type Spoil = fn(&mut HostilePlan);
        let wrong: [(Spoil, &str); 4] = [
            (|plan| plan.workers = 0, "--workers"),
            (|plan| plan.duration_ms = 0, "--duration"),
            (|plan| plan.patience_ms = 0, "--patience"),
            (|plan| plan.targets.clear(), "--target"),
        ];
        for (spoil, flag) in wrong {
            let mut plan = plan();
            spoil(&mut plan);
            assert!(plan.validate().unwrap_err().contains(flag));
        }
    }
}
