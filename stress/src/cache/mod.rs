//! Replays a trace of requests against caches: the store by SIEVE and by LRU, `moka`, and references: exact LRU, SIEVE by its
//! paper and Belady's optimum. Tells hit ratios, evictions and times. While one thread uses the store, its SIEVE must
//! answer each request as the paper's does.
//!
//! [`pattern`], [`trace`] and [`references`] know no caches, [`shared`] knows no traces. [`judge`] decides, and is pure.

mod judge;
mod list;
mod pattern;
mod plan;
mod record;
mod references;
mod replay;
mod report;
mod shared;
mod trace;

pub use pattern::Pattern;
pub use plan::CachePlan;
pub use record::{CacheInvariants, CacheRecord, CacheRow};
pub(crate) use report::cache_summary;

use judge::{Cache, Evidence, References, Subject};
use replay::{Replay, replay};
use shared::{Moka, StoreCache};
use splinter::Eviction;
use splinter_harness::disturbance::{ProcessorUse, Usage};
use splinter_harness::environment::Environment;
use splinter_harness::error::RunError;
use splinter_harness::interrupt;
use splinter_harness::progress::Progress;
use splinter_harness::sampler::{Schedule, Step, Stop, sample};
use std::cell::RefCell;
use trace::Trace;

/// A plan, the trace that it asks for, and what the references make of it.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    plan: &'a CachePlan,
    trace: Trace,
    references: References,
}

impl<'a> Comparison<'a> {
    /// Makes the trace, or reads it, and replays it against the references.
    ///
    /// # Errors
    /// [`RunError::Usage`]: what cannot be replayed.
    pub(crate) fn new(plan: &'a CachePlan) -> Result<Self, RunError> {
        let trace = plan.make_trace()?;
        let references = References::of(&trace, plan.slots as usize);
        Ok(Self { plan, trace, references })
    }

    /// Replays the trace against all caches, and returns the record.
    ///
    /// # Errors
    /// [`RunError`]: what kept it from replaying. A broken invariant is no error.
    pub(crate) fn run(&self, progress: &mut dyn Progress) -> Result<CacheRecord, RunError> {
        let plan = self.plan;
        let mut environment = Environment::read();
        let usage = Usage::now(&ProcessorUse::up_to(plan.writers as usize));
        let evidence = RefCell::new(Evidence::new(plan, &self.references));
        let subjects = Subject::of(plan);
        let schedule = Schedule { rounds: plan.rounds, seed: plan.seed, warm_up: false };
        let mut failure = None;
        let take = &mut |step: Step<'_>| {
            step.show(progress);
            if interrupt::requested() {
                return Err(Stop::Interrupted);
            }
            let replay = self.replay(subjects[step.subject]).map_err(|error| {
                failure = Some(error);
                Stop::Interrupted
            })?;
            let interrupted = replay.interrupted;
            evidence.borrow_mut().add(step.subject, replay);
            if interrupted { Err(Stop::Interrupted) } else { Ok(()) }
        };
        let names: Vec<_> = subjects.iter().map(|subject| subject.cache.name().into()).collect();
        let sampled = sample(&names, &schedule, take, &mut |round| {
            if round > 0 {
                evidence.borrow_mut().end_round();
            }
            true
        });
        if let Some(error) = failure {
            return Err(error);
        }
        let mut evidence = evidence.into_inner();
        evidence.interrupted = sampled.interrupted;
        environment.note(&usage);
        progress.done();
        Ok(evidence.into_record(environment))
    }

    /// Replays against a new cache.
    fn replay(&self, Subject { cache, writers }: Subject) -> Result<Replay, RunError> {
        let CachePlan { slots, len, seed, .. } = *self.plan;
        let store = |eviction| StoreCache::new(eviction, slots, len, writers, seed);
        let (trace, len, writers) = (&self.trace, len as usize, writers as usize);
        match cache {
            Cache::Sieve => replay(&store(Eviction::Sieve)?, trace, len, writers),
            Cache::Lru => replay(&store(Eviction::Lru)?, trace, len, writers),
            Cache::Moka => replay(&Moka::new(slots, seed), trace, len, writers),
        }
    }
}
