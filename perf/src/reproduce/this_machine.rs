//! The executor that really runs things: workloads by the stress suite's engine, operations and limits in interleaved
//! rounds, wakes between two processes.

use super::judge::{Has, Way};
use super::record::Run;
use super::{Costs, Executor, GET, Implausible, Plan, Woken};
use crate::caches::Caches;
use crate::clock::ns_per_op;
use crate::limits::{Limit, Setup, plausible};
use crate::micro::chain::Chain;
use crate::pinning;
use splinter_harness::disturbance::{ProcessorUse, RoundWatch};
use splinter_harness::environment::Environment;
use splinter_harness::interrupt;
use splinter_harness::progress::Line;
use splinter_harness::progress::Progress as _;
use splinter_harness::sampler::{self, Probe, Schedule};
use splinter_harness::stats::paired::Bound;
use splinter_stress::{Situation, WakePlan, Workload};
use std::time::Duration;

/// The limits that claims are held against or bound by.
const LIMITS: [Limit; 8] = [
    Limit::L1Chase,
    Limit::L2Chase,
    Limit::L3Chase,
    Limit::MemoryChase,
    Limit::Cmpxchg,
    Limit::Memcpy1Kib,
    Limit::MemoryCopy,
    Limit::LineTransfer,
];

/// The ways of waking that a claim is held by; of the two descriptors a machine has one as a rule.
const WAYS: [&str; 3] = ["watcher, asleep", "poll, asleep", "descriptor, io_uring"];

/// How far the ways may lie from the kernel's own where the suite sets no target of its own.
const TARGET: f64 = 1.15;

/// What costs and wakes use: a thread, or a pair of them that hand something to each other.
const PAIR: ProcessorUse = ProcessorUse::up_to(2);

/// This machine.
#[derive(Debug)]
pub struct ThisMachine<'a> {
    plan: &'a Plan,
    has: Has,
    caches: Caches,
    rounds: RoundWatch,
    line: Line,
}

impl<'a> ThisMachine<'a> {
    /// Prepares to run a plan; `environment` says what the machine has. At most `again` disturbed runs and rounds are repeated.
    #[must_use]
    pub fn new(plan: &'a Plan, environment: &Environment, again: u32) -> Self {
        let nodes = environment.nodes.iter().filter(|node| !node.processors.is_empty());
        let has = Has { processors: environment.processors, nodes: nodes.count().max(1) };
        Self {
            plan,
            has,
            caches: Caches::read(),
            rounds: RoundWatch::start(again, &PAIR),
            line: Line::new("reproduce"),
        }
    }

    /// Returns what disturbed the runs and rounds that count.
    #[must_use]
    pub fn rounds(&self) -> &RoundWatch {
        &self.rounds
    }
}

impl Executor for ThisMachine<'_> {
    fn has(&self) -> Has {
        self.has
    }

    fn run(&mut self, what: &str, workload: &Workload) -> Result<Run, String> {
        self.line = Line::new(what);
        let line = &mut self.line;
        self.rounds.now_using(&ProcessorUse::up_to(workload.operators() as usize));
        let record = self.rounds.run(|| splinter_stress::run(workload, line));
        Ok(Run::of(&record.map_err(|error| error.to_string())?))
    }

    fn costs(&mut self) -> Result<(Costs, Implausible), String> {
        self.line = Line::new("single operations");
        let (plan, caches) = (self.plan, self.caches.clone());
        self.rounds.now_using(&PAIR);
        let (rounds, line) = (&mut self.rounds, &mut self.line);
        // On a thread of its own: what is pinned stays so, and workers must find all processors.
        let costs = pinning::apart(|| costs(plan, caches, rounds, line));
        // The workloads that follow have stores and processes to clear away, so they end in order.
        interrupt::watch();
        costs?
    }

    fn wake(&mut self) -> Result<Woken, String> {
        self.line = Line::new("wake");
        let plan = WakePlan {
            rounds: self.plan.rounds,
            quick: self.plan.quick,
            cpu_a: None,
            cpu_b: None,
            seed: self.plan.seed,
        };
        let line = &mut self.line;
        self.rounds.now_using(&PAIR);
        let record = self.rounds.run(|| {
            pinning::apart(|| splinter_stress::wake(&plan, line))?.map_err(|error| error.to_string())
        })?;
        let rows = record.rows.iter().filter(|row| row.situation == Situation::Idle);
        let ways = rows.filter(|row| WAYS.contains(&row.name.as_str()));
        Ok(Woken {
            ways: ways
                .map(|row| {
                    let target = row.target.unwrap_or(TARGET);
                    Way {
                        name: row.name.clone(),
                        ns: row.value_ns,
                        limit_name: row.limit_name.clone().unwrap_or_default(),
                        limit_ns: row.limit,
                        ratio: row.ratio,
                        target,
                        met: row
                            .ratio_quartiles
                            .filter(|ratio| !Bound::AtMost.is_beyond_limit(ratio.q3))
                            .map(|ratio| ratio.median <= target),
                    }
                })
                .collect(),
            lost: record.invariants.lost_wakes,
        })
    }

    fn cache_bytes(&self, level: u32) -> Option<u64> {
        self.caches.data_bytes(level)
    }

    fn interrupted(&self) -> bool {
        interrupt::requested()
    }
}

/// Samples a get and the limits in the same rounds, on one pinned thread.
fn costs(
    plan: &Plan,
    caches: Caches,
    watch: &mut RoundWatch,
    line: &mut Line,
) -> Result<(Costs, Implausible), String> {
    let _ = pinning::pin(pinning::processors().len().saturating_sub(1));
    let budget = Duration::from_millis(if plan.quick { 4 } else { 15 });
    let setup = Setup { caches, budget, seed: plan.seed };
    line.step(&format!("preparing {GET}"));
    let mut chain = Chain::new(64, plan.seed)?;
    let get = move || ns_per_op(budget, Chain::OPS, || chain.walk()).map_err(|error| error.to_string());
    let mut probes = vec![Probe::new(GET, get)];
    for limit in LIMITS {
        line.step(&format!("preparing {}", limit.name()));
        // A machine without one of the caches has fewer.
        probes.extend(limit.probe(&setup).ok());
    }
    let schedule = Schedule { rounds: plan.rounds, seed: plan.seed, warm_up: true };
    let mut series = sampler::run(&mut probes, &schedule, watch, line);
    plausible::refuse(&mut series);
    let all = || series.iter();
    let costs = all().filter_map(|it| Some((it.name.clone(), it.bound()?)));
    let refused = all().filter_map(|it| Some((it.name.clone(), it.error.clone()?)));
    Ok((costs.collect(), refused.collect()))
}
