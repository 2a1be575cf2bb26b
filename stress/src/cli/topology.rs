//! The flags of `topology`, and what it does with them.

use super::output::{Outcome, OutputArguments};
use crate::options::Pin;
use crate::placement::diagram::topology_summary;
use crate::placement::source::MachineSource;
use crate::placement::topology::{TopologyPlan, topology};
use crate::verdict::Verdict;
use crate::workload::Workload;
use clap::Args;
use std::process::ExitCode;

/// Which machine, and whom to place on it: any of the workers' flags draws a placement, with the rest as in
/// `run`.
#[derive(Args, Clone, Debug)]
pub(super) struct TopologyArguments {
    /// Another machine: a file that 'lstopo --of xml' wrote, or synthetic:SPEC, as in
    /// 'synthetic:pack:2 numa:2 l3:1 core:8 pu:2'; nothing is run there
    #[arg(long, value_name = "FILE|synthetic:SPEC")]
    topology: Option<MachineSource>,
    /// Workers that write
    #[arg(long, value_name = "N")]
    writers: Option<u32>,
    /// Workers that only read
    #[arg(long, value_name = "N")]
    readers: Option<u32>,
    /// Workers that hear of every change; they come behind the readers
    #[arg(long, value_name = "N")]
    watchers: Option<u32>,
    /// Where workers run: none, compact, scatter, node:N, llc:N, per-node, per-llc, per-core or
    /// processors as in 0-3,8
    #[arg(long, value_name = "WHERE")]
    pin: Option<Pin>,
    /// Where readers and watchers run, if not behind the writers
    #[arg(long, value_name = "WHERE")]
    pin_readers: Option<Pin>,
    #[command(flatten)]
    output: OutputArguments,
}

impl TopologyArguments {
    /// Returns the plan that these flags stand for.
    fn plan(&self) -> TopologyPlan {
        let counts = [self.writers, self.readers, self.watchers];
        let pins = [&self.pin, &self.pin_readers];
        let wanted = counts.iter().any(Option::is_some) || pins.iter().any(|pin| pin.is_some());
        let usual = Workload::default();
        let writers = self.writers.unwrap_or(usual.writers);
        let workload = Workload {
            writers,
            readers: self.readers.unwrap_or(usual.readers),
            watchers: self.watchers.unwrap_or(usual.watchers),
            pin: self.pin.clone().unwrap_or(usual.pin),
            pin_readers: self.pin_readers.clone(),
            // As many as any role needs: they are not the subject.
            keys: usual.keys.max(u64::from(writers)),
            ..Workload::default()
        };
        TopologyPlan {
            source: self.topology.clone(),
            workload: wanted.then_some(workload),
        }
    }
}

/// Looks and prints. Ctrl-C ends it at once while it looks: hwloc cannot be told to stop, and nothing is to be cleaned up.
pub(super) fn run(arguments: &TopologyArguments) -> ExitCode {
    let file = match &arguments.topology {
        Some(MachineSource::File(path)) => Some(path.as_path()),
        _ => None,
    };
    let found = topology(&arguments.plan());
    arguments.output.beside(&[file]).run_and_report(
        "topology",
        None,
        |_| found,
        |record| Outcome {
            summary: topology_summary(record),
            verdict: Verdict::Pass,
            log: None,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::parsed;
    use super::*;

    fn plan(flags: &str) -> TopologyPlan {
        parsed::<TopologyArguments>(flags).unwrap().plan()
    }

    #[test]
    fn without_a_flag_of_the_workers_nobody_is_placed() {
        assert_eq!(plan(""), TopologyPlan::default());
        let other = plan("--topology machine.xml");
        assert_eq!(
            other.source,
            Some(MachineSource::File("machine.xml".into()))
        );
        assert_eq!(other.workload, None);
    }

    #[test]
    fn what_is_not_said_of_the_workers_is_as_in_a_run() {
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
