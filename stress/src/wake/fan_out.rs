//! Measures one write that wakes threads of several processes, which all wait for it: by the store, and by a bare futex.

use super::exchange::Broken;
use super::link::{Endpoint, KEYS, send};
use super::mechanism::Mechanism;
use super::processes::HelperProcess;
use super::shared_state::{PATIENCE, WAITER_PROCESSES, WAITERS, WaiterWord, Word};
use splinter_harness::task;
use std::sync::atomic::Ordering::Acquire;
use std::time::{Duration, Instant};

/// Time between two looks whether all waiters sleep or are awake. The looks must leave the processors to the waiters.
const LOOK: Duration = Duration::from_micros(500);

/// The waiters.
#[derive(Debug)]
pub(crate) struct Waiters {
    processes: Vec<HelperProcess>,
    command: u64,
}

/// One write, in cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FanOutSample {
    /// Until the first has it, and the last.
    pub first: u64,
    pub last: u64,
    /// How long the writer was kept.
    pub writer: u64,
}

impl Waiters {
    /// Starts them, dealt over some processors.
    ///
    /// # Errors
    /// One line that says why it could not.
    pub(crate) fn start(endpoint: &Endpoint, cpus: &[usize]) -> Result<Self, String> {
        let processes = (0..WAITER_PROCESSES)
            .map(|process| HelperProcess::start(endpoint, Some((process, cpus[process % cpus.len()]))))
            .collect::<Result<_, _>>()?;
        Ok(Self { processes, command: 0 })
    }

    /// Lets all of them fall asleep, and wakes them with one write.
    ///
    /// # Errors
    /// [`Broken::Lost`] if a waiter was not woken, [`Broken::NoResponse`] if one did not fall asleep.
    pub(crate) fn call(
        &mut self,
        endpoint: &mut Endpoint,
        mechanism: Mechanism,
    ) -> Result<FanOutSample, Broken> {
        self.command += 1;
        let command = self.command;
        let shared = &endpoint.shared;
        shared.set(Word::WaitersMechanism, mechanism as u64);
        shared.set_and_wake(Word::WaitersCommand, command);
        let all = |waiter_word| {
            (0..WAITERS).all(|waiter| shared.waiter_word(waiter, waiter_word).load(Acquire) == command)
        };
        wait_until(|| all(WaiterWord::Waits) && self.all_sleep(endpoint)).ok_or(Broken::NoResponse)?;

        let start = splinter::cycles_fenced();
        if mechanism == Mechanism::Futex {
            shared.set_and_wake(Word::WaitersFutex, command);
        } else {
            send(&mut endpoint.writer, KEYS[4], command);
        }
        let end = splinter::cycles_fenced();
        wait_until(|| all(WaiterWord::Notified)).ok_or(Broken::Lost)?;
        let after = |waiter| {
            let stamp = shared.waiter_word(waiter, WaiterWord::Stamp).load(Acquire);
            stamp.saturating_sub(start)
        };
        Ok(FanOutSample {
            first: (0..WAITERS).map(after).min().unwrap_or(0),
            last: (0..WAITERS).map(after).max().unwrap_or(0),
            writer: end.saturating_sub(start),
        })
    }

    /// Asks the kernel whether every waiter sleeps.
    fn all_sleep(&self, endpoint: &Endpoint) -> bool {
        (0..WAITERS).all(|waiter| {
            let process = self.processes[waiter % WAITER_PROCESSES].id();
            let thread = endpoint.shared.waiter_word(waiter, WaiterWord::Thread).load(Acquire);
            task::state(format_args!("{process}/task/{thread}")) == Some('S')
        })
    }
}

fn wait_until(holds: impl Fn() -> bool) -> Option<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(LOOK);
    }
    Some(())
}
