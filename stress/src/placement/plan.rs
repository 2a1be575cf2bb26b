//! Which worker runs where: turns a workload's policies into one processor per worker. Pure, so
//! that it can plan for machines other than this one.

use super::topology::{Cpu, compact, of_node, scatter};
use crate::options::Pin;
use crate::workload::Workload;

/// The plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// By worker, writers first, watchers last: its processor, none where the scheduler chooses.
    pub cpus: Vec<Option<usize>>,
    /// Processors that there are for the workers.
    pub processors: usize,
    /// Whether there are more workers than processors.
    pub oversubscribed: bool,
}

impl Plan {
    /// Places the workers of a workload on some processors.
    #[must_use]
    pub(crate) fn new(workload: &Workload, available: &[Cpu]) -> Self {
        let writers = workload.writers as usize;
        // Watchers come behind the readers, wherever those are.
        let readers = (workload.readers + workload.watchers) as usize;
        let mut cpus = Vec::with_capacity(writers + readers);
        let sequence = order(&workload.pin, available);
        cpus.extend((0..writers).map(|index| at(&sequence, index)));
        match &workload.pin_readers {
            None => cpus.extend((writers..writers + readers).map(|index| at(&sequence, index))),
            Some(pin) => {
                let sequence = order(pin, available);
                cpus.extend((0..readers).map(|index| at(&sequence, index)));
            }
        }
        let mut used: Vec<usize> = cpus.iter().copied().flatten().collect();
        used.sort_unstable();
        used.dedup();
        let pinned = cpus.iter().all(Option::is_some);
        let processors = if pinned { used.len() } else { available.len() };
        Self {
            oversubscribed: cpus.len() > processors,
            processors,
            cpus,
        }
    }

    /// Checks that nobody who was to be pinned was left to the scheduler: a node may have no
    /// processor that this process may use.
    ///
    /// # Errors
    /// One line that says which flag would put it right.
    pub(crate) fn check(&self, workload: &Workload) -> Result<(), String> {
        let (writers, others) = self.cpus.split_at(workload.writers as usize);
        let readers = workload.pin_readers.as_ref();
        for (pin, cpus, flag) in [
            (&workload.pin, writers, "--pin"),
            (readers.unwrap_or(&workload.pin), others, "--pin-readers"),
        ] {
            if *pin != Pin::None && cpus.contains(&None) {
                return Err(format!(
                    "no processor of '{pin}' may be used by this process: change {flag}"
                ));
            }
        }
        Ok(())
    }
}

fn order(pin: &Pin, available: &[Cpu]) -> Vec<usize> {
    match pin {
        Pin::None => Vec::new(),
        Pin::Compact => compact(available),
        Pin::Scatter => scatter(available),
        Pin::Node(node) => compact(&of_node(available, *node)),
        Pin::List(cpus) => cpus.clone(),
    }
}

fn at(sequence: &[usize], index: usize) -> Option<usize> {
    sequence.get(index.checked_rem(sequence.len())?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(pin: Pin, pin_readers: Option<Pin>) -> Plan {
        let cpus: Vec<Cpu> = (0..4)
            .map(|id| Cpu {
                id,
                core: id,
                ..Cpu::default()
            })
            .collect();
        Plan::new(
            &Workload {
                writers: 2,
                readers: 3,
                pin,
                pin_readers,
                ..Workload::default()
            },
            &cpus,
        )
    }

    #[test]
    fn readers_follow_the_writers_unless_they_have_a_policy_of_their_own() {
        let cpus = |plan: Plan| {
            plan.cpus
                .into_iter()
                .map(|cpu| cpu.map_or(-1, |cpu| cpu as i32))
                .collect::<Vec<_>>()
        };
        assert_eq!(cpus(plan(Pin::None, None)), [-1; 5]);
        assert_eq!(cpus(plan(Pin::Compact, None)), [0, 1, 2, 3, 0]);
        assert_eq!(
            cpus(plan(Pin::List(vec![3]), Some(Pin::List(vec![0, 1])))),
            [3, 3, 0, 1, 0]
        );
        assert_eq!(cpus(plan(Pin::None, Some(Pin::Compact))), [-1, -1, 0, 1, 2]);
    }

    #[test]
    fn workers_of_one_node_are_on_its_processors_only() {
        let cpus: Vec<Cpu> = (0..8)
            .map(|id| Cpu {
                id,
                core: id,
                node: id / 4 * 3,
                ..Cpu::default()
            })
            .collect();
        let workload = Workload {
            writers: 3,
            readers: 2,
            pin: Pin::Node(3),
            ..Workload::default()
        };
        let plan = Plan::new(&workload, &cpus);
        assert_eq!(plan.cpus, [4, 5, 6, 7, 4].map(Some));
        assert_eq!((plan.processors, plan.oversubscribed), (4, true));
        assert_eq!(plan.check(&workload), Ok(()));
        let nowhere = Workload {
            pin: Pin::Node(1),
            ..workload
        };
        let refused = Plan::new(&nowhere, &cpus).check(&nowhere).unwrap_err();
        assert!(
            refused.contains("node:1") && refused.contains("--pin"),
            "{refused}"
        );
    }

    #[test]
    fn more_workers_than_processors_are_noticed() {
        assert!(plan(Pin::None, None).oversubscribed);
        let two = plan(Pin::List(vec![1]), Some(Pin::List(vec![2])));
        assert_eq!((two.processors, two.oversubscribed), (2, true));
        let cpus: Vec<Cpu> = (0..4)
            .map(|id| Cpu {
                id,
                core: id,
                ..Cpu::default()
            })
            .collect();
        let few = Workload {
            writers: 1,
            readers: 3,
            ..Workload::default()
        };
        assert!(!Plan::new(&few, &cpus).oversubscribed);
    }
}
