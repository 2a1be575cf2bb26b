//! The other processes of a measurement: the partner, who answers, and the crowd, who all wait for
//! one write. Each is this program again, with a hidden verb.

use super::board::{Board, CROWD, CROWD_PROCESSES, Mark, PATIENCE, Place};
use super::game::Pong;
use super::kind::Kind;
use super::link::{CROWD_GROUP, End, KEYS, Table, is_there};
use crate::affinity;
use crate::child;
use crate::futex::sleep_on;
use crate::text::refusal;
use splinter::{Store, Watcher};
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
    /// Descriptor of the board.
    #[arg(long)]
    board_fd: RawFd,
    /// Descriptor of the store.
    #[arg(long)]
    store_fd: RawFd,
    /// Descriptors of the eventfds.
    #[arg(long, value_delimiter = ',')]
    bell_fds: Vec<RawFd>,
    /// Which of the crowd's processes this is, if not the partner.
    #[arg(long)]
    crowd: Option<usize>,
    /// Processor of the crowd's process.
    #[arg(long)]
    cpu: Option<usize>,
}

/// A process that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Helper(Child);

impl Helper {
    /// Starts the partner, or one of the crowd's processes on a processor.
    ///
    /// # Errors
    /// One line that says why it could not.
    pub(crate) fn start(table: &Table, crowd: Option<(usize, usize)>) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| {
            format!("a second process could not be started: {error}")
        };
        // Copies without close-on-exec, open until the process has been started.
        let copy = |fd| nix::unistd::dup(fd).map_err(|error| failed(&refusal(error)));
        let (board, store) = (copy(table.board.fd())?, copy(table.store.fd())?);
        let bells = [copy(table.bells[0].as_fd())?, copy(table.bells[1].as_fd())?];
        let [ping, pong] = bells.each_ref().map(AsRawFd::as_raw_fd);
        let mut command = child::command("wake-partner")?;
        command
            .arg(format!("--board-fd={}", board.as_raw_fd()))
            .arg(format!("--store-fd={}", store.as_raw_fd()));
        match crowd {
            None => command.arg(format!("--bell-fds={ping},{pong}")),
            Some((process, cpu)) => command
                .arg(format!("--crowd={process}"))
                .arg(format!("--cpu={cpu}")),
        };
        command
            .spawn()
            .map(Self)
            .map_err(|error| failed(&refusal(error)))
    }

    /// Returns its process.
    #[must_use]
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Whatever it does: it holds nothing that would have to be put in order.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Is the other process, from start to end.
///
/// # Errors
/// One line that says what kept it from working.
pub(crate) fn serve(handover: &Handover) -> Result<(), String> {
    child::follow(handover.parent)?;
    let board = child::inherited(handover.board_fd)?;
    let board = Board::from_fd(board).map_err(|error| error.to_string())?;
    let store = Store::from_fd(child::inherited(handover.store_fd)?)
        .map_err(|error| format!("cannot open the store: {error}"))?;
    match (handover.crowd, handover.bell_fds.as_slice()) {
        (Some(process), _) => crowd(&board, &store, process, handover.cpu),
        (None, &[ping, pong]) => answer(Table {
            board,
            writer: store.writer().map_err(|error| error.to_string())?,
            store,
            bells: [child::inherited(ping)?, child::inherited(pong)?],
            end: End::Pong,
        }),
        _ => Err("no eventfds were handed over".to_owned()),
    }
}

/// Plays what it is told to, until everything is over.
fn answer(mut table: Table) -> Result<(), String> {
    let (mut command, mut pinned) = (0, None);
    while let Some(next) = table.board.await_other(Place::Command, command, None) {
        command = next;
        let kind = Kind::numbered(table.board.get(Place::Kind)).ok_or("an unknown command")?;
        let cpu = usize::try_from(table.board.get(Place::Cpu)).unwrap_or(usize::MAX);
        if pinned != Some(cpu) && !affinity::pin(cpu) {
            return Err(format!("the partner cannot have processor {cpu}"));
        }
        pinned = Some(cpu);
        table.play(kind, Pong { command })?;
    }
    Ok(())
}

/// Returns the members of one of the crowd's processes.
fn members(process: usize) -> impl Iterator<Item = usize> {
    (process..CROWD).step_by(CROWD_PROCESSES)
}

/// Is one of the crowd's processes: a thread for each member.
fn crowd(board: &Board, store: &Store, process: usize, cpu: Option<usize>) -> Result<(), String> {
    if cpu.is_some_and(|cpu| !affinity::pin(cpu)) {
        return Err(format!("the crowd cannot have processor {cpu:?}"));
    }
    let watch = |_| {
        let mut watcher = store
            .watch(&[CROWD_GROUP])
            .map_err(|error| error.to_string())?;
        watcher.set_spin(Duration::ZERO);
        Ok(watcher)
    };
    let watchers: Vec<Watcher> = members(process).map(watch).collect::<Result<_, String>>()?;
    std::thread::scope(|scope| {
        for (member, watcher) in members(process).zip(watchers) {
            scope.spawn(move || stand_by(board, store, member, watcher));
        }
    });
    Ok(())
}

/// Is one member: waits in the way it is told to, and notes when it was woken.
fn stand_by(board: &Board, store: &Store, member: usize, mut watcher: Watcher) {
    let mark = |mark, value| board.mark(member, mark).store(value, Release);
    mark(
        Mark::Thread,
        nix::unistd::gettid().as_raw().unsigned_abs().into(),
    );
    let mut command = 0;
    while let Some(next) = board.await_other(Place::CrowdCommand, command, None) {
        command = next;
        let bare = board.get(Place::CrowdKind) == Kind::Futex as u64;
        mark(Mark::Waits, command);
        if bare {
            loop {
                let seen = board.get(Place::CrowdWord);
                if seen >= command || board.is_abandoned() {
                    break;
                }
                sleep_on(board.word(Place::CrowdWord), seen, None);
            }
        } else {
            let deadline = Some(Instant::now() + 2 * PATIENCE);
            while watcher.wait(deadline) != Ok(None) {
                if is_there(store, KEYS[4], command) {
                    break;
                }
            }
        }
        mark(Mark::Stamp, splinter::cycles_fenced());
        if !board.is_abandoned() && (bare || is_there(store, KEYS[4], command)) {
            mark(Mark::Told, command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_in_one_process() {
        let mut all: Vec<usize> = (0..CROWD_PROCESSES).flat_map(members).collect();
        all.sort_unstable();
        assert_eq!(all, (0..CROWD).collect::<Vec<_>>());
    }
}
