//! What is gathered, and the record that it becomes. `results/schema.md` is made of these types.

use super::Found;
use super::exchange::{Broken, Sample};
use super::fan_out::FanOutSample;
use super::judge::{is_met, judgement};
use super::mechanism::{Mechanism, Situation, Style};
use super::shared_state::{WAITER_PROCESSES, WAITERS};
use crate::latency::{Percentiles, histogram, to_ns};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use splinter_harness::environment::{Environment, settle};
use splinter_harness::stats::paired::Paired;
use splinter_harness::stats::{Middle, Summary};
use splinter_harness::valgrind::VOID;
use splinter_harness::verdict::SCHEMA_VERSION;
use splinter_harness::verdict::Verdict;
use std::collections::BTreeSet;

/// What to measure: the flags of `wake`, and a part of its record.
#[derive(clap::Args, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WakePlan {
    /// Rounds; each takes one sample of everything.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Few rounds of short samples: to see that it works.
    #[arg(long, conflicts_with = "rounds")]
    pub quick: bool,
    /// Processor of the process that begins [default: two that lie far apart].
    #[arg(long, value_name = "CPU")]
    pub cpu_a: Option<usize>,
    /// Processor of the one that answers.
    #[arg(long, value_name = "CPU")]
    pub cpu_b: Option<usize>,
    /// Seed of the order within the rounds.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl WakePlan {
    /// Chooses the two processors, the same one twice where there is only one.
    ///
    /// # Errors
    /// One line if they cannot be had.
    pub(super) fn processors(&self, available: &[usize]) -> Result<[usize; 2], String> {
        for (cpu, flag) in [(self.cpu_a, "--cpu-a"), (self.cpu_b, "--cpu-b")] {
            if let Some(cpu) = cpu.filter(|cpu| !available.contains(cpu)) {
                let list = splinter_harness::cpulist::print(available);
                return Err(format!("processor {cpu} cannot be had: give {flag} one of {list}"));
            }
        }
        if self.cpu_a.is_some() && self.cpu_a == self.cpu_b {
            return Err("--cpu-a and --cpu-b are the same: both on one processor is measured anyway, give \
                 two"
            .to_owned());
        }
        let other_than = |taken: Option<usize>| {
            let free = available.iter().find(|&&cpu| Some(cpu) != taken);
            free.or(available.first()).copied()
        };
        let a = self.cpu_a.or_else(|| other_than(self.cpu_b));
        let b = self.cpu_b.or_else(|| other_than(a));
        a.zip(b).map(|(a, b)| [a, b]).ok_or_else(|| "there is no processor to measure on".to_owned())
    }
}

/// The record of one measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct WakeRecord {
    pub schema_version: u32,
    pub kind: String,
    /// `"fail"`: a wake never came, or a wrong processor; missed targets pass.
    pub verdict: Verdict,
    pub reasons: Vec<String>,
    pub labels: Vec<String>,
    /// The flags.
    pub config: WakePlan,
    /// Completed.
    pub rounds: u32,
    pub rows: Vec<Row>,
    pub fan_out: Vec<FanOut>,
    pub invariants: WakeInvariants,
    pub placement: WakePlacement,
    pub environment: Environment,
}

/// One mechanism in one situation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct Row {
    /// Kind, situation, median.
    pub name: String,
    pub situation: Situation,
    pub value_ns: Option<f64>,
    /// Percentiles over all rounds; why there is no figure.
    pub one_way_ns: Percentiles,
    /// Limit and its median.
    pub limit_name: Option<String>,
    pub limit: Option<f64>,
    /// Median of the rounds' ratios; its maximum; whether it holds.
    pub ratio: Option<f64>,
    /// Of the ratios.
    pub ratio_quartiles: Option<Middle>,
    /// Median of the rounds' ratios; its maximum; whether it holds.
    pub target: Option<f64>,
    pub met: Option<bool>,
    /// `met`, `MISSED`; `met, closely`, `missed, closely`: the middle half spans the target.
    pub judgement: String,
    /// Waits that slept, by voluntary switches; null for spinning.
    pub asleep_share: Option<f64>,
    /// Percentiles over all rounds; why there is no figure.
    pub not_measured: Option<String>,
}

/// One way of waking the waiters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct FanOut {
    /// One write wakes so many threads, all seen asleep.
    pub name: String,
    pub watchers: usize,
    pub processes: usize,
    /// In total.
    pub calls: u64,
    pub woken: u64,
    /// Until the first and the last has the value; the write.
    pub first_ns: Percentiles,
    pub last_ns: Percentiles,
    pub writer_ns: Percentiles,
    /// `last_ns` against one `FUTEX_WAKE` of as many.
    pub limit_name: Option<String>,
    pub limit: Option<f64>,
    pub ratio: Option<f64>,
    /// Of the ratios.
    pub ratio_quartiles: Option<Middle>,
}

/// What must be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct WakeInvariants {
    /// Wakes missing after 10 s; must be 0.
    pub lost_wakes: u64,
}

/// Where the two ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct WakePlacement {
    /// Of both processes; faults in words.
    pub processors: usize,
    pub requested: [usize; 2],
    pub observed: [BTreeSet<usize>; 2],
    pub misplaced: Vec<String>,
}

/// The ways of waking the waiters, the limit first.
pub(super) const CALLS: [Mechanism; 2] = [Mechanism::Futex, Mechanism::Watcher];

/// The samples of one mechanism in one situation.
#[derive(Debug)]
struct Cell {
    situation: Situation,
    mechanism: Mechanism,
    not_measured: Option<String>,
    one_way: Histogram<u64>,
    /// By round: the median, in nanoseconds.
    medians: Vec<Option<f64>>,
    waits: u64,
    sleeps: u64,
}

/// The calls of the waiters, one way.
#[derive(Debug)]
struct Calls {
    mechanism: Mechanism,
    first: Histogram<u64>,
    last: Histogram<u64>,
    writer: Histogram<u64>,
    /// By round: until the last had it, in nanoseconds.
    rounds: Vec<Option<f64>>,
}

/// Returns the middle of the ratios of two things, round by round.
fn ratios(values: &[Option<f64>], limits: &[Option<f64>]) -> Option<Middle> {
    Paired::of(values.iter().copied(), limits.iter().copied()).middle()
}

/// Everything that has been found.
#[derive(Debug)]
pub(super) struct Evidence {
    plan: WakePlan,
    cells: Vec<Cell>,
    calls: Vec<Calls>,
    placement: WakePlacement,
    /// What the round that goes on has found.
    round: Vec<Found>,
    cycle_ns: f64,
    pub(super) broken: Option<(Broken, String)>,
    pub(super) interrupted: bool,
}

impl Evidence {
    /// Begins with nothing.
    pub(super) fn new(
        plan: &WakePlan,
        requested: [usize; 2],
        processors: usize,
        cycle_ns: f64,
        unavailable: impl Fn(Mechanism) -> Option<String>,
    ) -> Self {
        let two = if requested[0] == requested[1] { 1 } else { 2 };
        let cells = Situation::ALL.into_iter().flat_map(|situation| {
            Mechanism::ALL.map(|mechanism| Cell {
                situation,
                mechanism,
                not_measured: situation.excludes(mechanism, two).or_else(|| unavailable(mechanism)),
                one_way: histogram(),
                medians: Vec::new(),
                waits: 0,
                sleeps: 0,
            })
        });
        let calls = CALLS.map(|mechanism| Calls {
            mechanism,
            first: histogram(),
            last: histogram(),
            writer: histogram(),
            rounds: Vec::new(),
        });
        Self {
            plan: plan.clone(),
            cells: cells.collect(),
            calls: calls.into(),
            placement: WakePlacement { processors, requested, ..WakePlacement::default() },
            round: Vec::new(),
            cycle_ns,
            broken: None,
            interrupted: false,
        }
    }

    /// Returns what is to be measured in each round.
    pub(super) fn cells(&self) -> Vec<(Situation, Mechanism)> {
        let measured = self.cells.iter().filter(|cell| cell.not_measured.is_none());
        measured.map(|cell| (cell.situation, cell.mechanism)).collect()
    }

    /// Adds what a task found. Where it ran counts at once, its figures at the end of the round.
    pub(super) fn add(&mut self, found: Found) {
        if let Found::Sample(situation, _, sample) = &found {
            self.note_placement(*situation, sample);
        }
        self.round.push(found);
    }

    /// Ends a round, which was whole. The figures of round 0, the warm-up, do not count.
    pub(super) fn end_round(&mut self, round: u32) {
        for found in std::mem::take(&mut self.round).into_iter().filter(|_| round > 0) {
            match found {
                Found::Sample(situation, mechanism, sample) => {
                    self.fold_sample(situation, mechanism, &sample);
                }
                Found::Call(mechanism, call) => self.fold_call(mechanism, &call),
            }
        }
    }

    fn note_placement(&mut self, situation: Situation, sample: &Sample) {
        let [a, b] = self.placement.requested;
        let asked = [a, if situation == Situation::Same { a } else { b }];
        for (side, (seen, asked)) in sample.observed.into_iter().zip(asked).enumerate() {
            // 0 is unknown.
            let Some(cpu) = usize::try_from(seen).ok().and_then(|seen| seen.checked_sub(1)) else {
                continue;
            };
            self.placement.observed[side].insert(cpu);
            let what = format!("asked for processor {asked}, ran on {cpu}");
            if cpu != asked && !self.placement.misplaced.contains(&what) {
                self.placement.misplaced.push(what);
            }
        }
    }

    fn fold_sample(&mut self, situation: Situation, mechanism: Mechanism, sample: &Sample) {
        let found =
            self.cells.iter_mut().find(|cell| cell.situation == situation && cell.mechanism == mechanism);
        let Some(cell) = found else {
            return;
        };
        for &cycles in &sample.one_way {
            cell.one_way.saturating_record(to_ns(cycles, self.cycle_ns));
        }
        let cycles = Summary::of(sample.one_way.iter().map(|&cycles| cycles as f64));
        let median = cycles.map(|cycles| cycles.median * self.cycle_ns);
        cell.medians.push(median);
        cell.waits += sample.waits;
        cell.sleeps += sample.sleeps;
    }

    fn fold_call(&mut self, mechanism: Mechanism, call: &FanOutSample) {
        let found = self.calls.iter_mut().find(|calls| calls.mechanism == mechanism);
        let Some(calls) = found else {
            return;
        };
        let ns = |cycles| to_ns(cycles, self.cycle_ns);
        calls.first.saturating_record(ns(call.first));
        calls.last.saturating_record(ns(call.last));
        calls.writer.saturating_record(ns(call.writer));
        calls.rounds.push(Some(ns(call.last) as f64));
    }

    /// Makes the record.
    pub(super) fn into_record(self, environment: Environment) -> WakeRecord {
        let mut reasons = self.placement.misplaced.clone();
        let mut verdict = if reasons.is_empty() { Verdict::Pass } else { Verdict::Fail };
        let mut invariants = WakeInvariants::default();
        match &self.broken {
            Some((Broken::Lost, whose)) => {
                invariants.lost_wakes = 1;
                verdict = Verdict::Fail;
                reasons.push(format!("a wake never came: {whose}"));
            }
            Some((Broken::NoResponse, whose)) => {
                verdict = verdict.max(Verdict::Inconclusive);
                reasons.push(format!("the other process did not act on a command: {whose}"));
            }
            None if self.interrupted => {
                verdict = verdict.max(Verdict::Inconclusive);
                reasons.push("interrupted before its end".to_owned());
            }
            None => {}
        }
        settle(&mut verdict, &mut reasons, &environment);
        let labels = [
            (environment.build.debug_assertions, "debug build: figures mean nothing"),
            (environment.valgrind, VOID),
            (self.plan.quick, "quick: figures mean little"),
            (self.interrupted, "interrupted"),
        ];
        let rounds = self.calls.first().map_or(0, |calls| calls.rounds.len());
        WakeRecord {
            schema_version: SCHEMA_VERSION,
            kind: "wake".to_owned(),
            verdict,
            reasons,
            labels: labels
                .into_iter()
                .filter(|&(holds, _)| holds)
                .map(|(_, label)| label.to_owned())
                .collect(),
            rounds: u32::try_from(rounds).unwrap_or(u32::MAX),
            rows: self.cells.iter().map(|cell| self.row(cell)).collect(),
            fan_out: self.calls.iter().map(|calls| self.fan_out(calls)).collect(),
            invariants,
            placement: self.placement,
            config: self.plan,
            environment,
        }
    }

    fn row(&self, cell: &Cell) -> Row {
        let spec = cell.mechanism.spec();
        let limit = spec.limit.and_then(|limit| {
            let same = |other: &&Cell| other.situation == cell.situation && other.mechanism == limit;
            self.cells.iter().find(same)
        });
        let middle = limit.and_then(|limit| ratios(&cell.medians, &limit.medians));
        let p50 = |cell: &Cell| {
            let percentiles = Percentiles::of(&cell.one_way);
            (percentiles.samples > 0).then_some(percentiles.p50 as f64)
        };
        let asleep = cell.sleeps as f64 / cell.waits.max(1) as f64;
        Row {
            name: spec.name.trim().to_owned(),
            situation: cell.situation,
            value_ns: p50(cell),
            one_way_ns: Percentiles::of(&cell.one_way),
            limit_name: spec.limit.map(|limit| limit.spec().name.to_owned()),
            limit: limit.and_then(p50),
            ratio: middle.map(|middle| middle.median),
            ratio_quartiles: middle,
            target: spec.target,
            met: is_met(middle, spec.target),
            judgement: judgement(middle, spec.target).to_owned(),
            // A process that spins goes to sleep only when it is stopped.
            asleep_share: (cell.waits > 0 && spec.style != Style::Spinning)
                .then(|| (asleep.min(1.0) * 1e3).round() / 1e3),
            not_measured: cell.not_measured.clone(),
        }
    }

    fn fan_out(&self, calls: &Calls) -> FanOut {
        let limit = self.calls.first().filter(|limit| limit.mechanism != calls.mechanism);
        let middle = limit.and_then(|limit| ratios(&calls.rounds, &limit.rounds));
        FanOut {
            name: calls.mechanism.spec().name.to_owned(),
            watchers: WAITERS,
            processes: WAITER_PROCESSES,
            calls: calls.last.len(),
            // A call that did not wake all of them ends the measurement.
            woken: calls.last.len() * WAITERS as u64,
            first_ns: Percentiles::of(&calls.first),
            last_ns: Percentiles::of(&calls.last),
            writer_ns: Percentiles::of(&calls.writer),
            limit_name: limit.map(|limit| limit.mechanism.spec().name.to_owned()),
            limit: limit.map(|limit| Percentiles::of(&limit.last).p50 as f64),
            ratio: middle.map(|middle| middle.median),
            ratio_quartiles: middle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(cpu_a: Option<usize>, cpu_b: Option<usize>) -> WakePlan {
        WakePlan { rounds: 3, quick: true, cpu_a, cpu_b, seed: 1 }
    }

    fn evidence() -> Evidence {
        Evidence::new(&plan(None, None), [0, 1], 2, 0.5, |_| None)
    }

    fn sample(one_way: &[u64], sleeps: u64) -> Sample {
        Sample {
            one_way: one_way.to_vec(),
            waits: 2 * one_way.len() as u64,
            sleeps,
            observed: [1, 2],
            next: 0,
        }
    }

    #[test]
    fn processors_are_two_where_there_are_two() {
        let of = |a, b, available: &[usize]| plan(a, b).processors(available);
        assert_eq!(of(None, None, &[2, 5, 7]), Ok([2, 5]));
        assert_eq!(of(None, Some(2), &[2, 5, 7]), Ok([5, 2]));
        assert_eq!(of(Some(7), None, &[2, 5, 7]), Ok([7, 2]));
        assert_eq!(of(None, None, &[3]), Ok([3, 3]));
        for (a, b) in [(Some(9), None), (None, Some(9)), (Some(2), Some(2))] {
            let error = of(a, b, &[2, 5]).unwrap_err();
            assert!(error.contains("--cpu") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_row_stands_beside_its_limit_and_says_how_many_slept() {
        let mut evidence = evidence();
        for (futex, watcher) in [(1000, 1100), (3000, 3300), (2000, 2200)] {
            evidence.add(Found::Sample(Situation::Idle, Mechanism::Futex, sample(&[futex; 4], 8)));
            evidence.add(Found::Sample(Situation::Idle, Mechanism::Watcher, sample(&[watcher; 4], 6)));
            evidence.end_round(1);
        }
        let record = evidence.into_record(Environment::read());
        let find = |name: &str| {
            let mut rows = record.rows.iter();
            rows.find(|row| row.name == name && row.situation == Situation::Idle).unwrap()
        };
        let row = find("watcher, asleep");
        assert!((row.value_ns.unwrap() - 1100.0).abs() < 2.0);
        assert!((row.limit.unwrap() - 1000.0).abs() < 2.0);
        assert!((row.ratio.unwrap() - 1.1).abs() < 1e-9);
        assert_eq!((row.met, row.asleep_share), (Some(true), Some(0.75)));
        assert_eq!(find("cache line").value_ns, None);
        assert_eq!(record.verdict, Verdict::Pass);
        assert_eq!(record.placement.observed[1], BTreeSet::from([1]));
    }

    #[test]
    fn a_wake_that_never_came_fails_and_a_deaf_partner_tells_nothing() {
        let verdict = |broken, interrupted| {
            let mut evidence = evidence();
            evidence.broken = broken;
            evidence.interrupted = interrupted;
            let record = evidence.into_record(Environment::read());
            (record.verdict, record.invariants.lost_wakes)
        };
        let whose = || "a task".to_owned();
        assert_eq!(verdict(Some((Broken::Lost, whose())), false), (Verdict::Fail, 1));
        assert_eq!(verdict(Some((Broken::NoResponse, whose())), false), (Verdict::Inconclusive, 0));
        assert_eq!(verdict(None, true), (Verdict::Inconclusive, 0));
        assert_eq!(verdict(None, false), (Verdict::Pass, 0));
    }

    #[test]
    fn a_disturbed_measurement_gives_no_verdict() {
        let mut environment = Environment::read();
        environment.disturbances = vec![splinter_harness::disturbance::Disturbance {
            cause: splinter_harness::disturbance::Cause::Steal,
            ms: 100,
            share: 0.05,
        }];
        let record = evidence().into_record(environment);
        assert_eq!(record.verdict, Verdict::Inconclusive);
        let [why] = &record.reasons[..] else {
            panic!("{:?}", record.reasons);
        };
        assert!(why.starts_with("DISTURBED because the hypervisor took 5.0 %"), "{why}");
    }

    #[test]
    fn a_process_that_ran_elsewhere_is_misplaced_though_its_round_does_not_count() {
        // The end of the warm-up; of a round that counts; none, of a round that broke.
        for (end, samples) in [(Some(0), 0), (Some(1), 1), (None, 0)] {
            let mut evidence = evidence();
            evidence.add(Found::Sample(Situation::Same, Mechanism::Futex, sample(&[1], 0)));
            match end {
                Some(round) => evidence.end_round(round),
                None => evidence.broken = Some((Broken::NoResponse, "a task".to_owned())),
            }
            let record = evidence.into_record(Environment::read());
            assert_eq!(record.verdict, Verdict::Fail);
            assert!(record.reasons[0].contains("ran on 1"), "{:?}", record.reasons);
            assert_eq!(record.rows.iter().map(|row| row.one_way_ns.samples).sum::<u64>(), samples);
        }
    }

    #[test]
    fn a_processor_that_one_situation_asks_for_is_another_ones_fault() {
        let mut evidence = evidence();
        for situation in [Situation::Same, Situation::Idle, Situation::Idle] {
            let sample = Sample { observed: [1, 1], ..sample(&[1], 0) };
            evidence.add(Found::Sample(situation, Mechanism::Futex, sample));
        }
        assert_eq!(evidence.placement.misplaced, ["asked for processor 1, ran on 0"]);
    }
}
