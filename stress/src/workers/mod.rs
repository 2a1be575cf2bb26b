//! The workers of a run as a whole: started together, watched and joined. A worker that dies is
//! noticed and named; nothing waits for it.

mod processes;

pub(crate) use processes::{Handover, serve};

use crate::options::Role;
use crate::options::Workers;
use crate::placement::plan::Plan;
use crate::shared_state::{Phase, SharedState, State};
use crate::worker::{Assignment, Report};
use crate::workload::Workload;
use splinter::Store;
use splinter_harness::valgrind;
use std::process::Child;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a worker process may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The workers.
#[derive(Debug)]
pub(crate) struct RunningWorkers {
    shared: Arc<SharedState>,
    members: Vec<Member>,
    /// How many of them do operations; the others watch.
    operators: u32,
}

#[derive(Debug)]
enum Member {
    Thread(Option<JoinHandle<Result<(), String>>>),
    Process(Child),
}

impl RunningWorkers {
    /// Starts all workers of a plan.
    ///
    /// # Errors
    /// One line if one could not be started; those that were are stopped again.
    pub(crate) fn start(
        workload: &Arc<Workload>,
        plan: &Plan,
        store: &Store,
        shared: &Arc<SharedState>,
    ) -> Result<Self, String> {
        let mut workers =
            Self { shared: Arc::clone(shared), members: Vec::new(), operators: workload.operators() };
        for (worker, &cpu) in (0..).zip(&plan.cpus) {
            workers.members.push(match workload.workers {
                Workers::Threads => Member::Thread(Some(thread(workload, worker, cpu, store, shared)?)),
                Workers::Processes => {
                    Member::Process(processes::start(workload, worker, cpu, store, shared)?)
                }
            });
        }
        Ok(workers)
    }

    /// Tells whether a worker has ended: nothing more will come from it.
    pub(crate) fn has_ended(&mut self, worker: u32) -> bool {
        match &mut self.members[worker as usize] {
            Member::Thread(handle) => handle.as_ref().is_none_or(JoinHandle::is_finished),
            Member::Process(child) => !matches!(child.try_wait(), Ok(None)),
        }
    }

    /// Tells whether every worker that has a share has done it, or is gone.
    pub(crate) fn all_done(&mut self) -> bool {
        (0..self.operators)
            .all(|worker| self.shared.cell(worker).state() == State::Done || self.has_ended(worker))
    }

    /// Stops all workers and takes their reports: watchers last, so that they take every notification.
    /// Of a worker without a report there is the reason.
    #[must_use]
    pub(crate) fn stop(mut self) -> Vec<Result<Report, String>> {
        self.stop_all()
    }

    fn stop_all(&mut self) -> Vec<Result<Report, String>> {
        self.shared.enter(Phase::Stop);
        let mut deadline = Instant::now() + valgrind::patience(PATIENCE);
        let members = std::mem::take(&mut self.members);
        let watchers_from = self.operators;
        (0..)
            .zip(members)
            .map(|(worker, member)| {
                if worker == watchers_from {
                    self.shared.enter(Phase::Leave);
                    deadline = Instant::now() + valgrind::patience(PATIENCE);
                }
                self.join_worker(worker, member, deadline)
            })
            .collect()
    }

    fn join_worker(&self, worker: u32, member: Member, deadline: Instant) -> Result<Report, String> {
        let end = match member {
            Member::Thread(None) => Ok(()),
            Member::Thread(Some(handle)) => handle.join().unwrap_or_else(|_| Err("panicked".to_owned())),
            Member::Process(child) => processes::wait(child, deadline),
        };
        end.map_err(|reason| format!("worker {worker} {reason}"))?;
        serde_json::from_slice(&self.shared.take_report(worker))
            .map_err(|error| format!("worker {worker} left no report: {error}"))
    }
}

impl Drop for RunningWorkers {
    /// Ends all workers when a run ends early.
    fn drop(&mut self) {
        if self.members.is_empty() {
            return;
        }
        let _ = self.stop_all();
    }
}

/// Starts a worker as a thread.
fn thread(
    workload: &Arc<Workload>,
    worker: u32,
    cpu: Option<usize>,
    store: &Store,
    shared: &Arc<SharedState>,
) -> Result<JoinHandle<Result<(), String>>, String> {
    let (workload, store, shared) = (Arc::clone(workload), store.clone(), Arc::clone(shared));
    std::thread::Builder::new()
        .name(format!("worker-{worker}"))
        .spawn(move || work(&Assignment { workload: &workload, shared: &shared, worker, cpu }, &store))
        .map_err(|error| {
            format!("worker {worker} could not be started: {error}; lower --writers, --readers or --watchers")
        })
}

/// Runs one worker on a store and leaves its report.
fn work(assignment: &Assignment<'_>, store: &Store) -> Result<(), String> {
    let report = match assignment.role() {
        Role::Writer => {
            let mut writer = store.writer().map_err(|error| format!("got no writer id: {error}"))?;
            assignment.write(&mut writer)
        }
        Role::Reader => assignment.read(store),
        Role::Watcher => {
            let watcher = if assignment.workload.watch_all {
                store.watch_all()
            } else {
                store.watch(&assignment.workload.signal_groups().collect::<Vec<u8>>())
            };
            let watcher = watcher.map_err(|error| format!("cannot watch: {error}"))?;
            assignment.watch(store, &mut (store, watcher))
        }
    };
    let report = serde_json::to_vec(&report).map_err(|error| format!("could not report: {error}"))?;
    assignment.shared.put_report(assignment.worker, &report);
    assignment.shared.cell(assignment.worker).set_state(State::Done);
    Ok(())
}
