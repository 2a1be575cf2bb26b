//! How long until another process has the news: ping-pongs between two processes, through the store
//! in every way there is and through what the kernel and the processor offer at best, interleaved in
//! rounds. And one write that is to wake a crowd.
//!
//! A figure is half of a round trip. Each round takes one sample of each kind in each situation, in an
//! order drawn anew, so that whatever disturbs the machine disturbs all of them alike; a ratio is one of
//! the same round.

mod board;
mod crowd;
mod game;
mod judge;
mod kind;
mod link;
mod load;
mod partner;
mod record;
mod report;

pub use judge::Middle;
pub use kind::Situation;
pub(crate) use partner::{Handover, serve};
pub use record::{FanOut, Row, WakePlan, WakeRecord};
pub use report::wake_summary;

use crate::affinity;
use crate::environment::{Environment, Taken};
use crate::interrupt;
use crate::placement::{policy, sysfs};
use crate::progress::Progress;
use crate::rng::Rng;
use crate::run::{RunError, cycle_ns};
use board::{Board, PATIENCE};
use crowd::{Call, Crowd};
use game::{Broken, Ping, Sample};
use kind::Kind;
use link::{End, Table};
use load::Load;
use nix::sys::eventfd::{EfdFlags, EventFd};
use partner::Helper;
use record::Evidence;
use splinter::{Config, Geometry, Store};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Messages of a sample.
const COUNT: u64 = 40;
const QUICK_COUNT: u64 = 8;

/// Measures, and returns the record.
///
/// # Errors
/// [`RunError`]: what kept it from measuring. A message that woke nobody is no error: the record says so.
pub fn wake(plan: &WakePlan, progress: &mut dyn Progress) -> Result<WakeRecord, RunError> {
    let failed =
        |what: &str, error: &dyn std::fmt::Display| RunError::Failed(format!("{what}: {error}"));
    let clock = (splinter::cycles(), Instant::now());
    let mut environment = Environment::read();
    let taken = Taken::from_now();
    let usable: Vec<_> = sysfs::this_machine().usable().copied().collect();
    let available = policy::scatter(&usable);
    let cpus = plan.processors(&available).map_err(RunError::Usage)?;

    progress.step("starting processes");
    // Before this process is pinned: children inherit that.
    let mut table = lay_table().map_err(|error| failed("no store to measure", &error))?;
    let partner = Helper::start(&table, None).map_err(RunError::Failed)?;
    let crowd = Crowd::start(&table, &available).map_err(RunError::Failed)?;
    if !affinity::pin(cpus[0]) {
        return Err(RunError::Usage(format!(
            "processor {} cannot be had: change --cpu-a",
            cpus[0]
        )));
    }
    let watchdog = Watchdog::over(&table).map_err(|error| failed("no watchdog", &error))?;
    let cycle_ns = cycle_ns(clock);
    let unavailable = |kind: Kind| kind.unavailable(&table.store);
    let evidence = Evidence::new(plan, cpus, available.len(), cycle_ns, unavailable);
    let mut bench = Bench {
        plan,
        cpus,
        table: &mut table,
        crowd,
        watchdog: &watchdog,
        cycle_ns,
        command: 0,
        number: 1,
        rng: Rng::new(plan.seed, 0),
        evidence,
    };
    let broken = bench.rounds(progress).err();
    let mut evidence = bench.evidence;
    evidence.broken = broken;
    evidence.interrupted = interrupt::requested();
    drop(partner);
    taken.note(&mut environment);
    environment.tsc_ghz = 1.0 / cycle_ns;
    progress.done();
    Ok(evidence.into_record(environment))
}

/// Makes everything that the processes share.
fn lay_table() -> Result<Table, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let config = Config {
        geometry: Geometry {
            slots: 64,
            max_value_len: link::MESSAGE_LEN as u64,
            vector_dim: 0,
            lanes: 8,
        },
        ..Config::default()
    };
    let store = Store::anonymous(&config).map_err(|e| words(&e))?;
    let mut writer = store.writer().map_err(|e| words(&e))?;
    link::lay(&mut writer).map_err(|e| words(&e))?;
    let bell = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(|e| words(&e));
    Ok(Table {
        board: Board::create().map_err(|e| words(&e))?,
        store,
        writer,
        bells: [bell()?.into(), bell()?.into()],
        end: End::Ping,
    })
}

/// The measurement on its way.
struct Bench<'a> {
    plan: &'a WakePlan,
    cpus: [usize; 2],
    table: &'a mut Table,
    crowd: Crowd,
    watchdog: &'a Watchdog,
    cycle_ns: f64,
    command: u64,
    number: u64,
    rng: Rng,
    evidence: Evidence,
}

impl Bench<'_> {
    /// Runs all rounds: the first one is thrown away.
    fn rounds(&mut self, progress: &mut dyn Progress) -> Result<(), (Broken, String)> {
        let mut cells = self.evidence.cells();
        for round in 0..=self.plan.rounds {
            let counts = round > 0;
            for situation in Situation::ALL {
                let [number, rounds] = [round, self.plan.rounds].map(|it| it as usize);
                progress.round(number, rounds, situation.word());
                let load = (situation == Situation::Busy).then(|| Load::on(&self.cpus));
                self.rng.shuffle(&mut cells);
                for &(of, kind) in &cells {
                    if interrupt::requested() {
                        return Ok(());
                    }
                    if of == situation {
                        let broke =
                            |broken| (broken, format!("{}, {}", kind.spec().name, of.word()));
                        let sample = self.sample(kind, situation).map_err(broke)?;
                        self.evidence.take(situation, kind, &sample, counts);
                    }
                }
                drop(load);
            }
            for kind in [Kind::Futex, Kind::Watcher] {
                let call = self.call(kind);
                let call = call.map_err(|broken| (broken, "the crowd".to_owned()))?;
                self.evidence.take_call(kind, call, counts);
            }
        }
        Ok(())
    }

    fn sample(&mut self, kind: Kind, situation: Situation) -> Result<Sample, Broken> {
        self.command += 1;
        self.watchdog.pat();
        let count = if self.plan.quick { QUICK_COUNT } else { COUNT };
        let ping = Ping {
            kind,
            command: self.command,
            partner_cpu: match situation {
                Situation::Same => self.cpus[0],
                Situation::Idle | Situation::Busy => self.cpus[1],
            },
            first: self.number,
            count,
            cycle_ns: self.cycle_ns,
        };
        let sample = self.table.play(kind, ping).map_err(|_| Broken::Deaf)??;
        self.number = sample.next;
        Ok(sample)
    }

    fn call(&mut self, kind: Kind) -> Result<Call, Broken> {
        self.watchdog.pat();
        self.crowd.call(self.table, kind)
    }
}

/// Ends waits that nobody would ever end. The bare kinds wait without a deadline, which would cost
/// them; so somebody else has to look whether they are stuck.
#[derive(Debug)]
struct Watchdog {
    patted: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watchdog {
    fn over(table: &Table) -> std::io::Result<Self> {
        let board = Board::from_fd(table.board.fd().try_clone_to_owned()?)?;
        let bells = [table.bells[0].try_clone()?, table.bells[1].try_clone()?];
        let (patted, over) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let thread = std::thread::spawn({
            let (patted, over) = (Arc::clone(&patted), Arc::clone(&over));
            move || {
                while !over.load(Relaxed) {
                    std::thread::park_timeout(2 * PATIENCE);
                    if !patted.swap(false, Relaxed) && !over.load(Relaxed) {
                        board.abandon();
                        for bell in &bells {
                            let _ = nix::unistd::write(bell, &1u64.to_ne_bytes());
                        }
                    }
                }
            }
        });
        Ok(Self {
            patted,
            over,
            thread: Some(thread),
        })
    }

    /// Says that things go on.
    fn pat(&self) {
        self.patted.store(true, Relaxed);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It does nothing that could have panicked.
            let _ = thread.join();
        }
    }
}
