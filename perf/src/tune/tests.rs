//! The whole of tuning, with figures that are made up: the winner, the candidates given up and why, and the report.

use super::objective::{Bound, Objective, Trial};
use super::record::Tuned;
use super::space::{Axis, Candidate, Choices, Space};
use super::{Executor, Finding, Plan, Step, Stop, runs, table, tune};
use splinter::{Profile, Scrub};
use splinter_harness::rng::Rng;
use splinter_harness::verdict::Verdict;
use splinter_stress::Workload;

/// Makes figures up: what a choice is worth, times noise and a drift that all share.
struct Made<F> {
    figures: F,
    /// The run that is interrupted, counted from 0.
    interrupt_at: usize,
    /// What is broken where every value proves itself.
    broken_when_proved: u64,
    steps: Vec<(Step, String, u64)>,
}

impl<F: FnMut(&Candidate, usize) -> Result<Trial, Stop>> Executor for Made<F> {
    fn run(&mut self, step: &Step, candidate: &Candidate, millis: u64) -> Result<Trial, Stop> {
        let run = self.steps.len();
        if run >= self.interrupt_at {
            return Err(Stop::Interrupted);
        }
        self.steps.push((step.clone(), candidate.to_string(), millis));
        let mut trial = (self.figures)(candidate, run)?;
        if step.proved {
            trial.broken += self.broken_when_proved;
        }
        Ok(trial)
    }
}

fn made<F: FnMut(&Candidate, usize) -> Result<Trial, Stop>>(figures: F) -> Made<F> {
    Made { figures, interrupt_at: usize::MAX, broken_when_proved: 0, steps: Vec::new() }
}

/// A run of so many operations a second, on a machine that slows down by half and is noisy by some percent.
fn run_of(speed: f64, run: usize) -> Trial {
    let drift = 1.0 - 0.5 * (run as f64 / 150.0).min(1.0);
    let noise = 1.0 + 0.02 * (Rng::new(run as u64, 0).below(1001) as f64 / 500.0 - 1.0);
    let goodput_per_s = 1e6 * speed * drift * noise;
    Trial {
        goodput_per_s,
        writes_per_s: goodput_per_s,
        p99_ns: Some(1e9 / goodput_per_s),
        ..Trial::default()
    }
}

fn has(candidate: &Candidate, axis: Axis, text: &str) -> bool {
    candidate.choices().contains(&(axis, text.to_owned()))
}

fn space() -> Space {
    let axis = |axis, default: &str, others: &[&str]| Choices {
        axis,
        default: default.to_owned(),
        others: others.iter().map(|text| (*text).to_owned()).collect(),
    };
    Space {
        axes: vec![
            axis(Axis::Pin, "scatter", &["none", "compact"]),
            axis(Axis::HugePages, "off", &["advise", "collapse"]),
            axis(Axis::SlotFactor, "1", &["2", "4"]),
            axis(Axis::ClaimPatience, "32", &["0", "8", "128"]),
        ],
    }
}

fn plan() -> Plan {
    Plan {
        workload: Workload::default(),
        objective: Objective::Goodput,
        p99: Bound::Times(1.2),
        goodput_share: 0.0,
        least_scrub: Scrub::Hybrid,
        candidates: 27,
        search_ms: 400,
        rounds: 15,
        run_ms: 1000,
        quick: false,
        seed: 1,
    }
}

fn winner(tuned: &Tuned) -> &str {
    &tuned.rows[1].name
}

#[test]
fn choices_that_help_are_found_together_and_shown_on_fresh_runs() {
    let worth = |candidate: &Candidate| {
        let mut speed = 1.0;
        speed *= if has(candidate, Axis::Pin, "compact") { 1.15 } else { 1.0 };
        speed *= if has(candidate, Axis::Pin, "none") { 0.8 } else { 1.0 };
        speed *= if has(candidate, Axis::HugePages, "collapse") { 1.1 } else { 1.0 };
        speed *= if has(candidate, Axis::SlotFactor, "4") { 0.9 } else { 1.0 };
        speed
    };
    let mut executor = made(|candidate: &Candidate, run| Ok(run_of(worth(candidate), run)));
    let tuned = tune(&plan(), &space(), &mut executor);
    assert_eq!((tuned.finding, tuned.verdict), (Finding::Winner, Verdict::Pass));
    assert!(winner(&tuned).contains("pin=compact") && winner(&tuned).contains("huge_pages=collapse"));
    assert!(!winner(&tuned).contains("slot_factor=4"), "{}", winner(&tuned));
    let outcome = tuned.outcome.as_ref().unwrap();
    // 1.15 times 1.1 is 26.5 % more, whatever the machine did meanwhile.
    assert!(outcome.low_percent < 26.5 && 26.5 < outcome.high_percent, "{outcome:?}");
    assert!((outcome.gain_percent - 26.5).abs() < 3.0 && outcome.p < 0.05, "{outcome:?}");
    let profile: Profile = tuned.profile.as_ref().unwrap().parse().unwrap();
    assert_eq!(profile.workers["pin"], "compact");
    assert_eq!(profile.huge_pages, Some(splinter::HugePages::Collapse));
    // No candidate had more time than those that may win, and all was planned.
    let rungs: Vec<(usize, usize)> = tuned.rungs.iter().map(|it| (it.candidates, it.rounds)).collect();
    let [(27, 1), (9 | 10, 3), (3 | 4, 9)] = rungs[..] else {
        panic!("{rungs:?}");
    };
    assert_eq!(executor.steps.len(), tuned.runs);
    assert!(tuned.runs <= runs(27) + 30);
    let fresh = &executor.steps[tuned.runs - 30..];
    assert!(fresh.iter().all(|(step, _, millis)| *millis == 1000 && step.total == tuned.runs));
    assert!(executor.steps[..tuned.runs - 30].iter().all(|(.., millis)| *millis == 400));
    let text = table::text(&tuned);
    assert!(text.contains("better than the default: pin=compact"), "{text}");
}

#[test]
fn a_candidate_without_a_figure_for_the_objective_runs_once() {
    let silent = |candidate: &Candidate| candidate.to_string() == "pin=none";
    let mut executor = made(|candidate: &Candidate, run| {
        let trial = run_of(1.0, run);
        // It has no figure from its second run on, which is the first of three of its rung.
        let p99_ns = trial.p99_ns.filter(|_| !silent(candidate) || run < 28);
        let faster = if silent(candidate) { 0.5 } else { 1.0 };
        Ok(Trial { p99_ns: p99_ns.map(|ns| ns * faster), ..trial })
    });
    let plan = Plan { objective: Objective::P99, ..plan() };
    let tuned = tune(&plan, &space(), &mut executor);
    let runs = executor.steps.iter().filter(|(_, candidate, _)| candidate == "pin=none").count();
    assert_eq!(runs, 2, "one on each of two rungs");
    let row = tuned.candidates.iter().find(|tried| tried.candidate == "pin=none").unwrap();
    assert_eq!(row.out.as_deref(), Some("it has no p99 to compare"));
}

#[test]
fn among_equal_candidates_nothing_beats_the_default() {
    let mut winners = 0;
    for seed in 1..=40 {
        let mut executor = made(|_: &Candidate, run| Ok(run_of(1.0, run + 10_000 * seed)));
        let plan = Plan { seed: seed as u64, ..plan() };
        let tuned = tune(&plan, &space(), &mut executor);
        assert_eq!(tuned.verdict, Verdict::Pass);
        if tuned.finding == Finding::Winner {
            winners += 1;
            continue;
        }
        let text = table::text(&tuned);
        assert!(text.contains("nothing beats the default"), "{text}");
        // The profile is that of the default.
        let profile: Profile = tuned.profile.unwrap().parse().unwrap();
        assert_eq!(profile, plan.workload.profile(1));
    }
    // A test of 5 % to both sides has a winner by chance in one search of forty.
    assert!(winners <= 3, "{winners} of 40 searches found what is not there");
}

#[test]
fn a_candidate_that_looked_best_by_luck_does_not_win() {
    // Whatever the search sees of a candidate is twice as good as what it is worth.
    let mut executor = made(|candidate: &Candidate, run| {
        let lucky = run < runs(27) - 30 && !candidate.choices().is_empty();
        Ok(run_of(if lucky { 2.0 } else { 1.0 }, run))
    });
    let tuned = tune(&plan(), &space(), &mut executor);
    assert_eq!(tuned.finding, Finding::NothingBeatsTheDefault);
    let reason = tuned.outcome.unwrap().reason.unwrap();
    let known = ["its gain could be chance", "not ahead on fresh runs"];
    assert!(known.contains(&reason.as_str()), "{reason}");
}

#[test]
fn the_fastest_is_given_up_where_it_keeps_a_bound_in_no_run() {
    let figures = |candidate: &Candidate, run: usize| {
        let (fast, good) = (has(candidate, Axis::ClaimPatience, "0"), has(candidate, Axis::Pin, "compact"));
        let mut trial = run_of(if fast { 3.0 } else { 1.0 } * if good { 1.3 } else { 1.0 }, run);
        trial.p99_ns = Some(if fast { 5_000.0 } else { 1_000.0 });
        Ok(trial)
    };
    let absolute = Plan { p99: "2us".parse().unwrap(), ..plan() };
    for plan in [plan(), absolute] {
        let tuned = tune(&plan, &space(), &mut made(figures));
        assert_eq!(tuned.finding, Finding::Winner);
        assert!(!winner(&tuned).contains("claim_patience=0"), "{}", winner(&tuned));
        assert!(winner(&tuned).contains("pin=compact"));
        let fast = tuned.candidates.iter().find(|it| it.candidate == "claim_patience=0").unwrap();
        assert!(fast.out.as_ref().unwrap().contains("p99"), "{fast:?}");
    }
    let free = Plan { p99: Bound::None, ..plan() };
    let tuned = tune(&free, &space(), &mut made(figures));
    assert!(winner(&tuned).contains("claim_patience=0"));
}

#[test]
fn one_run_a_little_beyond_a_bound_is_no_reason_to_give_up() {
    let mut seen = 0;
    let mut executor = made(|candidate: &Candidate, run| {
        let good = has(candidate, Axis::Pin, "compact");
        let mut trial = run_of(if good { 1.5 } else { 1.0 }, run);
        trial.p99_ns = Some(1_000.0);
        if good && candidate.choices().len() == 1 {
            seen += 1;
            // Its first run only.
            trial.p99_ns = Some(if seen == 1 { 1_500.0 } else { 1_000.0 });
        }
        Ok(trial)
    });
    let tuned = tune(&plan(), &space(), &mut executor);
    let good = tuned.candidates.iter().find(|it| it.candidate == "pin=compact");
    assert!(good.unwrap().rung > 1, "{good:?}");
}

#[test]
fn a_candidate_that_cannot_run_is_given_up_at_once_with_its_reason() {
    let mut executor = made(|candidate: &Candidate, run| {
        if has(candidate, Axis::HugePages, "advise") {
            return Err(Stop::Failed("the kernel refuses".to_owned()));
        }
        let mut trial = run_of(2.0, run);
        if candidate.choices().is_empty() {
            trial = run_of(1.0, run);
        } else if has(candidate, Axis::HugePages, "collapse") {
            trial.unfit = Some("no huge pages were had".to_owned());
        }
        Ok(trial)
    });
    let tuned = tune(&plan(), &space(), &mut executor);
    for (candidate, reason) in
        [("huge_pages=advise", "the kernel refuses"), ("huge_pages=collapse", "no huge pages were had")]
    {
        let tried = tuned.candidates.iter().find(|it| it.candidate == candidate).unwrap();
        assert_eq!((tried.rung, tried.out.as_deref()), (1, Some(reason)));
    }
    assert_eq!(tuned.finding, Finding::Winner);
    assert!(!winner(&tuned).contains("huge_pages"));
}

#[test]
fn a_broken_invariant_fails_all_of_it_and_its_candidate_does_not_win() {
    let mut executor = made(|candidate: &Candidate, run| {
        let fast = has(candidate, Axis::ClaimPatience, "0");
        let mut trial = run_of(if fast { 3.0 } else { 1.0 }, run);
        trial.broken = u64::from(fast);
        Ok(trial)
    });
    let tuned = tune(&plan(), &space(), &mut executor);
    assert_eq!(tuned.verdict, Verdict::Fail);
    assert!(tuned.broken > 0 && tuned.reasons[0].contains("broken"));
    assert_eq!(tuned.profile, None);
    assert!(tuned.rows.iter().all(|row| !row.name.contains("claim_patience=0")));
}

#[test]
fn a_winner_among_runs_that_prove_nothing_is_proved() {
    let worth = |candidate: &Candidate| {
        if has(candidate, Axis::Pin, "compact") { 1.5 } else { 1.0 }
    };
    let unproved = Workload { oracle: false, ..Workload::default() };
    for broken in [0, 3] {
        let mut executor = made(|candidate: &Candidate, run| Ok(run_of(worth(candidate), run)));
        executor.broken_when_proved = broken;
        let plan = Plan { workload: unproved.clone(), rounds: 8, ..plan() };
        let tuned = tune(&plan, &space(), &mut executor);
        let proofs: Vec<bool> = executor.steps.iter().map(|(step, ..)| step.proved).collect();
        assert_eq!(proofs.iter().filter(|proved| **proved).count(), 1);
        assert_eq!(proofs.last(), Some(&true));
        assert_eq!(tuned.runs, proofs.len());
        assert_eq!(tuned.verdict == Verdict::Fail, broken > 0);
        assert_eq!(tuned.profile.is_some(), broken == 0);
    }
    let mut executor = made(|candidate: &Candidate, run| Ok(run_of(worth(candidate), run)));
    tune(&plan(), &space(), &mut executor);
    assert!(executor.steps.iter().all(|(step, ..)| !step.proved));
}

#[test]
fn an_interrupted_search_keeps_what_it_has_and_says_so() {
    for (at, has_rows) in [(0, false), (40, false), (runs(27) - 5 + 20, true)] {
        let mut executor = made(|candidate: &Candidate, run| {
            Ok(run_of(if has(candidate, Axis::Pin, "compact") { 1.5 } else { 1.0 }, run))
        });
        executor.interrupt_at = at;
        let tuned = tune(&plan(), &space(), &mut executor);
        assert_eq!((tuned.finding, tuned.verdict), (Finding::Unfinished, Verdict::Inconclusive), "{at}");
        assert!(tuned.reasons.iter().any(|reason| reason == "interrupted"), "{at}");
        assert_eq!(tuned.profile, None);
        let runs: usize = tuned.candidates.iter().map(|tried| tried.runs).sum();
        assert_eq!(runs > 0, at > 28, "{at}");
        assert_eq!(!tuned.rows.is_empty(), has_rows, "{at}");
        assert!(table::text(&tuned).contains("unfinished"));
    }
}

#[test]
fn without_the_default_there_is_nothing_to_compare_with() {
    let mut executor = made(|candidate: &Candidate, run| match candidate.choices() {
        [] => Err(Stop::Failed("no such node".to_owned())),
        _ => Ok(run_of(1.0, run)),
    });
    let tuned = tune(&plan(), &space(), &mut executor);
    assert_eq!(tuned.finding, Finding::Unfinished);
    assert!(tuned.reasons[0].contains("default") && tuned.reasons[0].contains("no such node"));
}

#[test]
fn time_as_the_objective_is_better_when_shorter() {
    let figures = |candidate: &Candidate, run: usize| {
        let quick = has(candidate, Axis::ClaimPatience, "8");
        let mut trial = run_of(1.0, run);
        trial.p99_ns = trial.p99_ns.map(|ns| if quick { ns * 0.5 } else { ns });
        Ok(trial)
    };
    let plan = Plan { objective: Objective::P99, goodput_share: 0.9, ..plan() };
    let tuned = tune(&plan, &space(), &mut made(figures));
    assert_eq!(tuned.finding, Finding::Winner);
    assert!(winner(&tuned).contains("claim_patience=8"));
    assert!(tuned.rows[1].value_ns < tuned.rows[0].value_ns && tuned.rows[0].value_per_s.is_none());
    assert!((tuned.outcome.unwrap().gain_percent - 100.0).abs() < 10.0);
}

#[test]
fn searches_of_any_size_come_to_an_end_within_their_plan() {
    for candidates in 1..60 {
        let mut executor = made(|_: &Candidate, run| Ok(run_of(1.0, run)));
        let plan = Plan { candidates, ..plan() };
        let tuned = tune(&plan, &space(), &mut executor);
        assert!(tuned.runs <= runs(tuned.candidates.len()) + 30, "{candidates}");
        assert!(tuned.finding != Finding::Unfinished, "{candidates}");
    }
    let nothing = tune(&plan(), &Space::default(), &mut made(|_: &Candidate, run| Ok(run_of(1.0, run))));
    assert_eq!((nothing.finding, nothing.runs), (Finding::NothingBeatsTheDefault, 0));
}
