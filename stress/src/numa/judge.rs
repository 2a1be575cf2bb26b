//! Decides: whether the machine is the one asked for, whether three accounts of the same pages agree, and
//! whether the pages are where they were to be. Pure.

use super::machine::{Machine, list};
use super::maps::MapsLine;
use super::record::{NumaPlan, NumaRow};
use crate::cpulist;
use crate::options::Pin;
use crate::record::WorkerPlacement;
use std::collections::{BTreeMap, BTreeSet};

/// How far from an even share a node's part of interleaved pages may be: only touched pages count, and
/// those need not be spread evenly.
const UNEVEN: f64 = 0.02;

/// Three accounts of the pages of one store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accounts {
    /// The store's own, and pages of which it cannot tell.
    pub store: BTreeMap<u32, u64>,
    /// See `store`.
    pub unknown: u64,
    /// By `move_pages`, called for each page of the mapping.
    pub asked: BTreeMap<u32, u64>,
    /// By `numa_maps`.
    pub maps: MapsLine,
}

/// Where pages are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All on one node.
    On(u32),
    /// Spread evenly over these.
    Over(Vec<u32>),
}

impl Accounts {
    /// Says what is wrong: accounts that differ, pages elsewhere, a policy other than the one asked for.
    pub(super) fn faults(&self, wanted: &Wanted, policy: Option<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        if self.store != self.asked {
            let (store, asked) = (&self.store, &self.asked);
            faults.push(format!("the store says {store:?}, move_pages {asked:?}"));
        }
        if self.unknown > 0 {
            faults.push(format!("{} pages are nowhere", self.unknown));
        }
        if self.maps.pages != self.asked {
            let (maps, asked) = (&self.maps.pages, &self.asked);
            faults.push(format!("numa_maps says {maps:?}, move_pages {asked:?}"));
        }
        if policy.is_some_and(|policy| policy != self.maps.policy) {
            let (policy, asked) = (&self.maps.policy, policy.unwrap_or_default());
            faults.push(format!("the policy is {policy}, not {asked}"));
        }
        faults.extend(misplaced(&self.asked, wanted));
        faults
    }
}

/// Says what of some pages is not where it was to be. No pages at all show nothing, and are a fault.
pub(super) fn misplaced(pages: &BTreeMap<u32, u64>, wanted: &Wanted) -> Option<String> {
    let all: u64 = pages.values().sum();
    let nodes: BTreeSet<u32> = match wanted {
        Wanted::On(node) => [*node].into(),
        Wanted::Over(nodes) => nodes.iter().copied().collect(),
    };
    if all == 0 {
        return Some("there are no pages".to_owned());
    }
    let elsewhere: u64 = pages
        .iter()
        .filter(|(node, _)| !nodes.contains(node))
        .map(|(_, count)| count)
        .sum();
    if elsewhere > 0 {
        return Some(format!("{elsewhere} of {all} pages are elsewhere"));
    }
    let even = 1.0 / nodes.len() as f64;
    let uneven = nodes.iter().find_map(|node| {
        let share = pages.get(node).copied().unwrap_or(0) as f64 / all as f64;
        ((share - even).abs() > UNEVEN).then_some((node, share))
    });
    uneven.map(|(node, share)| format!("node {node} has {:.1} % of the pages", share * 100.0))
}

/// Judges the machine itself.
pub(super) fn machine(plan: &NumaPlan, machine: &Machine) -> Vec<NumaRow> {
    let nodes = machine.with_memory().count();
    let processors: usize = machine.nodes.iter().map(|node| node.processors.len()).sum();
    let mut rows = vec![
        enough("nodes with memory", plan.nodes, nodes),
        enough("processors", plan.processors, processors),
    ];
    if !plan.expect.is_empty() {
        let said: Vec<u32> = plan.expect.iter().map(|node| node.id).collect();
        let there: Vec<u32> = machine.nodes.iter().map(|node| node.id).collect();
        let wrong = (said != there).then(|| "other nodes than said".to_owned());
        rows.push(NumaRow::new(
            "nodes",
            list(&said),
            list(&there),
            wrong.into_iter().collect(),
        ));
    }
    for node in &machine.nodes {
        let line = |processors: &[usize], distances: &[u32]| {
            let processors = cpulist::print(processors);
            format!("processors {processors}, distances {}", list(distances))
        };
        let found = line(&node.processors, &node.distances);
        let said = plan.expect.iter().find(|said| said.id == node.id);
        let asked = said.map(|said| line(&said.processors, &said.distances));
        let wrong = asked.as_ref().filter(|asked| **asked != found);
        let reasons = wrong
            .map(|_| "not as said".to_owned())
            .into_iter()
            .collect();
        let asked = asked.unwrap_or_else(|| "whatever it is".to_owned());
        rows.push(NumaRow::new(
            format!("node {}", node.id),
            asked,
            found,
            reasons,
        ));
    }
    rows
}

fn enough(what: &str, asked: Option<usize>, found: usize) -> NumaRow {
    let short = asked.filter(|&asked| found < asked);
    let reason = short.map(|asked| format!("{asked} were asked for and {found} are there"));
    let asked = asked.map_or_else(|| "any".to_owned(), |asked| format!("{asked} or more"));
    NumaRow::new(what, asked, found.to_string(), reason.into_iter().collect())
}

/// Says what is wrong with where workers ran: elsewhere than on their processors, on another node than
/// those are of, or not as the policy has it.
pub(super) fn pinned(policy: &Pin, machine: &Machine, workers: &[WorkerPlacement]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seats = Vec::new();
    for worker in workers {
        let (number, footing) = (worker.worker, &worker.footing);
        let seat = match footing.observed.iter().collect::<Vec<_>>()[..] {
            [&cpu] if footing.requested == Some(cpu) && footing.pinned => cpu,
            _ => {
                let (asked, seen) = (footing.requested, &footing.observed);
                faults.push(format!(
                    "worker {number} was to be on {asked:?} and was on {seen:?}"
                ));
                continue;
            }
        };
        let node = machine.node_of(seat);
        if node.is_none() || node != footing.observed_node {
            let seen = footing.observed_node;
            faults.push(format!(
                "worker {number} was on node {seen:?}, and {seat} is of {node:?}"
            ));
        }
        seats.push((seat, node.unwrap_or(u32::MAX)));
    }
    if workers.is_empty() {
        faults.push("nobody ran".to_owned());
    }
    if faults.is_empty() {
        faults.extend(as_policy(policy, machine, &seats));
    }
    faults
}

/// Says what is wrong with the order in which a policy gave away processors: `(processor, node)` by worker.
fn as_policy(policy: &Pin, machine: &Machine, seats: &[(usize, u32)]) -> Option<String> {
    let room = |node: u32| {
        let node = machine.nodes.iter().find(|known| known.id == node);
        node.map_or(0, |node| node.usable.len())
    };
    let all: usize = machine.nodes.iter().map(|node| node.usable.len()).sum();
    let mut taken = BTreeSet::new();
    let mut by_node: BTreeMap<u32, usize> = BTreeMap::new();
    for (worker, &(seat, node)) in seats.iter().enumerate() {
        let fault = match policy {
            Pin::None => None,
            Pin::List(list) => (list.get(worker % list.len().max(1)) != Some(&seat))
                .then(|| "not in the order of the list".to_owned()),
            Pin::Node(only) => {
                (node as usize != *only).then(|| format!("on node {node}, not {only}"))
            }
            Pin::Compact | Pin::Scatter if taken.len() >= all => None,
            Pin::Compact => {
                let begun = by_node
                    .iter()
                    .find(|&(&other, &count)| other != node && count < room(other));
                begun.map(|(other, _)| format!("on node {node} before node {other} was full"))
            }
            Pin::Scatter => {
                let here = by_node.get(&node).copied().unwrap_or(0);
                let emptier = machine.with_processors().find(|other| {
                    let there = by_node.get(&other.id).copied().unwrap_or(0);
                    there < here && there < room(other.id)
                });
                emptier.map(|other| format!("on node {node} when node {} was emptier", other.id))
            }
        };
        if let Some(fault) = fault {
            return Some(format!("worker {worker} is {fault}"));
        }
        let free = !matches!(policy, Pin::List(_)) && taken.len() < all;
        if !taken.insert(seat) && free && !matches!(policy, Pin::Node(_)) {
            return Some(format!(
                "two workers on processor {seat} while others are free"
            ));
        }
        *by_node.entry(node).or_default() += 1;
    }
    match policy {
        Pin::Node(only) => crowded(room(*only as u32), seats),
        _ => None,
    }
}

/// Says which processor has more workers than its even share, of seats that are all on a node with so many processors.
fn crowded(processors: usize, seats: &[(usize, u32)]) -> Option<String> {
    let share = seats.len().div_ceil(processors.max(1));
    let mut workers: BTreeMap<usize, usize> = BTreeMap::new();
    for (seat, _) in seats {
        *workers.entry(*seat).or_default() += 1;
    }
    let most = workers.into_iter().find(|&(_, count)| count > share);
    most.map(|(seat, count)| format!("{count} workers on processor {seat}, not {share} at most"))
}

#[cfg(test)]
mod tests {
    use super::super::machine::MachineNode;
    use super::*;
    use crate::placement::Footing;
    use crate::record::Verdict;
    use crate::worker::Role;

    fn pages(pages: &[(u32, u64)]) -> BTreeMap<u32, u64> {
        pages.iter().copied().collect()
    }

    fn accounts(on: &[(u32, u64)], policy: &str) -> Accounts {
        let maps = MapsLine {
            policy: policy.to_owned(),
            pages: pages(on),
        };
        Accounts {
            store: pages(on),
            unknown: 0,
            asked: pages(on),
            maps,
        }
    }

    #[test]
    fn one_page_elsewhere_is_found() {
        assert_eq!(misplaced(&pages(&[(1, 1000)]), &Wanted::On(1)), None);
        for elsewhere in [&[(0, 1), (1, 999)][..], &[(0, 1000)], &[]] {
            assert!(misplaced(&pages(elsewhere), &Wanted::On(1)).is_some());
        }
    }

    #[test]
    fn uneven_interleaving_is_found() {
        let over = |nodes: &[u32]| Wanted::Over(nodes.to_vec());
        let even = pages(&[(0, 250), (1, 251), (2, 250), (3, 249)]);
        assert_eq!(misplaced(&even, &over(&[0, 1, 2, 3])), None);
        assert!(misplaced(&even, &over(&[0, 1, 2])).is_some());
        assert!(misplaced(&pages(&[(0, 500), (1, 500)]), &over(&[0, 1, 2])).is_some());
        assert!(misplaced(&pages(&[(0, 600), (1, 400)]), &over(&[0, 1])).is_some());
    }

    #[test]
    fn accounts_that_differ_are_found_whichever_is_wrong() {
        let good = accounts(&[(1, 9)], "bind:1");
        assert_eq!(good.faults(&Wanted::On(1), Some("bind:1")), [""; 0]);
        let wrong = pages(&[(1, 8)]);
        let broken = [
            Accounts {
                store: wrong.clone(),
                ..good.clone()
            },
            Accounts {
                asked: wrong.clone(),
                ..good.clone()
            },
            Accounts {
                maps: MapsLine {
                    policy: "bind:1".to_owned(),
                    pages: wrong,
                },
                ..good.clone()
            },
            Accounts {
                unknown: 1,
                ..good.clone()
            },
            accounts(&[(1, 9)], "default"),
            accounts(&[(1, 8), (2, 1)], "bind:1"),
        ];
        for accounts in broken {
            assert_ne!(
                accounts.faults(&Wanted::On(1), Some("bind:1")),
                [""; 0],
                "{accounts:?}"
            );
        }
    }

    fn two_nodes() -> Machine {
        let node = |id: u32, distances: &[u32]| MachineNode {
            id,
            processors: vec![id as usize],
            memory: true,
            distances: distances.to_vec(),
            ..MachineNode::default()
        };
        Machine {
            nodes: vec![node(0, &[10, 20]), node(1, &[20, 10])],
            ..Machine::default()
        }
    }

    fn judged(nodes: Option<usize>, processors: Option<usize>, expect: &[&str]) -> Verdict {
        let plan = NumaPlan {
            nodes,
            processors,
            expect: expect.iter().map(|text| text.parse().unwrap()).collect(),
            machine_only: false,
            ops: 1,
            seed: 1,
            plant: None,
        };
        super::super::verdict(&machine(&plan, &two_nodes()))
    }

    #[test]
    fn a_machine_with_fewer_nodes_or_processors_than_asked_fails() {
        assert_eq!(judged(None, None, &[]), Verdict::Pass);
        assert_eq!(judged(Some(2), Some(2), &[]), Verdict::Pass);
        assert_eq!(judged(Some(3), None, &[]), Verdict::Fail);
        assert_eq!(judged(None, Some(3), &[]), Verdict::Fail);
    }

    #[test]
    fn a_machine_that_is_not_as_said_fails() {
        assert_eq!(
            judged(None, None, &["0=0/10,20", "1=1/20,10"]),
            Verdict::Pass
        );
        for wrong in [
            &["0=0/10,20", "1=1/21,10"][..],
            &["0=0-1/10,20", "1=1/20,10"],
            &["0=0/10,20"],
            &["0=0/10,20", "1=1/20,10", "2=2/10"],
        ] {
            assert_eq!(judged(None, None, wrong), Verdict::Fail, "{wrong:?}");
        }
    }

    /// Two nodes of two processors each, 0 and 1 on the first.
    fn four() -> Machine {
        let node = |id: u32| MachineNode {
            id,
            processors: vec![id as usize * 2, id as usize * 2 + 1],
            usable: vec![id as usize * 2, id as usize * 2 + 1],
            memory: true,
            ..MachineNode::default()
        };
        Machine {
            nodes: vec![node(0), node(1)],
            ..Machine::default()
        }
    }

    fn crew(cpus: &[usize]) -> Vec<WorkerPlacement> {
        let seat = |(worker, &cpu): (usize, &usize)| WorkerPlacement {
            worker: worker as u32,
            role: Role::Writer,
            footing: Footing {
                requested: Some(cpu),
                pinned: true,
                observed_start: Some(cpu),
                observed_end: Some(cpu),
                observed: [cpu].into(),
                observed_node: Some(cpu as u32 / 2),
                migrations: 0,
                migrations_source: "kernel".to_owned(),
            },
        };
        cpus.iter().enumerate().map(seat).collect()
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
            (Pin::List(vec![3, 0]), &[3, 0, 3]),
        ];
        for (policy, cpus) in good {
            assert_eq!(
                pinned(&policy, &four(), &crew(cpus)),
                [""; 0],
                "{policy} {cpus:?}"
            );
        }
        let bad = [
            (Pin::Compact, &[0, 2, 1, 3][..]),
            (Pin::Compact, &[0, 0]),
            (Pin::Scatter, &[0, 1, 2, 3]),
            (Pin::Scatter, &[0, 2, 0]),
            (Pin::Node(1), &[2, 1]),
            (Pin::Node(1), &[2, 2]),
            (Pin::Node(1), &[2, 2, 2, 3]),
            (Pin::List(vec![3, 0]), &[0, 3]),
            (Pin::Compact, &[]),
        ];
        for (policy, cpus) in bad {
            assert_ne!(
                pinned(&policy, &four(), &crew(cpus)),
                [""; 0],
                "{policy} {cpus:?}"
            );
        }
    }

    #[test]
    fn a_worker_that_was_elsewhere_for_a_moment_is_found() {
        let spoilt = |spoil: fn(&mut Footing)| {
            let mut workers = crew(&[0, 1, 2]);
            spoil(&mut workers[1].footing);
            pinned(&Pin::Compact, &four(), &workers)
        };
        assert_eq!(spoilt(|_| {}), [""; 0]);
        assert_ne!(spoilt(|footing| footing.observed.extend([3])), [""; 0]);
        assert_ne!(spoilt(|footing| footing.observed_node = Some(1)), [""; 0]);
        assert_ne!(spoilt(|footing| footing.observed_node = None), [""; 0]);
        assert_ne!(spoilt(|footing| footing.pinned = false), [""; 0]);
        assert_ne!(spoilt(|footing| footing.requested = None), [""; 0]);
    }
}
