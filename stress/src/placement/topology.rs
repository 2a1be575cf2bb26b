//! The processors that this process may use and how they lie to each other, from the affinity mask
//! and `/sys`. What `/sys` does not tell (containers) counts as one package with one node; nodes
//! need not start at 0 nor be dense.

use std::collections::BTreeMap;
use std::fs;

/// One processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// Its number.
    pub id: usize,
    /// Its NUMA node.
    pub node: usize,
    /// Its package.
    pub package: usize,
    /// Its last-level cache, by the first processor that shares it.
    pub cache: usize,
    /// Its core, unique within the package.
    pub core: usize,
}

/// Returns the processors that this process may use.
#[must_use]
pub(crate) fn available() -> Vec<Cpu> {
    let nodes = nodes();
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    allowed
        .into_iter()
        .map(|core| {
            let base = format!("/sys/devices/system/cpu/cpu{}", core.id);
            Cpu {
                id: core.id,
                node: nodes.get(&core.id).copied().unwrap_or(0),
                package: number(&format!("{base}/topology/physical_package_id")).unwrap_or(0),
                cache: last_cache(&base).unwrap_or(0),
                core: number(&format!("{base}/topology/core_id")).unwrap_or(core.id),
            }
        })
        .collect()
}

/// Orders processors so that neighbours come one after the other: sibling threads, then cores of a
/// cache, a package, a node.
#[must_use]
pub(crate) fn compact(cpus: &[Cpu]) -> Vec<usize> {
    let mut cpus = cpus.to_vec();
    cpus.sort_by_key(|cpu| (cpu.node, cpu.package, cpu.cache, cpu.core, cpu.id));
    cpus.iter().map(|cpu| cpu.id).collect()
}

/// Orders processors so that neighbours come as late as possible: one core of each node in turn,
/// within a node one of each cache in turn, sibling threads after all cores.
#[must_use]
pub(crate) fn scatter(cpus: &[Cpu]) -> Vec<usize> {
    let mut sorted = cpus.to_vec();
    sorted.sort_by_key(|cpu| (cpu.node, cpu.package, cpu.cache, cpu.core, cpu.id));
    let rank = |counts: &mut BTreeMap<Vec<usize>, usize>, key: Vec<usize>| {
        let next = counts.entry(key).or_insert(0);
        *next += 1;
        *next - 1
    };
    let (mut siblings, mut cores) = (BTreeMap::new(), BTreeMap::new());
    let mut caches: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    let mut keyed: Vec<_> = sorted
        .into_iter()
        .map(|cpu| {
            let sibling = rank(&mut siblings, vec![cpu.node, cpu.package, cpu.core]);
            let core = rank(&mut cores, vec![sibling, cpu.node, cpu.package, cpu.cache]);
            let known = caches.entry(cpu.node).or_default();
            let cache = known
                .iter()
                .position(|&cache| cache == (cpu.package, cpu.cache))
                .unwrap_or_else(|| {
                    known.push((cpu.package, cpu.cache));
                    known.len() - 1
                });
            ((sibling, core, cache, cpu.node), cpu.id)
        })
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, id)| id).collect()
}

/// Leaves the processors of one node.
#[must_use]
pub(crate) fn of_node(cpus: &[Cpu], node: usize) -> Vec<Cpu> {
    cpus.iter()
        .copied()
        .filter(|cpu| cpu.node == node)
        .collect()
}

/// Maps processors to nodes.
fn nodes() -> BTreeMap<usize, usize> {
    let mut nodes = BTreeMap::new();
    for node in online_nodes() {
        let list = fs::read_to_string(format!("/sys/devices/system/node/node{node}/cpulist"))
            .unwrap_or_default();
        // A node without processors has an empty list.
        for cpu in crate::cpulist::parse(list.trim()).unwrap_or_default() {
            nodes.insert(cpu, node as usize);
        }
    }
    nodes
}

/// Lists the nodes that there are, those without memory too; where `/sys` does not tell, those that
/// have memory.
#[must_use]
pub(crate) fn online_nodes() -> Vec<u32> {
    let text = fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
    let listed = crate::cpulist::parse(text.trim()).unwrap_or_default();
    let online: Vec<u32> = listed
        .into_iter()
        .filter_map(|node| node.try_into().ok())
        .collect();
    if online.is_empty() {
        splinter::numa_nodes()
    } else {
        online
    }
}

fn last_cache(base: &str) -> Option<usize> {
    let lists = (0..8).map_while(|index| {
        fs::read_to_string(format!("{base}/cache/index{index}/shared_cpu_list")).ok()
    });
    crate::cpulist::parse(lists.last()?.trim())
        .ok()?
        .first()
        .copied()
}

fn number(path: &str) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two nodes (numbered 1 and 4) of two cores with two threads each, numbered as Linux does:
    /// siblings last.
    fn machine() -> Vec<Cpu> {
        (0..8)
            .map(|id| {
                let core = id % 4;
                Cpu {
                    id,
                    node: if core < 2 { 1 } else { 4 },
                    package: core / 2,
                    cache: core / 2 * 2,
                    core: core % 2,
                }
            })
            .collect()
    }

    #[test]
    fn compact_fills_cores_then_nodes() {
        assert_eq!(compact(&machine()), [0, 4, 1, 5, 2, 6, 3, 7]);
    }

    #[test]
    fn scatter_takes_nodes_in_turn_and_siblings_last() {
        assert_eq!(scatter(&machine()), [0, 2, 1, 3, 4, 6, 5, 7]);
    }

    #[test]
    fn scatter_takes_caches_of_a_node_in_turn() {
        let cpus: Vec<Cpu> = (0..4)
            .map(|id| Cpu {
                id,
                core: id,
                cache: id / 2 * 2,
                ..Cpu::default()
            })
            .collect();
        assert_eq!(scatter(&cpus), [0, 2, 1, 3]);
    }

    #[test]
    fn this_machine_has_processors() {
        let cpus = available();
        assert!(!cpus.is_empty());
        assert_eq!(compact(&cpus).len(), scatter(&cpus).len());
    }
}
