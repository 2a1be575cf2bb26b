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
    /// `per-writer` only: pages of a writer's values.
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
    let mut writers = Vec::new();
    for (writer, cpu) in (0..workload.writers).zip(&plan.cpus) {
        let Some(cpu) = cpu.and_then(|cpu| machine.processor(cpu)) else {
            continue;
        };
        let mut touched = Touched { writer, node: cpu.node, ..Touched::default() };
        for index in workload.writer_keys(writer).of(Family::Value) {
            let Ok(view) = store.view(keys::name(Family::Value, index)) else {
                continue;
            };
            // The kernel knows of a page only what this process has mapped in.
            let _ = view.bytes().map(u64::from).sum::<u64>();
            let first = view.as_ptr() as usize;
            let last = first + view.len().max(1) - 1;
            touched.pages.extend(first / page..=last / page);
            // A value has two buffers, side by side; which of them this is cannot be seen.
            let near = first.saturating_sub(buffer)..first + 2 * buffer;
            touched.touched.extend(near.start / page..=(near.end - 1) / page);
        }
        writers.push(touched);
    }
    count(&writers, |pages| {
        let addresses: Vec<usize> = pages.iter().map(|number| number * page).collect();
        let here = splinter::numa_nodes();
        match kernel::nodes_of(&addresses) {
            // Sandboxes deny the call; with one node there is only one answer.
            Err(error)
                if here.len() == 1 && matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) =>
            {
                Ok(vec![Some(here[0]); addresses.len()])
            }
            nodes => nodes.map_err(|error| format!("the kernel does not say where pages are: {error}")),
        }
    })
}

/// One writer's pages, by number.
#[derive(Clone, Debug, Default)]
struct Touched {
    writer: u32,
    node: u32,
    /// Those that hold its values.
    pages: BTreeSet<usize>,
    /// Those that it may have touched: where the buffers of its keys can be.
    touched: BTreeSet<usize>,
}

/// Counts the pages of each writer by node, those apart that writers of different nodes may have touched.
fn count(
    writers: &[Touched],
    ask: impl Fn(&[usize]) -> Result<Vec<Option<u32>>, String>,
) -> Result<Vec<WriterPages>, String> {
    let mut owners: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
    for writer in writers {
        for &page in &writer.touched {
            owners.entry(page).or_default().insert(writer.node);
        }
    }
    let asked: Vec<usize> = owners.keys().copied().collect();
    let node_of: BTreeMap<usize, Option<u32>> = asked.iter().copied().zip(ask(&asked)?).collect();
    let counted = writers.iter().map(|writer| {
        let mut counted = WriterPages { writer: writer.writer, node: writer.node, ..WriterPages::default() };
        for page in &writer.pages {
            match node_of.get(page).copied().flatten() {
                _ if owners.get(page).is_some_and(|nodes| nodes.len() > 1) => counted.shared += 1,
                Some(at) => *counted.nodes.entry(at).or_default() += 1,
                None => counted.unknown += 1,
            }
        }
        counted
    });
    Ok(counted.collect())
}

/// Describes the writers' pages that are not where they run, and the share that is. A writer without a
/// page of its own, or whose pages are unknown, shows nothing and counts as misplaced.
#[must_use]
pub(crate) fn judge(writers: &[WriterPages]) -> (f64, Option<String>) {
    let own = |writer: &WriterPages| writer.nodes.get(&writer.node).copied().unwrap_or(0);
    let here: u64 = writers.iter().map(own).sum();
    let all: u64 = writers.iter().map(|writer| writer.nodes.values().sum::<u64>() + writer.unknown).sum();
    let bad = writers.iter().find(|writer| own(writer) == 0 || writer.unknown > 0 || writer.nodes.len() > 1);
    let fault = match bad {
        Some(writer) => Some(format!(
            "writer {} runs on node {} and its values lie on {:?}, {} pages unknown",
            writer.writer, writer.node, writer.nodes, writer.unknown
        )),
        None if writers.is_empty() => Some("no writer has a processor of its own".to_owned()),
        None => None,
    };
    (here as f64 / all.max(1) as f64, fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three writers, the first two on node 0: they share a page, and writers 1 and 2 another one.
    fn writers() -> Vec<Touched> {
        let touched = |writer, node, pages: std::ops::RangeInclusive<usize>| Touched {
            writer,
            node,
            pages: pages.clone().collect(),
            touched: pages.collect(),
        };
        vec![touched(0, 0, 0..=4), touched(1, 0, 4..=8), touched(2, 1, 8..=12)]
    }

    #[test]
    fn pages_between_writers_of_different_nodes_are_counted_apart() {
        let kernel = |asked: &[usize]| Ok(asked.iter().map(|page| Some(u32::from(*page > 7))).collect());
        let found = count(&writers(), kernel).unwrap();
        let own: Vec<_> = found.iter().map(|writer| (writer.nodes.clone(), writer.shared)).collect();
        assert_eq!(
            own,
            [(BTreeMap::from([(0, 5)]), 0), (BTreeMap::from([(0, 4)]), 1), (BTreeMap::from([(1, 4)]), 1)]
        );
        assert_eq!(judge(&found), (1.0, None));
    }

    #[test]
    fn a_page_that_a_neighbour_may_have_touched_first_is_nobodys_fault() {
        let mut writers = writers();
        writers[1].touched.insert(9);
        let kernel = |asked: &[usize]| Ok(asked.iter().map(|page| Some(u32::from(*page > 9))).collect());
        let found = count(&writers, kernel).unwrap();
        assert_eq!((found[2].shared, judge(&found).1), (2, None));
    }

    #[test]
    fn one_page_elsewhere_or_unknown_is_a_fault() {
        for elsewhere in [Some(0), Some(2), None] {
            let kernel = |asked: &[usize]| {
                let node = |&page: &usize| match page {
                    12 => elsewhere,
                    page => Some(u32::from(page > 7)),
                };
                Ok(asked.iter().map(node).collect())
            };
            let (share, fault) = judge(&count(&writers(), kernel).unwrap());
            assert!(share < 1.0);
            assert!(fault.unwrap().starts_with("writer 2 runs on node 1"));
        }
        let nothing = WriterPages { node: 1, ..WriterPages::default() };
        assert!(judge(&[nothing]).1.is_some());
        assert!(judge(&[]).1.is_some());
    }
}
