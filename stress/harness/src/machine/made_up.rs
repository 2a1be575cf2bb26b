//! Made-up machines, for the tests of everything that reads one.

use super::{Found, FoundCache, Machine, MachineNode, Processor};
use std::collections::BTreeSet;

/// A machine for tests: its usable processors as `(node, package, cache, core)`, numbered from 0 on,
/// on nodes with memory.
#[must_use]
pub fn made_up(processors: &[(u32, usize, usize, usize)]) -> Machine {
    let found = processors.iter().enumerate();
    let found = found.map(|(id, &(node, package, cache, core))| Found {
        processor: Processor { id, usable: true, node, package, cache: None, core },
        cache: Some(FoundCache { key: cache as u64, level: 3, bytes: 32 << 20 }),
    });
    let nodes: BTreeSet<u32> = processors.iter().map(|&(node, ..)| node).collect();
    let node = |id| MachineNode { id, memory: true, memory_bytes: 1 << 30, ..MachineNode::default() };
    Machine::assemble("a test".to_owned(), found.collect(), nodes.into_iter().map(node).collect())
}

/// Two sockets of two nodes each, four cores a node with two threads each, 32 processors. Siblings are
/// numbered last, as most firmware does, or next to each other.
#[must_use]
pub fn two_sockets(siblings_last: bool) -> Machine {
    let place = |id: usize| {
        let core = if siblings_last { id % 16 } else { id / 2 };
        let first = if siblings_last { core } else { core * 2 };
        ((core / 4) as u32, core / 8, core / 4, first)
    };
    made_up(&(0..32).map(place).collect::<Vec<_>>())
}

/// The same with only some processors for this process.
#[must_use]
pub fn restricted(mut machine: Machine, usable: &[usize]) -> Machine {
    for processor in &mut machine.processors {
        processor.usable = usable.contains(&processor.id);
    }
    for node in &mut machine.nodes {
        node.usable.retain(|cpu| usable.contains(cpu));
    }
    machine
}
