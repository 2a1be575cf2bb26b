//! Gathers what replays found, judges it, and makes the record. Pure.

use super::plan::CachePlan;
use super::record::{CacheInvariants, CacheRecord, CacheRow};
use super::references::{Hits, Lru, Reference as _, Sieve, optimum};
use super::replay::Replay;
use super::trace::Trace;
use splinter_harness::environment::Environment;
use splinter_harness::stats::{Middle, Summary};
use splinter_harness::valgrind::VOID;
use splinter_harness::verdict::{SCHEMA_VERSION, Verdict};

splinter_harness::named_enum! {
    /// A cache that is replayed against.
    pub(super) enum Cache: "cache" {
        /// The store, which evicts by SIEVE.
        Sieve = "store, sieve",
        /// The store, which evicts by LRU.
        Lru = "store, lru",
        /// The crate `moka`.
        Moka = "moka",
    }
}

/// A cache, and how many threads use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub cache: Cache,
    pub writers: u32,
}

impl Subject {
    /// Returns all that a plan asks for: each cache used by one thread, and by as many as are asked for.
    pub(super) fn of(plan: &CachePlan) -> Vec<Self> {
        let several = (plan.writers > 1).then_some(plan.writers);
        let counts = [1].into_iter().chain(several);
        counts.flat_map(|writers| Cache::ALL.map(|cache| Self { cache, writers })).collect()
    }

    /// Whether nothing but the trace decides what is hit.
    fn is_exact(self) -> bool {
        self.writers == 1 && self.cache != Cache::Moka
    }
}

/// What the references make of a trace.
#[derive(Debug)]
pub(super) struct References {
    sieve: Hits,
    lru: u64,
    optimum: u64,
    requests: u64,
    keys: u64,
    /// Different keys among the requests.
    asked: u64,
}

impl References {
    /// Replays a trace against all references.
    pub(super) fn of(trace: &Trace, slots: usize) -> Self {
        let (requests, keys) = (&trace.requests, trace.keys());
        let mut seen = Hits::new(keys);
        requests.iter().for_each(|key| seen.add(*key as usize));
        Self {
            sieve: Sieve::new(keys, slots).replay(requests),
            lru: Lru::new(keys, slots).replay(requests).count(),
            optimum: optimum(requests, keys, slots),
            requests: requests.len() as u64,
            keys: keys as u64,
            asked: seen.count(),
        }
    }

    /// Returns the rows of the references.
    fn rows(&self, slots: u64) -> [CacheRow; 3] {
        let row = |name: &str, hits: u64, evictions| CacheRow {
            name: name.to_owned(),
            situation: "reference".to_owned(),
            writers: 1,
            value_ns: None,
            quartiles: None,
            goodput_per_s: None,
            hit_ratio: hits as f64 / self.requests as f64,
            hits,
            misses: self.requests - hits,
            evictions,
        };
        // It fills up, and evicts one for each miss from then on.
        let evictions = |hits| Some(self.requests - hits - self.asked.min(slots));
        let sieve = self.sieve.count();
        [
            row("SIEVE by its paper", sieve, evictions(sieve)),
            row("exact LRU", self.lru, evictions(self.lru)),
            // It does not take in every key.
            row("Belady's optimum", self.optimum, None),
        ]
    }
}

/// Everything that has been found.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    plan: &'a CachePlan,
    references: &'a References,
    /// By subject, the replays of whole rounds.
    found: Vec<(Subject, Vec<Replay>)>,
    /// What the round that goes on has found.
    round: Vec<(usize, Replay)>,
    rounds: u32,
    invariants: CacheInvariants,
    reasons: Vec<String>,
    pub(super) interrupted: bool,
}

impl<'a> Evidence<'a> {
    /// Begins with nothing but what the references say.
    pub(super) fn new(plan: &'a CachePlan, references: &'a References) -> Self {
        let found = Subject::of(plan).into_iter().map(|subject| (subject, Vec::new())).collect();
        let mut evidence = Self {
            plan,
            references,
            found,
            round: Vec::new(),
            rounds: 0,
            invariants: CacheInvariants::default(),
            reasons: Vec::new(),
            interrupted: false,
        };
        let References { sieve, lru, .. } = references;
        for (name, hits) in [("SIEVE by its paper", sieve.count()), ("exact LRU", *lru)] {
            evidence.bound(name, hits);
        }
        evidence
    }

    /// Adds a replay against a subject, by its place in the list.
    pub(super) fn add(&mut self, at: usize, mut replay: Replay) {
        let (subject, _) = self.found[at];
        self.judge(subject, &replay);
        // Judged, they are of no more use, and long.
        replay.hits = None;
        self.round.push((at, replay));
    }

    /// Ends a round, which was whole.
    pub(super) fn end_round(&mut self) {
        for (at, replay) in self.round.drain(..) {
            self.found[at].1.push(replay);
        }
        self.rounds += 1;
    }

    fn judge(&mut self, subject: Subject, replay: &Replay) {
        let Subject { cache, writers } = subject;
        let (counts, slots) = (&replay.counts, self.plan.slots);
        self.invariants.wrong_values += counts.wrong;
        self.invariants.refused_requests += counts.refused;
        if let Some(why) = &counts.refusal {
            self.broken(format!("{cache}, {writers} threads: refused {} requests: {why}", counts.refused));
        }
        if counts.wrong > 0 {
            self.broken(format!("{cache}, {writers} threads: {} hits had another value", counts.wrong));
        }
        if cache != Cache::Moka && replay.resident > slots {
            self.invariants.keys_too_many += replay.resident - slots;
            self.broken(format!("{cache}: {} keys in {slots} slots", replay.resident));
        }
        if subject.is_exact() && counts.refused == 0 {
            self.bound(cache.name(), counts.hits);
            let evictions = counts.misses.saturating_sub(replay.resident);
            if let Some(counted) = replay.evicted.filter(|counted| *counted != evictions) {
                self.invariants.miscounted_evictions += counted.abs_diff(evictions);
                self.broken(format!("{cache}: {evictions} keys were evicted, and {counted} counted"));
            }
        }
        // What was not asked for any more can differ from nothing.
        if let (Cache::Sieve, Some(hits), false) = (cache, &replay.hits, replay.interrupted) {
            let (differences, first) = hits.differences(&self.references.sieve);
            self.invariants.sieve_differences += differences;
            if let Some(first) = first {
                let answers = if hits.has(first) { "a hit" } else { "a miss" };
                self.broken(format!(
                    "{cache}: {differences} requests were answered otherwise than by SIEVE, first number {}, \
                     {answers}",
                    first + 1
                ));
            }
        }
    }

    /// Notes a cache that has more hits than there can be.
    fn bound(&mut self, name: &str, hits: u64) {
        let optimum = self.references.optimum;
        if hits > optimum {
            self.invariants.beyond_optimum += hits - optimum;
            self.broken(format!("{name}: {hits} hits, above Belady's optimum of {optimum}"));
        }
    }

    /// Notes what is broken, once.
    fn broken(&mut self, reason: String) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Makes the record.
    pub(super) fn into_record(self, environment: Environment) -> CacheRecord {
        let is_broken = self.invariants.named().iter().any(|(_, count)| *count > 0);
        let mut verdict = if is_broken { Verdict::Fail } else { Verdict::Pass };
        let mut reasons = self.reasons;
        if self.interrupted {
            verdict = verdict.max(Verdict::Inconclusive);
            reasons.push("interrupted before its end".to_owned());
        }
        let (optimum, most) = (self.references.optimum, self.plan.writers as usize);
        let beyond = |(subject, replays): &(Subject, Vec<Replay>)| {
            !subject.is_exact() && replays.iter().any(|replay| replay.counts.hits > optimum)
        };
        let labels = [
            (environment.build.debug_assertions, "debug build: times mean nothing"),
            (environment.valgrind, VOID),
            (most > environment.processors, "oversubscribed"),
            (
                self.found.iter().any(beyond),
                "more hits than Belady's optimum: moka holds more keys for a while, threads reorder requests",
            ),
            (self.interrupted, "interrupted"),
        ];
        let measured = self.found.iter().filter(|(_, replays)| !replays.is_empty());
        let rows = measured.map(|(subject, replays)| row(*subject, replays));
        CacheRecord {
            schema_version: SCHEMA_VERSION,
            kind: "cache".to_owned(),
            verdict,
            reasons,
            labels: labels.iter().filter(|(holds, _)| *holds).map(|(_, label)| (*label).to_owned()).collect(),
            config: self.plan.clone(),
            requests: self.references.requests,
            keys: self.references.keys,
            rounds: self.rounds,
            rows: rows.chain(self.references.rows(self.plan.slots)).collect(),
            invariants: self.invariants,
            environment,
        }
    }
}

/// Sums up the replays against a subject.
fn row(subject: Subject, replays: &[Replay]) -> CacheRow {
    let Subject { cache, writers } = subject;
    let rounds = replays.len().max(1) as u64;
    let mean = |of: fn(&Replay) -> u64| (replays.iter().map(of).sum::<u64>() + rounds / 2) / rounds;
    let (hits, misses) = (mean(|it| it.counts.hits), mean(|it| it.counts.misses));
    let timed = || replays.iter().filter(|it| it.elapsed_ns > 0.0 && it.counts.answered() > 0);
    let times = timed().map(|it| it.elapsed_ns * f64::from(writers) / it.counts.answered() as f64);
    let times = Summary::of(times);
    let rates = Summary::of(timed().map(|it| it.counts.answered() as f64 / it.elapsed_ns * 1e9));
    CacheRow {
        name: cache.name().to_owned(),
        situation: if writers == 1 { "1 thread".to_owned() } else { format!("{writers} threads") },
        writers,
        value_ns: times.map(|times| times.median),
        quartiles: times.map(Middle::from),
        goodput_per_s: rates.map(|rates| rates.median),
        hit_ratio: hits as f64 / (hits + misses).max(1) as f64,
        hits,
        misses,
        evictions: match (cache, writers) {
            (Cache::Moka, 2..) => None,
            (Cache::Moka, _) => Some(mean(|it| it.counts.misses.saturating_sub(it.resident))),
            _ => Some(mean(|it| it.evicted.unwrap_or(0))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Pattern;
    use super::super::plan::tests::plan;
    use super::super::replay::Counts;
    use super::*;
    use splinter_harness::disturbance::{Cause, Disturbance};

    fn trace(plan: &CachePlan) -> Trace {
        Trace::by(plan.trace, plan.keys as u32, 3000, plan.seed)
    }

    /// A replay as the store's SIEVE should make it, of this length in time.
    fn sound(plan: &CachePlan, elapsed_ns: f64) -> Replay {
        let trace = trace(plan);
        let hits = Sieve::new(trace.keys(), plan.slots as usize).replay(&trace.requests);
        let misses = 3000 - hits.count();
        Replay {
            elapsed_ns,
            counts: Counts { hits: hits.count(), misses, ..Counts::default() },
            hits: Some(hits),
            resident: plan.slots,
            evicted: Some(misses - plan.slots),
            interrupted: false,
        }
    }

    /// Returns the record of one replay against a subject.
    fn record(at: usize, change: impl FnOnce(&mut Replay)) -> CacheRecord {
        let plan = CachePlan { writers: 2, ..plan() };
        let mut replay = sound(&plan, 3e6);
        change(&mut replay);
        let references = References::of(&trace(&plan), plan.slots as usize);
        let mut evidence = Evidence::new(&plan, &references);
        evidence.add(at, replay);
        evidence.end_round();
        evidence.into_record(Environment::read())
    }

    const SIEVE: usize = 0;
    const LRU: usize = 1;
    const MOKA: usize = 2;
    const SIEVE_SHARED: usize = 3;

    #[test]
    fn a_replay_as_the_paper_has_it_passes_and_is_summed_up() {
        let record = record(SIEVE, |_| {});
        assert_eq!((record.verdict, &record.reasons), (Verdict::Pass, &vec![]));
        let [row, sieve, _, optimum] = &record.rows[..] else { panic!("{:?}", record.rows) };
        assert_eq!(
            (row.name.as_str(), row.hits, row.evictions),
            ("store, sieve", sieve.hits, sieve.evictions)
        );
        assert_eq!((row.value_ns, row.goodput_per_s), (Some(1000.0), Some(1e6)));
        assert!(row.hit_ratio > 0.2 && row.hits < optimum.hits && optimum.hits < 3000);
    }

    #[test]
    fn one_answer_that_is_not_sieves_fails() {
        let record = record(SIEVE, |replay| {
            let first = (0..).find(|at| !replay.hits.as_ref().unwrap().has(*at) && *at > 100).unwrap();
            replay.hits.as_mut().unwrap().add(first);
        });
        assert_eq!((record.verdict, record.invariants.sieve_differences), (Verdict::Fail, 1));
        assert!(record.reasons[0].contains("1 requests") && record.reasons[0].ends_with("a hit"));
    }

    type Broken = (usize, fn(&mut Replay), fn(&CacheInvariants) -> u64);

    #[test]
    fn everything_that_breaks_an_invariant_fails() {
        let broken: [Broken; 5] = [
            (LRU, |it| it.counts.hits = 3000, |it| it.beyond_optimum),
            (MOKA, |it| it.counts.wrong = 2, |it| it.wrong_values),
            (SIEVE_SHARED, |it| it.counts.refused = 1, |it| it.refused_requests),
            (LRU, |it| it.evicted = Some(1), |it| it.miscounted_evictions),
            (SIEVE_SHARED, |it| it.resident += 1, |it| it.keys_too_many),
        ];
        for (at, change, count) in broken {
            let record = record(at, change);
            assert_eq!(record.verdict, Verdict::Fail, "{:?}", record.invariants);
            assert!(count(&record.invariants) > 0, "{:?}", record.invariants);
        }
    }

    #[test]
    fn what_several_threads_or_moka_hit_above_the_optimum_is_only_labelled() {
        for at in [MOKA, SIEVE_SHARED] {
            let record = record(at, |replay| {
                replay.counts.hits = 3000;
                replay.hits = None;
            });
            assert_eq!(record.verdict, Verdict::Pass, "{:?}", record.reasons);
            assert!(record.labels.iter().any(|label| label.contains("optimum")), "{:?}", record.labels);
        }
    }

    #[test]
    fn hit_ratios_of_a_disturbed_machine_count_and_its_times_have_no_verdict() {
        let mut record = record(SIEVE, |_| {});
        record.environment.disturbances = vec![Disturbance { cause: Cause::Steal, ms: 100, share: 0.05 }];
        let text = super::super::cache_summary(&record);
        assert!(
            text.contains("times      no verdict, DISTURBED because the hypervisor took 5.0 %"),
            "{text}"
        );
        assert!(text.ends_with("verdict    PASS"), "{text}");
    }

    #[test]
    fn an_interrupted_comparison_is_inconclusive_and_keeps_whole_rounds() {
        let plan = CachePlan { trace: Pattern::Loop, ..plan() };
        let references = References::of(&trace(&plan), plan.slots as usize);
        let mut evidence = Evidence::new(&plan, &references);
        evidence.add(SIEVE, sound(&plan, 3e6));
        evidence.end_round();
        evidence.add(LRU, Replay { interrupted: true, ..sound(&plan, 1e6) });
        evidence.interrupted = true;
        let record = evidence.into_record(Environment::read());
        assert_eq!((record.verdict, record.rounds, record.rows.len()), (Verdict::Inconclusive, 1, 4));
        assert!(record.labels.contains(&"interrupted".to_owned()));
    }
}
