//! Where the values of each writer lie, page by page. A page that holds buffers of writers on different nodes
//! can only be on one of them: such pages are counted apart.

use super::plan::Plan;
use crate::keys::{self, Family};
use crate::workload::Workload;
use serde::{Deserialize, Serialize};
use splinter::Store;
use splinter_harness::machine::Machine;
use splinter_harness::machine::kernel;
use std::collections::{BTreeMap, BTreeSet};

/// The pages that hold one writer's values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)]
pub struct WriterPages {
    /// `per-lane` only: pages of a writer's values.
    pub writer: u32,
    pub node: u32,
    pub nodes: BTreeMap<u32, u64>,
    pub unknown: u64,
    /// Pages perhaps first touched from another node; not judged.
    pub shared: u64,
}

/// Finds out where the values of each writer lie. Writers without a processor of their own have no node,
/// and are left out.
///
/// # Errors
/// What the kernel says.
pub(crate) fn look(
    workload: &Workload,
    plan: &Plan,
    machine: &Machine,
    store: &Store,
    page_bytes: u64,
) -> Result<Vec<WriterPages>, String> {
    let page = usize::try_from(page_bytes.max(1)).unwrap_or(usize::MAX);
    let buffer = usize::try_from(workload.longest_value()).unwrap_or(usize::MAX).next_multiple_of(64);
    let mut lanes = Vec::new();
    for (writer, cpu) in (0..workload.writers).zip(&plan.cpus) {
        let Some(cpu) = cpu.and_then(|cpu| machine.processor(cpu)) else {
            continue;
        };
        let mut lane = Lane { writer, node: cpu.node, ..Lane::default() };
        for index in workload.writer_keys(writer).values {
            let Ok(view) = store.view(keys::name(Family::Value, index)) else {
                continue;
            };
            // The kernel knows of a page only what this process has mapped in.
            let _ = view.bytes().map(u64::from).sum::<u64>();
            let first = view.as_ptr() as usize;
            let last = first + view.len().max(1) - 1;
            lane.pages.extend(first / page..=last / page);
            // A value has two buffers, side by side; which of them this is cannot be seen.
            let near = first.saturating_sub(buffer)..first + 2 * buffer;
            lane.touched.extend(near.start / page..=(near.end - 1) / page);
        }
        lanes.push(lane);
    }
    count(&lanes, |pages| {
        let addresses: Vec<usize> = pages.iter().map(|number| number * page).collect();
        let here = splinter::numa_nodes();
        match kernel::nodes_of(&addresses) {
            // Sandboxes deny the call; with one node there is only one answer.
            Err(error)
                if here.len() == 1 && matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) =>
            {
                Ok(vec![Some(here[0]); addresses.len()])
            }
            told => told.map_err(|error| format!("pages are not told of: {error}")),
        }
    })
}

/// One writer's pages, by number.
#[derive(Clone, Debug, Default)]
struct Lane {
    writer: u32,
    node: u32,
    /// Those that hold its values.
    pages: BTreeSet<usize>,
    /// Those that it may have touched: where the buffers of its keys can be.
    touched: BTreeSet<usize>,
}

/// Counts the pages of each writer by node, those apart that writers of different nodes may have touched.
fn count(
    lanes: &[Lane],
    ask: impl Fn(&[usize]) -> Result<Vec<Option<u32>>, String>,
) -> Result<Vec<WriterPages>, String> {
    let mut owners: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
    for lane in lanes {
        for &page in &lane.touched {
            owners.entry(page).or_default().insert(lane.node);
        }
    }
    let asked: Vec<usize> = owners.keys().copied().collect();
    let told: BTreeMap<usize, Option<u32>> = asked.iter().copied().zip(ask(&asked)?).collect();
    let counted = lanes.iter().map(|lane| {
        let mut counted = WriterPages { writer: lane.writer, node: lane.node, ..WriterPages::default() };
        for page in &lane.pages {
            match told.get(page).copied().flatten() {
                _ if owners.get(page).is_some_and(|nodes| nodes.len() > 1) => counted.shared += 1,
                Some(at) => *counted.nodes.entry(at).or_default() += 1,
                None => counted.unknown += 1,
            }
        }
        counted
    });
    Ok(counted.collect())
}

/// Says what of the writers' pages is not where they run, and which share of them is. A writer without a
/// page of its own, or of whose pages nothing is told, shows nothing and counts as misplaced.
#[must_use]
pub(crate) fn judge(lanes: &[WriterPages]) -> (f64, Option<String>) {
    let own = |lane: &WriterPages| lane.nodes.get(&lane.node).copied().unwrap_or(0);
    let here: u64 = lanes.iter().map(own).sum();
    let all: u64 = lanes.iter().map(|lane| lane.nodes.values().sum::<u64>() + lane.unknown).sum();
    let bad = lanes.iter().find(|lane| own(lane) == 0 || lane.unknown > 0 || lane.nodes.len() > 1);
    let fault = match bad {
        Some(lane) => Some(format!(
            "writer {} runs on node {} and its values lie on {:?}, {} pages unknown",
            lane.writer, lane.node, lane.nodes, lane.unknown
        )),
        None if lanes.is_empty() => Some("no writer has a processor of its own".to_owned()),
        None => None,
    };
    (here as f64 / all.max(1) as f64, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three writers, the first two on node 0: they share a page, and writers 1 and 2 another one.
    fn lanes() -> Vec<Lane> {
        let lane = |writer, node, pages: std::ops::RangeInclusive<usize>| Lane {
            writer,
            node,
            pages: pages.clone().collect(),
            touched: pages.collect(),
        };
        vec![lane(0, 0, 0..=4), lane(1, 0, 4..=8), lane(2, 1, 8..=12)]
    }

    #[test]
    fn pages_between_writers_of_different_nodes_are_counted_apart() {
        let told = |asked: &[usize]| Ok(asked.iter().map(|page| Some(u32::from(*page > 7))).collect());
        let found = count(&lanes(), told).unwrap();
        let own: Vec<_> = found.iter().map(|lane| (lane.nodes.clone(), lane.shared)).collect();
        assert_eq!(
            own,
            [(BTreeMap::from([(0, 5)]), 0), (BTreeMap::from([(0, 4)]), 1), (BTreeMap::from([(1, 4)]), 1)]
        );
        assert_eq!(judge(&found), (1.0, None));
    }

    #[test]
    fn a_page_that_a_neighbour_may_have_touched_first_is_nobodys_fault() {
        let mut lanes = lanes();
        lanes[1].touched.insert(9);
        let told = |asked: &[usize]| Ok(asked.iter().map(|page| Some(u32::from(*page > 9))).collect());
        let found = count(&lanes, told).unwrap();
        assert_eq!((found[2].shared, judge(&found).1), (2, None));
    }

    #[test]
    fn one_page_elsewhere_or_unknown_is_a_fault() {
        for elsewhere in [Some(0), Some(2), None] {
            let told = |asked: &[usize]| {
                let node = |&page: &usize| match page {
                    12 => elsewhere,
                    page => Some(u32::from(page > 7)),
                };
                Ok(asked.iter().map(node).collect())
            };
            let (share, fault) = judge(&count(&lanes(), told).unwrap());
            assert!(share < 1.0);
            assert!(fault.unwrap().starts_with("writer 2 runs on node 1"));
        }
        let nothing = WriterPages { node: 1, ..WriterPages::default() };
        assert!(judge(&[nothing]).1.is_some());
        assert!(judge(&[]).1.is_some());
    }
}
