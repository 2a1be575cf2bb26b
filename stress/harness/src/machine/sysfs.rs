//! Reads the machine from `/sys`, below any root folder: the reader that is always there. Never fails; where
//! `/sys` is missing or tells less (containers, old kernels), the processors that this process may use
//! are one node and one package, and their caches are unknown.

use super::{Found, FoundCache, Machine, MachineNode, Processor};
use crate::affinity;
use crate::cpulist;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// Reads this machine.
#[must_use]
pub fn this_machine() -> Machine {
    read(Path::new("/"), &usable())
}

/// Returns the processors that this process may use, by its affinity mask, which a cpuset limits.
#[must_use]
pub fn usable() -> Vec<usize> {
    affinity::allowed()
}

/// Reads the machine whose `/sys` and `/proc` are below a root folder, of which some processors are usable.
#[must_use]
pub fn read(root: &Path, usable: &[usize]) -> Machine {
    let system = root.join("sys/devices/system");
    let nodes = nodes(&system, root);
    let mut node_of = BTreeMap::new();
    for node in &nodes {
        // A node without processors has an empty list.
        for cpu in list(&system.join(format!("node/node{}/cpulist", node.id))) {
            node_of.insert(cpu, node.id);
        }
    }
    let mut online = list(&system.join("cpu/online"));
    // Usable processors are online, even if `/sys` lacks them.
    online.extend(usable);
    online.sort_unstable();
    online.dedup();
    let found = online.into_iter().map(|id| {
        let folder = system.join(format!("cpu/cpu{id}"));
        Found {
            processor: Processor {
                id,
                usable: usable.contains(&id),
                node: node_of.get(&id).copied().unwrap_or(u32::MAX),
                package: number(&folder.join("topology/physical_package_id")).unwrap_or(0),
                cache: None,
                core: core(&folder).unwrap_or(id),
            },
            cache: last_cache(&folder),
        }
    });
    Machine::assemble("/sys".to_owned(), found.collect(), nodes)
}

/// Reads the nodes, without their processors; none where `/sys` does not tell.
fn nodes(system: &Path, root: &Path) -> Vec<MachineNode> {
    let online = list(&system.join("node/online"));
    let with_memory = list(&system.join("node/has_memory"));
    let alone = online.len() == 1;
    let node = |id: usize| {
        let folder = system.join(format!("node/node{id}"));
        let meminfo = folder.join("meminfo");
        let memory_bytes = match memory_bytes(&meminfo) {
            None if alone => memory_bytes(&root.join("proc/meminfo")),
            known => known,
        };
        let memory_bytes = memory_bytes.unwrap_or(0);
        MachineNode {
            id: id as u32,
            // A kernel that does not tell has memory on all of them.
            memory: with_memory.contains(&id) || with_memory.is_empty(),
            memory_bytes,
            distances: numbers(&text(folder.join("distance")).unwrap_or_default()),
            ..MachineNode::default()
        }
    };
    let nodes: Vec<MachineNode> = online.into_iter().map(node).collect();
    if !nodes.is_empty() {
        return nodes;
    }
    vec![MachineNode {
        memory: true,
        memory_bytes: memory_bytes(&root.join("proc/meminfo")).unwrap_or(0),
        ..MachineNode::default()
    }]
}

/// Returns a core by its lowest processor.
fn core(folder: &Path) -> Option<usize> {
    let siblings = ["core_cpus_list", "thread_siblings_list"]
        .into_iter()
        .map(|name| list(&folder.join("topology").join(name)));
    siblings.flatten().min()
}

/// Finds the cache of the highest level that holds data.
fn last_cache(folder: &Path) -> Option<FoundCache> {
    let indexes = (0..16).map(|index| folder.join(format!("cache/index{index}")));
    let caches = indexes.take_while(|index| index.exists());
    let of_data = caches.filter(|index| text(index.join("type")).as_deref() != Some("Instruction"));
    let (level, index) = of_data
        .filter_map(|index| Some((number(&index.join("level"))?, index)))
        .max_by_key(|&(level, _)| level)?;
    let shared = list(&index.join("shared_cpu_list"));
    Some(FoundCache {
        key: shared.into_iter().min()? as u64,
        level,
        bytes: text(index.join("size")).and_then(|size| size_bytes(&size)).unwrap_or(0),
    })
}

/// Parses a size as the kernel writes it: `32768K`.
pub fn size_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_shl(shift)
}

/// Reads the total of the machine's `meminfo`, or of a node's, whose lines begin with its number.
pub fn memory_bytes(path: &Path) -> Option<u64> {
    bytes_of(&text(path)?, "MemTotal")
}

/// Finds an amount of memory in a table of the kernel's, whose lines are as `MemTotal:  16384 kB`.
pub fn bytes_of(table: &str, name: &str) -> Option<u64> {
    let kib = table.lines().find_map(|line| {
        let (before, amount) = line.split_once(':')?;
        // A node's lines begin with its number.
        let is_it = before.split_ascii_whitespace().next_back() == Some(name);
        let digits = amount.trim().strip_suffix(" kB").filter(|_| is_it)?;
        digits.parse::<u64>().ok()
    });
    kib?.checked_mul(1024)
}

fn numbers(text: &str) -> Vec<u32> {
    let words = text.split_ascii_whitespace().map(str::parse);
    words.collect::<Result<_, _>>().unwrap_or_default()
}

fn list(path: &Path) -> Vec<usize> {
    text(path).and_then(|list| cpulist::parse(&list).ok()).unwrap_or_default()
}

fn number<T: FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

/// Reads a file of the kernel's, if it says anything.
#[must_use]
pub fn text(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_tree::Tree;

    /// Makes a tree of files of `/sys/devices/system`.
    fn system(files: &[(&str, &str)]) -> Tree {
        let tree = Tree::new(&[]);
        for (path, text) in files {
            tree.write(&format!("sys/devices/system/{path}"), text);
        }
        tree
    }

    /// Describes a processor with caches of two levels.
    fn processor(tree: &Tree, id: usize, package: &str, siblings: &str, cache: &str) {
        let write =
            |path: &str, text: &str| tree.write(&format!("sys/devices/system/cpu/cpu{id}/{path}"), text);
        write("topology/physical_package_id", package);
        write("topology/thread_siblings_list", siblings);
        let caches = [
            ("1", "Data", "48K", siblings),
            ("1", "Instruction", "32K", siblings),
            ("3", "Unified", "32768K", cache),
        ];
        for (index, (level, kind, size, shared)) in caches.into_iter().enumerate() {
            write(&format!("cache/index{index}/level"), level);
            write(&format!("cache/index{index}/type"), kind);
            write(&format!("cache/index{index}/size"), size);
            write(&format!("cache/index{index}/shared_cpu_list"), shared);
        }
    }

    /// Nodes 1 (processors 0, 4 and 1, 5), 3 (processors 2, 6 and 3, 7, without memory) and 4 (memory only);
    /// one cache for each of the first two.
    fn odd() -> Tree {
        let tree = system(&[
            ("cpu/online", "0-7"),
            ("node/online", "1,3-4"),
            ("node/has_memory", "1,4"),
            ("node/node1/cpulist", "0-1,4-5"),
            ("node/node1/distance", "10 21 31"),
            ("node/node1/meminfo", "Node 1 MemTotal:       1024 kB"),
            ("node/node3/cpulist", "2-3,6-7"),
            ("node/node3/distance", "21 10 31"),
            ("node/node3/meminfo", "Node 3 MemTotal:       0 kB"),
            ("node/node4/cpulist", ""),
            ("node/node4/distance", "31 31 10"),
            ("node/node4/meminfo", "Node 4 MemTotal:       2048 kB"),
        ]);
        for id in 0..8 {
            let core = id % 4;
            let cache = if core < 2 { "0-1,4-5" } else { "2-3,6-7" };
            let siblings = format!("{core},{}", core + 4);
            processor(&tree, id, if core < 2 { "0" } else { "1" }, &siblings, cache);
        }
        tree
    }

    #[test]
    fn nodes_that_start_at_1_have_holes_no_memory_or_no_processors_are_read_as_they_are() {
        let machine = read(odd().root(), &[0, 1, 2, 3, 4, 5, 6, 7]);
        let nodes = machine.nodes.iter();
        let nodes: Vec<_> =
            nodes.map(|node| (node.id, &node.processors[..], node.memory, node.memory_bytes)).collect();
        assert_eq!(
            nodes,
            [(1, &[0, 1, 4, 5][..], true, 1 << 20), (3, &[2, 3, 6, 7], false, 0), (4, &[], true, 2 << 20),]
        );
        assert_eq!(machine.nodes[1].distances, [21, 10, 31]);
        let processor = machine.processor(6).unwrap();
        let Processor { node, package, cache, core, .. } = *processor;
        assert_eq!((node, package, cache, core), (3, 1, Some(1), 2));
        assert_eq!((machine.caches[1].level, machine.caches[1].bytes), (3, 32 << 20));
        assert_eq!(machine.caches[1].processors, [2, 3, 6, 7]);
        assert_eq!(machine.source, "/sys");
    }

    #[test]
    fn a_cpuset_leaves_the_machine_whole_and_some_of_it_usable() {
        let machine = read(odd().root(), &[3, 5]);
        assert_eq!(machine.processors.len(), 8);
        assert_eq!(machine.usable().map(|cpu| cpu.id).collect::<Vec<_>>(), [3, 5]);
        let usable = |at: usize| &machine.nodes[at].usable[..];
        assert_eq!((usable(0), usable(1), usable(2)), (&[5][..], &[3][..], &[][..]));
    }

    #[test]
    fn without_sys_the_usable_processors_are_one_node() {
        let tree = system(&[]);
        let machine = read(tree.root(), &[2, 5]);
        assert_eq!(machine.nodes.len(), 1);
        assert_eq!((machine.nodes[0].id, machine.nodes[0].memory), (0, true));
        assert_eq!(machine.nodes[0].usable, [2, 5]);
        let cores = machine.processors.iter().map(|cpu| cpu.core);
        assert_eq!(cores.collect::<Vec<_>>(), [2, 5]);
        assert!(machine.caches.is_empty());
    }

    #[test]
    fn a_sys_without_nodes_or_caches_still_tells_of_cores() {
        let tree = system(&[
            ("cpu/online", "0-3"),
            ("cpu/cpu0/topology/core_cpus_list", "0-1"),
            ("cpu/cpu1/topology/core_cpus_list", "0-1"),
            ("cpu/cpu1/topology/physical_package_id", "-1"),
            ("cpu/cpu2/cache/index0/type", "Data"),
        ]);
        let machine = read(tree.root(), &[0, 1, 2, 3]);
        let cores = machine.processors.iter().map(|cpu| cpu.core);
        assert_eq!(cores.collect::<Vec<_>>(), [0, 0, 2, 3]);
        assert_eq!(machine.nodes[0].processors, [0, 1, 2, 3]);
        assert!(machine.processors.iter().all(|cpu| cpu.package == 0));
        assert!(machine.caches.is_empty());
    }

    #[test]
    fn an_instruction_cache_is_never_the_last_level() {
        let tree = system(&[("cpu/online", "0")]);
        processor(&tree, 0, "0", "0", "0");
        tree.write("sys/devices/system/cpu/cpu0/cache/index1/level", "4");
        assert_eq!(read(tree.root(), &[0]).caches[0].level, 3);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size_bytes("48K"), Some(48 << 10));
        assert_eq!(size_bytes("2M"), Some(2 << 20));
        assert_eq!(size_bytes("512"), Some(512));
        assert_eq!(size_bytes("many"), None);
        assert_eq!(size_bytes("3T"), None);
    }

    #[test]
    fn an_amount_is_found_by_its_whole_name_and_has_a_unit() {
        let table = "MemTotal:    24105 kB\nVmRSS:\t  7 kB\nPages:  3\nNode 1 MemUsed:  5 kB\n";
        assert_eq!(bytes_of(table, "MemTotal"), Some(24105 << 10));
        assert_eq!(bytes_of(table, "VmRSS"), Some(7 << 10));
        assert_eq!(bytes_of(table, "MemUsed"), Some(5 << 10));
        assert_eq!(bytes_of(table, "Total"), None);
        assert_eq!(bytes_of(table, "Pages"), None);
    }

    #[test]
    fn this_machine_has_a_node_with_memory_and_one_to_run_on() {
        let machine = this_machine();
        assert!(machine.with_memory().count() > 0);
        assert!(machine.processor_off(0).is_some());
        assert_eq!(machine.usable().count(), usable().len());
    }
}
