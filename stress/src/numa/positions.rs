//! Decides whether workers were where a policy has them, from what they saw: by the policy's own words, not by
//! the plan. Pure.

use crate::options::Pin;
use crate::options::Role;
use crate::record::WorkerPlacement;
use splinter_harness::machine::{Machine, Processor};
use std::collections::{BTreeMap, BTreeSet};

/// Where a worker was.
#[derive(Clone, Copy, Debug)]
struct Position {
    at: Processor,
    writes: bool,
}

/// Describes what is wrong with the positions of workers: elsewhere than on their processors, on another node than
/// those are of, or not as the policy has it.
pub(super) fn pinned(policy: &Pin, machine: &Machine, workers: &[WorkerPlacement]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut positions = Vec::new();
    for worker in workers {
        let (number, affinity) = (worker.worker, &worker.affinity);
        let position = match affinity.observed.iter().collect::<Vec<_>>()[..] {
            [&cpu] if affinity.requested == Some(cpu) && affinity.pinned => cpu,
            _ => {
                let (asked, seen) = (affinity.requested, &affinity.observed);
                faults.push(format!("worker {number} was to be on {asked:?} and was on {seen:?}"));
                continue;
            }
        };
        let known = machine.processor(position);
        let node = known.map(|known| known.node);
        if node.is_none() || node != affinity.observed_node {
            let seen = affinity.observed_node;
            faults.push(format!("worker {number} was on node {seen:?}, and {position} is of {node:?}"));
        }
        positions.extend(known.map(|&at| Position { at, writes: worker.role == Role::Writer }));
    }
    if workers.is_empty() {
        faults.push("nobody ran".to_owned());
    }
    if faults.is_empty() {
        faults.extend(as_policy(policy, machine, &positions));
    }
    faults
}

/// Describes what is wrong with the processors that a policy gave away.
fn as_policy(policy: &Pin, machine: &Machine, positions: &[Position]) -> Option<String> {
    match policy {
        Pin::None => None,
        Pin::List(list) => {
            let wrong =
                positions.iter().zip(list.iter().cycle()).position(|(position, &cpu)| position.at.id != cpu);
            wrong.map(|worker| format!("worker {worker} is not in the order of the list"))
        }
        Pin::Compact | Pin::Scatter => in_order(policy, machine, positions),
        Pin::Node(only) => inside(machine, positions, |cpu| cpu.node as usize == *only),
        Pin::Llc(only) => inside(machine, positions, |cpu| cpu.cache == Some(*only)),
        Pin::PerNode => dealt(machine, positions, |cpu| Some(cpu.node as usize)),
        Pin::PerLlc => dealt(machine, positions, |cpu| cpu.cache),
        Pin::PerCore => {
            let mut threads: BTreeMap<usize, usize> = BTreeMap::new();
            for Position { at, .. } in positions {
                let thread = *threads.entry(at.core).or_insert(at.id);
                if thread != at.id {
                    return Some(format!("{thread} and {} are of one core", at.id));
                }
            }
            let cores: BTreeSet<usize> = machine.usable().map(|cpu| cpu.core).collect();
            crowded(cores.len(), positions)
        }
    }
}

/// Names a compact or scattered worker that came too early to a node, or to a processor.
fn in_order(policy: &Pin, machine: &Machine, positions: &[Position]) -> Option<String> {
    let room = |node: u32| {
        let node = machine.nodes.iter().find(|known| known.id == node);
        node.map_or(0, |node| node.usable.len())
    };
    let all = machine.usable().count();
    let mut taken = BTreeSet::new();
    let mut by_node: BTreeMap<u32, usize> = BTreeMap::new();
    for (worker, Position { at, .. }) in positions.iter().enumerate() {
        if taken.len() >= all {
            return None;
        }
        let node = at.node;
        let fault = if *policy == Pin::Compact {
            let mut others = by_node.iter();
            let begun = others.find(|&(&other, &count)| other != node && count < room(other));
            begun.map(|(other, _)| format!("on node {node} before node {other} was full"))
        } else {
            let here = by_node.get(&node).copied().unwrap_or(0);
            let emptier = machine.with_processors().find(|other| {
                let there = by_node.get(&other.id).copied().unwrap_or(0);
                there < here && there < room(other.id)
            });
            emptier.map(|other| format!("on node {node} when node {} was emptier", other.id))
        };
        if let Some(fault) = fault {
            return Some(format!("worker {worker} is {fault}"));
        }
        if !taken.insert(at.id) {
            let position = at.id;
            return Some(format!("two workers on processor {position} while others are free"));
        }
        *by_node.entry(node).or_default() += 1;
    }
    None
}

/// Names a worker that is not inside a part of the machine, or is crowded there.
fn inside(machine: &Machine, positions: &[Position], part: impl Fn(&Processor) -> bool) -> Option<String> {
    let outside = positions.iter().find(|position| !part(&position.at));
    let outside = outside.map(|position| format!("a worker is on processor {}", position.at.id));
    outside.or_else(|| crowded(machine.usable().filter(|cpu| part(cpu)).count(), positions))
}

/// Says what is uneven about workers that were dealt to parts of the machine: writers and others have to be
/// dealt each in equal shares that hang together.
fn dealt(
    machine: &Machine,
    positions: &[Position],
    part: impl Fn(&Processor) -> Option<usize>,
) -> Option<String> {
    let parts: BTreeSet<Option<usize>> = machine.usable().map(&part).collect();
    for writes in [true, false] {
        let role: Vec<_> = positions.iter().filter(|position| position.writes == writes).collect();
        let mut shares: BTreeMap<Option<usize>, usize> = BTreeMap::new();
        let mut last = None;
        for position in &role {
            let part = part(&position.at);
            if shares.contains_key(&part) && last != Some(part) {
                return Some(format!("processor {} has workers of two shares", position.at.id));
            }
            *shares.entry(part).or_default() += 1;
            last = Some(part);
        }
        let most = shares.values().max().copied().unwrap_or(0);
        let least = parts.iter().map(|part| shares.get(part).copied().unwrap_or(0)).min();
        if most > least.unwrap_or(0) + 1 {
            return Some(format!("the shares of {} workers are {shares:?}", role.len()));
        }
    }
    parts.into_iter().find_map(|known| {
        let here = |cpu: &&Processor| part(cpu) == known;
        let positions = positions.iter().filter(|position| part(&position.at) == known);
        crowded(machine.usable().filter(here).count(), &positions.copied().collect::<Vec<_>>())
    })
}

/// Says which processor has more workers than its even share, of positions that are all on so many processors.
fn crowded(processors: usize, positions: &[Position]) -> Option<String> {
    let share = positions.len().div_ceil(processors.max(1));
    let mut workers: BTreeMap<usize, usize> = BTreeMap::new();
    for position in positions {
        *workers.entry(position.at.id).or_default() += 1;
    }
    let most = workers.into_iter().find(|&(_, count)| count > share);
    most.map(|(position, count)| format!("{count} workers on processor {position}, not {share} at most"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::Affinity;
    use splinter_harness::machine::made_up::made_up;

    /// Two nodes of two processors each, 0 and 1 on the first, each a core of its own.
    fn four() -> Machine {
        made_up(&[(0, 0, 0, 0), (0, 0, 0, 1), (1, 0, 1, 2), (1, 0, 1, 3)])
    }

    /// The same where two processors are a core.
    fn siblings() -> Machine {
        made_up(&[(0, 0, 0, 0), (0, 0, 0, 0), (1, 0, 1, 2), (1, 0, 1, 2)])
    }

    /// Workers on these processors, the first half of them writers.
    fn workers_on(cpus: &[usize]) -> Vec<WorkerPlacement> {
        let position = |(worker, &cpu): (usize, &usize)| WorkerPlacement {
            worker: worker as u32,
            role: if worker < cpus.len().div_ceil(2) { Role::Writer } else { Role::Reader },
            affinity: Affinity {
                requested: Some(cpu),
                pinned: true,
                observed: [cpu].into(),
                observed_node: Some(cpu as u32 / 2),
                ..Affinity::default()
            },
        };
        cpus.iter().enumerate().map(position).collect()
    }

    #[test]
    fn each_policy_is_told_from_the_others() {
        let good = [
            (Pin::Compact, &[0, 1, 2, 3][..]),
            (Pin::Compact, &[1, 0, 3]),
            (Pin::Scatter, &[0, 2, 1, 3]),
            (Pin::Scatter, &[0, 2, 1, 3, 0]),
            (Pin::Node(1), &[2, 3, 2]),
            (Pin::Node(1), &[3, 2, 2, 3]),
            (Pin::Llc(1), &[3, 2, 2, 3]),
            (Pin::List(vec![3, 0]), &[3, 0, 3]),
            (Pin::PerNode, &[0, 2, 1, 3]),
            (Pin::PerNode, &[0, 1, 2, 3, 0, 1, 2, 3]),
            (Pin::PerLlc, &[0, 1, 2, 0, 3]),
            (Pin::PerCore, &[0, 1, 2, 3, 0]),
        ];
        for (policy, cpus) in good {
            assert_eq!(pinned(&policy, &four(), &workers_on(cpus)), [""; 0], "{policy} {cpus:?}");
        }
        let bad = [
            (Pin::Compact, &[0, 2, 1, 3][..]),
            (Pin::Compact, &[0, 0]),
            (Pin::Scatter, &[0, 1, 2, 3]),
            (Pin::Scatter, &[0, 2, 0]),
            (Pin::Node(1), &[2, 1]),
            (Pin::Node(1), &[2, 2]),
            (Pin::Node(1), &[2, 2, 2, 3]),
            (Pin::Llc(1), &[2, 1]),
            (Pin::Llc(1), &[2, 2]),
            (Pin::List(vec![3, 0]), &[0, 3]),
            (Pin::Compact, &[]),
            // Writers on one node, readers on the other.
            (Pin::PerNode, &[0, 1, 2, 3]),
            // A share in two pieces; one that is too large; two on one of two processors.
            (Pin::PerNode, &[0, 2, 1, 3, 0, 2]),
            (Pin::PerLlc, &[0, 0, 1, 2, 0, 1, 2, 3]),
            (Pin::PerLlc, &[0, 2, 0, 2]),
            (Pin::PerCore, &[0, 1, 0]),
        ];
        for (policy, cpus) in bad {
            assert_ne!(pinned(&policy, &four(), &workers_on(cpus)), [""; 0], "{policy} {cpus:?}");
        }
    }

    #[test]
    fn siblings_share_no_core_among_workers() {
        let judged = |cpus: &[usize]| pinned(&Pin::PerCore, &siblings(), &workers_on(cpus));
        assert_eq!(judged(&[0, 2, 0, 2]), [""; 0]);
        assert_ne!(judged(&[0, 1]), [""; 0]);
        assert_ne!(judged(&[0, 0, 0, 2]), [""; 0]);
    }

    #[test]
    fn a_worker_that_was_elsewhere_for_a_moment_is_found() {
        let spoilt = |spoil: fn(&mut Affinity)| {
            let mut workers = workers_on(&[0, 1, 2]);
            spoil(&mut workers[1].affinity);
            pinned(&Pin::Compact, &four(), &workers)
        };
        assert_eq!(spoilt(|_| {}), [""; 0]);
        assert_ne!(spoilt(|affinity| affinity.observed.extend([3])), [""; 0]);
        assert_ne!(spoilt(|affinity| affinity.observed_node = Some(1)), [""; 0]);
        assert_ne!(spoilt(|affinity| affinity.observed_node = None), [""; 0]);
        assert_ne!(spoilt(|affinity| affinity.pinned = false), [""; 0]);
        assert_ne!(spoilt(|affinity| affinity.requested = None), [""; 0]);
    }
}
