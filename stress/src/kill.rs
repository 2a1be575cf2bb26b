//! The kill storm: writer processes at full load, of which one after the other, or several
//! together, are ended by SIGKILL at random moments and replaced, thousands of times. Readers check everything all the while; after each
//! death its own keys are held against what was acknowledged; and of each leg, when nobody is left alive,
//! the whole store is inspected. Detection and recovery are timed. The whole of a storm is here, in order.

mod board;
mod desk;
mod eyes;
mod record;
mod rest;

pub use record::{KillInvariants, KillLevel, KillPlan, KillRecord, Kills};

pub(crate) use record::kill_summary;

use crate::environment::{Environment, Taken};
use crate::error::RunError;
use crate::forked::{End, Forked, expect_progress_within};
use crate::interrupt;
use crate::latency::histogram;
use crate::oracle::{body, vector};
use crate::progress::{Progress, left_in_words};
use crate::raw::Raw;
use crate::rng::Rng;
use board::{Board, Fault, Seat};
use desk::{
    DIM, Desk, HOT, KEYS_A_SEAT, MIXED, ORDERS, Own, SHARED_KEYS, SUM, fill, hot, order_name,
};
use eyes::Eyes;
use hdrhistogram::Histogram;
use record::Evidence;
use splinter::{Config, Error, Geometry, Scrub, Store, Writer, hash_key};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant, SystemTime};

/// Kills between two inspections of the whole store, at most.
const LEG: u64 = 1000;
/// How long anything may take that must happen: what takes longer never does.
const PATIENCE: Duration = Duration::from_secs(10);
/// After how many seconds without a kill the storm itself hangs.
const HANG_S: u32 = 60;
/// Longest pause before a kill.
const PAUSE_US: u64 = 800;
/// For how long somebody is looked for who holds a claim, before any is killed.
const AIM: Duration = Duration::from_millis(5);

/// Lets a storm rage and returns its record. The calling process must have one thread.
///
/// # Errors
/// [`RunError`]: what kept it from running. A storm that broke something is no error.
pub fn kill(plan: &KillPlan, progress: &mut dyn Progress) -> Result<KillRecord, RunError> {
    plan.validate().map_err(RunError::Usage)?;
    let mut environment = Environment::read();
    let (started, clock, taken) = (SystemTime::now(), Instant::now(), Taken::from_now());
    let mut evidence = Evidence::new();
    let total = plan.kills + plan.aimed;
    let legs = total.div_ceil(LEG).max(Scrub::ALL.len() as u64);
    let mut rng = Rng::new(plan.seed, u64::MAX);
    let (mut done, mut interrupted) = (0, false);
    for leg in 0..legs {
        let until = total * (leg + 1) / legs;
        let scrub = Scrub::ALL[leg as usize % Scrub::ALL.len()];
        let mut storm = Storm::new(plan, scrub, leg).map_err(RunError::Failed)?;
        let level = storm.rage(&mut done, until, &mut rng, &mut evidence, progress)?;
        interrupted |= interrupt::requested();
        evidence.levels.push(level);
        evidence.gather(&storm.board);
        // What is broken stays broken: more of it tells nothing new.
        if interrupted || !evidence.invariants().held() {
            break;
        }
    }
    nix::unistd::alarm::cancel();
    progress.done();
    taken.note(&mut environment);
    Ok(evidence.into_record(plan, environment, started, clock.elapsed(), interrupted))
}

/// One leg: a store of its own at one scrub level, and all who use it.
struct Storm<'p> {
    plan: &'p KillPlan,
    store: Store,
    raw: Raw,
    board: Board,
    leg: u64,
}

/// A writer that lives.
struct Victim {
    process: Forked,
}

/// A writer that was killed.
struct Dead {
    number: usize,
    lane: Option<u32>,
    /// Whether its lane can be nobody else's by now.
    looked: bool,
    killed: Instant,
    /// After what time its lane was free.
    detected: Option<Duration>,
}

impl<'p> Storm<'p> {
    fn new(plan: &'p KillPlan, scrub: Scrub, leg: u64) -> Result<Self, String> {
        let words = |error: std::io::Error| format!("shared memory cannot be had: {error}");
        // One slot more than there can be keys: a dead writer's slot is soon needed by another.
        let geometry = Geometry {
            slots: SHARED_KEYS + KEYS_A_SEAT * u64::from(plan.writers) + 1,
            max_value_len: plan.max_value_len,
            vector_dim: DIM,
            lanes: plan.writers + 2,
        };
        let config = Config {
            geometry,
            scrub,
            hash_seed: Some(plan.seed),
            ..Config::default()
        };
        let store = Store::anonymous(&config).map_err(|error| error.to_string())?;
        let raw = Raw::new(&store)?;
        let board = Board::new(plan.writers, plan.readers).map_err(words)?;
        let storm = Self {
            plan,
            store,
            raw,
            board,
            leg,
        };
        storm
            .fill()
            .map_err(|error| format!("the store cannot be filled: {error}"))?;
        Ok(storm)
    }

    /// Sets every key that stays, as after step 0.
    fn fill(&self) -> Result<(), Error> {
        let mut writer = self.store.writer().map_err(|_| Error::Full)?;
        let mut bytes = Vec::new();
        for number in 0..HOT {
            let key = hot(number);
            let prefill = usize::from(body::PREFILL);
            writer.set(&key, fill(&mut bytes, 100, &key, prefill, 0))?;
        }
        writer.set_u64(SUM, 0)?;
        writer.set_u64(MIXED, 0)?;
        for seat in self.board.seats().map(|seat| seat.number) {
            for own in [Own::Value, Own::Log, Own::Vector, Own::Mark] {
                let key = own.key(seat);
                writer.set(&key, fill(&mut bytes, 100, &key, seat, 0))?;
            }
            writer.set_u64(Own::Count.key(seat), 0)?;
            let key = Own::Vector.key(seat);
            let mut components = [0.0; DIM as usize];
            vector::fill(&mut components, hash_key(key.as_bytes()), seat as u16, 0);
            writer.set_vector(&key, &components)?;
            let base = Own::Group.key(seat);
            let mut values = [const { Vec::new() }; ORDERS];
            for (order, value) in values.iter_mut().enumerate() {
                fill(value, 100, &order_name(&base, order), seat, 0);
            }
            writer.set_tandem(&base, &values.each_ref().map(Vec::as_slice))?;
        }
        Ok(())
    }

    /// Kills until `done` is `until`, and inspects what is left.
    fn rage(
        &mut self,
        done: &mut u64,
        until: u64,
        rng: &mut Rng,
        evidence: &mut Evidence,
        progress: &mut dyn Progress,
    ) -> Result<KillLevel, RunError> {
        let before = (*done, evidence.kills.in_claim());
        let clock = Instant::now();
        let readers = (0..self.plan.readers).map(|reader| self.start_reader(reader));
        let mut readers = readers
            .collect::<Result<Vec<_>, _>>()
            .map_err(RunError::Failed)?;
        let seats = 0..self.board.seats().count();
        let victims = seats.map(|seat| self.start_writer(self.board.seat(seat)));
        let mut victims = victims
            .collect::<Result<Vec<_>, _>>()
            .map_err(RunError::Failed)?;
        {
            let mut rescuer = self.writer().map_err(RunError::Failed)?;
            let mut eyes = self.eyes();
            let mut told = *done;
            while *done < until && !interrupt::requested() && self.is_sound() {
                expect_progress_within(HANG_S);
                // Aimed kills are spread evenly among the random ones.
                let total = self.plan.kills + self.plan.aimed;
                let aimed = evidence.kills.aimed < (*done + 1) * self.plan.aimed / total;
                // One in four dies while another may still be coming up.
                if rng.below(4) > 0 {
                    self.await_lanes();
                }
                std::thread::sleep(Duration::from_micros(rng.below(PAUSE_US)));
                // Half of them die alone, the others together with some.
                let most = (victims.len() as u64).min(until - *done);
                let count = if rng.below(2) == 0 {
                    1
                } else {
                    1 + rng.below(most)
                };
                let aimed = if aimed { self.aim(rng) } else { None };
                let first = aimed.unwrap_or(rng.index(victims.len()));
                let numbers = (0..count as usize).map(|step| (first + step) % victims.len());
                let numbers: Vec<usize> = numbers.collect();
                let struck = self.strike(&numbers, &mut victims, rng);
                for mut dead in struck {
                    let aimed = aimed == Some(dead.number);
                    self.look_after(&mut dead, aimed, &mut rescuer, &mut eyes, evidence);
                    self.expect_killed(victims[dead.number].process.wait());
                }
                for number in numbers {
                    let seat = self.board.seat(number);
                    eyes.settle(seat);
                    victims[number] = self.start_writer(seat).map_err(RunError::Failed)?;
                    *done += 1;
                }
                if *done - told >= 64 {
                    told = *done;
                    let [ended, all] = [*done, until].map(|end| (end - before.0) as usize);
                    let left = left_in_words(ended, all, clock.elapsed());
                    let scrub = self.store.scrub();
                    progress.step(&format!(
                        "scrub {scrub}: {done} kills, {} in a claim{left} at this level",
                        evidence.kills.in_claim()
                    ));
                }
            }
            // The last of them die without anybody to follow.
            for (number, victim) in victims.iter_mut().enumerate() {
                let seat = self.board.seat(number);
                victim.process.kill();
                self.expect_killed(victim.process.wait());
                eyes.settle(seat);
            }
        }
        self.board.stop(true);
        for reader in &mut readers {
            self.bring_home(reader);
        }
        expect_progress_within(HANG_S);
        if self.is_sound() {
            rest::inspect(&self.store, &self.raw, &self.board, self.plan);
        }
        Ok(KillLevel {
            scrub: self.store.scrub().to_string(),
            kills: *done - before.0,
            in_claim: evidence.kills.in_claim() - before.1,
            takeovers: self.store.header().takeovers,
        })
    }

    /// Kills writers, one shortly after the other, and waits until their lanes are free.
    fn strike(&self, numbers: &[usize], victims: &mut [Victim], rng: &mut Rng) -> Vec<Dead> {
        // Whoever is only just coming up may take a lane at once, and what the dead one held with it.
        let others = self
            .board
            .seats()
            .filter(|seat| !numbers.contains(&seat.number));
        let alone = others.map(Seat::lane).all(|lane| lane.is_some());
        let mut struck: Vec<Dead> = Vec::new();
        for &number in numbers {
            if !struck.is_empty() {
                let pause = Duration::from_micros(rng.below(PAUSE_US / 4));
                let start = Instant::now();
                while start.elapsed() < pause {
                    std::hint::spin_loop();
                }
            }
            let victim = &mut victims[number];
            if let Some(end) = victim.process.ended() {
                self.expect_killed(end);
            }
            let lane = self.board.seat(number).lane();
            let killed = Instant::now();
            victim.process.kill();
            struck.push(Dead {
                number,
                lane,
                // Of several who had no lane yet, one may have taken another's.
                looked: alone && lane.is_some(),
                killed,
                detected: None,
            });
        }
        let all_had = struck.iter().all(|dead| dead.lane.is_some());
        for dead in &mut struck {
            dead.looked &= all_had;
        }
        let waits = |dead: &Dead| dead.looked && dead.detected.is_none();
        while struck.iter().any(waits) && struck[0].killed.elapsed() < PATIENCE {
            for dead in struck.iter_mut().filter(|dead| waits(dead)) {
                if dead.lane.is_some_and(|lane| !self.raw.is_owned(lane)) {
                    dead.detected = Some(dead.killed.elapsed());
                }
            }
            // The dying may need this processor.
            std::thread::yield_now();
        }
        struck
    }

    /// Finds out what a dead writer held, and has it written again.
    fn look_after(
        &self,
        dead: &mut Dead,
        aimed: bool,
        rescuer: &mut Writer,
        eyes: &mut Eyes<'_>,
        evidence: &mut Evidence,
    ) {
        let seat = self.board.seat(dead.number);
        let mut claimed = Claimed::default();
        if let (Some(lane), true) = (dead.lane, dead.looked) {
            match dead.detected {
                Some(took) => record(&mut evidence.detection, took),
                None => eyes.tell(
                    Fault::Stuck,
                    &format!("lane {lane} of a dead writer stays its own"),
                ),
            }
            claimed = self.claims_of(lane);
            let attempted = Instant::now();
            if let Some(written) = self.rescue(&claimed, seat, dead.killed, rescuer, eyes) {
                record(&mut evidence.recovery, written - dead.killed);
                record(&mut evidence.rescue, written - attempted);
            }
        }
        evidence
            .kills
            .count(aimed, dead.lane.is_some(), dead.looked, &claimed);
    }

    /// Waits until every writer has a lane.
    fn await_lanes(&self) {
        let start = Instant::now();
        while self.board.seats().any(|seat| seat.lane().is_none()) && start.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
    }

    /// Lists what a dead writer's lane holds.
    fn claims_of(&self, lane: u32) -> Claimed {
        let slots = 0..self.raw.slots();
        let slots = slots.filter(|slot| self.raw.claimant(*slot) == Some(lane));
        Claimed {
            slots: slots.collect(),
            chunk: self.raw.holds_chunk(lane),
        }
    }

    /// Writes a key that the dead writer held, and returns when that succeeded.
    fn rescue(
        &self,
        claimed: &Claimed,
        seat: Seat<'_>,
        killed: Instant,
        rescuer: &mut Writer,
        eyes: &mut Eyes<'_>,
    ) -> Option<Instant> {
        let named = |slot: &&usize| !self.raw.key(**slot).is_empty();
        let slot = *claimed.slots.iter().find(named)?;
        let key = String::from_utf8(self.raw.key(slot)).ok()?;
        let mut desk = Desk::new(seat, self.plan.max_value_len, self.plan.seed, 0);
        let absent = !self.raw.is_present(slot);
        let own = Own::ALL
            .into_iter()
            .find(|own| absent && key.starts_with(&own.key(seat.number)));
        if let Some(own) = own {
            eyes.settle_one(seat, own);
        }
        let deed = own.map(|own| desk::Deed::ALL[own as usize]);
        loop {
            // A key that is there is written without changing what it holds, whoever it belongs to.
            let answer = match deed {
                _ if !absent => rescuer.bump(&key),
                Some(deed) => desk.act(rescuer, deed),
                None if key.starts_with("churn") => desk.set_shared(rescuer, &key),
                None => return None,
            };
            match answer {
                Ok(()) => return Some(Instant::now()),
                Err(Error::Again | Error::Full) if killed.elapsed() < PATIENCE => {
                    std::thread::yield_now();
                }
                // Another writer has removed it: it was writable.
                Err(Error::NotFound) => return None,
                Err(error) => {
                    let text = format!("{key}: takes no write after its writer's death: {error}");
                    eyes.tell(Fault::Stuck, &text);
                    return None;
                }
            }
        }
    }

    /// Looks for a seat whose writer holds a claim this moment.
    fn aim(&self, rng: &mut Rng) -> Option<usize> {
        let start = Instant::now();
        let first = rng.index(self.raw.slots());
        while start.elapsed() < AIM {
            for slot in (0..self.raw.slots()).map(|step| (first + step) % self.raw.slots()) {
                if let Some(lane) = self.raw.claimant(slot) {
                    let seat = self.board.seats().find(|seat| seat.lane() == Some(lane));
                    if let Some(seat) = seat {
                        return Some(seat.number);
                    }
                }
            }
        }
        None
    }

    fn start_writer(&self, seat: Seat<'_>) -> Result<Victim, String> {
        seat.set_lane(None);
        let life = seat.next_life();
        let stream = self.leg << 48 | (seat.number as u64) << 40 | life;
        let (plan, board) = (self.plan, &self.board);
        let process = Forked::new(|| {
            let mut writer = match self.writer() {
                Ok(writer) => writer,
                Err(error) => {
                    board.fault(seat.number, Fault::Unexpected, &error);
                    return 1;
                }
            };
            seat.set_lane(Some(writer.lane()));
            let mut desk = Desk::new(seat, plan.max_value_len, plan.seed, stream);
            let error = desk.live(&mut writer);
            board.fault(seat.number, Fault::Unexpected, &error);
            1
        })?;
        Ok(Victim { process })
    }

    fn start_reader(&self, reader: u32) -> Result<Forked, String> {
        let place = self.board.seats().count() + reader as usize;
        Forked::new(|| {
            let mut eyes = Eyes::new(&self.store, &self.raw, &self.board, place);
            let [answered, again] = self.board.reads(reader as usize);
            while !self.board.is_stopped() {
                let [good, busy] = eyes.look_around();
                answered.fetch_add(good, Relaxed);
                again.fetch_add(busy, Release);
            }
            0
        })
    }

    /// Waits for a reader that was told to end.
    fn bring_home(&self, reader: &mut Forked) {
        let deadline = Instant::now() + PATIENCE;
        while reader.ended().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let text = match reader.ended() {
            Some(End::Code(0)) => return,
            Some(end) => format!("a reader ended by itself: {end:?}"),
            None => "a reader hangs".to_owned(),
        };
        let place = self.board.own_place();
        self.board.fault(place, Fault::Ended, &text);
    }

    fn expect_killed(&self, end: End) {
        if end != End::Signal(nix::sys::signal::Signal::SIGKILL) {
            let text = format!("a writer ended before it was killed: {end:?}");
            let place = self.board.own_place();
            self.board.fault(place, Fault::Ended, &text);
        }
    }

    fn eyes(&self) -> Eyes<'_> {
        Eyes::new(&self.store, &self.raw, &self.board, self.board.own_place())
    }

    fn is_sound(&self) -> bool {
        self.board.faults().iter().all(|count| *count == 0)
    }

    /// Takes a lane. A lane whose holder has just died is free once the kernel has closed its files.
    fn writer(&self) -> Result<Writer, String> {
        let error = |error| format!("a writer got no lane: {error}");
        self.store.writer().map_err(error)
    }
}

/// What a dead writer held.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    slots: Vec<usize>,
    chunk: bool,
}

fn record(histogram: &mut Histogram<u64>, took: Duration) {
    let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    histogram.saturating_record(ns.max(1));
}

/// Makes the histograms of a storm.
fn histograms() -> [Histogram<u64>; 3] {
    [histogram(), histogram(), histogram()]
}
