//! Which worker runs where: turns a workload's policies into one processor per worker. Pure, so
//! that it can plan for machines other than this one.

use super::policy::positions;
use crate::options::Pin;
use crate::workload::Workload;
use splinter_harness::disturbance::ProcessorUse;
use splinter_harness::machine::Machine;

/// The plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// By worker, writers first, watchers last: its processor, none where the scheduler chooses.
    pub cpus: Vec<Option<usize>>,
    /// Processors that there are for the workers.
    pub processors: usize,
    /// Whether there are more workers than processors.
    pub oversubscribed: bool,
    /// The reader of the machine.
    pub topology: String,
}

impl Plan {
    /// Places the workers of a workload on a machine.
    ///
    /// # Errors
    /// One line that says what the machine lacks, and which flag would put it right.
    pub(crate) fn new(workload: &Workload, machine: &Machine) -> Result<Self, String> {
        let writers = workload.writers as usize;
        // Watchers come behind the readers, wherever those are.
        let readers = (workload.readers + workload.watchers) as usize;
        let place = |pin: &Pin, sizes: &[usize], flag: &str| {
            positions(pin, machine, sizes).map_err(|error| format!("{error}: change {flag}"))
        };
        let cpus = match &workload.pin_readers {
            None => place(&workload.pin, &[writers, readers], "--pin")?,
            Some(pin) => {
                let mut cpus = place(&workload.pin, &[writers], "--pin")?;
                cpus.extend(place(pin, &[readers], "--pin-readers")?);
                cpus
            }
        };
        let mut used: Vec<usize> = cpus.iter().copied().flatten().collect();
        used.sort_unstable();
        used.dedup();
        let pinned = cpus.iter().all(Option::is_some);
        let processors = if pinned { used.len() } else { machine.usable().count() };
        Ok(Self {
            oversubscribed: cpus.len() > processors,
            processors,
            cpus,
            topology: machine.source.clone(),
        })
    }

    /// Returns how many processors the writers and readers can keep busy.
    pub(crate) fn kept_busy(&self, workload: &Workload) -> usize {
        self.processors.min(workload.operators() as usize)
    }

    /// Returns the processors that the workers use: theirs where all are sure to be pinned.
    pub(crate) fn uses(&self, workload: &Workload) -> ProcessorUse {
        let pinned: Option<Vec<usize>> = self.cpus.iter().copied().collect();
        let pinned = pinned.filter(|_| !workload.allow_misplacement);
        ProcessorUse { busy: self.kept_busy(workload), pinned }
    }

    /// Checks that every processor of the plan is one of the machine that may be used: a list names any, and the kernel
    /// lets a process leave the affinity mask that it was given.
    ///
    /// # Errors
    /// One line that says which flag would put it right.
    pub(crate) fn check(&self, workload: &Workload, machine: &Machine) -> Result<(), String> {
        let known = |cpu: &usize| machine.processor(*cpu).is_some_and(|known| known.usable);
        let mut asked = self.cpus.iter().enumerate();
        let lost = asked.find_map(|(at, cpu)| Some((at, cpu.filter(|cpu| !known(cpu))?)));
        let Some((worker, cpu)) = lost else {
            return Ok(());
        };
        let reader = worker >= workload.writers as usize && workload.pin_readers.is_some();
        let flag = if reader { "--pin-readers" } else { "--pin" };
        Err(match machine.processor(cpu) {
            Some(_) => format!("processor {cpu} may not be used by this process: change {flag}"),
            None => format!("there is no processor {cpu} on this machine: change {flag}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_harness::machine::made_up::{made_up, restricted, two_sockets};

    fn planned(workload: &Workload, machine: &Machine) -> Plan {
        Plan::new(workload, machine).unwrap()
    }

    fn workers(pin: &str, pin_readers: Option<&str>) -> Workload {
        Workload {
            writers: 2,
            readers: 3,
            pin: pin.parse().unwrap(),
            pin_readers: pin_readers.map(|pin| pin.parse().unwrap()),
            ..Workload::default()
        }
    }

    fn flat() -> Machine {
        made_up(&[(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 2), (0, 0, 0, 3)])
    }

    #[test]
    fn readers_follow_the_writers_unless_they_have_a_policy_of_their_own() {
        let cpus = |pin: &str, pin_readers: Option<&str>| {
            planned(&workers(pin, pin_readers), &flat())
                .cpus
                .into_iter()
                .map(|cpu| cpu.map_or(-1, |cpu| cpu as i32))
                .collect::<Vec<_>>()
        };
        assert_eq!(cpus("none", None), [-1; 5]);
        assert_eq!(cpus("compact", None), [0, 1, 2, 3, 0]);
        assert_eq!(cpus("3", Some("0-1")), [3, 3, 0, 1, 0]);
        assert_eq!(cpus("none", Some("compact")), [-1, -1, 0, 1, 2]);
        assert_eq!(cpus("per-core", Some("none")), [0, 1, -1, -1, -1]);
    }

    #[test]
    fn writers_and_readers_are_each_dealt_to_every_node() {
        let workload = Workload { writers: 4, readers: 3, watchers: 1, ..workers("per-node", None) };
        let plan = planned(&workload, &two_sockets(true));
        assert_eq!(plan.cpus, [0, 4, 8, 12, 1, 5, 9, 13].map(Some));
        let own = Workload { pin_readers: Some(Pin::PerCore), ..workload };
        let plan = planned(&own, &two_sockets(true));
        assert_eq!(plan.cpus, [0, 4, 8, 12, 0, 1, 2, 3].map(Some));
    }

    #[test]
    fn only_pinned_workers_use_certain_processors_and_watchers_keep_none_busy() {
        let uses = |workload: &Workload| planned(workload, &flat()).uses(workload);
        assert_eq!(uses(&workers("none", None)), ProcessorUse::up_to(4));
        assert_eq!(uses(&workers("0-1", Some("none"))), ProcessorUse::up_to(4));
        let pinned = Workload { readers: 0, watchers: 2, ..workers("0-2", None) };
        assert_eq!(uses(&pinned), ProcessorUse { busy: 2, pinned: Some(vec![0, 1, 2, 0]) });
        let anywhere = Workload { allow_misplacement: true, ..pinned };
        assert_eq!(uses(&anywhere), ProcessorUse::up_to(2));
    }

    #[test]
    fn workers_of_one_node_are_on_its_processors_only() {
        let place = |id: usize| ((id / 4 * 3) as u32, 0, 0, id);
        let machine = made_up(&(0..8).map(place).collect::<Vec<_>>());
        let workload = Workload { writers: 3, readers: 2, ..workers("node:3", None) };
        let plan = planned(&workload, &machine);
        assert_eq!(plan.cpus, [4, 5, 6, 7, 4].map(Some));
        assert_eq!((plan.processors, plan.oversubscribed), (4, true));
        assert_eq!(plan.topology, "a test");
    }

    #[test]
    fn what_cannot_be_served_is_refused_in_one_line_that_names_the_flag() {
        let machine = restricted(two_sockets(true), &[0, 1]);
        let refusal = |pin: &str, pin_readers: Option<&str>| {
            let refused = Plan::new(&workers(pin, pin_readers), &machine).unwrap_err();
            assert_eq!(refused.lines().count(), 1);
            refused
        };
        for pin in ["node:7", "node:1", "llc:9", "llc:1"] {
            assert!(refusal(pin, None).ends_with("change --pin"), "{pin}");
            let readers = refusal("none", Some(pin));
            assert!(readers.ends_with("change --pin-readers"), "{readers}");
        }
        // Nobody is there to be misplaced.
        let nobody = Workload { readers: 0, ..workers("compact", Some("node:7")) };
        assert!(Plan::new(&nobody, &machine).is_ok());
    }

    #[test]
    fn a_list_of_processors_that_are_not_there_is_noticed() {
        let machine = restricted(flat(), &[0, 1]);
        let check = |pin: &str, pin_readers: Option<&str>| {
            let workload = workers(pin, pin_readers);
            planned(&workload, &machine).check(&workload, &machine)
        };
        assert_eq!(check("0-1", Some("1")), Ok(()));
        assert_eq!(check("none", None), Ok(()));
        let refused = check("0,9", None).unwrap_err();
        assert!(refused.contains("no processor 9") && refused.ends_with("--pin"));
        let refused = check("0", Some("3")).unwrap_err();
        assert!(refused.contains("processor 3 may not") && refused.ends_with("--pin-readers"));
    }

    #[test]
    fn more_workers_than_processors_are_noticed() {
        assert!(planned(&workers("none", None), &flat()).oversubscribed);
        let two = planned(&workers("1", Some("2")), &flat());
        assert_eq!((two.processors, two.oversubscribed), (2, true));
        let few = Workload { writers: 1, readers: 3, ..Workload::default() };
        assert!(!planned(&few, &flat()).oversubscribed);
    }
}
