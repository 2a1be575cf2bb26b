//! The hostile run: one process injects faults into every part of a store's memory, by its format, while others call every
//! operation of the public API on it, and open what is left of it. A call may return any error; it may not crash, hang,
//! panic or reach beyond the store. A parent watches. The whole of a run is here, in order.

mod calls;
mod client;
mod fault_injection;
mod guard_pages;
mod record;
mod shared_state;
mod target;

pub use record::{HostilePlan, HostileRecord};
pub use target::Target;

pub(crate) use record::hostile_summary;

use crate::raw::Raw;
use calls::{CALLS, call_all};
use client::{Client, FILLED};
use fault_injection::FaultInjector;
use guard_pages::GuardPages;
use nix::unistd::Pid;
use shared_state::HostileState;
use splinter::{Config, Error, Eviction, Geometry, Scrub, Store};
use splinter_harness::disturbance::{ProcessorUse, Usage};
use splinter_harness::error::RunError;
use splinter_harness::files::unique_name;
use splinter_harness::forked::{End, Forked, PANICKED};
use splinter_harness::interrupt;
use splinter_harness::progress::Progress;
use splinter_harness::rng::Rng;
use splinter_harness::task;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The stores that are attacked, one after the other, and how they make room.
const STORES: [(Geometry, Eviction); 5] = [
    (geometry(24, 300, 5, 8), Eviction::Expired),
    (geometry(1, 100, 0, 4), Eviction::Expired),
    (geometry(300, 5000, 64, 20), Eviction::Expired),
    (geometry(40, 300, 5, 8), Eviction::Sieve),
    (geometry(20, 100, 0, 8), Eviction::Lru),
];

const fn geometry(slots: u64, max_value_len: u64, vector_dim: u32, max_writers: u32) -> Geometry {
    Geometry { slots, max_value_len, vector_dim, max_writers }
}

/// Makes a store for a test.
#[cfg(test)]
fn store(geometry: Geometry) -> Store {
    let config = Config { geometry, ..Config::default() };
    Store::anonymous(&config).expect("a small store")
}

/// Time between two checks of the workers.
const POLL: Duration = Duration::from_millis(5);
/// Violations after which more of them tell nothing new.
const ENOUGH: usize = 10;
/// The random stream of the fault injector.
const INJECTOR: u64 = u64::MAX;

/// Attacks some stores and returns the record. The calling process must have one thread.
///
/// # Errors
/// [`RunError`]: what kept it from running. A run that broke something is no error.
pub fn hostile(plan: &HostilePlan, progress: &mut dyn Progress) -> Result<HostileRecord, RunError> {
    plan.validate().map_err(RunError::Usage)?;
    let mut record = HostileRecord::new(plan);
    let clock = Instant::now();
    let usage = Usage::now(&ProcessorUse::up_to(plan.workers as usize));
    let scratch = Scratch::new().map_err(RunError::Failed)?;
    let span = Duration::from_millis(plan.duration_ms) / STORES.len() as u32;
    for (round, kind) in STORES.into_iter().enumerate() {
        progress.step(&format!("store {} of {}", round + 1, STORES.len()));
        let attack = Attack::new(plan, kind, round, &scratch.0).map_err(RunError::Failed)?;
        attack.run(span, &mut record).map_err(RunError::Failed)?;
        record.add(&attack.state);
        if interrupt::requested() || record.violations() >= ENOUGH {
            break;
        }
    }
    progress.done();
    Ok(record.finish(&usage, clock.elapsed(), interrupt::requested()))
}

/// A folder for files, removed with its content when dropped. It lies in memory if possible: a disk that is slow for some
/// seconds is no hang.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let name = unique_name("splinter-stress-hostile");
        let memory = Path::new("/dev/shm").join(&name);
        if std::fs::create_dir(&memory).is_ok() {
            return Ok(Self(memory));
        }
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(|error| {
            let path = path.display();
            format!("cannot make {path}: {error}; set TMPDIR to a folder that can be written")
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One store under attack.
struct Attack<'p> {
    plan: &'p HostilePlan,
    round: usize,
    scratch: &'p Path,
    store: Store,
    raw: Raw,
    state: HostileState,
    guards: GuardPages,
}

/// A worker, and when it last began a call.
struct Worker {
    /// The number of its cell in the shared state.
    number: usize,
    process: Forked,
    /// How many processes this worker had before.
    restarts: u64,
    begun: u64,
    since: Instant,
}

impl<'p> Attack<'p> {
    fn new(
        plan: &'p HostilePlan,
        (geometry, eviction): (Geometry, Eviction),
        round: usize,
        scratch: &'p Path,
    ) -> Result<Self, String> {
        let config = Config {
            geometry,
            eviction,
            scrub: Scrub::ALL[round % Scrub::ALL.len()],
            hash_seed: Some(plan.seed),
            ..Config::default()
        };
        let store = Store::anonymous(&config).map_err(|error| error.to_string())?;
        fill(&store).map_err(|error| format!("the store cannot be filled: {error}"))?;
        let raw = Raw::new(&store)?;
        let state = HostileState::new(plan.workers, CALLS.len())
            .map_err(|error| format!("shared memory cannot be had: {error}"))?;
        // After both mappings were made, so that neither lies in the other's guard pages. Mappings that workers make later have none.
        let guards = GuardPages::around(store.arena_len());
        Ok(Self { plan, round, scratch, store, raw, state, guards })
    }

    fn run(&self, span: Duration, record: &mut HostileRecord) -> Result<(), String> {
        record.guards += self.guards.count();
        let mut workers = (0..self.plan.workers as usize)
            .map(|number| self.start(number, 0))
            .collect::<Result<Vec<_>, _>>()?;
        let injector = self.start_injector()?;
        let end = Instant::now() + span;
        while Instant::now() < end && !interrupt::requested() && record.violations() < ENOUGH {
            std::thread::sleep(POLL);
            for worker in &mut workers {
                if self.check(worker, record) {
                    *worker = self.start(worker.number, worker.restarts + 1)?;
                }
            }
            if let Some(end) = injector.ended() {
                return Err(format!("the process that does the damage ended: {end:?}"));
            }
        }
        self.state.0.stop();
        injector.wait();
        self.join(workers, record);
        Ok(())
    }

    /// Waits for the end of all workers, each for as long as a call may take.
    fn join(&self, mut workers: Vec<Worker>, record: &mut HostileRecord) {
        while !workers.is_empty() {
            std::thread::sleep(POLL);
            workers.retain_mut(|worker| {
                let ended = worker.process.ended() == Some(End::Code(0));
                !(ended || self.check(worker, record))
            });
        }
    }

    /// Checks a worker, and record a crash, hang or panic of it. Returns whether it is gone.
    fn check(&self, worker: &mut Worker, record: &mut HostileRecord) -> bool {
        let number = worker.number;
        let (call, begun) = self.state.present_call(number);
        let call = call.map_or("start", |call| CALLS[call].0);
        let seed = format!("store {}, worker {number}, life {}", self.round + 1, worker.restarts);
        match worker.process.ended() {
            Some(End::Code(0)) if self.state.0.is_stopped() => return true,
            Some(End::Code(PANICKED)) => record.panic(call, &format!("{seed}: panicked")),
            Some(End::Signal(signal)) => record.crash(call, &format!("{seed}: {signal}")),
            // That of a sanitizer or of Valgrind, which has reported its finding on stderr.
            Some(End::Code(code)) => record.crash(call, &format!("{seed}: exit code {code}")),
            None if begun != worker.begun => {
                (worker.begun, worker.since) = (begun, Instant::now());
                return false;
            }
            None if worker.since.elapsed() > Duration::from_millis(self.plan.patience_ms) => {
                let state = state_of(worker.process.pid());
                record.hang(call, &format!("{seed}: no progress, {state}"));
                worker.process.kill();
                worker.process.wait();
            }
            None => return false,
        }
        true
    }

    fn start(&self, number: usize, restarts: u64) -> Result<Worker, String> {
        let stream = (self.round as u64) << 48 | (number as u64) << 32 | restarts;
        let scratch = self.scratch.join(format!("worker-{number}"));
        let process = Forked::new(|| {
            let rng = Rng::new(self.plan.seed, stream);
            call_all(&mut Client::new(&self.store, &self.raw, &self.state, number, &scratch, rng));
            0
        })?;
        Ok(Worker { number, process, restarts, begun: 0, since: Instant::now() })
    }

    fn start_injector(&self) -> Result<Forked, String> {
        Forked::new(|| {
            let rng = Rng::new(self.plan.seed, INJECTOR - self.round as u64);
            FaultInjector::new(&self.raw, &self.plan.targets, rng).run(&self.state);
            0
        })
    }
}

/// Describes the kernel's state of a process: whether it runs, or where it waits.
fn state_of(process: Pid) -> String {
    let state = task::state(process).unwrap_or('?');
    let place = std::fs::read_to_string(format!("/proc/{process}/wchan")).unwrap_or_default();
    format!("state {state} in '{place}'")
}

/// Puts keys of every kind into a store.
fn fill(store: &Store) -> Result<(), Error> {
    let geometry = store.geometry();
    let mut writer = store.writer().map_err(|_| Error::Full)?;
    let max = geometry.max_value_len as usize;
    for number in 0..geometry.slots.min(FILLED) * 3 / 4 {
        let key = format!("key{number}");
        match number % 4 {
            0 => writer.set(&key, &vec![number as u8; max / (1 + number as usize % 3)])?,
            1 => writer.set_u64(&key, number)?,
            2 if geometry.vector_dim > 0 => {
                writer.set(&key, b"with a vector")?;
                writer.set_vector(&key, &vec![1.0; geometry.vector_dim as usize])?;
            }
            2 => writer.set(&key, b"without")?,
            _ => match writer.set_tandem(&key, &[b"one", b"two"]) {
                Ok(()) | Err(Error::Full) => {}
                Err(error) => return Err(error),
            },
        }
        writer.label(&key, 1 << (number % 64))?;
        writer.register(&key, number as u8 % 64)?;
    }
    if geometry.slots == 1 {
        writer.set("key0", b"the only one")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The children only sleep and end, which is safe whatever other threads the tests have.
    #[test]
    fn a_worker_keeps_its_number_when_another_has_gone() {
        let plan = HostilePlan {
            workers: 2,
            duration_ms: 1,
            patience_ms: 60_000,
            targets: Target::ALL.to_vec(),
            seed: 1,
        };
        let attack = Attack::new(&plan, STORES[0], 0, Path::new("")).unwrap();
        let [call, other] = [7, 9];
        attack.state.begin(0, other);
        attack.state.begin(1, call);
        // The first ends at once, the second fails long after.
        let workers = [0, 1].map(|number| Worker {
            number,
            process: Forked::new(|| {
                std::thread::sleep(POLL * 40 * number as u32);
                number as i32
            })
            .unwrap(),
            restarts: 0,
            begun: 0,
            since: Instant::now(),
        });
        let mut record = HostileRecord::new(&plan);
        attack.join(workers.into(), &mut record);
        let (name, _) = CALLS[call];
        let finding = format!("crash in {name}: store 1, worker 1, life 0: exit code 1");
        assert_eq!(record.reasons, [finding]);
    }
}
