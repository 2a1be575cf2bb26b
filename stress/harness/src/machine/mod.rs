//! The machine as plain data: NUMA nodes, last-level caches, cores and processors, and which of these
//! this process may use. Knows no reader of it and no policy. Nodes need not start at 0 nor be dense,
//! may have no memory or no processors; what a reader does not find counts as one node and one package.

#[cfg(feature = "hwloc")]
pub mod hwloc;
pub mod kernel;
#[doc(hidden)]
pub mod made_up;
pub mod source;
pub mod sysfs;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A machine, this one or another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Machine {
    /// `hwloc`, `/sys`, `synthetic:` description, or file.
    pub source: String,
    /// Ascending; all online processors, and those that this process may use; `memory_bytes` 0, `distances` empty:
    /// none, or unknown.
    pub nodes: Vec<MachineNode>,
    /// Last-level; `id` as in `llc:N`; empty or 0: unknown.
    pub caches: Vec<MachineCache>,
    /// Ascending; `node`: the lowest of several near ones; `core`: its lowest processor.
    pub processors: Vec<Processor>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)] // Older records lack some.
pub struct MachineNode {
    /// Its number.
    pub id: u32,
    /// Its processors, all that are online.
    pub processors: Vec<usize>,
    /// Those of them that this process may use.
    pub usable: Vec<usize>,
    /// Whether it has memory.
    pub memory: bool,
    /// Its memory, in bytes; 0 where there is none or it is unknown.
    pub memory_bytes: u64,
    /// Its distances to all nodes, in their order; none where they are unknown.
    pub distances: Vec<u32>,
}

/// A last-level cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MachineCache {
    /// Its number, from 0 on: that of `llc:N`.
    pub id: usize,
    /// Its level, 3 for most.
    pub level: u32,
    /// Its size, in bytes; 0 where it is unknown.
    pub bytes: u64,
    /// The processors that share it.
    pub processors: Vec<usize>,
}

/// A processor: one hardware thread of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Processor {
    /// Its number.
    pub id: usize,
    /// Whether this process may use it.
    pub usable: bool,
    /// Its node.
    pub node: u32,
    /// Its package.
    pub package: usize,
    /// Its last-level cache, by number.
    pub cache: Option<usize>,
    /// Its core, by the core's lowest processor: siblings have the same.
    pub core: usize,
}

/// What a reader found of a last-level cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundCache {
    /// Differs from that of each other cache.
    pub key: u64,
    /// Its level.
    pub level: u32,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What a reader found of a processor. The cache's number is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The processor.
    pub processor: Processor,
    /// Its last-level cache.
    pub cache: Option<FoundCache>,
}

impl Machine {
    /// Puts together what a reader found: numbers the caches, and gives the nodes, of which only their own
    /// facts need be known, their processors. Processors of an unknown node are of the first.
    #[must_use]
    pub fn assemble(source: String, mut found: Vec<Found>, mut nodes: Vec<MachineNode>) -> Self {
        found.sort_by_key(|found| found.processor.id);
        found.dedup_by_key(|found| found.processor.id);
        if nodes.is_empty() {
            nodes.push(MachineNode { memory: true, ..MachineNode::default() });
        }
        nodes.sort_by_key(|node| node.id);
        let mut numbers = BTreeMap::new();
        let mut caches: Vec<MachineCache> = Vec::new();
        let mut processors = Vec::with_capacity(found.len());
        for Found { mut processor, cache } in found {
            processor.cache = cache.map(|cache| {
                let next = numbers.len();
                let id = *numbers.entry((cache.level, cache.key)).or_insert(next);
                if id == next {
                    caches.push(MachineCache {
                        id,
                        level: cache.level,
                        bytes: cache.bytes,
                        processors: Vec::new(),
                    });
                }
                caches[id].processors.push(processor.id);
                id
            });
            let at = nodes.iter().position(|node| node.id == processor.node);
            let node = &mut nodes[at.unwrap_or(0)];
            processor.node = node.id;
            node.processors.push(processor.id);
            if processor.usable {
                node.usable.push(processor.id);
            }
            processors.push(processor);
        }
        Self { source, nodes, caches, processors }
    }

    /// Returns the nodes that have memory.
    pub fn with_memory(&self) -> impl Iterator<Item = &MachineNode> + Clone {
        self.nodes.iter().filter(|node| node.memory)
    }

    /// Returns the nodes on which this process may run.
    pub fn with_processors(&self) -> impl Iterator<Item = &MachineNode> + Clone {
        self.nodes.iter().filter(|node| !node.usable.is_empty())
    }

    /// Returns the processors that this process may use.
    pub fn usable(&self) -> impl Iterator<Item = &Processor> + Clone {
        self.processors.iter().filter(|processor| processor.usable)
    }

    /// Returns a processor by its number.
    pub fn processor(&self, id: usize) -> Option<&Processor> {
        let at = self.processors.binary_search_by_key(&id, |known| known.id);
        at.ok().map(|at| &self.processors[at])
    }

    /// Returns a processor to touch memory from: of another node than `node` if there is one, so that
    /// nothing gets to `node` by itself.
    pub fn processor_off(&self, node: u32) -> Option<usize> {
        let mut others = self.with_processors();
        let other = others.find(|other| other.id != node && other.memory);
        let any = || self.with_processors().find(|other| other.id != node);
        let other = other.or_else(any).or_else(|| self.with_processors().next());
        other.and_then(|node| node.usable.first().copied())
    }

    /// Counts packages and cores.
    pub fn packages_and_cores(&self) -> (usize, usize) {
        let count = |of: fn(&Processor) -> usize| {
            let all: BTreeSet<usize> = self.processors.iter().map(of).collect();
            all.len()
        };
        (count(|known| known.package), count(|known| known.core))
    }
}

#[cfg(test)]
mod tests {
    use super::made_up::{made_up, two_sockets};
    use super::*;

    #[test]
    fn caches_are_numbered_by_their_lowest_processor_and_nodes_get_theirs() {
        // Found in any order, keys of no meaning.
        let found = |id: usize, node, key| Found {
            processor: Processor { id, usable: id != 2, node, ..Processor::default() },
            cache: Some(FoundCache { key, level: 3, bytes: 1 }),
        };
        let node = |id| MachineNode { id, ..MachineNode::default() };
        let machine = Machine::assemble(
            String::new(),
            vec![found(3, 7, 4), found(0, 2, 9), found(2, 7, 4), found(1, 2, 9)],
            vec![node(7), node(2), node(5)],
        );
        let of_caches = machine.caches.iter().map(|cache| &cache.processors[..]);
        assert_eq!(of_caches.collect::<Vec<_>>(), [&[0, 1][..], &[2, 3]]);
        assert_eq!(machine.processor(3).unwrap().cache, Some(1));
        let nodes: Vec<_> = machine.nodes.iter().collect();
        assert_eq!((nodes[0].id, &nodes[0].usable[..]), (2, &[0, 1][..]));
        assert_eq!((nodes[1].id, &nodes[1].processors[..]), (5, &[][..]));
        assert_eq!(nodes[2].processors, [2, 3]);
        assert_eq!(nodes[2].usable, [3]);
    }

    #[test]
    fn what_is_not_known_is_one_node_and_no_cache() {
        let found = Found {
            processor: Processor { id: 4, usable: true, node: 3, ..Processor::default() },
            cache: None,
        };
        let machine = Machine::assemble(String::new(), vec![found], Vec::new());
        assert_eq!(machine.nodes.len(), 1);
        assert_eq!(machine.processor(4).unwrap().node, 0);
        assert_eq!(machine.nodes[0].usable, [4]);
        assert!(machine.nodes[0].memory && machine.caches.is_empty());
        assert_eq!(machine.processor(0), None);
    }

    #[test]
    fn memory_is_touched_from_another_node_where_there_is_one() {
        let mut machine = made_up(&[(0, 0, 0, 0), (0, 0, 0, 1), (1, 0, 0, 2), (2, 0, 0, 3)]);
        machine.nodes[0].memory = false;
        assert_eq!(machine.processor_off(1), Some(3));
        assert_eq!(machine.processor_off(2), Some(2));
        assert_eq!(machine.with_memory().count(), 2);
        assert_eq!(made_up(&[(0, 0, 0, 0)]).processor_off(0), Some(0));
    }

    #[test]
    fn packages_and_cores_are_counted_once() {
        assert_eq!(two_sockets(true).packages_and_cores(), (2, 16));
        assert_eq!(two_sockets(false).packages_and_cores(), (2, 16));
    }
}
