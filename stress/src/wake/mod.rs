//! Measures how soon another process learns of a write: ping-pongs between two processes by each way that the store has, and
//! by the fastest that the kernel and the processor have, in turn within each round. Also measures one write that wakes many
//! waiters.
//!
//! A figure is half of a round trip. Each round takes one sample of each mechanism in each situation, in an
//! order drawn anew, so that a disturbance of the machine disturbs all of them alike; a ratio is one of
//! the same round.

mod exchange;
mod fan_out;
mod judge;
mod link;
mod load;
mod mechanism;
mod processes;
mod record;
mod report;
mod shared_state;

pub(crate) use exchange::{PAUSE_NS, hold_back};
pub use mechanism::Situation;
pub(crate) use processes::{Handover, serve};
pub use record::{FanOut, Row, WakePlan, WakeRecord};
pub use report::wake_summary;

use crate::placement::policy;
use crate::threads;
use exchange::{Broken, Ping, Sample};
use fan_out::{FanOutSample, Waiters};
use link::Endpoint;
use load::Load;
use mechanism::Mechanism;
use nix::sys::eventfd::{EfdFlags, EventFd};
use processes::HelperProcess;
use record::{CALLS, Evidence};
use shared_state::{PATIENCE, SharedState};
use splinter::{Config, Geometry, Store};
use splinter_harness::affinity;
use splinter_harness::cycles::cycle_ns;
use splinter_harness::disturbance::{ProcessorUse, Usage};
use splinter_harness::environment::Environment;
use splinter_harness::error::RunError;
use splinter_harness::interrupt;
use splinter_harness::machine::sysfs;
use splinter_harness::ping_pong::{FIRST, Side};
use splinter_harness::progress::Progress;
use splinter_harness::sampler::{Schedule, Step, Stop, Subject, sample};
pub use splinter_harness::stats::Middle;
use splinter_harness::text::refusal;
use std::cell::RefCell;
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
/// [`RunError`]: what kept it from measuring. A lost message is no error; it is in the record.
pub fn wake(plan: &WakePlan, progress: &mut dyn Progress) -> Result<WakeRecord, RunError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| RunError::Failed(format!("{what}: {error}"));
    let clock = (splinter::cycles(), Instant::now());
    let mut environment = Environment::read();
    let usable: Vec<_> = sysfs::this_machine().usable().copied().collect();
    let available = policy::scatter(&usable);
    let cpus = plan.processors(&available).map_err(RunError::Usage)?;
    let usage = Usage::now(&ProcessorUse::pinned(&cpus));

    progress.step("starting processes");
    // Before this process is pinned: children inherit that.
    let mut endpoint = make_endpoint().map_err(|error| failed("no store to measure", &error))?;
    let watchdog = Watchdog::start(&endpoint).map_err(|error| failed("no watchdog", &error))?;
    let responder = HelperProcess::start(&endpoint, None).map_err(RunError::Failed)?;
    let waiters = Waiters::start(&endpoint, &available).map_err(RunError::Failed)?;
    if !affinity::pin(cpus[0]) {
        return Err(RunError::Usage(format!("processor {} cannot be had: change --cpu-a", cpus[0])));
    }
    let cycle_ns = cycle_ns(clock);
    let unavailable = |mechanism: Mechanism| mechanism.unavailable(&endpoint.store);
    let mut evidence = Evidence::new(plan, cpus, available.len(), cycle_ns, unavailable);
    let mut measurement = Measurement {
        plan,
        cpus,
        endpoint: &mut endpoint,
        waiters,
        watchdog: &watchdog,
        cycle_ns,
        command: 0,
        number: FIRST,
    };
    match measurement.rounds(&mut evidence, progress) {
        Ok(()) => {}
        Err(Failure::Broken(why, task)) => evidence.broken = Some((why, task)),
        Err(Failure::NoLoad(why)) => return Err(RunError::Failed(why)),
    }
    evidence.interrupted = interrupt::requested();
    drop(responder);
    environment.note(&usage);
    environment.tsc_ghz = 1.0 / cycle_ns;
    progress.done();
    Ok(evidence.into_record(environment))
}

/// Makes everything that the processes share.
fn make_endpoint() -> Result<Endpoint, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let config = Config {
        geometry: Geometry {
            slots: 64,
            max_value_len: link::MESSAGE_LEN as u64,
            vector_dim: 0,
            max_writers: 8,
        },
        ..Config::default()
    };
    let store = Store::anonymous(&config).map_err(|e| words(&e))?;
    let mut writer = store.writer().map_err(|e| words(&e))?;
    link::write_keys(&mut writer).map_err(|e| words(&e))?;
    let eventfd = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(|e| words(&e));
    Ok(Endpoint {
        shared: SharedState::create().map_err(|e| words(&e))?,
        store,
        writer,
        eventfds: [eventfd()?.into(), eventfd()?.into()],
        side: Side::Ping,
    })
}

/// The measurement on its way.
struct Measurement<'a> {
    plan: &'a WakePlan,
    cpus: [usize; 2],
    endpoint: &'a mut Endpoint,
    waiters: Waiters,
    watchdog: &'a Watchdog,
    cycle_ns: f64,
    command: u64,
    number: u64,
}

/// What is sampled in every round.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// Messages to and fro.
    Exchange(Situation, Mechanism),
    /// One write that wakes the waiters.
    Call(Mechanism),
}

impl Task {
    /// Situations follow each other in a round, and the waiters come last.
    fn subject(self) -> Subject {
        match self {
            Self::Exchange(situation, _) => Subject::new(situation.name()).group(situation as usize),
            Self::Call(_) => Subject::new("the waiters").group(Situation::ALL.len()),
        }
    }

    /// Names the task in which something broke.
    fn describe(self) -> String {
        match self {
            Self::Exchange(situation, mechanism) => {
                format!("{}, {}", mechanism.spec().name, situation.name())
            }
            Self::Call(_) => "the waiters".to_owned(),
        }
    }
}

/// What a task found.
#[derive(Debug)]
pub(crate) enum Found {
    Sample(Situation, Mechanism, Sample),
    Call(Mechanism, FanOutSample),
}

/// What ended the rounds early.
#[derive(Debug)]
enum Failure {
    /// A message was lost, or the responder did not act, in this task.
    Broken(Broken, String),
    /// The kernel does not give the threads of other work.
    NoLoad(String),
}

impl Measurement<'_> {
    /// Runs all rounds, unless the user interrupts them.
    ///
    /// # Errors
    /// What ended them early.
    fn rounds(&mut self, evidence: &mut Evidence, progress: &mut dyn Progress) -> Result<(), Failure> {
        let exchanges = evidence.cells().into_iter();
        let exchanges = exchanges.map(|(situation, mechanism)| Task::Exchange(situation, mechanism));
        let tasks: Vec<Task> = exchanges.chain(CALLS.map(Task::Call)).collect();
        let subjects: Vec<Subject> = tasks.iter().map(|task| task.subject()).collect();
        let schedule = Schedule { rounds: self.plan.rounds, seed: self.plan.seed, warm_up: true };
        let (mut load, mut outcome, evidence) = (None, Ok(()), RefCell::new(evidence));
        let run_step = &mut |step: Step<'_>| {
            step.show(progress);
            if interrupt::requested() {
                return Err(Stop::Interrupted);
            }
            let found = self.measure(tasks[step.subject], &mut load).map_err(|failure| {
                outcome = Err(failure);
                Stop::Interrupted
            })?;
            evidence.borrow_mut().add(found);
            Ok(())
        };
        sample(&subjects, &schedule, run_step, &mut |round| {
            evidence.borrow_mut().end_round(round);
            true
        });
        outcome
    }

    /// Runs one task. `load` is the other work, which runs during the tasks of [`Situation::Busy`] only.
    fn measure(&mut self, task: Task, load: &mut Option<Load>) -> Result<Found, Failure> {
        if !matches!(task, Task::Exchange(Situation::Busy, _)) {
            *load = None;
        } else if load.is_none() {
            *load = Some(Load::on(&self.cpus).map_err(Failure::NoLoad)?);
        }
        self.watchdog.report_progress();
        let found = match task {
            Task::Exchange(situation, mechanism) => {
                let sample = self.exchange(mechanism, situation);
                sample.map(|sample| Found::Sample(situation, mechanism, sample))
            }
            Task::Call(mechanism) => {
                let sample = self.waiters.call(self.endpoint, mechanism);
                sample.map(|sample| Found::Call(mechanism, sample))
            }
        };
        found.map_err(|why| Failure::Broken(why, task.describe()))
    }

    fn exchange(&mut self, mechanism: Mechanism, situation: Situation) -> Result<Sample, Broken> {
        self.command += 1;
        let count = if self.plan.quick { QUICK_COUNT } else { COUNT };
        let ping = Ping {
            mechanism,
            command: self.command,
            responder_cpu: match situation {
                Situation::Same => self.cpus[0],
                Situation::Idle | Situation::Busy => self.cpus[1],
            },
            first: self.number,
            count,
            cycle_ns: self.cycle_ns,
        };
        let sample = self.endpoint.run(mechanism, ping).map_err(|_| Broken::NoResponse)??;
        self.number = sample.next;
        Ok(sample)
    }
}

/// A thread that ends all waits when a message is lost. The mechanisms without a store wait without a deadline, because its
/// cost would be measured.
#[derive(Debug)]
struct Watchdog {
    progressed: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watchdog {
    fn start(endpoint: &Endpoint) -> Result<Self, String> {
        let [one, other] = &endpoint.eventfds;
        let copies = || -> std::io::Result<_> {
            let shared = SharedState::from_fd(endpoint.shared.fd().try_clone_to_owned()?)?;
            Ok((shared, [one.try_clone()?, other.try_clone()?]))
        };
        let (shared, eventfds) = copies().map_err(refusal)?;
        let (progressed, stop) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let thread = threads::start({
            let (progressed, stop) = (Arc::clone(&progressed), Arc::clone(&stop));
            move || {
                while !stop.load(Relaxed) {
                    std::thread::park_timeout(2 * PATIENCE);
                    if !progressed.swap(false, Relaxed) && !stop.load(Relaxed) {
                        shared.abandon();
                        for eventfd in &eventfds {
                            let _ = nix::unistd::write(eventfd, &1u64.to_ne_bytes());
                        }
                    }
                }
            }
        })?;
        Ok(Self { progressed, stop, thread: Some(thread) })
    }

    /// Notes that the measurement goes on.
    fn report_progress(&self) {
        self.progressed.store(true, Relaxed);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It does nothing that could have panicked.
            let _ = thread.join();
        }
    }
}
