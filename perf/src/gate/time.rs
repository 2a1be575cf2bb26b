//! The time tier: which samples are taken in which order, and what they come to. Samples come from an [`Executor`]: a process
//! each in earnest, numbers in the tests. Knows no clock, no process and no store.
//!
//! A block takes each arm twice, in an order drawn by lot and then backwards: base, head and control (the base once
//! more) as ABCCBA, CABBAC, ... Of any two arms that is ABBA or BAAB: a drift that is linear over the block cancels
//! out. What counts is the logarithm of the ratio of two arms in a block, one number a block, whatever blocks differ in.

use super::child::Stop;
use super::record::{Effect, Measure, Tier, TimeRow, gravest};
use splinter_harness::rng::Rng;
use splinter_harness::sampler::{self, Sampled, Schedule, Series, Step, Subject};
use splinter_harness::stats::paired::{ALPHA, Change, Paired, percent};
use splinter_harness::stats::{holm, median};
use splinter_harness::verdict::Verdict;

/// Stream of random numbers for the order of arms, beside that of the order of benchmarks.
const ARMS: u64 = 2;

/// An arm of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// The base.
    Base,
    /// The head.
    Head,
    /// The base again, as if it were another build.
    Control,
}

impl Arm {
    const ALL: [Self; 3] = [Self::Base, Self::Head, Self::Control];
}

/// The measurement of one process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Successes per second.
    pub goodput_per_s: f64,
    /// 99th percentile of the latency.
    pub p99_ns: f64,
}

impl Sample {
    /// Returns the logarithms of both measures, in the order of [`Measure::ALL`].
    fn logs(self) -> [f64; 2] {
        [self.goodput_per_s.ln(), self.p99_ns.ln()]
    }
}

/// Takes samples.
pub trait Executor {
    /// Takes one sample of a benchmark, in a process of its own.
    ///
    /// # Errors
    /// [`Stop::Failed`] ends the benchmark, [`Stop::Interrupted`] all of them.
    fn sample(&mut self, arm: Arm, benchmark: &str) -> Result<Sample, Stop>;
}

/// The plan of the measurement, and the thresholds of a regression.
#[derive(Clone, Debug, PartialEq)]
pub struct Design {
    /// The benchmarks by name.
    pub benchmarks: Vec<String>,
    /// Blocks of each that count; one more before them is thrown away.
    pub blocks: usize,
    /// Seed of all orders.
    pub seed: u64,
    /// Loss of goodput that is too much, in percent.
    pub goodput_percent: f64,
    /// Growth of the 99th percentile that is too much, in percent.
    pub p99_percent: f64,
}

impl Design {
    fn percent(&self, measure: Measure) -> f64 {
        match measure {
            Measure::GoodputPerS => self.goodput_percent,
            Measure::P99Ns => self.p99_percent,
        }
    }

    /// Returns the logarithm of the ratio beyond which a change for the worse is too much.
    fn threshold(&self, measure: Measure) -> f64 {
        match measure {
            Measure::GoodputPerS => -(1.0 - self.goodput_percent / 100.0).ln(),
            Measure::P99Ns => (1.0 + self.p99_percent / 100.0).ln(),
        }
    }
}

/// One block: mean logarithms by arm and measure.
pub type Block = [[f64; 2]; 3];

/// Returns the ratios of an arm to the base, a block each.
fn ratios(series: &Series<Block>, arm: Arm, measure: usize) -> Paired {
    series.taken().map(|block| (block[arm as usize][measure] - block[0][measure]).exp()).collect()
}

/// Returns the median of an arm, as it was measured.
fn middle(series: &Series<Block>, arm: Arm, measure: usize) -> f64 {
    let mut logs: Vec<f64> = series.taken().map(|block| block[arm as usize][measure]).collect();
    median(&mut logs).exp()
}

/// Takes the samples of a design. `watch` hears of each block before it begins: its number from 1 (0 is thrown away) and
/// its benchmark.
pub fn take(
    executor: &mut dyn Executor,
    design: &Design,
    watch: &mut dyn FnMut(usize, &str),
) -> Sampled<Block> {
    let subjects: Vec<Subject> = design.benchmarks.iter().map(Subject::new).collect();
    let rounds = u32::try_from(design.blocks).unwrap_or(u32::MAX);
    let schedule = Schedule { rounds, seed: design.seed, warm_up: true };
    let mut rng = Rng::new(design.seed, ARMS);
    let take = &mut |step: Step<'_>| {
        watch(step.round as usize, step.name);
        block(executor, step.name, &mut rng)
    };
    sampler::sample(&subjects, &schedule, take, &mut |_| true)
}

/// Takes one block: every arm, and every arm again backwards.
fn block(executor: &mut dyn Executor, benchmark: &str, rng: &mut Rng) -> Result<Block, Stop> {
    let mut arms = Arm::ALL;
    rng.shuffle(&mut arms);
    let mut logs = [[0.0; 2]; 3];
    for arm in arms.into_iter().chain(arms.into_iter().rev()) {
        let sample = executor.sample(arm, benchmark)?.logs();
        if !sample.iter().all(|log| log.is_finite()) {
            return Err(Stop::Failed(format!("{benchmark}: a sample is no number above 0")));
        }
        for (sum, log) in logs[arm as usize].iter_mut().zip(sample) {
            *sum += log / 2.0;
        }
    }
    Ok(logs)
}

/// The finding on one row before all rows are seen together.
struct Finding<'a> {
    measure: Measure,
    series: &'a Series<Block>,
    change: Change,
    control: Change,
}

impl<'a> Finding<'a> {
    /// Compares the arms; `None` without a block.
    fn of(series: &'a Series<Block>, measure: Measure, seed: u64) -> Option<Self> {
        let change = |arm| ratios(series, arm, measure as usize).change(seed);
        Some(Self { measure, series, change: change(Arm::Head)?, control: change(Arm::Control)? })
    }
}

fn effect(change: &Change, p_holm: f64) -> Effect {
    Effect {
        blocks: change.rounds,
        median_percent: percent(change.median),
        low_percent: percent(change.low),
        high_percent: percent(change.high),
        p: change.p,
        p_holm,
    }
}

/// Judges what was sampled.
#[must_use]
pub fn judge(taken: &Sampled<Block>, design: &Design) -> Tier<TimeRow> {
    let mut reasons = Vec::new();
    let mut findings = Vec::new();
    for series in &taken.series {
        let found = Measure::ALL.into_iter().filter_map(|measure| Finding::of(series, measure, design.seed));
        match &series.error {
            Some(problem) => reasons.push(problem.clone()),
            None if series.taken().next().is_none() => {
                reasons.push(format!("{}: no block was completed", series.name));
            }
            None => findings.extend(found),
        }
    }
    let adjusted =
        |look: fn(&Finding<'_>) -> f64| holm::adjust(&findings.iter().map(look).collect::<Vec<f64>>());
    let changes = adjusted(|finding| finding.change.p);
    let controls = adjusted(|finding| finding.control.p);
    let whole = reasons.is_empty() && !taken.interrupted;
    let mut rows: Vec<TimeRow> = findings
        .iter()
        .zip(changes.iter().zip(&controls))
        .map(|(finding, (change, control))| row(finding, *change, *control, findings.len(), design))
        .collect();
    if taken.interrupted {
        reasons.push("interrupted: what was measured until then is shown and not judged".to_owned());
    }
    let fired: Vec<&TimeRow> = rows.iter().filter(|row| row.control.p_holm < ALPHA).collect();
    for row in &fired {
        reasons.push(format!(
            "void: the base differs from itself in the {} of {} by {:+.2} % (p {:.4}): one run of twenty does so by chance, or else something favours a place in the order",
            row.measure.word(), row.name, row.control.median_percent, row.control.p_holm
        ));
    }
    if taken.interrupted || !fired.is_empty() {
        for row in &mut rows {
            row.verdict = Verdict::Inconclusive;
        }
    }
    let mut verdict = gravest(rows.iter().map(|row| row.verdict));
    if verdict == Verdict::Pass && (!whole || rows.is_empty()) {
        verdict = Verdict::Inconclusive;
    }
    for row in rows.iter().filter(|row| row.verdict == Verdict::Fail) {
        reasons.push(format!(
            "the {} of {} changed by {:+.1} %, at least {:.1} % with 95 % confidence",
            row.measure.word(),
            row.name,
            row.change.median_percent,
            row.change.low_percent.abs().min(row.change.high_percent.abs())
        ));
    }
    Tier { verdict, reasons, rows }
}

fn row(finding: &Finding<'_>, p_holm: f64, control: f64, rows: usize, design: &Design) -> TimeRow {
    let Finding { measure, series, change, .. } = finding;
    let at = *measure as usize;
    let sign = measure.worse();
    let threshold = design.threshold(*measure);
    // As changes for the worse.
    let [low, high] = if sign > 0.0 { [change.low, change.high] } else { [-change.high, -change.low] };
    // The first of Holm's steps is the strictest: what passes it, all of them find.
    let detectable = change.detectable(ALPHA / rows as f64);
    let reason = match detectable {
        _ if low > threshold && p_holm < ALPHA => None,
        None => Some(format!("{} blocks are too few to find anything", change.rounds)),
        Some(effect) if effect > threshold => {
            Some("an effect of the threshold's size might have gone unseen".to_owned())
        }
        Some(_) if high >= threshold => {
            Some("the interval reaches the threshold, and does not lie beyond it".to_owned())
        }
        Some(_) => None,
    };
    TimeRow {
        name: series.name.clone(),
        measure: *measure,
        verdict: match &reason {
            Some(_) => Verdict::Inconclusive,
            None if low > threshold => Verdict::Fail,
            None => Verdict::Pass,
        },
        base: middle(series, Arm::Base, at),
        head: middle(series, Arm::Head, at),
        change: effect(change, p_holm),
        control: effect(&finding.control, control),
        threshold_percent: design.percent(*measure),
        detectable_percent: detectable.map(|effect| sign * percent(sign * effect)),
        reason,
    }
}
