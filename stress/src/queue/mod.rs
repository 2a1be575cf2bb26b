//! The queue run: producers send numbered messages to a queue, and consumers of one group receive them, each in a process of
//! its own. If asked to, SIGKILL ends processes at random moments, and others replace them. At the end all that was
//! acknowledged to a producer must have been received, in order, whole, and again only after a consumer's death. How soon a
//! message wakes a consumer is measured before. The whole of a run is here, in order.

mod consumer;
mod faults;
mod final_check;
mod message;
mod producer;
mod record;
mod shared_state;
mod wake;

pub use faults::QueueInvariants;
pub use record::{Plant as QueuePlant, QueueKills, QueuePlan, QueueRecord};
pub use wake::Waking;

pub(crate) use record::queue_summary;

use faults::{FAULTS, Fault};
use nix::sys::signal::Signal;
use producer::ProducerLoop;
use record::{MOST_MESSAGES, Totals};
use shared_state::QueueState;
use splinter::{Config, Geometry, Store};
use splinter_harness::disturbance::{ProcessorUse, Usage};
use splinter_harness::environment::Environment;
use splinter_harness::error::RunError;
use splinter_harness::forked::{End, Forked, expect_progress_within};
use splinter_harness::interrupt;
use splinter_harness::progress::Progress;
use splinter_harness::rng::Rng;
use splinter_queue::{Queue, QueueConfig, QueueError};
use std::collections::HashSet;
use std::sync::atomic::Ordering::AcqRel;
use std::time::{Duration, Instant};
use wake::{Unmeasured, Wakes};

/// The group of all consumers.
const GROUP: &str = Queue::DEFAULT_GROUP;
/// Time without progress after which a run is stuck.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds without a look at the processes after which the run itself hangs.
const HANG_S: u32 = 60;
/// The longest time between two looks at the processes.
const LOOK: Duration = Duration::from_millis(1);
/// Time between two progress lines.
const STEP: Duration = Duration::from_millis(200);
/// The random stream of the kills.
const KILLS: u64 = u64::MAX;

/// Carries a queue run out and returns its record. The calling process must have one thread.
///
/// # Errors
/// [`RunError`]: what kept it from running. A broken invariant is no error.
pub fn queue(plan: &QueuePlan, progress: &mut dyn Progress) -> Result<QueueRecord, RunError> {
    plan.validate().map_err(RunError::Usage)?;
    let mut environment = Environment::read();
    let run = Run::new(plan).map_err(RunError::Failed)?;
    let usage = Usage::now(&ProcessorUse::up_to((plan.producers + plan.consumers) as usize));
    progress.step("waking");
    let wakes = match wake::measure(plan.seed) {
        Ok(wakes) => wakes,
        Err(Unmeasured::Refused(why)) => return Err(RunError::Failed(why)),
        Err(Unmeasured::Lost(why)) => {
            run.fault(Fault::Stuck, &why);
            Wakes::default()
        }
        Err(Unmeasured::Interrupted) => Wakes::default(),
    };
    let mut totals = Totals::default();
    if run.is_sound() && !interrupt::requested() {
        run.run(&mut totals, progress).map_err(RunError::Failed)?;
    }
    nix::unistd::alarm::cancel();
    progress.done();
    totals.interrupted = interrupt::requested();
    environment.note(&usage);
    Ok(totals.into_record(plan, &run.state, &wakes, environment))
}

/// A run: its queue, in a store of its own, and what its processes share.
struct Run<'p> {
    plan: &'p QueuePlan,
    queue: Queue,
    state: QueueState,
}

/// What a process does, and the number that it has among those that do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Producer(usize),
    Consumer(usize),
}

/// A process of the run.
struct Process {
    role: Role,
    child: Forked,
    /// Whether it ended by itself, as it was to.
    is_done: bool,
}

/// When something last went on.
struct Watch {
    seen: u64,
    since: Instant,
}

impl Watch {
    fn new() -> Self {
        Self { seen: 0, since: Instant::now() }
    }

    /// Tells whether nothing has changed for too long.
    fn is_stuck(&mut self, now: u64) -> bool {
        if now != self.seen {
            (self.seen, self.since) = (now, Instant::now());
        }
        self.since.elapsed() > PATIENCE
    }
}

impl<'p> Run<'p> {
    fn new(plan: &'p QueuePlan) -> Result<Self, String> {
        let processes = plan.producers + plan.consumers;
        let longest = u64::from(plan.len.longest());
        // The group's value has 32 for each delivery in flight, also of those who died.
        let geometry = Geometry {
            slots: plan.capacity + 2,
            max_value_len: (longest + Queue::ENTRY_HEADER as u64).max(512 + 64 * u64::from(plan.consumers)),
            vector_dim: 0,
            max_writers: processes + 4,
        };
        let config = Config { geometry, hash_seed: Some(plan.seed), ..Config::default() };
        let store = Store::anonymous(&config).map_err(|error| error.to_string())?;
        let config = QueueConfig {
            capacity: plan.capacity,
            max_message_len: longest as usize,
            ..QueueConfig::default()
        };
        let queue = Queue::create(&store, "queue", &config).map_err(|error| error.to_string())?;
        let messages = plan.messages.unwrap_or(MOST_MESSAGES);
        let state = QueueState::new(plan.producers, plan.consumers, messages);
        let state = state.map_err(|error| format!("shared memory cannot be had: {error}"))?;
        Ok(Self { plan, queue, state })
    }

    /// Runs from the first send to the last acknowledgement, and checks what was received.
    fn run(&self, totals: &mut Totals, progress: &mut dyn Progress) -> Result<(), String> {
        let producers = (0..self.plan.producers as usize).map(Role::Producer);
        let consumers = (0..self.plan.consumers as usize).map(Role::Consumer);
        let processes = producers.chain(consumers).map(|role| self.start(role));
        let mut processes = processes.collect::<Result<Vec<_>, _>>()?;
        let mut cut_off = HashSet::new();
        self.await_ready(&mut processes);
        let begun = Instant::now();
        self.state.start();
        self.load(&mut processes, &mut cut_off, totals, progress)?;
        self.state.shared.stop();
        self.drain(&mut processes);
        totals.took = begun.elapsed();
        self.state.end_consumers();
        self.join(&mut processes);
        totals.kills.cut_off = cut_off.len() as u64;
        if interrupt::requested() || !self.is_alive() {
            totals.received = self.state.received();
            return Ok(());
        }
        let sent = self.queue.sent().map_err(|error| format!("the queue cannot be read: {error}"))?;
        final_check::run(&self.state, self.plan, &cut_off, sent, totals);
        Ok(())
    }

    /// Waits until every process has what it needs.
    fn await_ready(&self, processes: &mut [Process]) {
        let start = Instant::now();
        let processes_ready = || (0..self.state.coordinator()).all(|process| self.state.is_ready(process));
        while !processes_ready() && self.is_sound() && !interrupt::requested() {
            self.look(processes);
            if start.elapsed() > PATIENCE {
                self.fault(Fault::Stuck, "a process was not ready in time");
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Lets the processes run until the producers are done or the time is over, and kills some.
    fn load(
        &self,
        processes: &mut [Process],
        cut_off: &mut HashSet<(usize, u64)>,
        totals: &mut Totals,
        progress: &mut dyn Progress,
    ) -> Result<(), String> {
        let (begun, mut watch, mut shown) = (Instant::now(), Watch::new(), Instant::now());
        let duration = self.plan.duration_ms.map_or(Duration::MAX, Duration::from_millis);
        let mut rng = Rng::new(self.plan.seed, KILLS);
        let mut due = self.plan.kill_ms.map(|mean| begun + pause(mean, &mut rng));
        while self.sends(processes)
            && begun.elapsed() < duration
            && self.is_sound()
            && !interrupt::requested()
        {
            expect_progress_within(HANG_S);
            let now = Instant::now();
            match (due, self.plan.kill_ms) {
                (Some(when), Some(mean)) if when <= now => {
                    let at = rng.index(processes.len());
                    self.kill(&mut processes[at], cut_off, totals)?;
                    due = Some(Instant::now() + pause(mean, &mut rng));
                }
                _ => std::thread::sleep(due.map_or(LOOK, |due| LOOK.min(due - now))),
            }
            self.look(processes);
            let received = self.state.received();
            if watch.is_stuck(received) {
                self.fault(Fault::Stuck, &format!("no message was received for {} s", PATIENCE.as_secs()));
            }
            if shown.elapsed() > STEP {
                shown = Instant::now();
                let killed = totals.kills.producers + totals.kills.consumers;
                progress.step(&format!("{received} messages received, {killed} processes killed"));
            }
        }
        Ok(())
    }

    /// Kills a process and starts the one that replaces it, unless its work is done.
    fn kill(
        &self,
        process: &mut Process,
        cut_off: &mut HashSet<(usize, u64)>,
        totals: &mut Totals,
    ) -> Result<(), String> {
        if process.is_done || process.child.ended().is_some() {
            return Ok(());
        }
        // Before it dies: the consumer that gets its messages finds the death counted.
        if matches!(process.role, Role::Consumer(_)) {
            self.state.deaths().fetch_add(1, AcqRel);
        }
        process.child.kill();
        if process.child.wait() != End::Signal(Signal::SIGKILL) {
            self.look(std::slice::from_mut(process));
            return Ok(());
        }
        match process.role {
            Role::Producer(number) => {
                totals.kills.producers += 1;
                cut_off.extend(self.state.producer(number).settle().map(|serial| (number, serial)));
            }
            Role::Consumer(_) => totals.kills.consumers += 1,
        }
        *process = self.start(process.role)?;
        Ok(())
    }

    /// Waits until the producers have ended and everything is acknowledged.
    fn drain(&self, processes: &mut [Process]) {
        let mut watch = Watch::new();
        while self.is_alive() && !interrupt::requested() {
            expect_progress_within(HANG_S);
            self.look(processes);
            if !self.sends(processes) && self.backlog() == 0 {
                return;
            }
            if watch.is_stuck(self.state.received()) {
                let left = self.backlog();
                self.fault(
                    Fault::Stuck,
                    &format!("{left} messages were not delivered for {} s", PATIENCE.as_secs()),
                );
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until all processes have ended, or kills them if something is broken or the user ends it.
    fn join(&self, processes: &mut [Process]) {
        let start = Instant::now();
        while processes.iter().any(|process| !process.is_done) && self.is_alive() && !interrupt::requested() {
            self.look(processes);
            if start.elapsed() > PATIENCE {
                self.fault(Fault::Stuck, "a process does not end");
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Notes which processes have ended, and finds out whether they were to.
    fn look(&self, processes: &mut [Process]) {
        for process in processes.iter_mut().filter(|process| !process.is_done) {
            let Some(end) = process.child.ended() else { continue };
            process.is_done = true;
            let is_meant = match process.role {
                Role::Producer(_) => true,
                Role::Consumer(_) => self.state.is_drained(),
            };
            if end != End::Code(0) || !is_meant {
                self.fault(Fault::Ended, &format!("{:?} ended before it was to: {end:?}", process.role));
            }
        }
    }

    /// Tells whether a producer still sends.
    fn sends(&self, processes: &[Process]) -> bool {
        processes.iter().any(|process| matches!(process.role, Role::Producer(_)) && !process.is_done)
    }

    /// Returns how many messages are not acknowledged.
    fn backlog(&self) -> u64 {
        self.queue.backlog(GROUP).unwrap_or_else(|error| {
            self.fault(Fault::Unexpected, &format!("the backlog: {error}"));
            0
        })
    }

    fn start(&self, role: Role) -> Result<Process, String> {
        if let Role::Producer(number) = role {
            self.state.producer(number).next_process();
        }
        let child = Forked::new(|| match self.work(role) {
            Ok(()) => 0,
            Err(why) => {
                self.state.fault(self.process(role), Fault::Unexpected, &why);
                1
            }
        })?;
        Ok(Process { role, child, is_done: false })
    }

    /// Does what a process is for, until its end.
    fn work(&self, role: Role) -> Result<(), String> {
        let words = |error: QueueError| format!("{role:?} cannot begin: {error}");
        match role {
            Role::Producer(number) => {
                let mut producer = self.queue.producer().map_err(words)?;
                self.state.wait_for_start(self.process(role));
                let state = self.state.producer(number);
                let stream = (number as u64) << 32 | state.generation();
                ProducerLoop::new(state, self.plan, stream).run(&mut producer, &self.state.shared)
            }
            Role::Consumer(number) => {
                let mut consumer = self.queue.consumer(GROUP).map_err(words)?;
                if self.plan.kill_ms.is_some() && !consumer.is_death_noticed() {
                    return Err("consumers' deaths are not noticed on this file system".to_owned());
                }
                consumer.set_batch(self.plan.batch as usize);
                self.state.wait_for_start(self.process(role));
                consumer::run(&mut consumer, &self.state, number)
            }
        }
    }

    /// Returns a process's number among all.
    fn process(&self, role: Role) -> usize {
        match role {
            Role::Producer(number) => number,
            Role::Consumer(number) => self.state.consumer(number),
        }
    }

    fn fault(&self, fault: Fault, text: &str) {
        self.state.fault(self.state.coordinator(), fault, text);
    }

    fn is_sound(&self) -> bool {
        self.state.faults() == [0; FAULTS]
    }

    /// Tells whether the processes get on and end as they are to, so that it makes sense to wait for them.
    fn is_alive(&self) -> bool {
        let faults = self.state.faults();
        [Fault::Stuck, Fault::Unexpected, Fault::Ended].iter().all(|fault| faults[*fault as usize] == 0)
    }
}

/// Draws the time until the next kill: kills come independently of each other, `mean` milliseconds apart on average.
fn pause(mean: u64, rng: &mut Rng) -> Duration {
    Duration::from_millis(mean).mul_f64(-(1.0 - rng.unit()).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_as_far_apart_as_asked_on_average() {
        let mut rng = Rng::new(1, KILLS);
        let pauses: Vec<f64> = (0..10_000).map(|_| pause(20, &mut rng).as_secs_f64()).collect();
        let mean = pauses.iter().sum::<f64>() / 10_000.0;
        assert!((0.019..0.021).contains(&mean), "{mean}");
        let short = pauses.iter().filter(|pause| **pause < 0.002).count();
        assert!((800..1_100).contains(&short), "many follow at once: {short}");
    }
}
