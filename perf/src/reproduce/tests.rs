//! The pipeline with an executor that makes its figures up: nothing is timed, and every finding is known before.

use super::claims::{CLAIMS, Needs};
use super::judge::{Finding, Has, Way};
use super::record::Run;
use super::{Costs, Executor, GET, Implausible, Plan, Woken, reproduce};
use splinter_harness::disturbance::Cause;
use splinter_harness::disturbance::Disturbance;
use splinter_harness::environment::Environment;
use splinter_harness::verdict::Verdict;
use splinter_stress::{Span, Workload};

/// A machine whose processors all do the same, up to a ceiling that they share.
struct Made {
    has: Has,
    each_per_s: f64,
    ceiling_per_s: f64,
    torn: u64,
    broken_with_oracle: u64,
    runs: Vec<(String, Workload)>,
    small_cache: bool,
    /// Runs until the user ends it.
    patience: usize,
    costs: Result<Costs, String>,
    implausible: Implausible,
    wake: Result<Woken, String>,
}

impl Made {
    fn new(processors: usize, each_per_s: f64) -> Self {
        let costs = [
            (GET, 15.0),
            ("L3 chase", 20.0),
            ("L2 chase", 4.0),
            ("cmpxchg", 5.0),
            ("memcpy 1 KiB", 20.0),
            ("memory chase", 100.0),
            ("memory copy", 10.24e9),
        ];
        let way = Way {
            name: "watcher, asleep".to_owned(),
            ns: Some(20e3),
            limit_name: "bare futex".to_owned(),
            limit_ns: Some(20e3),
            ratio: Some(1.0),
            target: 1.15,
            met: Some(true),
        };
        Self {
            has: Needs { processors, nodes: 1 },
            each_per_s,
            ceiling_per_s: f64::INFINITY,
            torn: 0,
            broken_with_oracle: 0,
            runs: Vec::new(),
            small_cache: false,
            patience: usize::MAX,
            costs: Ok(costs.into_iter().map(|(name, ns)| (name.to_owned(), ns)).collect()),
            implausible: Implausible::new(),
            wake: Ok(Woken { ways: vec![way], lost: 0 }),
        }
    }
}

impl Executor for Made {
    fn has(&self) -> Has {
        self.has
    }

    fn run(&mut self, what: &str, workload: &Workload) -> Result<Run, String> {
        self.runs.push((what.to_owned(), workload.clone()));
        let workers = workload.operators() as usize;
        let processors = workers.min(self.has.processors);
        let goodput = (self.each_per_s * processors as f64).min(self.ceiling_per_s);
        let broken = if workload.oracle { self.broken_with_oracle + self.torn } else { 0 };
        Ok(Run {
            config: workload.clone(),
            verdict: if broken > 0 { Verdict::Fail } else { Verdict::Pass },
            reasons: Vec::new(),
            labels: Vec::new(),
            goodput_per_s: goodput,
            attempts_per_s: goodput * 1.5,
            writes_per_s: goodput / 2.0,
            reads_per_s: goodput / 2.0,
            processors,
            processor_share: Some(1.0),
            torn_reads: if workload.oracle { self.torn } else { 0 },
            broken,
        })
    }

    fn costs(&mut self) -> Result<(Costs, Implausible), String> {
        let costs = self.costs.clone()?;
        Ok((costs, self.implausible.clone()))
    }

    fn wake(&mut self) -> Result<Woken, String> {
        self.wake.clone()
    }

    fn cache_bytes(&self, level: u32) -> Option<u64> {
        // Values of 40 MB fit the third of these, unless it is small.
        let third = if self.small_cache { 16 << 20 } else { 64 << 20 };
        [0, 32 << 10, 1 << 20, third].get(level as usize).copied()
    }

    fn interrupted(&self) -> bool {
        self.runs.len() >= self.patience
    }
}

fn plan() -> Plan {
    Plan {
        claims: CLAIMS.iter().map(|claim| claim.name.to_owned()).collect(),
        repetitions: 2,
        run_ms: 1000,
        scaling_run_ms: 500,
        rounds: 1,
        quick: true,
        seed: 7,
    }
}

fn findings(made: &mut Made) -> (Verdict, Vec<Finding>) {
    let found = reproduce(&plan(), made);
    (found.verdict, found.cells.iter().map(|cell| cell.verdict).collect())
}

#[test]
fn a_large_machine_reproduces_everything() {
    let mut made = Made::new(64, 10e6);
    assert_eq!(findings(&mut made), (Verdict::Pass, vec![Finding::Reproduced; 6]));
}

#[test]
fn a_small_machine_says_which_claims_are_beyond_it_and_what_they_would_take() {
    let mut made = Made::new(2, 5e6);
    let found = reproduce(&plan(), &mut made);
    let finding = |name: &str| found.cells.iter().find(|cell| cell.claim == name).unwrap();
    assert_eq!(finding("throttled").verdict, Finding::Reproduced);
    for name in ["writers", "numa"] {
        assert_eq!(finding(name).verdict, Finding::NotComparable, "{name}");
    }
    let numa = &finding("numa").figures;
    assert_eq!(numa.measured_per_s, Some(10e6));
    assert_eq!(numa.per_processor_per_s, Some(5e6));
    assert_eq!(numa.processors_needed, Some([100.0, 100.0]));
    assert_eq!(numa.scaling.len(), 2);
    assert_eq!(finding("torn").verdict, Finding::Reproduced, "15 M attempts per second were tried");
    assert_eq!(found.verdict, Verdict::Pass, "a figure that was not reached breaks nothing");
}

#[test]
fn a_machine_that_has_it_all_and_misses_a_figure_does_not_reproduce_it() {
    let mut made = Made::new(64, 10e6);
    made.has.nodes = 2;
    made.ceiling_per_s = 100e6;
    let found = reproduce(&plan(), &mut made);
    let numa = found.cells.iter().find(|cell| cell.claim == "numa").unwrap();
    assert_eq!(numa.verdict, Finding::NotReproduced);
    assert!(numa.figures.scaling_efficiency.unwrap() < 0.2);
}

#[test]
fn a_torn_read_or_another_broken_invariant_fails_at_any_rate() {
    let mut made = Made::new(64, 10e6);
    made.torn = 1;
    let (verdict, found) = findings(&mut made);
    assert_eq!((verdict, found[3]), (Verdict::Fail, Finding::NotReproduced));
    let mut made = Made::new(64, 10e6);
    made.broken_with_oracle = 1;
    let (verdict, found) = findings(&mut made);
    assert_eq!(
        (verdict, found[0]),
        (Verdict::Fail, Finding::NotReproduced),
        "the rate was proved by a run of its own"
    );
    let mut made = Made::new(64, 10e6);
    made.wake.as_mut().unwrap().lost = 1;
    let (verdict, found) = findings(&mut made);
    assert_eq!((verdict, found[5]), (Verdict::Fail, Finding::NotReproduced));
}

#[test]
fn rates_are_measured_unobserved_and_proved_once_more_with_everything_checked() {
    let mut made = Made::new(4, 5e6);
    let only = Plan { claims: vec!["writers".to_owned()], ..plan() };
    let found = reproduce(&only, &mut made);
    assert_eq!(found.cells.len(), 1);
    let spans = |millis| Span::DurationMs(millis);
    let mut seen: Vec<(u32, bool, Span)> =
        made.runs.iter().map(|(_, workload)| (workload.writers, workload.oracle, workload.span)).collect();
    // Each round has every step, in an order drawn by lot.
    seen[2..8].chunks_mut(3).for_each(|round| round.sort_by_key(|(writers, ..)| *writers));
    let (whole, step) = (spans(1000), spans(500));
    let expected = [
        (32, false, whole),
        (32, false, whole),
        (1, false, step),
        (2, false, step),
        (4, false, step),
        (1, false, step),
        (2, false, step),
        (4, false, step),
        (32, true, whole),
    ];
    assert_eq!(seen, expected);
    assert!(made.runs.iter().all(|(_, workload)| workload.seed == 7 && !workload.histogram));
}

#[test]
fn an_implausible_limit_leaves_its_claim_and_the_verdict_open() {
    let mut made = Made::new(64, 10e6);
    made.costs.as_mut().unwrap().remove("L3 chase");
    let why = "implausible: 141 ns a load".to_owned();
    made.implausible.insert("L3 chase".to_owned(), why);
    let (verdict, found) = findings(&mut made);
    assert_eq!((verdict, found[4]), (Verdict::Inconclusive, Finding::Inconclusive));
}

#[test]
fn a_rate_beyond_what_the_processors_can_do_is_no_finding() {
    // An exchange of 5 ns a write allows 200 M/s a processor at most.
    let mut made = Made::new(64, 900e6);
    let (verdict, found) = findings(&mut made);
    assert_eq!((verdict, found[2]), (Verdict::Inconclusive, Finding::Inconclusive));
}

#[test]
fn disturbed_runs_do_not_show_that_a_figure_is_not_reached() {
    let mut environment = Environment::read();
    environment.disturbances = vec![Disturbance { cause: Cause::OtherLoad, ms: 900, share: 0.45 }];
    let settled = |torn| {
        let mut made = Made::new(64, 10e6);
        made.has.nodes = 2;
        made.ceiling_per_s = 100e6;
        made.torn = torn;
        let mut found = reproduce(&plan(), &mut made);
        found.settle(&environment);
        let finding = |name: &str| found.cells.iter().find(|it| it.claim == name).unwrap().verdict;
        (found.verdict, finding("numa"), finding("torn"))
    };
    let (open, missed) = (Finding::Inconclusive, Finding::NotReproduced);
    assert_eq!(settled(0), (Verdict::Inconclusive, open, Finding::Reproduced));
    let (verdict, _, torn) = settled(1);
    assert_eq!((verdict, torn), (Verdict::Fail, missed));
}

#[test]
fn findings_are_kept_when_a_reproduction_ends_early() {
    let mut made = Made::new(64, 10e6);
    made.patience = 4;
    let found = reproduce(&plan(), &mut made);
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert!(found.reasons.contains(&"interrupted".to_owned()));
    assert!(!found.cells.is_empty() && found.cells.len() < 6);
}

#[test]
fn an_unmeasured_claim_leaves_the_verdict_open() {
    let mut made = Made::new(64, 10e6);
    made.wake = Err("no partner".to_owned());
    made.costs = Err("no memory".to_owned());
    let found = reproduce(&plan(), &mut made);
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert!(found.reasons.iter().any(|reason| reason.contains("no partner")));
    assert_eq!(found.cells.len(), 5);
    assert!(found.cells[0].figures.bound.is_none());
}

#[test]
fn a_rate_is_a_share_of_what_its_processors_could_do_at_most() {
    let mut made = Made::new(64, 10e6);
    let found = reproduce(&plan(), &mut made);
    // Two KiB at 20 ns each, in a cache that holds all values: more than half an exchange.
    let figures = &found.cells[0].figures;
    let bound = figures.bound.as_ref().unwrap();
    assert_eq!(bound.by, "memcpy 1 KiB");
    assert!((bound.per_s / (32.0 * 1e9 / 40.0) - 1.0).abs() < 1e-9);
    assert!((figures.share_of_bound.unwrap() - 320e6 / bound.per_s).abs() < 1e-9);
    // 128 values of 16 bytes a processor are moved in a third of a nanosecond: half an exchange of 5 ns binds.
    let bound = found.cells[2].figures.bound.as_ref().unwrap();
    assert_eq!(bound.by, "cmpxchg");
    assert!((bound.per_s / (64.0 * 1e9 / 2.5) - 1.0).abs() < 1e-9);
    // Where no cache holds them, 2 KiB take 200 ns to copy, half of that to move once.
    let mut made = Made::new(64, 10e6);
    made.small_cache = true;
    let found = reproduce(&plan(), &mut made);
    let bound = found.cells[0].figures.bound.as_ref().unwrap();
    assert_eq!(bound.by, "memory copy");
    assert!((bound.per_s / (32.0 * 1e9 / 100.0) - 1.0).abs() < 1e-9);
}
