//! The comparison: every contender takes one short sample a round, in an order drawn anew, so that whatever disturbs the
//! machine disturbs all of them alike; a ratio is one of the same round. Knows no store.

use crate::contender::{Contender, Make};
use splinter_harness::error::RunError;
use splinter_harness::progress::Progress;
use splinter_harness::sampler::{self, Schedule, Series, Step, Stop, Subject};
use splinter_harness::stats::Summary;
use splinter_harness::stats::paired::Paired;
use splinter_perf::cli;
use splinter_perf::records::peers::{self, Entrant, Plan, Ratio};
use splinter_stress::peer::Drive;
use splinter_stress::{KeyChoice, Percentiles, Pin, Span, ValueLen, Warmup, Workload};
use std::collections::BTreeMap;
use std::time::Duration;

/// Of how many attempts one is timed: the clock costs more than some of the operations.
const TIMED_ONE_OF: u32 = 64;

/// A load that contenders are put under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its writers and readers on so many processors.
    pub(crate) workers: fn(usize) -> [usize; 2],
}

/// The loads, from the simplest on.
pub(crate) const LOADS: [Load; cli::LOADS.len()] = [
    Load { name: "one gets", workers: |_| [0, 1] },
    Load { name: "one sets", workers: |_| [1, 0] },
    Load { name: "one sets, others get", workers: |processors| [1, processors.saturating_sub(1).max(1)] },
    Load { name: "all get and set", workers: |processors| [processors.max(2), 0] },
];

impl Load {
    /// Returns the workload of a sample.
    pub(crate) fn workload(&self, plan: &Plan, processors: usize) -> Workload {
        let [writers, readers] =
            (self.workers)(processors).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let mixed = writers > 1;
        Workload {
            writers,
            readers,
            keys: plan.keys,
            key_choice: KeyChoice::Uniform,
            value_len: ValueLen::Fixed(plan.value_len),
            mix: if mixed { "set=1,get=1" } else { "set" }.parse().expect("a mix"),
            span: Span::DurationMs(plan.sample_ms),
            warmup: Warmup::For(Duration::from_millis(plan.warmup_ms)),
            pin: Pin::Scatter,
            seed: plan.seed,
            oracle: false,
            sample: TIMED_ONE_OF,
            ..Workload::default()
        }
    }
}

/// What the rounds ask while they run.
pub(crate) struct Control<'a> {
    /// Whether the round that has just ended counts; 0 is all that comes before the first.
    pub(crate) keep: &'a mut dyn FnMut(u32) -> bool,
    /// Whether the user wants it to end.
    pub(crate) ended: &'a dyn Fn() -> bool,
}

/// Puts contenders under a load, as many rounds as the plan has.
pub(crate) fn compare(
    load: &Load,
    plan: &Plan,
    processors: usize,
    makes: &[(&'static str, Make)],
    more: Vec<Result<Contender, String>>,
    progress: &mut dyn Progress,
    control: Control<'_>,
) -> peers::Load {
    let Control { keep, ended } = control;
    let workload = load.workload(plan, processors);
    let mut entrants = Vec::new();
    let mut contenders = Vec::new();
    let made = makes.iter().map(|(name, make)| {
        progress.step(&format!("{}: preparing {name}", load.name));
        (*name, make(name, &workload))
    });
    let made: Vec<_> = made.collect();
    for (name, made) in made.into_iter().chain(more.into_iter().map(|made| ("library", made))) {
        match made {
            Ok(contender) => {
                entrants.push(contender.entrant());
                contenders.push(contender);
            }
            Err(why) => entrants.push(Entrant::absent(name, why)),
        }
    }
    // Those that are absent, or fail before the rounds, have no place in them.
    let mut places: Vec<usize> = (0..entrants.len()).filter(|&at| entrants[at].problem.is_none()).collect();
    for (contender, &place) in contenders.iter().zip(&places) {
        progress.step(&format!("{}: proving {}", load.name, contender.name));
        prove(contender, &workload, &mut entrants[place]);
    }
    let mut sound = places.iter().map(|&place| entrants[place].problem.is_none());
    contenders.retain(|_| sound.next() == Some(true));
    places.retain(|&place| entrants[place].problem.is_none());
    let names = contenders.iter().map(|contender| format!("{}, {}", load.name, contender.name));
    let subjects: Vec<Subject> = names.map(Subject::new).collect();
    let schedule = Schedule { rounds: plan.rounds, seed: plan.seed, warm_up: false };
    let take = &mut |step: Step<'_>| {
        step.show(progress);
        if ended() { Err(Stop::Interrupted) } else { sample(&contenders[step.subject], &workload) }
    };
    let sampled = sampler::sample(&subjects, &schedule, take, keep).series;
    for (&place, series) in places.iter().zip(&sampled) {
        entrants[place].problem.clone_from(&series.error);
        entrants[place].rounds = series.taken().map(|sample| sample.goodput_per_s).collect();
        entrants[place].latency_ns =
            series.taken().last().map_or(BTreeMap::new(), |it| it.latency_ns.clone());
    }
    judge(&mut entrants, &places, &sampled, plan.seed);
    peers::Load { load: load.name.to_owned(), config: workload, entrants }
}

/// What one drive measured.
struct Sample {
    goodput_per_s: f64,
    latency_ns: BTreeMap<String, Percentiles>,
}

/// Drives a contender once with every read checked.
fn prove(contender: &Contender, workload: &Workload, entrant: &mut Entrant) {
    if !contender.checked {
        return;
    }
    let checked = Workload { oracle: true, ..workload.clone() };
    match (contender.drive)(&checked) {
        Ok(drive) => {
            entrant.torn_reads = Some(drive.torn_reads);
            if drive.unexpected_errors + drive.spurious_misses > 0 {
                entrant.problem = Some(complaint(&drive));
            }
        }
        Err(error) => entrant.problem = Some(error.to_string()),
    }
}

/// Takes one sample.
fn sample(contender: &Contender, workload: &Workload) -> Result<Sample, Stop> {
    let failed = |why: &str| Err(Stop::Failed(why.to_owned()));
    match (contender.drive)(workload) {
        Ok(drive) if drive.totals.counts.failures > 0 => {
            failed(&format!("{} operations failed", drive.totals.counts.failures))
        }
        // A sample that was cut short is none.
        Ok(drive) if drive.interrupted => Err(Stop::Interrupted),
        Ok(drive) if drive.totals.counts.successes == 0 => {
            failed("nothing succeeded in a whole sample: use longer ones")
        }
        Ok(drive) => Ok(Sample { goodput_per_s: drive.totals.goodput_per_s, latency_ns: latencies(&drive) }),
        Err(error @ (RunError::Usage(_) | RunError::Failed(_))) => failed(&error.to_string()),
    }
}

fn complaint(drive: &Drive) -> String {
    let first = drive.notes.first().map_or("", String::as_str);
    format!("{} errors and {} misses: {first}", drive.unexpected_errors, drive.spurious_misses)
}

fn latencies(drive: &Drive) -> BTreeMap<String, Percentiles> {
    let timed = drive.operations.iter().filter(|(_, operation)| operation.latency_ns.samples > 0);
    timed.map(|(name, operation)| (name.clone(), operation.latency_ns)).collect()
}

/// Holds every contender against the one of ours that is asked in the same way.
fn judge(entrants: &mut [Entrant], places: &[usize], sampled: &[Series<Sample>], seed: u64) {
    let names: Vec<String> = places.iter().map(|&place| entrants[place].name.clone()).collect();
    let goodput = |series: &Series<Sample>| -> Vec<Option<f64>> {
        series.samples.iter().map(|sample| Some(sample.as_ref()?.goodput_per_s)).collect()
    };
    for (&place, series) in places.iter().zip(sampled) {
        let entrant = &mut entrants[place];
        let by_handle = entrant.name.ends_with("by handle");
        let name = if by_handle { "splinter, by handle" } else { "splinter" };
        entrant.goodput_per_s = Summary::of(entrant.rounds.iter().copied()).map(|summary| summary.median);
        let ours = names.iter().position(|it| it == name).filter(|_| entrant.name != name);
        let change = ours.and_then(|at| Paired::of(goodput(&sampled[at]), goodput(series)).change(seed));
        entrant.ratio = change.map(|change| Ratio {
            of: name.to_owned(),
            median: change.median.exp(),
            low: change.low.exp(),
            high: change.high.exp(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Control, LOADS, compare};
    use crate::contender::{Contender, Make};
    use splinter_harness::progress::Progress;
    use splinter_perf::records::peers::Plan;
    use splinter_stress::Workload;
    use splinter_stress::peer::{Link, Miss, Peer};
    use std::cell::RefCell;
    use std::time::Duration;

    /// What a store does with a request.
    #[derive(Clone, Copy)]
    enum Fake {
        Answers,
        AnswersSlowly,
        Misses,
    }

    impl Peer for Fake {
        type Link = Self;

        fn link(&self, _: bool) -> Result<Self, String> {
            Ok(*self)
        }
    }

    impl Link for Fake {
        fn get(&mut self, _: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
            match self {
                Self::Answers => {}
                Self::AnswersSlowly => std::thread::sleep(Duration::from_micros(500)),
                Self::Misses => return Err(Miss::NotFound),
            }
            Ok(buf.len().min(64))
        }

        fn set(&mut self, _: &[u8], _: &[u8]) -> Result<(), Miss> {
            Ok(())
        }
    }

    fn fake(name: &str, fake: Fake, workload: &Workload) -> Result<Contender, String> {
        Ok(Contender::new(name, "1", workload, fake)?.unchecked())
    }

    const MAKES: [(&str, Make); 4] = [
        ("splinter", |name, workload| fake(name, Fake::Answers, workload)),
        ("absent", |_, _| Err("it is not there".to_owned())),
        ("broken", |name, workload| fake(name, Fake::Misses, workload)),
        ("slow", |name, workload| fake(name, Fake::AnswersSlowly, workload)),
    ];

    fn plan() -> Plan {
        Plan { rounds: 3, sample_ms: 5, warmup_ms: 0, keys: 64, value_len: 64, seed: 1, quick: true }
    }

    /// Keeps what is told.
    struct Heard<'a>(&'a RefCell<Vec<String>>);

    impl Progress for Heard<'_> {
        fn step(&mut self, what: &str) {
            self.0.borrow_mut().push(what.to_owned());
        }

        fn tick(&mut self, _: f64, _: Option<Duration>) {}

        fn done(&mut self) {}
    }

    #[test]
    fn every_contender_has_one_sample_a_round_and_those_that_cannot_say_why() {
        let steps = RefCell::new(Vec::new());
        let mut rounds = 0;
        let cell = compare(
            &LOADS[0],
            &plan(),
            1,
            &MAKES,
            Vec::new(),
            &mut Heard(&steps),
            Control {
                keep: &mut |_| {
                    rounds += 1;
                    // The second is disturbed.
                    rounds != 3
                },
                ended: &|| false,
            },
        );
        let entrant = |name: &str| cell.entrants.iter().find(|entrant| entrant.name == name).unwrap();
        assert_eq!(entrant("splinter").rounds.len(), 3);
        let second = |step: &&String| step.contains("round 2 of 3") && step.ends_with("splinter");
        assert_eq!(steps.borrow().iter().filter(second).count(), 2);
        let slow = entrant("slow");
        assert_eq!(slow.rounds.len(), 3);
        let ratio = slow.ratio.as_ref().unwrap();
        assert_eq!(ratio.of, "splinter");
        assert!(1.0 < ratio.low && ratio.low <= ratio.median && ratio.median <= ratio.high, "{ratio:?}");
        assert!(entrant("splinter").ratio.is_none());
        assert_eq!(entrant("absent").problem.as_deref(), Some("it is not there"));
        assert!(entrant("broken").problem.as_deref().unwrap().contains("failed"));
        assert!(entrant("broken").rounds.is_empty());
        assert!(steps.borrow().iter().any(|step| step.contains("round 3 of 3")));
    }

    #[test]
    fn it_ends_when_the_user_wants_it_and_keeps_what_it_has() {
        let steps = RefCell::new(Vec::new());
        let ended = || {
            let steps = steps.borrow();
            steps.iter().any(|step: &String| step.contains("round 2"))
        };
        let cell = compare(
            &LOADS[1],
            &plan(),
            1,
            &MAKES[..1],
            Vec::new(),
            &mut Heard(&steps),
            Control { keep: &mut |_| true, ended: &ended },
        );
        assert_eq!(cell.entrants[0].rounds.len(), 1);
    }

    #[test]
    fn every_load_is_a_sound_workload_on_small_and_large_machines() {
        for processors in [1, 2, 64] {
            for load in LOADS {
                assert_eq!(
                    load.workload(&plan(), processors).validate(),
                    Ok(()),
                    "{} on {processors}",
                    load.name
                );
            }
        }
    }
}
