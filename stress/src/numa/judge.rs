//! Decides: whether the machine is the one asked for, whether three accounts of the same pages agree, and
//! whether the pages are where they were to be. Pure.

use super::expected::{described, list};
use super::maps::MapsLine;
use super::record::{NumaPlan, NumaRow};
use splinter_harness::machine::Machine;
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
    /// Describes what is wrong: accounts that differ, pages elsewhere, a policy other than the one asked for.
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

/// Describes pages that are not where they were to be. No pages at all show nothing, and are a fault.
pub(super) fn misplaced(pages: &BTreeMap<u32, u64>, wanted: &Wanted) -> Option<String> {
    let all: u64 = pages.values().sum();
    let nodes: BTreeSet<u32> = match wanted {
        Wanted::On(node) => [*node].into(),
        Wanted::Over(nodes) => nodes.iter().copied().collect(),
    };
    if all == 0 {
        return Some("there are no pages".to_owned());
    }
    let elsewhere: u64 = pages.iter().filter(|(node, _)| !nodes.contains(node)).map(|(_, count)| count).sum();
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
        rows.push(NumaRow::new("nodes", list(&said), list(&there), wrong));
    }
    for node in &machine.nodes {
        let found = described(&node.processors, &node.distances);
        let said = plan.expect.iter().find(|said| said.id == node.id);
        let asked = said.map(|said| described(&said.processors, &said.distances));
        let wrong = asked.as_ref().filter(|asked| **asked != found).map(|_| "not as said".to_owned());
        let asked = asked.unwrap_or_else(|| "whatever it is".to_owned());
        rows.push(NumaRow::new(format!("node {}", node.id), asked, found, wrong));
    }
    rows
}

fn enough(what: &str, asked: Option<usize>, found: usize) -> NumaRow {
    let short = asked.filter(|&asked| found < asked);
    let reason = short.map(|asked| format!("{asked} were asked for and {found} are there"));
    let asked = asked.map_or_else(|| "any".to_owned(), |asked| format!("{asked} or more"));
    NumaRow::new(what, asked, found.to_string(), reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_harness::machine::MachineNode;
    use splinter_harness::verdict::Verdict;

    fn pages(pages: &[(u32, u64)]) -> BTreeMap<u32, u64> {
        pages.iter().copied().collect()
    }

    fn accounts(on: &[(u32, u64)], policy: &str) -> Accounts {
        let maps = MapsLine { policy: policy.to_owned(), pages: pages(on) };
        Accounts { store: pages(on), unknown: 0, asked: pages(on), maps }
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
            Accounts { store: wrong.clone(), ..good.clone() },
            Accounts { asked: wrong.clone(), ..good.clone() },
            Accounts { maps: MapsLine { policy: "bind:1".to_owned(), pages: wrong }, ..good.clone() },
            Accounts { unknown: 1, ..good.clone() },
            accounts(&[(1, 9)], "default"),
            accounts(&[(1, 8), (2, 1)], "bind:1"),
        ];
        for accounts in broken {
            assert_ne!(accounts.faults(&Wanted::On(1), Some("bind:1")), [""; 0], "{accounts:?}");
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
        Machine { nodes: vec![node(0, &[10, 20]), node(1, &[20, 10])], ..Machine::default() }
    }

    fn judged(nodes: Option<usize>, processors: Option<usize>, expect: &[&str]) -> Verdict {
        let plan = NumaPlan {
            nodes,
            processors,
            expect: expect.iter().map(|text| text.parse().unwrap()).collect(),
            ..NumaPlan::default()
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
        assert_eq!(judged(None, None, &["0=0/10,20", "1=1/20,10"]), Verdict::Pass);
        for wrong in [
            &["0=0/10,20", "1=1/21,10"][..],
            &["0=0-1/10,20", "1=1/20,10"],
            &["0=0/10,20"],
            &["0=0/10,20", "1=1/20,10", "2=2/10"],
        ] {
            assert_eq!(judged(None, None, wrong), Verdict::Fail, "{wrong:?}");
        }
    }
}
