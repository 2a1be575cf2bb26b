//! The time tier without a clock: an executor that makes numbers up, with the noise of a shared machine. It drifts over the
//! run, it is autocorrelated, and now and then a sample is far off.

use super::child::Stop;
use super::record::{Measure, Tier, TimeRow};
use super::time::{Arm, Design, Executor, Sample, judge, take};
use splinter_harness::rng::Rng;
use splinter_harness::verdict::Verdict;

/// Factors on the goodput of an arm's benchmark.
type Factor = fn(Arm, &str) -> f64;

struct Mock {
    rng: Rng,
    factor: Factor,
    /// Spread of a sample on its own, and of what neighbouring samples share.
    noise: f64,
    shared: f64,
    drift_per_sample: f64,
    state: f64,
    taken: Vec<(Arm, String)>,
    stop_after: usize,
    broken: Option<&'static str>,
}

impl Mock {
    fn new(seed: u64, factor: Factor) -> Self {
        Self {
            // Noise has nothing to do with the orders, which are drawn by streams 0 and 2.
            rng: Rng::new(seed, 1),
            factor,
            noise: 0.02,
            shared: 0.03,
            drift_per_sample: -0.0002,
            state: 0.0,
            taken: Vec::new(),
            stop_after: usize::MAX,
            broken: None,
        }
    }

    fn uniform(&mut self) -> f64 {
        self.rng.unit()
    }

    /// A standard normal number, nearly: the sum of twelve uniform ones.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

impl Executor for Mock {
    fn sample(&mut self, arm: Arm, benchmark: &str) -> Result<Sample, Stop> {
        if self.taken.len() == self.stop_after {
            return Err(Stop::Interrupted);
        }
        if self.broken == Some(benchmark) {
            return Err(Stop::Failed(format!("{benchmark} of the head ended with 1")));
        }
        self.taken.push((arm, benchmark.to_owned()));
        // An autoregression of the first order that keeps a standard deviation of `shared`.
        self.state = 0.8 * self.state + 0.6 * self.shared * self.normal();
        let drift = self.drift_per_sample * self.taken.len() as f64;
        let outlier = if self.uniform() < 0.02 { -0.5 } else { 0.0 };
        let log = drift + self.state + self.noise * self.normal() + outlier;
        let goodput_per_s = 50e6 * (self.factor)(arm, benchmark) * log.exp();
        let p99_ns = 1.5e9 / goodput_per_s * (2.0 * self.noise * self.normal()).exp();
        Ok(Sample { goodput_per_s, p99_ns })
    }
}

fn alike(_: Arm, _: &str) -> f64 {
    1.0
}

fn design(blocks: usize, seed: u64) -> Design {
    Design {
        benchmarks: ["get", "set", "inc"].map(str::to_owned).to_vec(),
        blocks,
        seed,
        goodput_percent: 10.0,
        p99_percent: 20.0,
    }
}

fn gate(mock: &mut Mock, blocks: usize, seed: u64) -> Tier<TimeRow> {
    let design = design(blocks, seed);
    judge(&take(mock, &design, &mut |_, _| ()), &design)
}

fn row<'a>(tier: &'a Tier<TimeRow>, name: &str, measure: Measure) -> &'a TimeRow {
    let found = tier.rows.iter().find(|row| row.name == name && row.measure == measure);
    found.expect("the row is there")
}

#[test]
fn every_block_takes_each_arm_twice_and_reads_the_same_backwards() {
    let mut mock = Mock::new(1, alike);
    let mut heard = Vec::new();
    take(&mut mock, &design(12, 1), &mut |number, benchmark| {
        heard.push((number, benchmark.to_owned()));
    });
    assert_eq!(heard.len(), 13 * 3);
    assert_eq!((heard[0].0, heard.last().map(|last| last.0)), (0, Some(12)));
    let mut orders = Vec::new();
    for block in mock.taken.chunks(6) {
        assert!(block.iter().all(|(_, benchmark)| *benchmark == block[0].1));
        let arms: Vec<Arm> = block.iter().map(|(arm, _)| *arm).collect();
        assert!([Arm::Base, Arm::Head, Arm::Control].iter().all(|arm| arms[..3].contains(arm)));
        assert!(arms.iter().eq(arms.iter().rev()));
        let pair: Vec<Arm> = arms.into_iter().filter(|arm| *arm != Arm::Control).collect();
        orders.push(pair[0]);
    }
    assert!(orders.contains(&Arm::Base) && orders.contains(&Arm::Head), "ABBA and BAAB both occur");
}

#[test]
fn a_drift_that_is_linear_cancels_out() {
    let mut mock = Mock::new(1, alike);
    (mock.noise, mock.shared, mock.drift_per_sample) = (0.0, 0.0, -0.001);
    struct Drifting(Mock);
    impl Executor for Drifting {
        fn sample(&mut self, arm: Arm, benchmark: &str) -> Result<Sample, Stop> {
            self.0.taken.push((arm, benchmark.to_owned()));
            let log = self.0.drift_per_sample * self.0.taken.len() as f64;
            Ok(Sample { goodput_per_s: 1e6 * log.exp(), p99_ns: 30.0 / log.exp() })
        }
    }
    let design = design(20, 1);
    let tier = judge(&take(&mut Drifting(mock), &design, &mut |_, _| ()), &design);
    for row in &tier.rows {
        assert!(row.change.median_percent.abs() < 1e-9 && row.control.median_percent.abs() < 1e-9, "{row:?}");
    }
}

#[test]
fn a_planted_slowdown_of_15_percent_is_caught_and_nothing_else_is() {
    let slower: Factor = |arm, benchmark| {
        if (arm, benchmark) == (Arm::Head, "get") { 0.85 } else { 1.0 }
    };
    let mut caught = 0;
    for seed in 1..=10 {
        let tier = gate(&mut Mock::new(seed, slower), 24, seed);
        // One run of twenty is void by chance: it says so, and passes nothing.
        assert_ne!(tier.verdict, Verdict::Pass, "seed {seed}");
        if tier.verdict == Verdict::Inconclusive {
            assert!(tier.reasons[0].starts_with("void: "), "seed {seed}: {:?}", tier.reasons);
            continue;
        }
        caught += 1;
        let goodput = row(&tier, "get", Measure::GoodputPerS);
        assert!(goodput.change.high_percent < -10.0 && goodput.change.p_holm < 0.05, "{goodput:?}");
        let failed = tier.rows.iter().filter(|row| row.verdict == Verdict::Fail);
        assert_eq!(failed.count(), 1, "seed {seed}");
    }
    assert!(caught >= 9, "{caught} of 10");
}

#[test]
fn a_tail_that_grew_by_half_is_caught() {
    struct Tail(Mock);
    impl Executor for Tail {
        fn sample(&mut self, arm: Arm, benchmark: &str) -> Result<Sample, Stop> {
            let mut sample = self.0.sample(arm, benchmark)?;
            if arm == Arm::Head {
                sample.p99_ns *= 1.5;
            }
            Ok(sample)
        }
    }
    let design = design(24, 1);
    let tier = judge(&take(&mut Tail(Mock::new(1, alike)), &design, &mut |_, _| ()), &design);
    assert_eq!(row(&tier, "set", Measure::P99Ns).verdict, Verdict::Fail);
    assert_eq!(row(&tier, "set", Measure::GoodputPerS).verdict, Verdict::Pass);
}

#[test]
fn twenty_gates_of_equal_builds_give_no_false_fail_and_mostly_pass() {
    let mut passed = 0;
    for seed in 1..=20 {
        let tier = gate(&mut Mock::new(100 + seed, alike), 24, seed);
        assert!(tier.rows.iter().all(|row| row.verdict != Verdict::Fail), "seed {seed}: {:?}", tier.reasons);
        passed += u32::from(tier.verdict == Verdict::Pass);
    }
    assert!(passed >= 15, "{passed} of 20 passed: a gate that cannot tell is of no use");
}

#[test]
fn a_control_that_fires_voids_the_run_for_any_head() {
    let favoured: Factor = |arm, benchmark| match (arm, benchmark) {
        (Arm::Control, "set") => 0.93,
        (Arm::Head, "get") => 0.6,
        _ => 1.0,
    };
    let tier = gate(&mut Mock::new(1, favoured), 24, 1);
    assert_eq!(tier.verdict, Verdict::Inconclusive);
    assert!(tier.rows.iter().all(|row| row.verdict == Verdict::Inconclusive));
    assert!(tier.reasons.iter().any(|reason| reason.starts_with("void: ") && reason.contains("set")));
}

#[test]
fn too_few_blocks_are_inconclusive_even_where_nothing_differs() {
    let tier = gate(&mut Mock::new(1, alike), 6, 1);
    assert_eq!(tier.verdict, Verdict::Inconclusive);
    assert!(
        tier.rows.iter().all(|row| row.detectable_percent.is_none() && row.verdict == Verdict::Inconclusive)
    );
}

#[test]
fn noise_beyond_the_threshold_is_inconclusive_and_never_a_pass() {
    let mut mock = Mock::new(1, alike);
    mock.noise = 0.3;
    let tier = gate(&mut mock, 24, 1);
    let goodput = row(&tier, "get", Measure::GoodputPerS);
    assert_eq!(goodput.verdict, Verdict::Inconclusive);
    assert!(goodput.detectable_percent.is_some_and(|percent| percent > 10.0), "{goodput:?}");
}

#[test]
fn an_effect_of_the_thresholds_size_is_neither_a_fail_nor_a_pass() {
    let slower: Factor = |arm, _| if arm == Arm::Head { 0.9 } else { 1.0 };
    let mut untold = 0;
    for seed in 1..=10 {
        let tier = gate(&mut Mock::new(seed, slower), 24, seed);
        let goodput = row(&tier, "get", Measure::GoodputPerS);
        assert_ne!(goodput.verdict, Verdict::Fail, "seed {seed}: {goodput:?}");
        // One interval of twenty misses what it is an interval of.
        let reason = goodput.reason.as_deref().unwrap_or_default();
        untold += u32::from(goodput.verdict == Verdict::Inconclusive && reason.contains("interval"));
    }
    assert!(untold >= 7, "{untold} of 10");
}

#[test]
fn an_interruption_keeps_what_was_measured_and_judges_nothing() {
    let slower: Factor = |arm, _| if arm == Arm::Head { 0.5 } else { 1.0 };
    let mut mock = Mock::new(1, slower);
    mock.stop_after = 21 * 18 + 7;
    let tier = gate(&mut mock, 24, 1);
    assert_eq!((tier.verdict, tier.rows.len()), (Verdict::Inconclusive, 6));
    assert!(tier.rows.iter().all(|row| row.change.blocks >= 20 && row.verdict == Verdict::Inconclusive));
    assert!(tier.reasons[0].starts_with("interrupted"));
}

#[test]
fn a_benchmark_that_fails_is_inconclusive_and_the_others_are_judged() {
    let mut mock = Mock::new(1, alike);
    mock.broken = Some("set");
    let tier = gate(&mut mock, 24, 1);
    assert_eq!(tier.verdict, Verdict::Inconclusive);
    assert_eq!(tier.rows.len(), 4);
    assert!(tier.reasons[0].contains("set of the head ended"), "{:?}", tier.reasons);
}
