//! The time tier: which samples are taken in which order, and what they come to. Samples come from an [`Executor`]: a process
//! each in earnest, numbers in the tests. Knows no clock, no process and no store.
//!
//! A block takes each arm twice, in an order drawn by lot and then backwards: base, head and control (the base once
//! more) as ABCCBA, CABBAC, ... Of any two arms that is ABBA or BAAB: a drift that is linear over the block cancels
//! out. What counts is the logarithm of the ratio of two arms in a block, one number a block, whatever blocks differ in.

use super::child::Stop;
use super::record::{Effect, Measure, Tier, TimeRow, gravest};
use crate::stats::bootstrap::bootstrap;
use crate::stats::power::minimum_detectable_effect;
use crate::stats::wilcoxon::{least_p, signed_rank};
use crate::stats::{holm, median};
use splinter_harness::rng::Rng;
use splinter_harness::verdict::Verdict;

/// Level of the tests over all rows together.
const ALPHA: f64 = 0.05;

/// How often the smallest effect that is called detectable is to be detected.
const POWER: f64 = 0.8;

/// Confidence of the intervals.
const LEVEL: f64 = 0.95;

/// Resamples of an interval.
const RESAMPLES: usize = 2000;

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

/// The blocks of one benchmark.
#[derive(Clone, Debug, Default, PartialEq)]
struct Series {
    /// Mean logarithms by arm and measure.
    blocks: Vec<[[f64; 2]; 3]>,
    problem: Option<String>,
}

impl Series {
    /// Returns, for each block, the logarithm of the ratio of an arm to the base.
    fn ratios(&self, arm: Arm, measure: usize) -> Vec<f64> {
        let ratio = |block: &[[f64; 2]; 3]| block[arm as usize][measure] - block[0][measure];
        self.blocks.iter().map(ratio).collect()
    }

    /// Returns the median of an arm, as it was measured.
    fn middle(&self, arm: Arm, measure: usize) -> f64 {
        let mut logs: Vec<f64> = self.blocks.iter().map(|block| block[arm as usize][measure]).collect();
        median(&mut logs).exp()
    }
}

/// The samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    series: Vec<Series>,
    /// Whether it ended before its time.
    pub interrupted: bool,
}

/// Takes the samples of a design. `watch` hears of each block before it begins: its number from 1 (0 is thrown away) and
/// its benchmark.
pub fn take(executor: &mut dyn Executor, design: &Design, watch: &mut dyn FnMut(usize, &str)) -> Taken {
    let mut series = vec![Series::default(); design.benchmarks.len()];
    let mut order: Vec<usize> = (0..series.len()).collect();
    let mut rng = Rng::new(design.seed, 0);
    for number in 0..=design.blocks {
        rng.shuffle(&mut order);
        for &at in &order {
            let benchmark = &design.benchmarks[at];
            if series[at].problem.is_some() {
                continue;
            }
            watch(number, benchmark);
            match block(executor, benchmark, &mut rng) {
                Ok(_) if number == 0 => {}
                Ok(block) => series[at].blocks.push(block),
                Err(Stop::Failed(why)) => series[at].problem = Some(why),
                Err(Stop::Interrupted) => {
                    return Taken { series, interrupted: true };
                }
            }
        }
    }
    Taken { series, interrupted: false }
}

/// Takes one block: every arm, and every arm again backwards.
fn block(executor: &mut dyn Executor, benchmark: &str, rng: &mut Rng) -> Result<[[f64; 2]; 3], Stop> {
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
    name: &'a str,
    measure: Measure,
    series: &'a Series,
    change: Look,
    control: Look,
}

/// One list of log ratios, looked at.
struct Look {
    blocks: usize,
    median: f64,
    low: f64,
    high: f64,
    standard_error: f64,
    p: f64,
}

impl Look {
    fn at(ratios: &[f64], seed: u64) -> Self {
        let interval = bootstrap(ratios, median, LEVEL, RESAMPLES, seed);
        Self {
            blocks: ratios.len(),
            median: median(&mut ratios.to_vec()),
            low: interval.map_or(f64::NAN, |interval| interval.low),
            high: interval.map_or(f64::NAN, |interval| interval.high),
            standard_error: interval.map_or(f64::NAN, |interval| interval.standard_error),
            p: signed_rank(ratios).p,
        }
    }

    fn effect(&self, p_holm: f64) -> Effect {
        Effect {
            blocks: self.blocks,
            median_percent: percent(self.median),
            low_percent: percent(self.low),
            high_percent: percent(self.high),
            p: self.p,
            p_holm,
        }
    }
}

/// Judges what was sampled.
#[must_use]
pub fn judge(taken: &Taken, design: &Design) -> Tier<TimeRow> {
    let mut reasons = Vec::new();
    let mut findings = Vec::new();
    for (series, name) in taken.series.iter().zip(&design.benchmarks) {
        if let Some(problem) = &series.problem {
            reasons.push(problem.clone());
        } else if series.blocks.is_empty() {
            reasons.push(format!("{name}: no block was completed"));
        } else {
            findings.extend(Measure::ALL.into_iter().enumerate().map(|(at, measure)| Finding {
                name,
                measure,
                series,
                change: Look::at(&series.ratios(Arm::Head, at), design.seed),
                control: Look::at(&series.ratios(Arm::Control, at), design.seed),
            }));
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
    let Finding { name, measure, series, change, .. } = finding;
    let at = *measure as usize;
    let sign = measure.worse();
    let threshold = design.threshold(*measure);
    // As changes for the worse.
    let [low, high] = if sign > 0.0 { [change.low, change.high] } else { [-change.high, -change.low] };
    // The first of Holm's steps is the strictest: what passes it, all of them find. Blocks that are too few for
    // any p-value to pass it detect nothing.
    let alpha = ALPHA / rows as f64;
    let detectable = match least_p(change.blocks) < alpha {
        true => minimum_detectable_effect(change.standard_error, change.blocks, alpha, POWER),
        false => f64::INFINITY,
    };
    let detectable_percent = detectable.is_finite().then(|| sign * percent(sign * detectable));
    let (verdict, reason) = if low > threshold && p_holm < ALPHA {
        (Verdict::Fail, None)
    } else if detectable_percent.is_none() {
        (Verdict::Inconclusive, Some(format!("{} blocks are too few to find anything", change.blocks)))
    } else if detectable > threshold {
        (Verdict::Inconclusive, Some("an effect of the threshold's size might have gone unseen".to_owned()))
    } else if high >= threshold {
        (
            Verdict::Inconclusive,
            Some("the interval reaches the threshold, and does not lie beyond it".to_owned()),
        )
    } else {
        (Verdict::Pass, None)
    };
    TimeRow {
        name: (*name).to_owned(),
        measure: *measure,
        verdict,
        base: series.middle(Arm::Base, at),
        head: series.middle(Arm::Head, at),
        change: change.effect(p_holm),
        control: finding.control.effect(control),
        threshold_percent: design.percent(*measure),
        detectable_percent,
        reason,
    }
}

fn percent(log: f64) -> f64 {
    100.0 * (log.exp() - 1.0)
}
