//! Published figures, tried here: six [claims], each run in the configuration it was published for, and held
//! against its figure. The pipeline in this file knows no clock and no store: an [`Executor`] runs what it asks for,
//! and the tests hand it one that makes its figures up.

pub mod claims;
pub mod judge;
pub mod record;
pub mod scaling;
pub mod table;
pub mod this_machine;

use claims::{CLAIMS, Claim, Rate, Trial};
use judge::{Finding, Has, Way};
use record::{Bound, Cell, Figures, Reproduction, Run};
use scaling::Point;
use serde::{Deserialize, Serialize};
use splinter::Scrub;
use splinter_harness::environment::Environment;
use splinter_harness::environment::settle;
use splinter_harness::sampler::{Schedule, Step, Stop, Subject, sample};
use splinter_harness::stats::Summary;
use splinter_harness::verdict::Verdict;
use splinter_stress::Workload;
use std::collections::BTreeMap;

/// How thoroughly the claims are tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Plan {
    /// Names of the claims to try.
    pub claims: Vec<String>,
    /// How often each workload runs; its median counts.
    pub repetitions: u32,
    /// Length of one run, in milliseconds.
    pub run_ms: u64,
    /// Length of one run of a scaling curve, in milliseconds.
    pub scaling_run_ms: u64,
    /// Rounds of what is sampled in rounds.
    pub rounds: u32,
    /// Whether it is a first look only.
    pub quick: bool,
    /// Seed of all random choices.
    pub seed: u64,
}

/// What single operations cost here, sampled in the same rounds: by the names of the limits, and [`GET`]. In
/// nanoseconds; of a memory copy, in bytes per second.
pub type Costs = BTreeMap<String, f64>;

/// Costs that cannot be what they are called, and why: nothing is held against them.
pub type Implausible = BTreeMap<String, String>;

/// The name of the get among [`Costs`].
pub const GET: &str = "get 64 B, each after the one before";

/// The name of the load from the last-level cache among them.
const L3: &str = "L3 chase";

/// The costs of waking another process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Woken {
    /// The ways, each beside the kernel's.
    pub ways: Vec<Way>,
    /// Messages that woke no watcher.
    pub lost: u64,
}

/// Runs what the pipeline asks for.
pub trait Executor {
    /// Returns what the machine has.
    fn has(&self) -> Has;
    /// Runs a workload; `what` names it in the progress line.
    ///
    /// # Errors
    /// In one line, what kept it from running.
    fn run(&mut self, what: &str, workload: &Workload) -> Result<Run, String>;
    /// Samples what single operations cost.
    ///
    /// # Errors
    /// In one line, what kept it from measuring.
    fn costs(&mut self) -> Result<(Costs, Implausible), String>;
    /// Measures how long it takes to wake another process.
    ///
    /// # Errors
    /// In one line, what kept it from measuring.
    fn wake(&mut self) -> Result<Woken, String>;
    /// Returns the size of the data cache of a level, if it is known.
    fn cache_bytes(&self, level: u32) -> Option<u64>;
    /// Tells whether the user wants it to end.
    fn interrupted(&self) -> bool;
}

/// Tries the claims of a plan, in the order of the list. What was found so far is kept when the user ends it early.
pub fn reproduce(plan: &Plan, executor: &mut impl Executor) -> Reproduction {
    let mut trial = Trials { plan, executor, costs: Costs::new() };
    let mut found = Reproduction::new(plan);
    // What bounds a rate, and what a latency is held against, is measured first: little of it is wasted if it ends.
    match trial.executor.costs() {
        Ok((costs, implausible)) => (trial.costs, found.implausible) = (costs, implausible),
        Err(why) => found.reasons.push(format!("single operations were not measured: {why}")),
    }
    for claim in CLAIMS.iter().filter(|claim| plan.claims.iter().any(|name| name == claim.name)) {
        if trial.executor.interrupted() {
            break;
        }
        match trial.of(claim, &found.implausible) {
            Ok(cell) => found.cells.push(cell),
            Err(why) => found.reasons.push(format!("{}: {why}", claim.name)),
        }
    }
    found.costs = trial.costs;
    if executor.interrupted() {
        found.reasons.push("interrupted".to_owned());
    }
    found.conclude();
    found
}

struct Trials<'a, E> {
    plan: &'a Plan,
    executor: &'a mut E,
    costs: Costs,
}

impl<E: Executor> Trials<'_, E> {
    fn of(&mut self, claim: &Claim, implausible: &Implausible) -> Result<Cell, String> {
        match &claim.trial {
            Trial::Rate(rate) => self.rate(claim, rate),
            Trial::Untorn { reported_per_s, workload } => self.untorn(claim, *reported_per_s, *workload),
            Trial::Latency => Ok(self.latency(claim, implausible)),
            Trial::Wake => self.wake(claim),
        }
    }

    fn rate(&mut self, claim: &Claim, rate: &Rate) -> Result<Cell, String> {
        let processors = self.executor.has().processors;
        let workload = self.timed((rate.workload)(processors), self.plan.run_ms);
        let runs = self.repeat(claim, &workload)?;
        let curve = match rate.scaled {
            Some(scaled) => self.curve(claim, scaled)?,
            None => Vec::new(),
        };
        let mut figures = Figures::of_rate(rate.figure_per_s, &runs, self.bound(&runs, &workload));
        let goodput = Summary::of(runs.iter().map(|run| run.goodput_per_s));
        figures.per_processor_per_s = goodput.map(|summary| summary.median / processors.max(1) as f64);
        figures.scaling_efficiency = curve.last().and_then(|point| point.efficiency);
        figures.processors_needed =
            figures.per_processor_per_s.and_then(|each| scaling::needed(rate.figure_per_s, each, &curve));
        figures.scaling = curve;
        let mut judgement = judge::rate(rate, goodput, &figures.scaling, self.executor.has());
        if judgement.finding != Finding::Reproduced {
            judgement = judgement.and(disturbance(&runs));
        }
        if let Some(share) = figures.share_of_bound.filter(|share| *share > 1.0) {
            judgement = judgement.doubt(format!(
                "{share:.2} of what these processors could do at most: faster than the machine can"
            ));
        }
        // The same once more with every value proved and every read checked: a rate counts only if nothing broke.
        let proof = Workload { oracle: true, ..workload };
        let proof = self.executor.run(&format!("{}, proved", claim.name), &proof)?;
        Ok(Cell::new(claim, judgement, figures, runs, Some(proof)))
    }

    /// Runs a workload as often as the plan says.
    fn repeat(&mut self, claim: &Claim, workload: &Workload) -> Result<Vec<Run>, String> {
        let mut runs = Vec::new();
        for repetition in 1..=self.plan.repetitions {
            if !runs.is_empty() && self.executor.interrupted() {
                break;
            }
            let what = format!("{}, run {repetition} of {}", claim.name, self.plan.repetitions);
            runs.push(self.executor.run(&what, workload)?);
        }
        Ok(runs)
    }

    /// Measures a scaling curve: every step in each round, as many rounds as the plan says, so that a machine that slows
    /// down slows all of them.
    fn curve(&mut self, claim: &Claim, scaled: fn(usize) -> Workload) -> Result<Vec<Point>, String> {
        let steps = scaling::steps(self.executor.has().processors);
        let subjects: Vec<Subject> = steps.iter().map(|step| Subject::new(step.to_string())).collect();
        let schedule = Schedule { rounds: self.plan.repetitions, seed: self.plan.seed, warm_up: false };
        let mut failed = None;
        let take = &mut |step: Step<'_>| {
            if self.executor.interrupted() {
                return Err(Stop::Interrupted);
            }
            let workload = self.timed(scaled(steps[step.subject]), self.plan.scaling_run_ms);
            let what = format!("{}, on {} processors", claim.name, step.name);
            let run = self.executor.run(&what, &workload).map_err(|why| {
                failed = Some(why);
                Stop::Interrupted
            });
            run.map(|run| run.goodput_per_s)
        };
        let sampled = sample(&subjects, &schedule, take, &mut |_| true);
        if let Some(why) = failed {
            return Err(why);
        }
        let medians = steps.into_iter().zip(sampled.series).filter(|_| !sampled.interrupted);
        let medians = medians.filter_map(|(step, series)| Some((step, series.summary()?.median)));
        Ok(scaling::curve(&medians.collect::<Vec<_>>()))
    }

    fn untorn(
        &mut self,
        claim: &Claim,
        reported: [f64; 2],
        workload: fn(usize, Scrub) -> Workload,
    ) -> Result<Cell, String> {
        let processors = self.executor.has().processors;
        let mut runs = Vec::new();
        for scrub in Scrub::ALL {
            if !runs.is_empty() && self.executor.interrupted() {
                break;
            }
            let workload = self.timed(workload(processors, scrub), self.plan.run_ms);
            runs.push(self.executor.run(&format!("{}, scrub {scrub}", claim.name), &workload)?);
        }
        // Torn reads were reported at rates of attempts: what was torn and met a claim was tried again, and counted.
        let reached = runs.iter().map(|run| run.attempts_per_s).fold(0.0, f64::max);
        let torn = runs.iter().map(|run| run.torn_reads).sum();
        let mut figures = Figures::of_rate(reported[0], &runs, None);
        figures.measured_per_s = Some(reached);
        figures.ratio = Some(reached / reported[0]);
        // It is that already.
        (figures.attempts_per_s, figures.ratio_by_attempts) = (None, None);
        figures.definition = "attempts per second, the most of all levels".to_owned();
        Ok(Cell::new(claim, judge::untorn(reported, reached, torn), figures, runs, None))
    }

    fn latency(&self, claim: &Claim, implausible: &Implausible) -> Cell {
        let (get, load) = (self.cost(GET), self.cost(L3));
        let implausible = implausible.get(L3).map(String::as_str);
        let figures = Figures {
            definition: "nanoseconds of a get whose key the get before it returned, the median over rounds, against one load \
                         from the last-level cache"
                .to_owned(),
            measured_ns: get,
            limit_ns: load,
            ratio: get.zip(load).map(|(get, load)| get / load),
            ..Figures::default()
        };
        Cell::new(claim, judge::latency(get, load, implausible), figures, Vec::new(), None)
    }

    fn wake(&mut self, claim: &Claim) -> Result<Cell, String> {
        let woken = self.executor.wake()?;
        let figures = Figures {
            definition:
                "half of a round trip between two processes, the median over rounds, against the kernel's own"
                    .to_owned(),
            ways: woken.ways.clone(),
            ..Figures::default()
        };
        let mut cell = Cell::new(claim, judge::wake(&woken.ways, woken.lost), figures, Vec::new(), None);
        cell.broken += woken.lost;
        Ok(cell)
    }

    fn cost(&self, name: &str) -> Option<f64> {
        self.costs.get(name).copied()
    }

    /// Returns what the processors could do at most if each operation were nothing but the dearest of what it cannot do
    /// without: an exchange for a write, and moving its value once. Nothing is added up, since a processor has all
    /// of it under way at once. A memory copy moves each byte twice, out of memory and into it, an operation once.
    fn bound(&self, runs: &[Run], workload: &Workload) -> Option<Bound> {
        let run = runs.first()?;
        let writes = run.writes_per_s / (run.writes_per_s + run.reads_per_s).max(1.0);
        let len = f64::from(workload.value_len.shortest() + workload.value_len.longest()) / 2.0;
        let values = workload.keys as f64 * len;
        let cached = [2, 3].into_iter().filter_map(|level| self.executor.cache_bytes(level)).max();
        let copy = if cached.is_some_and(|bytes| values <= bytes as f64) {
            ("memcpy 1 KiB", self.cost("memcpy 1 KiB")? / 1024.0 * len)
        } else {
            ("memory copy", len * 1e9 / self.cost("memory copy")? / 2.0)
        };
        let exchange = ("cmpxchg", writes * self.cost("cmpxchg")?);
        let (by, each_ns) = if copy.1 >= exchange.1 { copy } else { exchange };
        Some(Bound { per_s: run.processors as f64 * 1e9 / each_ns, by: by.to_owned() })
    }

    fn timed(&self, workload: Workload, millis: u64) -> Workload {
        Workload { span: splinter_stress::Span::DurationMs(millis), seed: self.plan.seed, ..workload }
    }
}

/// Says that others took part of the processors, where they did.
fn disturbance(runs: &[Run]) -> Option<String> {
    let share = Summary::of(runs.iter().filter_map(|run| run.processor_share))?.median;
    (share < 0.9)
        .then(|| format!("the workers had {:.0} % of the processors' time, others the rest", share * 100.0))
}

impl Reproduction {
    /// Takes back what disturbed runs cannot show: that a figure is not reached. What broke in them broke.
    pub fn settle(&mut self, environment: &Environment) {
        if !environment.disturbances.is_empty() {
            for cell in self.cells.iter_mut().filter(|cell| cell.broken == 0) {
                if cell.verdict == Finding::NotReproduced {
                    cell.verdict = Finding::Inconclusive;
                }
            }
        }
        settle(&mut self.verdict, &mut self.reasons, environment);
    }

    /// Decides the verdict: a broken invariant fails whatever was reached, what was not tried leaves it open.
    fn conclude(&mut self) {
        let broken: u64 = self.cells.iter().map(|cell| cell.broken).sum();
        if broken > 0 {
            self.reasons.insert(0, format!("{broken} broken invariants"));
        }
        let open = self.cells.iter();
        let open = open.filter(|cell| cell.verdict == Finding::Inconclusive);
        let open: Vec<String> = open.map(|cell| format!("{}: inconclusive", cell.claim)).collect();
        self.reasons.extend(open);
        self.verdict = match broken {
            0 if self.reasons.is_empty() => Verdict::Pass,
            0 => Verdict::Inconclusive,
            _ => Verdict::Fail,
        };
    }
}

#[cfg(test)]
mod tests;
