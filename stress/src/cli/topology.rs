//! The flags of `topology`, and what it does with them.

use super::arguments::{Flags, WORKERS};
use crate::placement::diagram::topology_summary;
use crate::placement::topology::{TopologyPlan, topology};
use crate::workload::Workload;
use clap::Args;
use splinter_harness::error::RunError;
use splinter_harness::machine::source::MachineSource;
use splinter_harness::program::{Outcome, OutputArguments};
use splinter_harness::verdict::Verdict;

/// Which machine, and whom to place on it: any of the workers' flags draws a placement, with the rest as in
/// `run`.
#[derive(Args, Clone, Debug)]
pub(super) struct TopologyArguments {
    /// Another machine: a file that 'lstopo --of xml' wrote, or synthetic:SPEC, as in
    /// 'synthetic:pack:2 numa:2 l3:1 core:8 pu:2'; nothing is run there
    #[arg(long, value_name = "FILE|synthetic:SPEC")]
    topology: Option<MachineSource>,
    #[command(flatten)]
    flags: Flags<WORKERS>,
    #[command(flatten)]
    output: OutputArguments,
}

impl TopologyArguments {
    /// Returns the plan that these flags stand for.
    fn plan(&self) -> Result<TopologyPlan, String> {
        let mut workload = self.flags.over(Workload::default())?;
        // As many as any role needs: they are not the subject.
        workload.keys = workload.keys.max(u64::from(workload.writers));
        Ok(TopologyPlan { source: self.topology.clone(), workload: self.flags.any().then_some(workload) })
    }
}

/// Looks and prints. Ctrl-C ends it at once while it looks: hwloc offers no way to stop, and nothing is to be cleaned up.
pub(super) fn run(arguments: &TopologyArguments) -> Outcome {
    let file = match &arguments.topology {
        Some(MachineSource::File(path)) => Some(path.as_path()),
        _ => None,
    };
    let found = arguments.plan().map_err(RunError::Usage).and_then(|plan| topology(&plan));
    arguments.output.run_and_report(
        "topology",
        &[file],
        None,
        |_| found,
        |record| (topology_summary(record), Verdict::Pass),
    )
}

#[cfg(test)]
mod tests {
    use super::super::parsed;
    use super::*;
    use crate::options::Pin;

    fn plan(flags: &str) -> TopologyPlan {
        parsed::<TopologyArguments>(flags).unwrap().plan().unwrap()
    }

    #[test]
    fn without_a_flag_of_the_workers_no_worker_is_placed() {
        assert_eq!(plan(""), TopologyPlan::default());
        let other = plan("--topology machine.xml");
        assert_eq!(other.source, Some(MachineSource::File("machine.xml".into())));
        assert_eq!(other.workload, None);
    }

    #[test]
    fn workers_are_as_in_a_run_unless_a_flag_says_otherwise() {
        assert_eq!(plan("--pin scatter").workload, Some(Workload::default()));
        let expected = Workload {
            writers: 4,
            pin: Pin::PerLlc,
            pin_readers: Some(Pin::Llc(1)),
            watchers: 2,
            ..Workload::default()
        };
        let flags = "--writers 4 --watchers 2 --pin per-llc --pin-readers llc:1";
        assert_eq!(plan(flags).workload, Some(expected));
        assert!(plan("--writers 9000").workload.unwrap().keys >= 9000);
    }
}
