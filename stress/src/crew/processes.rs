//! Workers as processes: this program again, with a hidden command that hands over the control
//! block and the store.
#![allow(unsafe_code)] // Takes over the descriptors that the parent left open for it.

use crate::block::Block;
use crate::options::Backing;
use crate::worker::Post;
use crate::workload::Workload;
use nix::sys::signal::Signal;
use splinter::{Location, Store};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Name of the program that can be a worker.
const PROGRAM: &str = "splinter-stress";

/// What the hidden command hands over.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Handover {
    /// Number of the worker.
    #[arg(long)]
    worker: u32,
    /// Processor to run on.
    #[arg(long)]
    cpu: Option<usize>,
    /// Process that started this one.
    #[arg(long)]
    parent: u32,
    /// Descriptor of the control block.
    #[arg(long)]
    block_fd: RawFd,
    /// Descriptor of the store, where it has no name.
    #[arg(long)]
    store_fd: Option<RawFd>,
    /// The workload, in JSON.
    #[arg(long)]
    workload: String,
}

/// Starts a worker as a process.
pub(super) fn start(
    workload: &Workload,
    worker: u32,
    cpu: Option<usize>,
    store: &Store,
    block: &Block,
) -> Result<Child, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("worker {worker} could not be started: {error}");
    // Copies without close-on-exec, open until the worker has been started.
    let block_fd = nix::unistd::dup(block.fd()).map_err(|error| failed(&error))?;
    let store_fd = match workload.backing {
        Backing::Anonymous => Some(nix::unistd::dup(store.fd()).map_err(|error| failed(&error))?),
        Backing::Shared(_) | Backing::File(_) => None,
    };
    let mut command = Command::new(program()?);
    command
        .arg("worker")
        .arg(format!("--worker={worker}"))
        .arg(format!("--parent={}", std::process::id()))
        .arg(format!("--block-fd={}", block_fd.as_raw_fd()))
        .arg(format!(
            "--workload={}",
            serde_json::to_string(workload).map_err(|error| failed(&error))?
        ))
        .args(cpu.map(|cpu| format!("--cpu={cpu}")))
        .args(
            store_fd
                .as_ref()
                .map(|fd| format!("--store-fd={}", fd.as_raw_fd())),
        )
        // Ctrl-C is for the parent, which stops its workers in order.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.spawn().map_err(|error| failed(&error))
}

/// Finds the program: this one, or the one beside it where the engine runs inside another.
fn program() -> Result<PathBuf, String> {
    let this =
        std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    if this.file_name().is_some_and(|name| name == PROGRAM) {
        return Ok(this);
    }
    this.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(PROGRAM))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            format!(
                "worker processes need the program {PROGRAM} beside this one: build it, or use \
             --workers threads"
            )
        })
}

/// Is a worker process, from start to end.
///
/// # Errors
/// One line that says what kept it from working.
pub(crate) fn serve(handover: &Handover) -> Result<(), String> {
    // Whatever happens to the parent, this process does not outlive it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| format!("cannot follow the parent: {error}"))?;
    if std::os::unix::process::parent_id() != handover.parent {
        return Err("the parent is gone; this command is not meant to be used by hand".to_owned());
    }
    let workload: Workload =
        serde_json::from_str(&handover.workload).map_err(|error| error.to_string())?;
    let block = Block::from_fd(inherited(handover.block_fd)?, &workload)
        .map_err(|error| error.to_string())?;
    let store = match (&workload.backing, handover.store_fd) {
        (Backing::Shared(name), _) => {
            Location::shared(name).and_then(|location| Store::open(&location))
        }
        (Backing::File(path), _) => Store::open(&Location::file(path)),
        (Backing::Anonymous, Some(fd)) => Store::from_fd(inherited(fd)?),
        (Backing::Anonymous, None) => return Err("no store was handed over".to_owned()),
    };
    let store = store.map_err(|error| format!("cannot open the store: {error}"))?;
    super::work(
        &Post {
            workload: &workload,
            block: &block,
            worker: handover.worker,
            cpu: handover.cpu,
        },
        &store,
    )
}

fn inherited(fd: RawFd) -> Result<OwnedFd, String> {
    if fd <= 2 || nix::fcntl::fcntl(borrowed(fd), nix::fcntl::FcntlArg::F_GETFD).is_err() {
        return Err(format!("descriptor {fd} was not handed over"));
    }
    // SAFETY: the descriptor is open (just asked) and was opened for this call by the parent:
    // nothing else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn borrowed(fd: RawFd) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: used for one system call, which answers EBADF if the descriptor is not open; `fd` is
    // not -1 (checked by the caller).
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }
}

/// Waits for a worker to end, and kills it when it does not.
pub(super) fn wait(mut child: Child, deadline: Instant) -> Result<(), String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                return Err(match (status.signal(), status.code()) {
                    (Some(signal), _) => format!("was killed by signal {signal}"),
                    (None, code) => format!("failed with exit code {}", code.unwrap_or(-1)),
                });
            }
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("did not stop and was killed".to_owned());
            }
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}
