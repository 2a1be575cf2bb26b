//! The interleaved sampler: every round takes one short sample of every subject, in an order drawn anew, so that a processor
//! that slows down, a neighbour that wakes up or a clock that drifts hits all subjects alike instead of the one that happened
//! to run. The only place that draws orders of rounds, warms up and takes disturbed rounds again. A sample is whatever its
//! caller takes it for; the tests take samples without timing anything.

use crate::disturbance::RoundWatch;
use crate::interrupt;
use crate::progress::Progress;
use crate::rng::Rng;
use crate::stats::Summary;

/// Why there is no sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The subject could not be sampled, in words for the user. It takes part in no further round; the others go on.
    Failed(String),
    /// The user interrupted it.
    Interrupted,
}

impl Stop {
    /// Creates the failure of something, with the reason.
    pub fn failed(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{what}: {why}"))
    }
}

/// What is sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    name: String,
    every: u32,
    group: usize,
    note: Option<String>,
}

impl Subject {
    /// Describes a subject that takes part in every round.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), every: 1, group: 0, note: None }
    }

    /// Makes the subject take part in every `rounds`-th round only, the first included: for samples that are long.
    ///
    /// # Panics
    /// When `rounds` is 0.
    #[must_use]
    pub fn every(mut self, rounds: u32) -> Self {
        assert!(rounds > 0, "every 0 rounds is never");
        self.every = rounds;
        self
    }

    /// Puts the subject into a group: each round takes the groups one after the other, and draws the order within each.
    #[must_use]
    pub fn group(mut self, group: usize) -> Self {
        self.group = group;
        self
    }

    /// Adds what a reader of its figures should know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

impl<T: Into<String>> From<T> for Subject {
    fn from(name: T) -> Self {
        Self::new(name)
    }
}

/// How many rounds to run, and in what order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Rounds that count.
    pub rounds: u32,
    /// Seed of the order within each round.
    pub seed: u64,
    /// Runs one round before the first whose samples are thrown away.
    pub warm_up: bool,
}

/// The sample that is about to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// The round, from 1; 0 is the warm-up.
    pub round: u32,
    /// Rounds in all.
    pub rounds: u32,
    /// The subject's place in the list.
    pub subject: usize,
    /// Its name.
    pub name: &'a str,
}

impl Step<'_> {
    /// Shows the step as progress.
    pub fn show(self, progress: &mut dyn Progress) {
        progress.round(self.round as usize, self.rounds as usize, self.name);
    }
}

/// The samples of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<S = f64> {
    /// The subject's name.
    pub name: String,
    /// One entry a round; `None` where the subject took no part, or had failed.
    pub samples: Vec<Option<S>>,
    /// The error that ended it, or why its figures are implausible and serve as no limit. A subject is not sampled again after an error.
    pub error: Option<String>,
    /// What a reader of its figures should know.
    pub note: Option<String>,
}

impl<S> Series<S> {
    /// Creates the series of what could not even be prepared.
    #[must_use]
    pub fn failed(name: &str, error: String) -> Self {
        Self { error: Some(error), ..Self::of(name, []) }
    }

    /// Creates a series that took part in every round.
    #[must_use]
    pub fn of(name: &str, samples: impl IntoIterator<Item = S>) -> Self {
        let samples = samples.into_iter().map(Some).collect();
        Self { name: name.to_owned(), samples, error: None, note: None }
    }

    /// Returns the samples that were taken.
    pub fn taken(&self) -> impl Iterator<Item = &S> {
        self.samples.iter().flatten()
    }

    /// Maps each sample.
    #[must_use]
    pub fn map<T>(self, make: impl FnMut(S) -> T) -> Series<T> {
        let Self { name, samples, error, note } = self;
        let mut make = make;
        let samples = samples.into_iter().map(|sample| sample.map(&mut make)).collect();
        Series { name, samples, error, note }
    }
}

impl Series {
    /// Returns the median where others can be held against it: the series has no error.
    #[must_use]
    pub fn bound(&self) -> Option<f64> {
        let summary = self.summary().filter(|_| self.error.is_none());
        summary.map(|summary| summary.median)
    }

    /// Summarises the samples over all rounds; `None` when there is none.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        Summary::of(self.taken().copied())
    }
}

/// What was sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled<S> {
    /// A series a subject, in the order of the subjects.
    pub series: Vec<Series<S>>,
    /// Whether it ended before its time: then the series hold the rounds that were whole.
    pub interrupted: bool,
}

/// Runs the rounds of a schedule. `take` takes one sample, and may end all of it. `keep` is called after each round, and
/// tells whether it counts: if not, it is taken again. Round 0 is all that comes before the first, and its answer is ignored.
pub fn sample<S>(
    subjects: &[Subject],
    schedule: &Schedule,
    take: &mut dyn FnMut(Step<'_>) -> Result<S, Stop>,
    keep: &mut dyn FnMut(u32) -> bool,
) -> Sampled<S> {
    let begin = |Subject { name, note, .. }: &Subject| Series { note: note.clone(), ..Series::of(name, []) };
    let mut series: Vec<Series<S>> = subjects.iter().map(begin).collect();
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    let mut rng = Rng::new(schedule.seed, 0);
    let mut round = 0;
    while round <= schedule.rounds {
        rng.shuffle(&mut order);
        // The sort is stable: within a group the order stays as it was drawn.
        order.sort_by_key(|&at| subjects[at].group);
        for &at in order.iter().filter(|_| round > 0 || schedule.warm_up) {
            let Subject { name, every, .. } = &subjects[at];
            let mut sample = None;
            if round.saturating_sub(1).is_multiple_of(*every) && series[at].error.is_none() {
                match take(Step { round, rounds: schedule.rounds, subject: at, name }) {
                    Ok(taken) => sample = Some(taken),
                    Err(Stop::Failed(why)) => series[at].error = Some(why),
                    Err(Stop::Interrupted) => {
                        let whole = round.saturating_sub(1) as usize;
                        series.iter_mut().for_each(|it| it.samples.truncate(whole));
                        return Sampled { series, interrupted: true };
                    }
                }
            }
            if round > 0 {
                series[at].samples.push(sample);
            }
        }
        if keep(round) || round == 0 {
            round += 1;
        } else {
            for series in &mut series {
                series.samples.pop();
            }
        }
    }
    Sampled { series, interrupted: false }
}

/// A subject that samples itself.
pub struct Probe<'a, S = f64> {
    subject: Subject,
    sample: Box<dyn FnMut() -> Result<S, String> + 'a>,
}

impl<'a, S> Probe<'a, S> {
    /// Creates a probe of a subject, or of one that takes part in every round and has this name.
    pub fn new(subject: impl Into<Subject>, sample: impl FnMut() -> Result<S, String> + 'a) -> Self {
        Self { subject: subject.into(), sample: Box::new(sample) }
    }

    /// Returns the name its series will carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.subject.name
    }

    /// Maps each sample.
    #[must_use]
    pub fn map<T>(mut self, mut make: impl FnMut(S) -> T + 'a) -> Probe<'a, T>
    where
        S: 'a,
    {
        Probe { subject: self.subject, sample: Box::new(move || (self.sample)().map(&mut make)) }
    }
}

/// Samples probes and returns a series a probe, in their order. From here on Ctrl-C ends the rounds, and no more the program;
/// what was taken in whole rounds is all there is then. Disturbed rounds are taken again, as often as `watch` allows.
pub fn run<S>(
    probes: &mut [Probe<'_, S>],
    schedule: &Schedule,
    watch: &mut RoundWatch,
    progress: &mut dyn Progress,
) -> Vec<Series<S>> {
    interrupt::watch();
    let subjects: Vec<Subject> = probes.iter().map(|probe| probe.subject.clone()).collect();
    let take = &mut |step: Step<'_>| {
        step.show(progress);
        if interrupt::requested() {
            return Err(Stop::Interrupted);
        }
        (probes[step.subject].sample)().map_err(Stop::Failed)
    };
    sample(&subjects, schedule, take, &mut |round| watch.keep(round)).series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disturbance::ProcessorUse;
    use crate::progress::Silent;

    const SCHEDULE: Schedule = Schedule { rounds: 8, seed: 1, warm_up: false };

    fn subjects(count: usize) -> Vec<Subject> {
        (0..count).map(|index| Subject::new(index.to_string())).collect()
    }

    /// Samples one subject that counts how often it was sampled.
    fn counted(schedule: &Schedule, keep: &mut dyn FnMut(u32) -> bool) -> Vec<Option<i32>> {
        let mut calls = 0;
        let take = &mut |_: Step<'_>| {
            calls += 1;
            Ok(calls)
        };
        sample(&subjects(1), schedule, take, keep).series.remove(0).samples
    }

    #[test]
    fn every_round_samples_every_subject_once_in_changing_order() {
        let mut seen = Vec::new();
        let take = &mut |step: Step<'_>| {
            seen.push(step.subject);
            Ok(step.subject)
        };
        let sampled = sample(&subjects(5), &SCHEDULE, take, &mut |_| true);
        let rounds: Vec<&[usize]> = seen.chunks(5).collect();
        assert_eq!(rounds.len(), 8);
        for round in &rounds {
            let mut sorted = round.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert!(rounds.windows(2).any(|pair| pair[0] != pair[1]));
        assert!(!sampled.interrupted);
        for (index, series) in sampled.series.iter().enumerate() {
            assert_eq!(series.name, index.to_string());
            assert_eq!(series.samples, vec![Some(index); 8]);
        }
    }

    #[test]
    fn groups_follow_each_other_and_each_has_an_order_of_its_own() {
        let subjects: Vec<Subject> = (0..12).map(|index| Subject::new("s").group(index % 3)).collect();
        let mut seen = Vec::new();
        let take = &mut |step: Step<'_>| {
            seen.push(step.subject);
            Ok(())
        };
        sample(&subjects, &SCHEDULE, take, &mut |_| true);
        let rounds: Vec<&[usize]> = seen.chunks(12).collect();
        assert!(rounds.iter().all(|round| round.is_sorted_by_key(|subject| subject % 3)));
        for group in 0..3 {
            let part = |round: &[usize]| round[4 * group..][..4].to_vec();
            assert!(rounds.windows(2).any(|pair| part(pair[0]) != part(pair[1])), "{group}");
        }
    }

    #[test]
    fn equal_seeds_give_equal_orders_and_others_do_not() {
        let order = |seed| {
            let mut names = Vec::new();
            let take = &mut |step: Step<'_>| {
                names.push(step.name.to_owned());
                Ok(())
            };
            sample(&subjects(6), &Schedule { seed, ..SCHEDULE }, take, &mut |_| true);
            names
        };
        assert_eq!(order(9), order(9));
        assert_ne!(order(9), order(10));
    }

    #[test]
    fn the_warm_up_round_is_thrown_away() {
        let mut rounds_seen = Vec::new();
        let schedule = Schedule { rounds: 3, warm_up: true, ..SCHEDULE };
        let take = &mut |step: Step<'_>| {
            rounds_seen.push(step.round);
            Ok(rounds_seen.len())
        };
        let sampled = sample(&subjects(1), &schedule, take, &mut |_| true);
        assert_eq!(sampled.series[0].samples, [Some(2), Some(3), Some(4)]);
        assert_eq!(rounds_seen, [0, 1, 2, 3]);
    }

    #[test]
    fn a_round_that_does_not_count_is_taken_again() {
        for (warm_up, samples) in [(true, [2, 4, 5]), (false, [1, 3, 4])] {
            let mut ended = Vec::new();
            let samples_kept = counted(&Schedule { rounds: 3, warm_up, ..SCHEDULE }, &mut |round| {
                ended.push(round);
                ended.len() != 3
            });
            // What comes before the first round ends as well, so that its disturbances are not the round's.
            assert_eq!(ended, [0, 1, 2, 2, 3]);
            assert_eq!(samples_kept, samples.map(Some));
        }
    }

    #[test]
    fn what_comes_before_the_first_round_is_never_taken_again() {
        let schedule = Schedule { rounds: 1, warm_up: true, ..SCHEDULE };
        assert_eq!(counted(&schedule, &mut |round| round > 0), [Some(2)]);
    }

    #[test]
    fn a_slow_subject_takes_part_in_every_nth_round() {
        let subjects = [Subject::new("slow").every(3)];
        let sampled = sample(&subjects, &SCHEDULE, &mut |_| Ok(1.0), &mut |_| true);
        let took_part: Vec<bool> = sampled.series[0].samples.iter().map(Option::is_some).collect();
        assert_eq!(took_part, [true, false, false, true, false, false, true, false]);
    }

    #[test]
    fn whole_rounds_are_kept_when_it_is_ended() {
        for (end_at, whole) in [(0, 0), (2, 0), (3, 0), (4, 0), (7, 1), (9, 2), (10, 2)] {
            let schedule = Schedule { warm_up: true, ..SCHEDULE };
            let mut steps = 0;
            let take = &mut |_: Step<'_>| {
                steps += 1;
                if steps <= end_at { Ok(()) } else { Err(Stop::Interrupted) }
            };
            let sampled = sample(&subjects(3), &schedule, take, &mut |_| true);
            assert!(sampled.interrupted);
            // The first three are the warm-up's.
            assert!(sampled.series.iter().all(|it| it.samples.len() == whole), "{end_at}");
        }
    }

    #[test]
    fn an_error_ends_its_subject_and_no_other() {
        let mut calls = 0;
        let take = &mut |step: Step<'_>| {
            calls += usize::from(step.subject == 0);
            match (step.subject, calls) {
                (0, 3) => Err(Stop::Failed("the store is full".to_owned())),
                _ => Ok(2.0),
            }
        };
        let series = sample(&subjects(2), &SCHEDULE, take, &mut |_| true).series;
        assert_eq!(series[0].error.as_deref(), Some("the store is full"));
        assert_eq!(series[0].taken().count(), 2);
        assert_eq!(series[0].samples.len(), 8);
        assert_eq!(series[1].taken().count(), 8);
        assert_eq!(calls, 3);
    }

    #[test]
    fn the_median_of_a_series_ignores_the_rounds_it_sat_out() {
        let sat_out = |samples: &[Option<f64>]| Series { samples: samples.to_vec(), ..Series::of("p", []) };
        let series = sat_out(&[Some(3.0), None, Some(1.0), None, Some(2.0)]);
        assert_eq!(series.summary().unwrap().median, 2.0);
        assert_eq!(sat_out(&[None]).summary(), None);
    }

    #[test]
    fn probes_sample_themselves_and_keep_their_notes() {
        let mut probes = [
            Probe::new(Subject::new("one").note("on one line"), || Ok(1.0)).map(|sample| [sample, -sample]),
            Probe::new("none", || Err("no memory".to_owned())),
        ];
        assert_eq!(probes[0].name(), "one");
        let found = run(&mut probes, &SCHEDULE, &mut RoundWatch::start(0, &ProcessorUse::ALL), &mut Silent);
        assert_eq!(found[0].samples, [Some([1.0, -1.0]); 8]);
        assert_eq!(found[0].note.as_deref(), Some("on one line"));
        assert_eq!(found[1].error.as_deref(), Some("no memory"));
        assert_eq!(found[0].clone().map(|[_, sample]| sample).summary().unwrap().median, -1.0);
    }
}
