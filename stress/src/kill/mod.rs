//! The kill test: writer processes run at full load, and SIGKILL ends them at random moments, one after the other or several
//! together, thousands of times; each is replaced. Readers check everything all the while. After each death the dead
//! writer's own keys are compared with what was acknowledged. At the end of each round, when no writer lives, the whole
//! store is inspected. Detection and recovery are timed. The whole of a test is here, in order.

mod cache;
mod final_check;
mod ops;
mod record;
mod shared_state;
mod verifier;
mod writer;

pub use record::{KillInvariants, KillLevel, KillPlan, KillRecord, Kills};

pub(crate) use record::kill_summary;

use crate::proof::{value, vector};
use crate::raw::Raw;
use hdrhistogram::Histogram;
use ops::{
    ACCOUNT_COUNT, ACCOUNTS, DIM, HOT, KEYS_PER_WRITER, MIXED, ORDERS, Op, OwnKey, SHARED_KEYS, SUM, TALLY,
    TOTAL, alternate, fill, hot, order_name,
};
use record::{Claimed, KillTotals};
use shared_state::{Fault, KillState, WriterState};
use splinter::{Config, Error, Geometry, Scrub, Store, Writer, hash_key};
use splinter_harness::disturbance::{ProcessorUse, Usage};
use splinter_harness::environment::Environment;
use splinter_harness::error::RunError;
use splinter_harness::forked::{End, Forked, expect_progress_within};
use splinter_harness::interrupt;
use splinter_harness::progress::{Progress, left_in_words};
use splinter_harness::rng::Rng;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant, SystemTime};
use verifier::Verifier;
use writer::WriterLoop;

/// The most kills between two inspections of the whole store.
const ROUND: u64 = 1000;
/// Time after which an event that must come counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds without a kill after which the test itself hangs.
const HANG_S: u32 = 60;
/// Longest pause before a kill.
const PAUSE_US: u64 = 800;
/// How long an aimed kill looks for a writer that holds a claim, before it takes any.
const AIM: Duration = Duration::from_millis(5);

/// Runs a kill test and returns its record. The calling process must have one thread.
///
/// # Errors
/// [`RunError`]: what kept it from running. A broken invariant is no error.
pub fn kill(plan: &KillPlan, progress: &mut dyn Progress) -> Result<KillRecord, RunError> {
    plan.validate().map_err(RunError::Usage)?;
    let mut environment = Environment::read();
    let (started, clock) = (SystemTime::now(), Instant::now());
    let usage = Usage::now(&ProcessorUse::up_to((plan.writers + plan.readers) as usize));
    let mut counts = KillTotals::new();
    let total = plan.kills + plan.aimed;
    let rounds = total.div_ceil(ROUND).max(Scrub::ALL.len() as u64);
    let mut rng = Rng::new(plan.seed, u64::MAX);
    let (mut done, mut interrupted) = (0, false);
    for number in 0..rounds {
        let until = total * (number + 1) / rounds;
        let scrub = Scrub::ALL[number as usize % Scrub::ALL.len()];
        let mut round = Round::new(plan, scrub, number).map_err(RunError::Failed)?;
        let level = round.run(&mut done, until, &mut rng, &mut counts, progress)?;
        interrupted |= interrupt::requested();
        counts.levels.push(level);
        counts.add(&round.state);
        // A broken store stays broken: more kills tell nothing new.
        if interrupted || !counts.invariants().held() {
            break;
        }
    }
    nix::unistd::alarm::cancel();
    progress.done();
    environment.note(&usage);
    Ok(counts.into_record(plan, environment, started, clock.elapsed(), interrupted))
}

/// One round: a store of its own at one scrub level, and the processes that use it.
struct Round<'p> {
    plan: &'p KillPlan,
    store: Store,
    cache: Store,
    raw: Raw,
    state: KillState,
    number: u64,
}

/// A writer that was killed.
struct Killed {
    writer: usize,
    id: Option<u32>,
    /// Whether no other writer can have taken its id by now.
    looked: bool,
    killed: Instant,
    /// Time from the kill until its id was free.
    detected: Option<Duration>,
}

impl<'p> Round<'p> {
    fn new(plan: &'p KillPlan, scrub: Scrub, number: u64) -> Result<Self, String> {
        let words = |error: std::io::Error| format!("shared memory cannot be had: {error}");
        // One slot more than there can be keys: another writer soon needs a dead writer's slot.
        let geometry = Geometry {
            slots: SHARED_KEYS + KEYS_PER_WRITER * u64::from(plan.writers) + 1,
            max_value_len: plan.max_value_len,
            vector_dim: DIM,
            max_writers: plan.writers + 2,
        };
        let config = Config { geometry, scrub, hash_seed: Some(plan.seed), ..Config::default() };
        let store = Store::anonymous(&config).map_err(|error| error.to_string())?;
        let cache = cache::create(plan.writers, scrub, plan.seed, number)?;
        let raw = Raw::new(&store)?;
        let state = KillState::new(plan.writers, plan.readers).map_err(words)?;
        let round = Self { plan, store, cache, raw, state, number };
        round.fill().map_err(|error| format!("the store cannot be filled: {error}"))?;
        Ok(round)
    }

    /// Sets every key that stays to what it holds after step 0.
    fn fill(&self) -> Result<(), Error> {
        let mut writer = self.store.writer().map_err(|_| Error::Full)?;
        let mut bytes = Vec::new();
        for number in 0..HOT {
            let key = hot(number);
            let prefill = usize::from(value::PREFILL);
            writer.set(&key, fill(&mut bytes, 100, &key, prefill, 0))?;
        }
        writer.set_u64(SUM, 0)?;
        writer.set_u64(MIXED, 0)?;
        writer.set(TALLY, &[0; 8])?;
        for account in 0..ACCOUNT_COUNT {
            writer.set_u64(order_name(ACCOUNTS, account), TOTAL / ACCOUNT_COUNT as u64)?;
        }
        for number in self.state.writers().map(|writer| writer.number) {
            for own in [OwnKey::Value, OwnKey::Log, OwnKey::Vector, OwnKey::Mark] {
                let key = own.key(number);
                writer.set(&key, fill(&mut bytes, 100, &key, number, 0))?;
            }
            writer.set_u64(OwnKey::Count.key(number), 0)?;
            let key = OwnKey::Vector.key(number);
            let mut components = [0.0; DIM as usize];
            vector::fill(&mut components, hash_key(key.as_bytes()), number as u16, 0);
            writer.set_vector(&key, &components)?;
            for base in [OwnKey::Group, OwnKey::Several].map(|own| own.key(number)) {
                let mut values = [const { Vec::new() }; ORDERS];
                for (order, bytes) in values.iter_mut().enumerate() {
                    fill(bytes, 100, &order_name(&base, order), number, 0);
                }
                writer.set_tandem(&base, &values.each_ref().map(Vec::as_slice))?;
            }
            let several = OwnKey::Several.key(number);
            writer.set_u64(order_name(&several, 1), 0)?;
            writer.set(alternate(&several), b"even")?;
        }
        Ok(())
    }

    /// Kills until `done` is `until`, and checks what is left.
    fn run(
        &mut self,
        done: &mut u64,
        until: u64,
        rng: &mut Rng,
        counts: &mut KillTotals,
        progress: &mut dyn Progress,
    ) -> Result<KillLevel, RunError> {
        let before = (*done, counts.kills.in_claim());
        let clock = Instant::now();
        let readers = (0..self.plan.readers).map(|reader| self.start_reader(reader));
        let mut readers = readers.collect::<Result<Vec<_>, _>>().map_err(RunError::Failed)?;
        let writers = self.state.writers().map(|state| self.start_writer(state));
        let mut writers = writers.collect::<Result<Vec<_>, _>>().map_err(RunError::Failed)?;
        {
            let mut rescuer = self.writer().map_err(RunError::Failed)?;
            let mut verifier = self.verifier();
            let mut reported = *done;
            while *done < until && !interrupt::requested() && self.is_sound() {
                expect_progress_within(HANG_S);
                // Aimed kills are spread evenly among the random ones.
                let total = self.plan.kills + self.plan.aimed;
                let aimed = counts.kills.aimed < (*done + 1) * self.plan.aimed / total;
                // One in four is killed while another may still be starting.
                if rng.below(4) > 0 {
                    self.await_writer_ids();
                }
                std::thread::sleep(Duration::from_micros(rng.below(PAUSE_US)));
                // Half of them are killed alone, the others together with some.
                let most = (writers.len() as u64).min(until - *done);
                let count = if rng.below(2) == 0 { 1 } else { 1 + rng.below(most) };
                let aimed = if aimed { self.aim(rng) } else { None };
                let first = aimed.unwrap_or(rng.index(writers.len()));
                let numbers = (0..count as usize).map(|step| (first + step) % writers.len());
                let numbers: Vec<usize> = numbers.collect();
                let killed = self.kill(&numbers, &mut writers, rng);
                for mut dead in killed {
                    let aimed = aimed == Some(dead.writer);
                    self.recover(&mut dead, aimed, &mut rescuer, &mut verifier, counts);
                    self.expect_killed(writers[dead.writer].wait());
                }
                for number in numbers {
                    let state = self.state.writer(number);
                    verifier.settle(state);
                    writers[number] = self.start_writer(state).map_err(RunError::Failed)?;
                    *done += 1;
                }
                if *done - reported >= 64 {
                    reported = *done;
                    let [ended, all] = [*done, until].map(|end| (end - before.0) as usize);
                    let left = left_in_words(ended, all, clock.elapsed());
                    let scrub = self.store.scrub();
                    progress.step(&format!(
                        "scrub {scrub}: {done} kills, {} in a claim{left} at this level",
                        counts.kills.in_claim()
                    ));
                }
            }
            // The last of them are not replaced.
            for (number, writer) in writers.iter_mut().enumerate() {
                writer.kill();
                self.expect_killed(writer.wait());
                verifier.settle(self.state.writer(number));
            }
        }
        self.state.shared.stop();
        for reader in &mut readers {
            self.join_reader(reader);
        }
        expect_progress_within(HANG_S);
        if self.is_sound() {
            final_check::run(&self.store, &self.raw, &self.state, self.plan);
            self.verifier().check_cache_at_rest(&self.cache);
        }
        Ok(KillLevel {
            scrub: self.store.scrub().to_string(),
            kills: *done - before.0,
            in_claim: counts.kills.in_claim() - before.1,
            recoveries: self.store.header().recoveries,
        })
    }

    /// Kills writers, one shortly after the other, and waits until their ids are free.
    fn kill(&self, numbers: &[usize], writers: &mut [Forked], rng: &mut Rng) -> Vec<Killed> {
        // A writer that is starting may take a freed writer id at once, and recover what the dead one held.
        let others = self.state.writers().filter(|writer| !numbers.contains(&writer.number));
        let alone = others.map(WriterState::writer_id).all(|id| id.is_some());
        let mut killed: Vec<Killed> = Vec::new();
        for &number in numbers {
            if !killed.is_empty() {
                let pause = Duration::from_micros(rng.below(PAUSE_US / 4));
                let start = Instant::now();
                while start.elapsed() < pause {
                    std::hint::spin_loop();
                }
            }
            let process = &mut writers[number];
            if let Some(end) = process.ended() {
                self.expect_killed(end);
            }
            let id = self.state.writer(number).writer_id();
            let now = Instant::now();
            process.kill();
            killed.push(Killed {
                writer: number,
                id,
                // Of several without an id yet, one may have taken another's.
                looked: alone && id.is_some(),
                killed: now,
                detected: None,
            });
        }
        let all_had = killed.iter().all(|dead| dead.id.is_some());
        for dead in &mut killed {
            dead.looked &= all_had;
        }
        let waits = |dead: &Killed| dead.looked && dead.detected.is_none();
        while killed.iter().any(waits) && killed[0].killed.elapsed() < PATIENCE {
            for dead in killed.iter_mut().filter(|dead| waits(dead)) {
                if dead.id.is_some_and(|id| !self.raw.is_owned(id)) {
                    dead.detected = Some(dead.killed.elapsed());
                }
            }
            // The dying process may need this processor.
            std::thread::yield_now();
        }
        killed
    }

    /// Finds out what a dead writer held, and writes one of its keys again.
    fn recover(
        &self,
        dead: &mut Killed,
        aimed: bool,
        rescuer: &mut Writer,
        verifier: &mut Verifier<'_>,
        counts: &mut KillTotals,
    ) {
        let state = self.state.writer(dead.writer);
        let mut claimed = Claimed::default();
        if let (Some(id), true) = (dead.id, dead.looked) {
            match dead.detected {
                Some(took) => record(&mut counts.detection, took),
                None => verifier.report(Fault::Stuck, format!("writer id {id} of a dead writer stays owned")),
            }
            claimed = self.claims_of(id);
            let attempted = Instant::now();
            if let Some(written) = self.rescue(&claimed, state, dead.killed, rescuer, verifier) {
                record(&mut counts.recovery, written - dead.killed);
                record(&mut counts.rescue, written - attempted);
            }
        }
        counts.kills.count(aimed, dead.id.is_some(), dead.looked, &claimed);
    }

    /// Waits until every writer has a writer id.
    fn await_writer_ids(&self) {
        let start = Instant::now();
        while self.state.writers().any(|writer| writer.writer_id().is_none()) && start.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
    }

    /// Lists the claims of a dead writer's id.
    fn claims_of(&self, id: u32) -> Claimed {
        let slots = 0..self.raw.slots();
        let slots = slots.filter(|slot| self.raw.claimant(*slot) == Some(id));
        Claimed { slots: slots.collect(), bucket: self.raw.holds_bucket(id) }
    }

    /// Writes a key that the dead writer held, and returns when that succeeded.
    fn rescue(
        &self,
        claimed: &Claimed,
        state: WriterState<'_>,
        killed: Instant,
        rescuer: &mut Writer,
        verifier: &mut Verifier<'_>,
    ) -> Option<Instant> {
        let named = |slot: &&usize| !self.raw.key(**slot).is_empty();
        let slot = *claimed.slots.iter().find(named)?;
        let key = String::from_utf8(self.raw.key(slot)).ok()?;
        let mut writer = WriterLoop::new(state, self.plan.max_value_len, self.plan.seed, 0);
        let absent = !self.raw.is_present(slot);
        let own = OwnKey::ALL.into_iter().find(|own| absent && key.starts_with(&own.key(state.number)));
        if let Some(own) = own {
            verifier.settle_one(state, own);
        }
        let op = own.map(|own| Op::ALL[own as usize]);
        loop {
            // A key that is there is written without changing what it holds, whichever writer it belongs to.
            let answer = match op {
                _ if !absent => rescuer.bump(&key),
                Some(op) => writer.perform(rescuer, op),
                None if key.starts_with("churn") => writer.set_shared(rescuer, &key),
                None => return None,
            };
            match answer {
                Ok(()) => return Some(Instant::now()),
                Err(Error::Again | Error::Full) if killed.elapsed() < PATIENCE => {
                    std::thread::yield_now();
                }
                // Another writer has removed it, so it was writable.
                Err(Error::NotFound) => return None,
                Err(error) => {
                    let text = format!("{key}: takes no write after its writer's death: {error}");
                    verifier.report(Fault::Stuck, text);
                    return None;
                }
            }
        }
    }

    /// Looks for a writer that holds a claim at this moment.
    fn aim(&self, rng: &mut Rng) -> Option<usize> {
        let start = Instant::now();
        let first = rng.index(self.raw.slots());
        while start.elapsed() < AIM {
            for slot in (0..self.raw.slots()).map(|step| (first + step) % self.raw.slots()) {
                if let Some(id) = self.raw.claimant(slot) {
                    let mut writers = self.state.writers();
                    if let Some(writer) = writers.find(|writer| writer.writer_id() == Some(id)) {
                        return Some(writer.number);
                    }
                }
            }
        }
        None
    }

    fn start_writer(&self, state: WriterState<'_>) -> Result<Forked, String> {
        state.set_writer_id(None);
        let process = state.next_process();
        let stream = self.number << 48 | (state.number as u64) << 40 | process;
        let unexpected = |error: &str| {
            self.state.fault(state.number, Fault::Unexpected, error);
            1
        };
        Forked::new(|| {
            let mut writer = match self.writer() {
                Ok(writer) => writer,
                Err(error) => return unexpected(&error),
            };
            let mut cache = match self.cache.writer() {
                Ok(cache) => cache,
                Err(error) => return unexpected(&format!("a writer got no id of the cache: {error}")),
            };
            state.set_writer_id(Some(writer.id()));
            let (longest, seed) = (self.plan.max_value_len, self.plan.seed);
            unexpected(&WriterLoop::new(state, longest, seed, stream).run(&mut writer, &mut cache))
        })
    }

    fn start_reader(&self, reader: u32) -> Result<Forked, String> {
        let process = self.state.writers().count() + reader as usize;
        Forked::new(|| {
            let mut verifier = Verifier::new(&self.store, &self.raw, &self.state, process);
            let [answered, again] = self.state.reads(reader as usize);
            while !self.state.shared.is_stopped() {
                let [good, busy] = verifier.check_all();
                verifier.check_cache(&self.cache);
                answered.fetch_add(good, Relaxed);
                again.fetch_add(busy, Release);
            }
            0
        })
    }

    /// Waits for a reader that was asked to end.
    fn join_reader(&self, reader: &mut Forked) {
        let deadline = Instant::now() + PATIENCE;
        while reader.ended().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let text = match reader.ended() {
            Some(End::Code(0)) => return,
            Some(end) => format!("a reader ended by itself: {end:?}"),
            None => "a reader hangs".to_owned(),
        };
        self.verifier().report(Fault::Ended, text);
    }

    fn expect_killed(&self, end: End) {
        if end != End::Signal(nix::sys::signal::Signal::SIGKILL) {
            let text = format!("a writer ended before it was killed: {end:?}");
            self.verifier().report(Fault::Ended, text);
        }
    }

    fn verifier(&self) -> Verifier<'_> {
        let coordinator = self.state.coordinator();
        Verifier::new(&self.store, &self.raw, &self.state, coordinator)
    }

    fn is_sound(&self) -> bool {
        self.state.faults().iter().all(|count| *count == 0)
    }

    /// Takes a writer id. The id of a process that has just died is free once the kernel has closed its files.
    fn writer(&self) -> Result<Writer, String> {
        let error = |error| format!("a writer got no writer id: {error}");
        self.store.writer().map_err(error)
    }
}

fn record(histogram: &mut Histogram<u64>, took: Duration) {
    let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    histogram.saturating_record(ns.max(1));
}
