//! The hostile run: one process does damage to every part of a store, knowing its format, while others
//! use every operation of the public API on it, and open what is left of it. They may be refused and told
//! what is wrong; they may not crash, hang, panic or reach beyond the store. A parent watches. The whole of
//! a run is here, in order.

mod board;
mod caller;
mod calls;
mod guard;
mod record;
mod scribble;

pub use record::{HostilePlan, HostileRecord};
pub use scribble::Target;

pub(crate) use record::hostile_summary;

use crate::environment::{Environment, Taken};
use crate::error::RunError;
use crate::forked::{End, Forked, PANICKED};
use crate::interrupt;
use crate::progress::Progress;
use crate::raw::Raw;
use crate::rng::Rng;
use crate::task;
use board::Board;
use caller::{Caller, FILLED};
use calls::call_all;
use guard::Guards;
use nix::unistd::Pid;
use record::Evidence;
use scribble::Scribbler;
use splinter::{Config, Error, Geometry, Scrub, Store};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The stores that are attacked, one after the other.
const GEOMETRIES: [Geometry; 3] = [
    Geometry {
        slots: 24,
        max_value_len: 300,
        vector_dim: 5,
        lanes: 8,
    },
    Geometry {
        slots: 1,
        max_value_len: 100,
        vector_dim: 0,
        lanes: 4,
    },
    Geometry {
        slots: 300,
        max_value_len: 5000,
        vector_dim: 64,
        lanes: 20,
    },
];
/// Time between two looks at the workers.
const LOOK: Duration = Duration::from_millis(5);
/// After so many things that must not happen, more of them tell nothing new.
const ENOUGH: usize = 10;
/// The random stream of who does damage.
const SCRIBBLER: u64 = u64::MAX;

/// Attacks some stores and returns the record. The calling process must have one thread.
///
/// # Errors
/// [`RunError`]: what kept it from running. A run that broke something is no error.
pub fn hostile(plan: &HostilePlan, progress: &mut dyn Progress) -> Result<HostileRecord, RunError> {
    plan.validate().map_err(RunError::Usage)?;
    let mut environment = Environment::read();
    let (clock, taken) = (Instant::now(), Taken::from_now());
    let scratch = Scratch::new().map_err(RunError::Failed)?;
    let mut evidence = Evidence::default();
    let span = Duration::from_millis(plan.duration_ms) / GEOMETRIES.len() as u32;
    for (round, geometry) in GEOMETRIES.into_iter().enumerate() {
        progress.step(&format!("store {} of {}", round + 1, GEOMETRIES.len()));
        let attack = Attack::new(plan, geometry, round, &scratch.0).map_err(RunError::Failed)?;
        attack.run(span, &mut evidence).map_err(RunError::Failed)?;
        evidence.gather(&attack.board);
        if interrupt::requested() || evidence.violations() >= ENOUGH {
            break;
        }
    }
    progress.done();
    taken.note(&mut environment);
    let interrupted = interrupt::requested();
    Ok(evidence.into_record(plan, environment, clock.elapsed(), interrupted))
}

/// A folder for files, removed with all it holds. In memory, if there is such a place: a disk that is slow for some
/// seconds is no hang.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let name = format!("splinter-stress-hostile-{}", std::process::id());
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
    board: Board,
    guards: Guards,
}

/// A worker, and when it was last seen to do something.
struct Worker {
    /// That of its place on the board, whoever else has gone.
    number: usize,
    process: Forked,
    life: u64,
    beats: u64,
    since: Instant,
}

impl<'p> Attack<'p> {
    fn new(
        plan: &'p HostilePlan,
        geometry: Geometry,
        round: usize,
        scratch: &'p Path,
    ) -> Result<Self, String> {
        let config = Config {
            geometry,
            scrub: Scrub::ALL[round % Scrub::ALL.len()],
            hash_seed: Some(plan.seed),
            ..Config::default()
        };
        let store = Store::anonymous(&config).map_err(|error| error.to_string())?;
        fill(&store).map_err(|error| format!("the store cannot be filled: {error}"))?;
        let raw = Raw::new(&store)?;
        let board = Board::new(plan.workers)
            .map_err(|error| format!("shared memory cannot be had: {error}"))?;
        // After both mappings were made, so that neither lies in the other's guard. What workers map later has none.
        let guards = Guards::around(store.arena_len());
        Ok(Self {
            plan,
            round,
            scratch,
            store,
            raw,
            board,
            guards,
        })
    }

    fn run(&self, span: Duration, evidence: &mut Evidence) -> Result<(), String> {
        evidence.guards += self.guards.count();
        let mut workers = (0..self.plan.workers as usize)
            .map(|number| self.start(number, 0))
            .collect::<Result<Vec<_>, _>>()?;
        let scribbler = self.start_scribbler()?;
        let end = Instant::now() + span;
        while Instant::now() < end && !interrupt::requested() && evidence.violations() < ENOUGH {
            std::thread::sleep(LOOK);
            for worker in &mut workers {
                if self.look_after(worker, evidence) {
                    *worker = self.start(worker.number, worker.life + 1)?;
                }
            }
            if let Some(end) = scribbler.ended() {
                return Err(format!("the process that does the damage ended: {end:?}"));
            }
        }
        self.board.stop();
        scribbler.wait();
        self.bring_home(workers, evidence);
        Ok(())
    }

    /// Waits for everybody to come home, in the time that a call may take.
    fn bring_home(&self, mut workers: Vec<Worker>, evidence: &mut Evidence) {
        while !workers.is_empty() {
            std::thread::sleep(LOOK);
            workers.retain_mut(|worker| {
                let home = worker.process.ended() == Some(End::Code(0));
                !(home || self.look_after(worker, evidence))
            });
        }
    }

    /// Looks at a worker, and notes what became of it that must not. Returns whether it is gone.
    fn look_after(&self, worker: &mut Worker, evidence: &mut Evidence) -> bool {
        let number = worker.number;
        let (call, beats) = self.board.doing(number);
        let seed = format!(
            "store {}, worker {number}, life {}",
            self.round + 1,
            worker.life
        );
        match worker.process.ended() {
            Some(End::Code(0)) if self.board.is_stopped() => return true,
            Some(End::Code(PANICKED)) => evidence.panic(call, &format!("{seed}: panicked")),
            Some(End::Signal(signal)) => evidence.crash(call, &format!("{seed}: {signal}")),
            // A sanitizer's, or Valgrind's, which has told on stderr what it saw.
            Some(End::Code(code)) => evidence.crash(call, &format!("{seed}: exit code {code}")),
            None if beats != worker.beats => {
                (worker.beats, worker.since) = (beats, Instant::now());
                return false;
            }
            None if worker.since.elapsed() > Duration::from_millis(self.plan.patience_ms) => {
                let state = state_of(worker.process.pid());
                evidence.hang(call, &format!("{seed}: no progress, {state}"));
                worker.process.kill();
                worker.process.wait();
            }
            None => return false,
        }
        true
    }

    fn start(&self, number: usize, life: u64) -> Result<Worker, String> {
        let stream = (self.round as u64) << 48 | (number as u64) << 32 | life;
        let scratch = self.scratch.join(format!("worker-{number}"));
        let process = Forked::new(|| {
            let rng = Rng::new(self.plan.seed, stream);
            call_all(&mut Caller::new(
                &self.store,
                &self.raw,
                &self.board,
                number,
                &scratch,
                rng,
            ));
            0
        })?;
        Ok(Worker {
            number,
            process,
            life,
            beats: 0,
            since: Instant::now(),
        })
    }

    fn start_scribbler(&self) -> Result<Forked, String> {
        Forked::new(|| {
            let rng = Rng::new(self.plan.seed, SCRIBBLER - self.round as u64);
            Scribbler::new(&self.raw, &self.plan.targets, rng).scribble(&self.board);
            0
        })
    }
}

/// Says what the kernel does with a process: runs it, or has it wait, and where.
fn state_of(process: Pid) -> String {
    let state = task::state(process).unwrap_or('?');
    let place = std::fs::read_to_string(format!("/proc/{process}/wchan")).unwrap_or_default();
    format!("state {state} in '{place}'")
}

/// Puts something of everything into a store.
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

    // Its children sleep and end, which they may whatever other threads the tests have.
    #[test]
    fn a_worker_keeps_its_number_when_another_has_gone() {
        let plan = HostilePlan {
            workers: 2,
            duration_ms: 1,
            patience_ms: 60_000,
            targets: Target::ALL.to_vec(),
            seed: 1,
        };
        let attack = Attack::new(&plan, GEOMETRIES[0], 0, Path::new("")).unwrap();
        let [call, other] = [7, 9];
        attack.board.begin(0, other);
        attack.board.begin(1, call);
        // The first comes home at once, the second comes to grief long after.
        let workers = [0, 1].map(|number| Worker {
            number,
            process: Forked::new(|| {
                std::thread::sleep(LOOK * 40 * number as u32);
                number as i32
            })
            .unwrap(),
            life: 0,
            beats: 0,
            since: Instant::now(),
        });
        let mut evidence = Evidence::default();
        attack.bring_home(workers.into(), &mut evidence);
        let (name, _) = calls::CALLS[call];
        let story = format!("crash in {name}: store 1, worker 1, life 0: exit code 1");
        assert_eq!(evidence.stories(), [story]);
    }
}
