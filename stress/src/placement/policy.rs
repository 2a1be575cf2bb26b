//! What each placement policy makes of a machine: one processor for each worker of some roles. Pure, so that
//! it plans for machines other than this one as well. Knows machines, not workloads.

use crate::options::Pin;
use splinter_harness::cpulist;
use splinter_harness::machine::{Machine, Processor};
use std::collections::{BTreeMap, BTreeSet};

/// Returns the processor of each worker: of roles of these sizes, one behind the other. None where the
/// scheduler chooses.
///
/// # Errors
/// What the machine lacks for it, in words.
pub(crate) fn positions(pin: &Pin, machine: &Machine, sizes: &[usize]) -> Result<Vec<Option<usize>>, String> {
    let workers: usize = sizes.iter().sum();
    if *pin == Pin::None || workers == 0 {
        return Ok(vec![None; workers]);
    }
    let groups = groups(pin, machine)?;
    let groups: Vec<Vec<usize>> = groups.into_iter().filter(|group| !group.is_empty()).collect();
    if groups.is_empty() {
        return Err(format!("no processor of '{pin}' may be used by this process"));
    }
    Ok(deal(&groups, sizes).into_iter().map(Some).collect())
}

/// Returns the groups of processors among which workers are dealt, each in the order in which its
/// processors are taken.
fn groups(pin: &Pin, machine: &Machine) -> Result<Vec<Vec<usize>>, String> {
    let usable = |of: &dyn Fn(&Processor) -> bool| -> Vec<Processor> {
        machine.usable().copied().filter(|cpu| of(cpu)).collect()
    };
    let all = || usable(&|_| true);
    Ok(match pin {
        Pin::None => Vec::new(),
        Pin::Compact => vec![compact(&all())],
        Pin::Scatter => vec![scatter(&all())],
        Pin::PerCore => vec![first_threads(&all())],
        Pin::Node(node) => {
            let known: Vec<usize> = machine.nodes.iter().map(|node| node.id as usize).collect();
            if !known.contains(node) {
                let known = cpulist::print(&known);
                return Err(format!("there is no node {node}, only {known}"));
            }
            vec![compact(&usable(&|cpu| cpu.node as usize == *node))]
        }
        Pin::Llc(cache) => {
            let last = last_cache(pin, machine)?;
            if *cache > last {
                let known = cpulist::print(&(0..=last).collect::<Vec<_>>());
                return Err(format!("there is no last-level cache {cache}, only {known}"));
            }
            vec![compact(&usable(&|cpu| cpu.cache == Some(*cache)))]
        }
        Pin::PerNode => {
            let nodes = machine.nodes.iter();
            let group = |id| scatter(&usable(&|cpu| cpu.node == id));
            nodes.map(|node| group(node.id)).collect()
        }
        Pin::PerLlc => {
            let group = |id| scatter(&usable(&|cpu| cpu.cache == Some(id)));
            (0..=last_cache(pin, machine)?).map(group).collect()
        }
        Pin::List(cpus) => vec![cpus.clone()],
    })
}

/// Returns the highest number of a last-level cache.
fn last_cache(pin: &Pin, machine: &Machine) -> Result<usize, String> {
    machine.caches.len().checked_sub(1).ok_or_else(|| {
        let source = &machine.source;
        format!("'{pin}' wants last-level caches, of which {source} tells nothing")
    })
}

/// Deals each role to the groups in equal contiguous shares. Within a group a later role continues where the earlier
/// ones ended, and from the front again when it is full.
fn deal(groups: &[Vec<usize>], sizes: &[usize]) -> Vec<usize> {
    let mut taken = vec![0; groups.len()];
    let mut positions = Vec::with_capacity(sizes.iter().sum());
    for &size in sizes {
        for worker in 0..size {
            let group = worker * groups.len() / size;
            positions.push(groups[group][taken[group] % groups[group].len()]);
            taken[group] += 1;
        }
    }
    positions
}

/// Orders processors so that neighbours come one after the other: sibling threads, then cores of a
/// cache, a package, a node.
#[must_use]
pub(crate) fn compact(cpus: &[Processor]) -> Vec<usize> {
    sorted(cpus).iter().map(|cpu| cpu.id).collect()
}

fn sorted(cpus: &[Processor]) -> Vec<Processor> {
    let mut cpus = cpus.to_vec();
    cpus.sort_by_key(|cpu| (cpu.node, cpu.package, cpu.cache, cpu.core, cpu.id));
    cpus
}

/// Leaves the first thread of each core, neighbours first.
fn first_threads(cpus: &[Processor]) -> Vec<usize> {
    let mut cores = BTreeSet::new();
    let sorted = sorted(cpus);
    let first = sorted.iter().filter(|cpu| cores.insert(cpu.core));
    first.map(|cpu| cpu.id).collect()
}

/// Orders processors so that neighbours come as late as possible: one core of each node in turn, packages
/// in turn, within a node one of each cache in turn, sibling threads after all cores.
#[must_use]
pub(crate) fn scatter(cpus: &[Processor]) -> Vec<usize> {
    let sorted = sorted(cpus);
    // A node's place among those of its package, so that packages come in turn.
    let (mut nodes, mut in_package) = (BTreeMap::new(), BTreeMap::new());
    for cpu in &sorted {
        let place = || next(&mut in_package, cpu.package);
        nodes.entry(cpu.node).or_insert_with(place);
    }
    let (mut siblings, mut cores) = (BTreeMap::new(), BTreeMap::new());
    let mut caches: BTreeMap<u32, Vec<Option<usize>>> = BTreeMap::new();
    let mut keyed: Vec<_> = sorted
        .iter()
        .map(|cpu| {
            let sibling = next(&mut siblings, cpu.core);
            let core = next(&mut cores, (sibling, cpu.node, cpu.cache));
            let known = caches.entry(cpu.node).or_default();
            let cache = known.iter().position(|&cache| cache == cpu.cache);
            let cache = cache.unwrap_or_else(|| {
                known.push(cpu.cache);
                known.len() - 1
            });
            ((sibling, core, cache, nodes[&cpu.node], cpu.node), cpu.id)
        })
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, id)| id).collect()
}

/// Numbers those that are alike, from 0 on.
fn next<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) -> usize {
    let next = counts.entry(key).or_default();
    *next += 1;
    *next - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_harness::machine::made_up::{made_up, restricted, two_sockets};

    /// Nodes 1 and 4 of two cores with two threads each: siblings last.
    fn small() -> Machine {
        let place = |id: usize| {
            let core = id % 4;
            (if core < 2 { 1 } else { 4 }, core / 2, core / 2, core)
        };
        made_up(&(0..8).map(place).collect::<Vec<_>>())
    }

    fn taken(pin: &str, machine: &Machine, sizes: &[usize]) -> Vec<usize> {
        let positions = positions(&pin.parse().unwrap(), machine, sizes).unwrap();
        positions.into_iter().map(Option::unwrap).collect()
    }

    fn refused(pin: &str, machine: &Machine) -> String {
        positions(&pin.parse().unwrap(), machine, &[1]).unwrap_err()
    }

    #[test]
    fn compact_fills_cores_then_nodes() {
        assert_eq!(taken("compact", &small(), &[9]), [0, 4, 1, 5, 2, 6, 3, 7, 0]);
        let beside = two_sockets(false);
        assert_eq!(taken("compact", &beside, &[32]), (0..32).collect::<Vec<_>>());
        let last = two_sockets(true);
        assert_eq!(taken("compact", &last, &[6]), [0, 16, 1, 17, 2, 18]);
    }

    #[test]
    fn scatter_takes_nodes_in_turn_and_siblings_last() {
        assert_eq!(taken("scatter", &small(), &[8]), [0, 2, 1, 3, 4, 6, 5, 7]);
    }

    #[test]
    fn scatter_takes_packages_in_turn_before_nodes_of_one() {
        let last = taken("scatter", &two_sockets(true), &[32]);
        assert_eq!(last[..8], [0, 8, 4, 12, 1, 9, 5, 13]);
        assert_eq!(last[16..20], [16, 24, 20, 28]);
        let beside = taken("scatter", &two_sockets(false), &[32]);
        assert_eq!(beside[..8], [0, 16, 8, 24, 2, 18, 10, 26]);
        assert_eq!(beside[16..20], [1, 17, 9, 25]);
    }

    #[test]
    fn scatter_takes_caches_of_a_node_in_turn() {
        let machine = made_up(&[(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 2), (0, 0, 1, 3)]);
        assert_eq!(taken("scatter", &machine, &[4]), [0, 2, 1, 3]);
    }

    #[test]
    fn one_node_or_cache_takes_all_and_nobody_goes_elsewhere() {
        assert_eq!(taken("node:4", &small(), &[3, 2]), [2, 6, 3, 7, 2]);
        assert_eq!(taken("llc:1", &small(), &[5]), [2, 6, 3, 7, 2]);
        assert_eq!(taken("llc:3", &two_sockets(false), &[3]), [24, 25, 26]);
    }

    #[test]
    fn each_role_is_dealt_to_the_nodes_in_equal_contiguous_shares() {
        let machine = two_sockets(true);
        // Two writers and then one reader a node, cores before siblings.
        let positions = taken("per-node", &machine, &[8, 4]);
        assert_eq!(positions, [0, 1, 4, 5, 8, 9, 12, 13, 2, 6, 10, 14]);
        for size in 1..100 {
            let mut of_node = BTreeMap::<u32, usize>::new();
            let positions = taken("per-node", &machine, &[size]);
            let nodes = positions.iter().map(|&cpu| machine.processor(cpu).unwrap().node);
            let nodes: Vec<u32> = nodes.collect();
            assert!(nodes.is_sorted(), "{size}: {nodes:?}");
            for node in nodes {
                *of_node.entry(node).or_default() += 1;
            }
            let most = of_node.values().max().unwrap();
            let least = if of_node.len() < 4 { 0 } else { *of_node.values().min().unwrap() };
            assert!(most - least <= 1, "{size}: {of_node:?}");
            assert_eq!(of_node.len(), size.min(4));
        }
    }

    #[test]
    fn a_share_uses_cores_before_siblings_and_starts_again_when_its_group_is_full() {
        let positions = taken("per-node", &small(), &[12]);
        assert_eq!(positions, [0, 1, 4, 5, 0, 1, 2, 3, 6, 7, 2, 3]);
    }

    #[test]
    fn caches_share_workers_where_a_node_has_several() {
        // Two caches on node 0, one on node 2.
        let place = |id: usize| ((id / 4 * 2) as u32, 0, id / 2, id);
        let machine = made_up(&(0..6).map(place).collect::<Vec<_>>());
        assert_eq!(taken("per-llc", &machine, &[6]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(taken("per-llc", &machine, &[3, 3]), [0, 2, 4, 1, 3, 5]);
        assert_eq!(taken("per-node", &machine, &[4]), [0, 2, 4, 5]);
    }

    #[test]
    fn a_core_has_one_worker_until_every_core_has_one() {
        for siblings_last in [true, false] {
            let machine = two_sockets(siblings_last);
            let positions = taken("per-core", &machine, &[18]);
            let cores: Vec<usize> =
                positions.iter().map(|&cpu| machine.processor(cpu).unwrap().core).collect();
            // The first thread of a core is what the core is named for.
            assert_eq!(positions, cores);
            assert_eq!(cores[..16].iter().collect::<BTreeSet<_>>().len(), 16);
            assert_eq!(positions[16..], positions[..2]);
        }
    }

    #[test]
    fn what_a_cpuset_excludes_is_never_used() {
        let some = [1, 16, 17, 30, 14, 15];
        let machine = restricted(two_sockets(true), &some);
        for pin in ["compact", "scatter", "per-node", "per-llc", "per-core"] {
            let positions = taken(pin, &machine, &[40]);
            assert!(positions.iter().all(|cpu| some.contains(cpu)), "{pin}: {positions:?}");
        }
        // The sibling of 0 stands in for its core; that of 1 does not.
        assert_eq!(taken("per-core", &machine, &[4]), [16, 1, 14, 15]);
        // Nodes 1 and 2 have nobody: the others share evenly.
        assert_eq!(taken("per-node", &machine, &[4]), [16, 1, 14, 15]);
    }

    #[test]
    fn nodes_without_processors_get_no_share_and_cannot_be_asked_for() {
        let mut machine = small();
        machine.nodes.push(splinter_harness::machine::MachineNode {
            id: 6,
            memory: true,
            ..Default::default()
        });
        assert_eq!(taken("per-node", &machine, &[2]), [0, 2]);
        assert!(refused("node:6", &machine).contains("may be used"));
    }

    #[test]
    fn what_the_machine_does_not_have_is_refused() {
        let machine = two_sockets(true);
        assert_eq!(refused("node:4", &machine), "there is no node 4, only 0-3");
        assert_eq!(refused("node:0", &small()), "there is no node 0, only 1,4");
        assert_eq!(refused("llc:4", &machine), "there is no last-level cache 4, only 0-3");
        let excluded = restricted(machine, &[0]);
        assert!(refused("node:3", &excluded).contains("'node:3'"));
        assert!(refused("llc:3", &excluded).contains("'llc:3'"));
        let mut simple = small();
        simple.caches.clear();
        for pin in ["llc:0", "per-llc"] {
            assert!(refused(pin, &simple).contains(pin), "{pin}");
        }
        let nobody = restricted(simple, &[]);
        for pin in ["compact", "scatter", "per-node", "per-core"] {
            assert!(refused(pin, &nobody).contains(pin), "{pin}");
        }
    }

    #[test]
    fn nobody_is_placed_where_there_is_nobody_or_no_wish() {
        assert_eq!(positions(&Pin::Node(9), &small(), &[0]), Ok(Vec::new()));
        assert_eq!(positions(&Pin::None, &small(), &[1, 2]), Ok(vec![None; 3]));
    }

    #[test]
    fn processors_of_unknown_caches_are_ordered_all_the_same() {
        let mut machine = small();
        for cpu in &mut machine.processors {
            cpu.cache = None;
        }
        machine.caches.clear();
        assert_eq!(taken("compact", &machine, &[8]), [0, 4, 1, 5, 2, 6, 3, 7]);
        assert_eq!(taken("scatter", &machine, &[8]), [0, 2, 1, 3, 4, 6, 5, 7]);
    }
}
