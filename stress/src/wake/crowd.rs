//! One write, and everybody is to be woken: threads of several processes that sleep for the same
//! news, through the store and on a bare futex.

use super::board::{CROWD, CROWD_PROCESSES, Mark, PATIENCE, Place};
use super::game::Broken;
use super::kind::Kind;
use super::link::{KEYS, Table, send};
use super::partner::Helper;
use crate::task;
use std::sync::atomic::Ordering::Acquire;
use std::time::{Duration, Instant};

/// Between two looks whether all are where they are to be. Whoever looks must not take the processor
/// from those who are to be woken.
const LOOK: Duration = Duration::from_micros(500);

/// The crowd.
#[derive(Debug)]
pub(crate) struct Crowd {
    processes: Vec<Helper>,
    command: u64,
}

/// One write, in cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Until the first has it, and the last.
    pub first: u64,
    pub last: u64,
    /// How long the writer was kept.
    pub writer: u64,
}

impl Crowd {
    /// Starts it, dealt over some processors.
    ///
    /// # Errors
    /// One line that says why it could not.
    pub(crate) fn start(table: &Table, cpus: &[usize]) -> Result<Self, String> {
        let processes = (0..CROWD_PROCESSES)
            .map(|process| Helper::start(table, Some((process, cpus[process % cpus.len()]))))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            processes,
            command: 0,
        })
    }

    /// Has all of it fall asleep, and wakes it with one write.
    ///
    /// # Errors
    /// [`Broken::Lost`] if somebody was not woken, [`Broken::Deaf`] if somebody did not fall asleep.
    pub(crate) fn call(&mut self, table: &mut Table, kind: Kind) -> Result<Call, Broken> {
        self.command += 1;
        let command = self.command;
        let board = &table.board;
        board.put(Place::CrowdKind, kind as u64);
        board.tell(Place::CrowdCommand, command);
        let all = |mark| (0..CROWD).all(|member| board.mark(member, mark).load(Acquire) == command);
        wait_until(|| all(Mark::Waits) && self.is_asleep(table)).ok_or(Broken::Deaf)?;

        let start = splinter::cycles_fenced();
        if kind == Kind::Futex {
            board.tell(Place::CrowdWord, command);
        } else {
            send(&mut table.writer, KEYS[4], command);
        }
        let end = splinter::cycles_fenced();
        wait_until(|| all(Mark::Told)).ok_or(Broken::Lost)?;
        let after = |member| {
            let stamp = board.mark(member, Mark::Stamp).load(Acquire);
            stamp.saturating_sub(start)
        };
        Ok(Call {
            first: (0..CROWD).map(after).min().unwrap_or(0),
            last: (0..CROWD).map(after).max().unwrap_or(0),
            writer: end.saturating_sub(start),
        })
    }

    /// Asks the kernel whether every member sleeps.
    fn is_asleep(&self, table: &Table) -> bool {
        (0..CROWD).all(|member| {
            let process = self.processes[member % CROWD_PROCESSES].id();
            let thread = table.board.mark(member, Mark::Thread).load(Acquire);
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
