//! Workers as processes: this program again, with a hidden command that hands over the control
//! shared and the store.

use crate::child;
use crate::options::Backing;
use crate::shared_state::SharedState;
use crate::worker::Assignment;
use crate::workload::Workload;
use splinter::{Location, Store, Tuning};
use splinter_harness::text::refusal;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::{Duration, Instant};

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
    /// Descriptor of the shared state.
    #[arg(long)]
    state_fd: RawFd,
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
    shared: &SharedState,
) -> Result<Child, String> {
    let failed = |error: &dyn std::fmt::Display| format!("worker {worker} could not be started: {error}");
    // Copies without close-on-exec, open until the worker has been started.
    let state_fd = nix::unistd::dup(shared.fd()).map_err(|error| failed(&refusal(error)))?;
    let store_fd = match workload.backing {
        Backing::Anonymous => Some(nix::unistd::dup(store.fd()).map_err(|error| failed(&refusal(error)))?),
        Backing::Shared(_) | Backing::File(_) => None,
    };
    let mut command = child::command("worker")?;
    command
        .arg(format!("--worker={worker}"))
        .arg(format!("--state-fd={}", state_fd.as_raw_fd()))
        .arg(format!("--workload={}", serde_json::to_string(workload).map_err(|error| failed(&error))?))
        .args(cpu.map(|cpu| format!("--cpu={cpu}")))
        .args(store_fd.as_ref().map(|fd| format!("--store-fd={}", fd.as_raw_fd())));
    command.spawn().map_err(|error| failed(&refusal(error)))
}

/// Runs a worker process, from start to end.
///
/// # Errors
/// One line that says what kept it from working.
pub(crate) fn serve(handover: &Handover) -> Result<(), String> {
    child::follow(handover.parent)?;
    let workload: Workload = serde_json::from_str(&handover.workload).map_err(|error| error.to_string())?;
    // For as long as this process lives.
    let tuning = workload.tuning(Tuning::current());
    tuning.apply().map_err(|error| error.to_string())?;
    let shared = SharedState::from_fd(child::inherited(handover.state_fd)?, &workload)
        .map_err(|error| error.to_string())?;
    let store = match (&workload.backing, handover.store_fd) {
        (Backing::Shared(name), _) => Location::shared(name).and_then(|location| Store::open(&location)),
        (Backing::File(path), _) => Store::open(&Location::file(path)),
        (Backing::Anonymous, Some(fd)) => Store::from_fd(child::inherited(fd)?),
        (Backing::Anonymous, None) => return Err("no store was handed over".to_owned()),
    };
    let store = store.map_err(|error| format!("cannot open the store: {error}"))?;
    super::work(
        &Assignment { workload: &workload, shared: &shared, worker: handover.worker, cpu: handover.cpu },
        &store,
    )
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
