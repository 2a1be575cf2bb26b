//! Writers killed at any instruction, thousands of them: what was published stays readable, every key
//! stays writable, and no key, slot or index entry is lost.

use splinter::{Error, IntegerOp, Scrub, Store, Type, Writer};
use splinter_testkit::process::{Forked, alone, shared_words, spin};
use splinter_testkit::{
    Rng, assert_every_slot_usable, assert_sound, config, geometry, retry, sequence, value,
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many writers run, and are killed, together.
const WRITERS: u64 = 3;
/// How many batches of writers each test kills at least, at each scrub level.
const BATCHES: u64 = 54;
/// How many of those kills must have met a claim: a few in a hundred do. A busy machine gets more batches, which live
/// longer and longer, until they have.
const MIN_RECOVERIES: u64 = 4;
const MAX_BATCHES: u64 = 20 * BATCHES;
/// Slots: nine for the keys that stay, three for eight keys that come and go.
const SLOTS: u64 = 12;
const KEPT: [&str; 4] = ["kept0", "kept1", "kept2", "kept3"];
const LOG: &str = "log";
const TANDEM: &str = "tandem";
const ORDERS: usize = 3;
const MAX_WRITERS: u32 = WRITERS as u32 + 2;

/// The operations of the writers of one test, as weights of: set, append, come and go, integers, tandem, vector,
/// and changes that leave the value alone.
type Weights = [u64; 7];

/// The operations that a writer has begun, and those that were acknowledged, in memory outside it.
#[derive(Clone, Copy)]
struct Progress(&'static [AtomicU64]);

impl Progress {
    fn new() -> Self {
        Self(shared_words(WRITERS as usize * 16))
    }

    fn begun(self, child: u64, what: usize) -> &'static AtomicU64 {
        &self.0[child as usize * 16 + what * 2]
    }

    fn done(self, child: u64, what: usize) -> &'static AtomicU64 {
        &self.0[child as usize * 16 + what * 2 + 1]
    }

    /// Records an operation's beginning and, if it succeeds, its end.
    fn record(self, child: u64, what: usize, number: u64, attempt: impl FnOnce() -> Result<(), Error>) {
        self.begun(child, what).store(number, Relaxed);
        if attempt().is_ok() {
            self.done(child, what).store(number, Relaxed);
        }
    }
}

/// The place of the integer in the progress, behind the kept keys.
const COUNTER: usize = KEPT.len();

/// Numbers an operation: no two in a test are alike.
fn number(batch: u64, child: u64, step: u64) -> u64 {
    batch << 40 | child << 32 | step
}

/// Writes until killed.
fn write_until_killed(store: &Store, progress: Progress, weights: Weights, batch: u64, child: u64) -> ! {
    let mut writer = store.writer().expect("the writer id of a dead writer");
    let mut rng = Rng(number(batch, child, 0));
    let total: u64 = weights.iter().sum();
    let mut once = format!("once{}", number(batch, child, 0));
    for step in 1.. {
        let sequence = number(batch, child, step);
        let mut choice = rng.below(total);
        let kind = weights.iter().position(|weight| {
            let chosen = choice < *weight;
            choice = choice.wrapping_sub(*weight);
            chosen
        });
        let len = 8 + rng.below(180) as usize;
        match kind.unwrap_or(0) {
            0 => {
                let at = rng.below(KEPT.len() as u64) as usize;
                let body = value(KEPT[at], sequence, len);
                progress.record(child, at, sequence, || writer.set(KEPT[at], &body));
            }
            1 => {
                if writer.append(LOG, &record(sequence)) == Err(Error::ValueTooLong) {
                    let _ = writer.set(LOG, &record(sequence));
                }
            }
            2 => {
                // Half of them are keys that are used once and never again.
                let known = format!("comes{}", rng.below(8));
                let key = *rng.pick(&[&known, &once]);
                match rng.below(2) {
                    0 => drop(writer.unset(key)),
                    _ => drop(writer.set(key, &value(key, sequence, len))),
                }
                if rng.below(3) == 0 {
                    let _ = writer.unset(&once);
                    once = format!("once{sequence}");
                }
            }
            3 => {
                // Counts, not numbers: how many additions were begun and how many acknowledged.
                let [begun, done] = [progress.begun(child, COUNTER), progress.done(child, COUNTER)];
                begun.fetch_add(1, Relaxed);
                match writer.integer("counter", IntegerOp::Inc(1)) {
                    Ok(_) => done.fetch_add(1, Relaxed),
                    Err(_) => begun.fetch_sub(1, Relaxed),
                };
                integer_of_many_kinds(&mut writer, &mut rng);
            }
            4 if rng.below(4) == 0 => drop(writer.unset_tandem(TANDEM, ORDERS)),
            4 => {
                let bodies = [0, 1, 2].map(|order| value(TANDEM, sequence, len.div_ceil(order + 1).max(8)));
                let _ = writer.set_tandem(TANDEM, &bodies.each_ref().map(Vec::as_slice));
            }
            5 => {
                let _ = writer.set_vector("kept0", &[sequence as u32 as f32; 5]);
            }
            _ => drop(match rng.below(4) {
                0 => writer.bump("kept1"),
                1 => writer.label("kept2", 1 << rng.below(64)),
                2 => writer.set_type("kept3", *rng.pick(&[Type::Json, Type::Binary])),
                _ => writer.set_ctime("kept1", sequence, 1),
            }),
        }
    }
    unreachable!("steps do not end")
}

/// A number that is set in every way there is: only that it stays readable is known of it.
fn integer_of_many_kinds(writer: &mut Writer, rng: &mut Rng) {
    let _ = match rng.below(6) {
        0 => writer.set_u64("mixed", rng.next()),
        1 => writer.set("mixed", b"12345"),
        2 => writer.set("mixed", &rng.next().to_le_bytes()),
        3 => writer.integer("mixed", IntegerOp::Not).map(drop),
        4 => writer.set_type("mixed", Type::VarText),
        _ => writer.set_type("mixed", Type::BigUint),
    };
}

/// A record of the log: 16 bytes that belong together.
fn record(sequence: u64) -> Vec<u8> {
    value(LOG, sequence, 16)
}

/// The state of one test.
struct KillTest {
    store: Store,
    progress: Progress,
    weights: Weights,
    rng: Rng,
    /// The sequence each kept key had when the last batch had died.
    last: [u64; KEPT.len()],
    epochs: [u64; KEPT.len()],
    counter: u64,
}

impl KillTest {
    fn new(scrub: Scrub, weights: Weights) -> Self {
        let store = Store::anonymous(&config(geometry(SLOTS, 200, 5, MAX_WRITERS), scrub)).unwrap();
        let mut writer = store.writer().unwrap();
        for key in KEPT {
            writer.set(key, &value(key, 0, 20)).unwrap();
        }
        writer.set(LOG, &record(0)).unwrap();
        writer.set_u64("counter", 0).unwrap();
        writer.set_u64("mixed", 0).unwrap();
        drop(writer);
        Self {
            store,
            progress: Progress::new(),
            weights,
            rng: Rng(scrub as u64),
            last: [0; KEPT.len()],
            epochs: [0; KEPT.len()],
            counter: 0,
        }
    }

    fn run(mut self) {
        let mut batch = 0;
        while batch < BATCHES || self.recoveries() < MIN_RECOVERIES {
            batch += 1;
            assert!(batch <= MAX_BATCHES, "only {} kills met a claim", self.recoveries());
            self.kill_batch(batch);
            self.check_readable(batch);
            if batch % 2 == 0 {
                self.check_writable();
            }
            if batch % 20 == 0 {
                self.check_at_rest(batch);
            }
        }
        self.check_writable();
        self.check_at_rest(0);
        assert_every_slot_usable(&self.store, "fresh");
        assert_sound(&self.store, 0);
    }

    fn recoveries(&self) -> u64 {
        self.store.header().recoveries
    }

    fn kill_batch(&mut self, batch: u64) {
        for word in self.progress.0 {
            word.store(0, Relaxed);
        }
        let (store, progress, weights) = (&self.store, self.progress, self.weights);
        let start = |child| Forked::new(|| write_until_killed(store, progress, weights, batch, child));
        for child in (0..WRITERS).map(start).collect::<Vec<_>>() {
            spin(self.rng.below(900 * batch.div_ceil(BATCHES)));
            child.kill();
        }
    }

    /// Checks the values that readers see right after the kills, before another writer runs.
    fn check_readable(&mut self, batch: u64) {
        for (at, key) in KEPT.iter().enumerate() {
            let seen =
                sequence(key, &self.store.get_vec(key).unwrap_or_else(|error| panic!("{key}: {error}")));
            let child = seen >> 32 & 0xff;
            let acknowledged = (0..WRITERS).any(|child| self.progress.done(child, at).load(Relaxed) != 0);
            if seen >> 40 == batch {
                let [begun, done] = [self.progress.begun(child, at), self.progress.done(child, at)]
                    .map(|word| word.load(Relaxed));
                assert!(seen == begun || seen == done, "{key}: an older value of its writer came back");
            } else {
                assert!(!acknowledged && seen == self.last[at], "{key}: an acknowledged value was lost");
            }
            self.last[at] = seen;
            let epoch = self.store.epoch(key).unwrap();
            assert!(epoch >= self.epochs[at], "{key}: the epoch went back");
            self.epochs[at] = epoch;
        }
        let log = self.store.get_vec(LOG).unwrap();
        assert!(!log.is_empty() && log.len().is_multiple_of(16));
        for record in log.chunks(16) {
            sequence(LOG, record);
        }
        let counter = self.store.get_u64("counter").unwrap();
        let sum = |word: fn(Progress, u64, usize) -> &'static AtomicU64| -> u64 {
            let count = |child| word(self.progress, child, COUNTER).load(Relaxed);
            (0..WRITERS).map(count).sum()
        };
        let possible = sum(Progress::done)..=sum(Progress::begun);
        assert!(
            possible.contains(&(counter - self.counter)),
            "{} additions, of {possible:?}",
            counter - self.counter
        );
        self.counter = counter;
        self.store.get_vec("mixed").unwrap();
        if let Ok(vector) = self.vector() {
            assert!(vector.iter().all(|part| *part == vector[0]), "{vector:?}");
        }
        self.check_tandem();
        let listed = self.store.keys().map(|key| key.to_string());
        for key in listed.filter(|key| key.starts_with("comes") || key.starts_with("once")) {
            if let Ok(value) = self.store.get_vec(&key) {
                sequence(&key, &value);
            }
        }
    }

    fn vector(&self) -> Result<[f32; 5], Error> {
        let mut vector = [0.0; 5];
        self.store.vector("kept0", &mut vector).map(|()| vector)
    }

    fn check_tandem(&self) {
        let names = [TANDEM.to_owned(), format!("{TANDEM}.1"), format!("{TANDEM}.2")];
        let alone: Vec<_> = names.iter().filter_map(|name| self.store.get_vec(name).ok()).collect();
        let mut values = vec![Vec::new(); ORDERS];
        match self.store.tandem(TANDEM, &mut values) {
            Ok(()) => {
                assert_eq!(alone, values);
                let generation = sequence(TANDEM, &values[0]);
                assert!(values.iter().all(|value| sequence(TANDEM, value) == generation));
            }
            Err(error) => assert_eq!((error, alone.len()), (Error::NotFound, 0)),
        }
    }

    /// Every key takes a write within a bounded number of attempts: no living process can hold it.
    fn check_writable(&mut self) {
        let mut writer = self.store.writer().expect("the writer id of a dead writer");
        for key in KEPT.into_iter().chain([LOG, "counter", "mixed"]) {
            assert!((0..100).any(|_| writer.bump(key).is_ok()), "{key} stayed busy");
        }
        let listed = self.store.keys().map(|key| key.to_string());
        let once = listed.filter(|key| key.starts_with("once"));
        let comes = (0..8).map(|n| format!("comes{n}"));
        for key in comes.chain(once.collect::<Vec<_>>()) {
            let answer = (0..100).map(|_| writer.unset(&key)).find(|answer| *answer != Err(Error::Again));
            assert!(matches!(answer, Some(Ok(_) | Err(Error::NotFound))), "{key}: {answer:?}");
        }
        let answer =
            (0..100).map(|_| writer.unset_tandem(TANDEM, ORDERS)).find(|answer| *answer != Err(Error::Again));
        assert!(matches!(answer, Some(Ok(0 | ORDERS))), "{answer:?}");
        // With those gone there is room again: dead writers' unfinished insertions take none.
        let room = SLOTS - KEPT.len() as u64 - 3;
        for round in 0..room {
            let key = format!("room{round}");
            let answer = (0..100).map(|_| writer.set(&key, b"x")).find(|answer| *answer != Err(Error::Again));
            assert_eq!(answer, Some(Ok(())), "{round} of {room}");
        }
        for round in 0..room {
            assert_eq!(retry(|| writer.unset(format!("room{round}"))), Ok(1));
        }
    }

    /// Once every writer id has had a new owner nothing is left of the dead, and keys that were never used
    /// before find all the room there is.
    fn check_at_rest(&mut self, batch: u64) {
        let writers: Vec<_> = (0..MAX_WRITERS).map(|_| self.store.writer().unwrap()).collect();
        drop(writers);
        self.check_writable();
        assert_sound(&self.store, KEPT.len() as u64 + 3);
        let mut writer = self.store.writer().unwrap();
        let room = SLOTS - KEPT.len() as u64 - 3;
        let fresh = |n| format!("fresh{batch}.{n}");
        for n in 0..room {
            assert_eq!(writer.set(fresh(n), b"x"), Ok(()), "{n} of {room}");
        }
        assert_eq!(writer.set(fresh(room), b"x"), Err(Error::Full));
        for n in 0..room {
            assert_eq!(writer.unset(fresh(n)), Ok(1));
        }
    }
}

fn run(test: &str, weights: Weights) {
    alone(test, || {
        for scrub in Scrub::ALL {
            KillTest::new(scrub, weights).run();
        }
    });
}

// Invariants 1 to 7, in each of the tests.

#[test]
fn setting_writers_killed() {
    run("setting_writers_killed", [8, 0, 1, 0, 0, 0, 1]);
}

#[test]
fn appending_writers_killed() {
    run("appending_writers_killed", [1, 8, 1, 0, 0, 0, 1]);
}

#[test]
fn inserting_and_removing_writers_killed() {
    run("inserting_and_removing_writers_killed", [1, 0, 8, 0, 0, 0, 0]);
}

#[test]
fn counting_writers_killed() {
    run("counting_writers_killed", [1, 0, 1, 8, 0, 0, 0]);
}

#[test]
fn tandem_writers_killed() {
    run("tandem_writers_killed", [1, 0, 2, 0, 8, 0, 0]);
}

#[test]
fn vector_writers_killed() {
    run("vector_writers_killed", [2, 0, 1, 0, 0, 8, 2]);
}

#[test]
fn writers_of_everything_killed() {
    run("writers_of_everything_killed", [2, 2, 4, 2, 4, 2, 1]);
}
