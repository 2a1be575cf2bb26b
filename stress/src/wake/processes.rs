//! The other processes of a measurement: the responder, which answers, and the waiters, which all wait for one write. Each is
//! this program again, with a hidden verb.

use super::exchange::Pong;
use super::link::{Endpoint, KEYS, WAITERS_GROUP, is_there};
use super::mechanism::Mechanism;
use super::shared_state::{PATIENCE, SharedState, WAITER_PROCESSES, WAITERS, WaiterWord, Word};
use crate::child;
use crate::threads::start_in;
use splinter::{Store, Watcher};
use splinter_harness::affinity;
use splinter_harness::futex::sleep_on;
use splinter_harness::ping_pong::Side;
use splinter_harness::text::refusal;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::Child;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

/// What the hidden verb hands over.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Handover {
    /// Process that started this one.
    #[arg(long)]
    parent: u32,
    /// Descriptor of the shared state.
    #[arg(long)]
    state_fd: RawFd,
    /// Descriptor of the store.
    #[arg(long)]
    store_fd: RawFd,
    /// Descriptors of the eventfds.
    #[arg(long, value_delimiter = ',')]
    event_fds: Vec<RawFd>,
    /// Which of the waiters' processes this is, if not the responder.
    #[arg(long)]
    waiters: Option<usize>,
    /// Processor of the waiters' process.
    #[arg(long)]
    cpu: Option<usize>,
}

/// A process that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct HelperProcess(Child);

impl HelperProcess {
    /// Starts the responder, or one of the waiters' processes on a processor.
    ///
    /// # Errors
    /// One line that says why it could not.
    pub(crate) fn start(endpoint: &Endpoint, waiters: Option<(usize, usize)>) -> Result<Self, String> {
        let failed =
            |error: &dyn std::fmt::Display| format!("a second process could not be started: {error}");
        // Copies without close-on-exec, open until the process has been started.
        let copy = |fd| nix::unistd::dup(fd).map_err(|error| failed(&refusal(error)));
        let (shared, store) = (copy(endpoint.shared.fd())?, copy(endpoint.store.fd())?);
        let eventfds = [copy(endpoint.eventfds[0].as_fd())?, copy(endpoint.eventfds[1].as_fd())?];
        let [ping, pong] = eventfds.each_ref().map(AsRawFd::as_raw_fd);
        let mut command = child::command("wake-responder")?;
        command
            .arg(format!("--state-fd={}", shared.as_raw_fd()))
            .arg(format!("--store-fd={}", store.as_raw_fd()));
        match waiters {
            None => command.arg(format!("--event-fds={ping},{pong}")),
            Some((process, cpu)) => command.arg(format!("--waiters={process}")).arg(format!("--cpu={cpu}")),
        };
        command.spawn().map(Self).map_err(|error| failed(&refusal(error)))
    }

    /// Returns its process.
    #[must_use]
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for HelperProcess {
    fn drop(&mut self) {
        // It holds nothing that must be released in order.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the other process, from start to end.
///
/// # Errors
/// One line that says what kept it from working.
pub(crate) fn serve(handover: &Handover) -> Result<(), String> {
    child::follow(handover.parent)?;
    let shared = child::inherited(handover.state_fd)?;
    let shared = SharedState::from_fd(shared).map_err(|error| error.to_string())?;
    let store = Store::from_fd(child::inherited(handover.store_fd)?)
        .map_err(|error| format!("cannot open the store: {error}"))?;
    match (handover.waiters, handover.event_fds.as_slice()) {
        (Some(process), _) => waiters(&shared, &store, process, handover.cpu),
        (None, &[ping, pong]) => answer(Endpoint {
            shared,
            writer: store.writer().map_err(|error| error.to_string())?,
            store,
            eventfds: [child::inherited(ping)?, child::inherited(pong)?],
            side: Side::Pong,
        }),
        _ => Err("no eventfds were handed over".to_owned()),
    }
}

/// Answers by the mechanism of each command, until everything is over.
fn answer(mut endpoint: Endpoint) -> Result<(), String> {
    let (mut command, mut pinned) = (0, None);
    while let Some(next) = endpoint.shared.wait_for_change(Word::Command, command, None) {
        command = next;
        let mechanism =
            Mechanism::numbered(endpoint.shared.get(Word::Mechanism)).ok_or("an unknown command")?;
        let cpu = usize::try_from(endpoint.shared.get(Word::Cpu)).unwrap_or(usize::MAX);
        if pinned != Some(cpu) && !affinity::pin(cpu) {
            return Err(format!("the responder cannot have processor {cpu}"));
        }
        pinned = Some(cpu);
        endpoint.run(mechanism, Pong { command })?;
    }
    Ok(())
}

/// Returns the numbers of the waiters of one of the waiters' processes.
fn waiters_of(process: usize) -> impl Iterator<Item = usize> {
    (process..WAITERS).step_by(WAITER_PROCESSES)
}

/// Runs one of the waiters' processes: a thread for each waiter.
fn waiters(shared: &SharedState, store: &Store, process: usize, cpu: Option<usize>) -> Result<(), String> {
    if cpu.is_some_and(|cpu| !affinity::pin(cpu)) {
        return Err(format!("the waiters cannot have processor {cpu:?}"));
    }
    let watch = |_| {
        let mut watcher = store.watch(&[WAITERS_GROUP]).map_err(|error| error.to_string())?;
        watcher.set_spin(Duration::ZERO);
        Ok(watcher)
    };
    let watchers: Vec<Watcher> = waiters_of(process).map(watch).collect::<Result<_, String>>()?;
    std::thread::scope(|scope| {
        for (waiter, watcher) in waiters_of(process).zip(watchers) {
            let started = start_in(scope, move || wait_and_note(shared, store, waiter, watcher));
            // Those that have started wait for commands.
            started.inspect_err(|_| shared.abandon())?;
        }
        Ok(())
    })
}

/// Runs one waiter: waits as each command says, and notes when it was woken.
fn wait_and_note(shared: &SharedState, store: &Store, waiter: usize, mut watcher: Watcher) {
    let waiter_word = |waiter_word, value| {
        shared.waiter_word(waiter, waiter_word).store(value, Release);
    };
    waiter_word(WaiterWord::Thread, nix::unistd::gettid().as_raw().unsigned_abs().into());
    let mut command = 0;
    while let Some(next) = shared.wait_for_change(Word::WaitersCommand, command, None) {
        command = next;
        let without_store = shared.get(Word::WaitersMechanism) == Mechanism::Futex as u64;
        waiter_word(WaiterWord::Waits, command);
        if without_store {
            loop {
                let seen = shared.get(Word::WaitersFutex);
                if seen >= command || shared.is_abandoned() {
                    break;
                }
                sleep_on(shared.word(Word::WaitersFutex), seen, None);
            }
        } else {
            let deadline = Some(Instant::now() + 2 * PATIENCE);
            while watcher.wait(deadline) != Ok(None) {
                if is_there(store, KEYS[4], command) {
                    break;
                }
            }
        }
        waiter_word(WaiterWord::Stamp, splinter::cycles_fenced());
        if !shared.is_abandoned() && (without_store || is_there(store, KEYS[4], command)) {
            waiter_word(WaiterWord::Notified, command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_in_one_process() {
        let mut all: Vec<usize> = (0..WAITER_PROCESSES).flat_map(waiters_of).collect();
        all.sort_unstable();
        assert_eq!(all, (0..WAITERS).collect::<Vec<_>>());
    }
}
