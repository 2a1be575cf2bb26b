//! Where the values of each writer lie, page by page. A page that holds values of writers on different nodes
//! can only be on one of them: such pages are counted apart.

use super::asked;
use super::plan::Plan;
use super::topology::Cpu;
use crate::keys::{self, Family};
use crate::record::LanePages;
use crate::workload::Workload;
use splinter::Store;
use std::collections::{BTreeMap, BTreeSet};

/// Finds out where the values of each writer lie. Writers without a processor of their own have no node,
/// and are left out.
///
/// # Errors
/// What the kernel says.
pub(crate) fn look(
    workload: &Workload,
    plan: &Plan,
    available: &[Cpu],
    store: &Store,
    page_bytes: u64,
) -> Result<Vec<LanePages>, String> {
    let page = usize::try_from(page_bytes.max(1)).unwrap_or(usize::MAX);
    let mut lanes = Vec::new();
    for (writer, cpu) in (0..workload.writers).zip(&plan.cpus) {
        let Some(cpu) = available.iter().find(|known| Some(known.id) == *cpu) else {
            continue;
        };
        let node = u32::try_from(cpu.node).unwrap_or(u32::MAX);
        let mut pages = BTreeSet::new();
        for index in workload.writer_keys(writer).values {
            let Ok(view) = store.view(keys::name(Family::Value, index)) else {
                continue;
            };
            // The kernel knows of a page only what this process has mapped in.
            let _ = view.bytes().map(u64::from).sum::<u64>();
            let first = view.as_ptr() as usize;
            let last = first + view.len().max(1) - 1;
            pages.extend(first / page..=last / page);
        }
        lanes.push((writer, node, pages));
    }
    count(&lanes, |pages| {
        let addresses: Vec<usize> = pages.iter().map(|number| number * page).collect();
        asked::nodes_of(&addresses).map_err(|error| format!("pages are not told of: {error}"))
    })
}

/// Counts the pages of each writer by node, those apart that belong to writers of different nodes.
fn count(
    lanes: &[(u32, u32, BTreeSet<usize>)],
    ask: impl Fn(&[usize]) -> Result<Vec<Option<u32>>, String>,
) -> Result<Vec<LanePages>, String> {
    let mut owners: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
    for (_, node, pages) in lanes {
        for &page in pages {
            owners.entry(page).or_default().insert(*node);
        }
    }
    let asked: Vec<usize> = owners.keys().copied().collect();
    let told: BTreeMap<usize, Option<u32>> = asked.iter().copied().zip(ask(&asked)?).collect();
    let counted = lanes.iter().map(|(writer, node, pages)| {
        let mut lane = LanePages {
            writer: *writer,
            node: *node,
            ..LanePages::default()
        };
        for page in pages {
            match told[page] {
                _ if owners[page].len() > 1 => lane.shared += 1,
                Some(at) => *lane.nodes.entry(at).or_default() += 1,
                None => lane.unknown += 1,
            }
        }
        lane
    });
    Ok(counted.collect())
}

/// Says what of the writers' pages is not where they run, and which share of them is. A writer without a
/// page of its own, or of whose pages nothing is told, shows nothing and counts as misplaced.
#[must_use]
pub(crate) fn judge(lanes: &[LanePages]) -> (f64, Option<String>) {
    let own = |lane: &LanePages| lane.nodes.get(&lane.node).copied().unwrap_or(0);
    let here: u64 = lanes.iter().map(own).sum();
    let all: u64 = lanes
        .iter()
        .map(|lane| lane.nodes.values().sum::<u64>() + lane.unknown)
        .sum();
    let bad = lanes
        .iter()
        .find(|lane| own(lane) == 0 || lane.unknown > 0 || lane.nodes.len() > 1);
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
    fn lanes() -> Vec<(u32, u32, BTreeSet<usize>)> {
        let pages = |range: std::ops::RangeInclusive<usize>| range.collect();
        vec![
            (0, 0, pages(0..=4)),
            (1, 0, pages(4..=8)),
            (2, 1, pages(8..=12)),
        ]
    }

    #[test]
    fn pages_between_writers_of_different_nodes_are_counted_apart() {
        let told = |asked: &[usize]| {
            Ok(asked
                .iter()
                .map(|page| Some(u32::from(*page > 7)))
                .collect())
        };
        let found = count(&lanes(), told).unwrap();
        let own: Vec<_> = found
            .iter()
            .map(|lane| (lane.nodes.clone(), lane.shared))
            .collect();
        assert_eq!(
            own,
            [
                (BTreeMap::from([(0, 5)]), 0),
                (BTreeMap::from([(0, 4)]), 1),
                (BTreeMap::from([(1, 4)]), 1)
            ]
        );
        assert_eq!(judge(&found), (1.0, None));
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
        let nothing = LanePages {
            node: 1,
            ..LanePages::default()
        };
        assert!(judge(&[nothing]).1.is_some());
        assert!(judge(&[]).1.is_some());
    }
}
