//! What `topology` makes: a machine, and the placement that a run of some workers would have there. Runs
//! nothing.

use super::plan::Plan;
use crate::options::Pin;
use crate::options::Role;
use crate::workload::Workload;
use serde::{Deserialize, Serialize};
use splinter_harness::error::RunError;
use splinter_harness::machine::Machine;
use splinter_harness::machine::source::{MachineSource, this_machine};
use splinter_harness::verdict::SCHEMA_VERSION;

/// What to look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopologyPlan {
    /// The machine; this one where there is none.
    pub source: Option<MachineSource>,
    /// The workload whose workers are to be placed on it; only they and their policies matter.
    pub workload: Option<Workload>,
}

/// A machine, and a placement on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct TopologyRecord {
    pub schema_version: u32,
    pub kind: String,
    pub machine: Machine,
    pub placement: Option<PlannedPlacement>,
}

/// Where workers would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct PlannedPlacement {
    /// As in a run; null without workers or policy.
    pub pin: Pin,
    pub pin_readers: Option<Pin>,
    pub processors: usize,
    pub oversubscribed: bool,
    pub workers: Vec<PlannedWorker>,
}

/// Where one worker would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct PlannedWorker {
    /// `processor` null: the scheduler's choice.
    pub worker: u32,
    pub role: Role,
    pub processor: Option<usize>,
    pub node: Option<u32>,
    pub cache: Option<usize>,
}

/// Looks at a machine and places workers on it.
///
/// # Errors
/// [`RunError::Usage`]: a machine that cannot be read, or a placement that it cannot serve.
pub fn topology(plan: &TopologyPlan) -> Result<TopologyRecord, RunError> {
    let machine = match &plan.source {
        Some(source) => source.read().map_err(RunError::Usage)?,
        None => this_machine(),
    };
    let placement = plan.workload.as_ref();
    let placement = placement.map(|workload| place(workload, &machine));
    Ok(TopologyRecord {
        schema_version: SCHEMA_VERSION,
        kind: "topology".to_owned(),
        placement: placement.transpose().map_err(RunError::Usage)?,
        machine,
    })
}

/// Places the workers of a workload on a machine.
pub(super) fn place(workload: &Workload, machine: &Machine) -> Result<PlannedPlacement, String> {
    workload.validate()?;
    let plan = Plan::new(workload, machine)?;
    plan.check(workload, machine)?;
    let workers = (0..).zip(&plan.cpus).map(|(worker, &processor)| {
        let known = processor.and_then(|cpu| machine.processor(cpu));
        PlannedWorker {
            worker,
            role: workload.role(worker),
            processor,
            node: known.map(|known| known.node),
            cache: known.and_then(|known| known.cache),
        }
    });
    Ok(PlannedPlacement {
        pin: workload.pin.clone(),
        pin_readers: workload.pin_readers.clone(),
        processors: plan.processors,
        oversubscribed: plan.oversubscribed,
        workers: workers.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described_without_a_placement_unless_one_is_asked_for() {
        let record = topology(&TopologyPlan::default()).unwrap();
        assert_eq!((record.kind.as_str(), &record.placement), ("topology", &None));
        let workload = Workload {
            writers: 3,
            readers: 1,
            watchers: 1,
            pin: Pin::PerCore,
            pin_readers: Some(Pin::None),
            ..Workload::default()
        };
        let plan = TopologyPlan { workload: Some(workload), ..TopologyPlan::default() };
        let record = topology(&plan).unwrap();
        let placement = record.placement.as_ref().unwrap();
        let workers = &placement.workers;
        assert_eq!(workers.len(), 5);
        assert!(workers[..3].iter().all(|worker| worker.processor.is_some()));
        assert!(workers[..3].iter().all(|worker| worker.node.is_some()));
        assert!(workers[3..].iter().all(|worker| worker.processor.is_none()));
        assert_eq!(workers[3].role, Role::Reader);
        assert_eq!(workers[4].role, Role::Watcher);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<TopologyRecord>(&text).unwrap(), record);
    }

    #[test]
    fn nothing_is_planned_that_could_not_be_run() {
        let refused = |pin: &str, writers: u32| {
            let workload = Workload { writers, readers: 0, pin: pin.parse().unwrap(), ..Workload::default() };
            let plan = TopologyPlan { workload: Some(workload), ..TopologyPlan::default() };
            match topology(&plan) {
                Err(RunError::Usage(line)) => line,
                other => panic!("{other:?}"),
            }
        };
        assert!(refused("1500", 1).contains("--pin"));
        assert!(refused("node:900", 1).contains("--pin"));
        assert!(refused("compact", 0).contains("--writers"));
        assert!(refused("compact", u32::MAX).contains("--writers"));
    }
}
