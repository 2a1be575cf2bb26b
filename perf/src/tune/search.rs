//! The search: successive halving (Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
//! optimization", AISTATS 2016), with thirds. All candidates run once; the best third of them three times more, the best
//! third of those nine times more, until one is left: the time goes to those that may win. Each round runs the default
//! as well, and what counts is how many times as good a candidate is as the default of its own round, whatever else the
//! machine did. Runs come from an [`Executor`]: real ones in earnest, numbers in the tests.

use super::objective::{Constraints, Objective, Trial};
use super::space::{Axis, Candidate};
pub use splinter_harness::sampler::Stop;
use splinter_harness::sampler::{self, Schedule, Subject, sample};
use splinter_harness::stats::median;

/// One of so many candidates is kept after each rung, and is run so many times as often on the next.
const THIRD: usize = 3;

/// Sweeps of the backfitting; it converges in a few.
const SWEEPS: usize = 50;

/// The run that is about to start, for the progress line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For what.
    pub what: String,
    /// Runs before it.
    pub done: usize,
    /// Runs in all, as far as that can be told.
    pub total: usize,
    /// Whether every value has to prove itself, though the workload says not to.
    pub proved: bool,
}

/// Runs candidates.
pub trait Executor {
    /// Runs a candidate for so many milliseconds.
    ///
    /// # Errors
    /// [`Stop::Failed`] ends the candidate, [`Stop::Interrupted`] all of it.
    fn run(&mut self, step: &Step, candidate: &Candidate, millis: u64) -> Result<Trial, Stop>;
}

/// Counts runs, and has them made.
pub(super) struct Runs<'a, E> {
    pub(super) executor: &'a mut E,
    pub(super) done: usize,
    pub(super) total: usize,
    /// Broken invariants of all of them.
    pub(super) broken: u64,
    /// Whether every value has to prove itself from here on.
    pub(super) proved: bool,
}

impl<E: Executor> Runs<'_, E> {
    pub(super) fn run(&mut self, what: String, candidate: &Candidate, millis: u64) -> Result<Trial, Stop> {
        let (done, total) = (self.done, self.total.max(self.done + 1));
        let step = Step { what, done, total, proved: self.proved };
        self.done += 1;
        let trial = self.executor.run(&step, candidate, millis)?;
        self.broken += trial.broken;
        Ok(trial)
    }
}

/// How a search goes about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    /// The objective.
    pub(super) objective: Objective,
    /// The constraints.
    pub(super) constraints: Constraints,
    /// Length of one run.
    pub(super) millis: u64,
    /// Seed of all orders.
    pub(super) seed: u64,
}

/// A candidate and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// What it is.
    pub(super) candidate: Candidate,
    /// The logarithm of its gain over the default, by round.
    pub(super) gains: Vec<f64>,
    /// Its runs.
    pub(super) trials: Vec<Trial>,
    /// The last rung that it was run on, from 1.
    pub(super) rung: usize,
    /// Why it was given up, if it was.
    pub(super) out: Option<String>,
    /// Runs that kept what has to be kept, and the first reason of those that did not.
    kept: usize,
    fault: Option<String>,
    /// Why its first run was far from keeping it, if it was.
    far: Option<String>,
}

impl Entry {
    fn new(candidate: Candidate) -> Self {
        Self {
            candidate,
            gains: Vec::new(),
            trials: Vec::new(),
            rung: 0,
            out: None,
            kept: 0,
            fault: None,
            far: None,
        }
    }

    /// Takes a run beside the default's of the same round.
    fn take(&mut self, trial: Trial, default: &Trial, rules: &Rules) {
        match rules.objective.gain(&trial, default) {
            Some(gain) => self.gains.push(gain),
            None => self.out = Some(format!("it has no {} to compare", rules.objective)),
        }
        match rules.constraints.check(&trial, default) {
            Ok(()) => self.kept += 1,
            Err(why) => self.fault = self.fault.take().or(Some(why)),
        }
        if self.trials.is_empty() {
            self.far = rules.constraints.relaxed().check(&trial, default).err();
        }
        self.trials.push(trial);
    }

    /// Returns the median of its gains.
    #[must_use]
    pub(super) fn gain(&self) -> f64 {
        median(&mut self.gains.clone())
    }
}

/// One rung, when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Rung {
    /// Its number, from 1.
    pub rung: usize,
    /// How often each candidate was run on it.
    pub rounds: usize,
    /// How many there were.
    pub candidates: usize,
    /// How many of them went on.
    pub kept: usize,
}

/// The findings of a search.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    /// All candidates, the best last rung first, on it the best gain first.
    pub(super) entries: Vec<Entry>,
    /// The runs of the default.
    pub(super) default: Vec<Trial>,
    /// The rungs that were completed.
    pub(super) rungs: Vec<Rung>,
    /// Why it ended before its end, if it did.
    pub(super) stopped: Option<String>,
}

impl Found {
    /// Returns the candidate that was left, if it is ahead of the default.
    #[must_use]
    pub(super) fn winner(&self) -> Option<&Entry> {
        let first = self.entries.first();
        first.filter(|entry| self.stopped.is_none() && entry.out.is_none() && entry.gain() > 0.0)
    }
}

/// Returns how many of so many candidates are kept.
fn third(alive: usize) -> usize {
    (alive / THIRD).max(1)
}

/// Returns how many runs a search of so many candidates takes at most.
#[must_use]
pub fn runs(candidates: usize) -> usize {
    let (mut alive, mut rounds, mut runs) = (candidates, 1, 0);
    while alive > 0 {
        runs += rounds * (alive + 1);
        let left = third(alive);
        if is_last(rounds, alive, left) {
            break;
        }
        // One more may come to the next rung.
        alive = left + usize::from(left > 1);
        rounds *= THIRD;
    }
    runs
}

/// Tells whether a rung is the last. One of several that were run only once is not known well enough.
fn is_last(rounds: usize, alive: usize, left: usize) -> bool {
    left == 0 || left == 1 && (rounds > 1 || alive == 1)
}

/// Searches among candidates. What was found so far is kept when the user ends it, or the default cannot be run.
pub(super) fn search<E: Executor>(
    candidates: Vec<Candidate>,
    rules: &Rules,
    runs: &mut Runs<'_, E>,
) -> Found {
    let mut found = Found { entries: candidates.into_iter().map(Entry::new).collect(), ..Found::default() };
    let mut rounds = 1;
    for rung in 1.. {
        let alive: Vec<usize> = alive(&found.entries);
        if alive.is_empty() {
            break;
        }
        found.stopped = climb(&mut found, &alive, rung, rounds, rules, runs);
        if found.stopped.is_some() {
            sort(&mut found.entries);
            return found;
        }
        let left = give_up(&mut found.entries, &alive, rung);
        found.rungs.push(Rung { rung, rounds, candidates: alive.len(), kept: left });
        sort(&mut found.entries);
        if is_last(rounds, alive.len(), left) {
            break;
        }
        if left > 1
            && let Some(crossed) = crossed(&found.entries)
        {
            found.entries.push(Entry::new(crossed));
        }
        rounds *= THIRD;
    }
    found
}

fn alive(entries: &[Entry]) -> Vec<usize> {
    let all = entries.iter().enumerate();
    all.filter(|(_, entry)| entry.out.is_none()).map(|(at, _)| at).collect()
}

/// Runs the default and all that are alive for so many rounds. Returns why it ended before its end, if it did.
fn climb<E: Executor>(
    found: &mut Found,
    alive: &[usize],
    rung: usize,
    rounds: usize,
    rules: &Rules,
    runs: &mut Runs<'_, E>,
) -> Option<String> {
    let names = alive.iter().map(|&at| found.entries[at].candidate.to_string());
    let subjects: Vec<Subject> = names.chain(["default".to_owned()]).map(Subject::new).collect();
    let schedule =
        Schedule { rounds: u32::try_from(rounds).unwrap_or(u32::MAX), seed: rules.seed, warm_up: false };
    let default = Candidate::default();
    let (mut stopped, mut faulty) = (None, Vec::new());
    let take = &mut |step: sampler::Step<'_>| {
        let what = format!("rung {rung}, round {} of {rounds}: {}", step.round, step.name);
        let at = alive.get(step.subject);
        let candidate = at.map_or(&default, |&at| &found.entries[at].candidate);
        match (at, runs.run(what, candidate, rules.millis)) {
            (_, Err(Stop::Interrupted)) => stopped = Some("interrupted".to_owned()),
            (None, Err(Stop::Failed(why))) => stopped = Some(format!("the default cannot be run: {why}")),
            (None, Ok(Trial { unfit: Some(why), .. })) => {
                stopped = Some(format!("the default does not count: {why}"));
            }
            (Some(&at), Ok(trial)) if trial.broken > 0 || trial.unfit.is_some() => {
                let why = rules.constraints.check(&trial, &trial).err().unwrap_or_default();
                faulty.push((at, trial));
                return Err(Stop::Failed(why));
            }
            (Some(&at), Ok(trial)) if rules.objective.gain(&trial, &trial).is_none() => {
                faulty.push((at, trial));
                return Err(Stop::Failed(format!("it has no {} to compare", rules.objective)));
            }
            (_, trial) => return trial,
        }
        Err(Stop::Interrupted)
    };
    let mut series = sample(&subjects, &schedule, take, &mut |_| true).series;
    let defaults = series.pop().map_or(Vec::new(), |series| series.samples);
    for (&at, series) in alive.iter().zip(series) {
        let entry = &mut found.entries[at];
        if series.error.is_some() || !series.samples.is_empty() {
            entry.rung = rung;
        }
        entry.out = series.error;
        for (trial, default) in series.samples.into_iter().zip(&defaults) {
            if let (Some(trial), Some(default)) = (trial, default) {
                entry.take(trial, default, rules);
            }
        }
    }
    for (at, trial) in faulty {
        found.entries[at].trials.push(trial);
    }
    found.default.extend(defaults.into_iter().flatten());
    stopped
}

/// Gives up those that did not keep what has to be kept in any run, and all but the best third. A single run that did
/// not is a reason only if it was far from it: short runs on a machine with other work vary. Returns how many are left.
fn give_up(entries: &mut [Entry], alive: &[usize], rung: usize) -> usize {
    for &at in alive {
        let entry = &mut entries[at];
        if entry.out.is_none() && entry.trials.len() == 1 {
            entry.out = entry.far.clone();
        } else if entry.out.is_none() && entry.kept == 0 {
            entry.out = entry.fault.clone();
        }
    }
    let mut left: Vec<usize> = alive.to_vec();
    left.retain(|&at| entries[at].out.is_none());
    left.sort_by(|&one, &other| entries[other].gain().total_cmp(&entries[one].gain()));
    let most = third(alive.len());
    for &at in left.iter().skip(most) {
        entries[at].out = Some(format!("not among the best {most} of rung {rung}"));
    }
    left.len().min(most)
}

fn sort(entries: &mut [Entry]) {
    let key = |entry: &Entry| (entry.out.is_none(), entry.rung);
    entries.sort_by(|one, other| key(other).cmp(&key(one)).then(other.gain().total_cmp(&one.gain())));
}

/// Makes a candidate of the best choice on each axis, by what each choice is worth by itself. None if that is nothing new.
fn crossed(entries: &[Entry]) -> Option<Candidate> {
    let known = entries.iter().filter(|entry| entry.kept > 0 || entry.far.is_none());
    let known: Vec<(&Candidate, f64)> =
        known.map(|entry| (&entry.candidate, entry.gain())).filter(|(_, gain)| gain.is_finite()).collect();
    let mut best: Vec<(Axis, String, f64)> = Vec::new();
    for ((axis, text), worth) in effects(&known) {
        match best.iter_mut().find(|(other, ..)| *other == axis) {
            Some(known) if known.2 < worth => *known = (axis, text, worth),
            Some(_) => {}
            None => best.push((axis, text, worth)),
        }
    }
    best.retain(|(.., worth)| *worth > 0.0);
    let choices = best.into_iter().map(|(axis, text, _)| (axis, text));
    let candidate = Candidate::new(choices.collect());
    let is_new = entries.iter().all(|entry| entry.candidate != candidate);
    (is_new && candidate.choices().len() > 1).then_some(candidate)
}

/// Returns what each choice adds to the gain of a candidate, as if choices did nothing to each other: least squares by
/// backfitting, where what few candidates say is drawn towards 0 (a ridge of one candidate).
fn effects(known: &[(&Candidate, f64)]) -> Vec<((Axis, String), f64)> {
    let mut effects: Vec<((Axis, String), f64)> = Vec::new();
    for choice in known.iter().flat_map(|(candidate, _)| candidate.choices()) {
        if effects.iter().all(|(other, _)| other != choice) {
            effects.push((choice.clone(), 0.0));
        }
    }
    for _ in 0..SWEEPS {
        for at in 0..effects.len() {
            let (mut sum, mut count) = (0.0, 1.0);
            for (candidate, gain) in known {
                let choices = candidate.choices();
                if !choices.contains(&effects[at].0) {
                    continue;
                }
                let others = effects.iter().enumerate();
                let others = others.filter(|(other, (choice, _))| *other != at && choices.contains(choice));
                sum += gain - others.map(|(_, (_, worth))| worth).sum::<f64>();
                count += 1.0;
            }
            effects[at].1 = sum / count;
        }
    }
    effects
}

#[cfg(test)]
mod tests {
    use super::{Axis, Candidate, effects};

    #[test]
    fn the_worth_of_a_choice_is_told_from_that_of_its_companions() {
        let of = |choices: &[(Axis, &str)]| {
            let choices = choices.iter().map(|(axis, text)| (*axis, (*text).to_owned()));
            Candidate::new(choices.collect())
        };
        let (pin, slots) = ((Axis::Pin, "compact"), (Axis::SlotFactor, "4"));
        // Four times the slots cost a tenth, and came mostly with what gains three.
        let candidates = [of(&[pin]), of(&[pin, slots]), of(&[slots]), of(&[pin])];
        let gains = [0.3, 0.2, -0.1, 0.3];
        let known: Vec<(&Candidate, f64)> = candidates.iter().zip(gains).collect();
        let found = effects(&known);
        let worth = |axis: Axis| found.iter().find(|((it, _), _)| *it == axis).unwrap().1;
        assert!((0.2..0.3).contains(&worth(Axis::Pin)), "{found:?}");
        assert!((-0.1..0.0).contains(&worth(Axis::SlotFactor)), "{found:?}");
        assert!(effects(&[]).is_empty());
    }
}
