//! The nodes as hwloc sees them, held against what the kernel says in `/sys`: another reader of the same
//! machine, so that neither can be wrong alone.

use super::machine::{Machine, list};
use super::record::NumaRow;
use crate::cpulist;
use hwlocality::Topology;
use hwlocality::object::types::ObjectType;
use hwlocality::topology::builder::BuildFlags;
use std::collections::BTreeMap;

/// What hwloc says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Nodes, with their processors.
    nodes: BTreeMap<u32, Vec<usize>>,
    /// Distances from each node to all, in the order of their numbers; empty where it knows none.
    distances: BTreeMap<u32, Vec<u32>>,
}

/// Compares hwloc's nodes, their processors and distances with the kernel's.
pub(super) fn rows(machine: &Machine) -> Vec<NumaRow> {
    match Seen::read() {
        Ok(seen) => compare(machine, &seen),
        Err(error) => vec![NumaRow::failed("hwloc", "topology", error)],
    }
}

impl Seen {
    fn read() -> Result<Self, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        // Whatever this process may use: the kernel lists all.
        let topology = Topology::builder()
            .with_flags(BuildFlags::INCLUDE_DISALLOWED)
            .map_err(|error| words(&error))?
            .build()
            .map_err(|error| words(&error))?;
        if !topology.is_this_system() {
            return Err("it describes another machine: unset HWLOC_SYNTHETIC".to_owned());
        }
        let number = |index: Option<usize>| index.and_then(|index| u32::try_from(index).ok());
        let mut seen = Self::default();
        for object in topology.objects_with_type(ObjectType::NUMANode) {
            let Some(node) = number(object.os_index()) else {
                continue;
            };
            let cpus = object
                .cpuset()
                .map(|set| set.iter_set().map(usize::from).collect());
            seen.nodes.insert(node, cpus.unwrap_or_default());
        }
        let matrices = topology
            .distances_with_type(None, ObjectType::NUMANode)
            .map_err(|error| words(&error))?;
        if let Some(matrix) = matrices.first() {
            let objects: Option<Vec<u32>> = matrix
                .objects()
                .map(|object| number(object?.os_index()))
                .collect();
            let objects = objects.ok_or("it has a distance to nothing")?;
            let values = matrix.distances();
            for (from, row) in objects.iter().zip(values.chunks(objects.len().max(1))) {
                let to = objects
                    .iter()
                    .zip(row)
                    .map(|(&node, &value)| (node, value as u32));
                let sorted: BTreeMap<u32, u32> = to.collect();
                seen.distances.insert(*from, sorted.into_values().collect());
            }
        }
        Ok(seen)
    }
}

fn compare(machine: &Machine, seen: &Seen) -> Vec<NumaRow> {
    let there: Vec<u32> = machine.nodes.iter().map(|node| node.id).collect();
    let known: Vec<u32> = seen.nodes.keys().copied().collect();
    let other = (there != known).then(|| "hwloc has other nodes than the kernel".to_owned());
    let (asked, found) = (list(&there), list(&known));
    let mut rows = vec![NumaRow::new(
        "hwloc",
        format!("nodes {asked}"),
        found,
        other.into_iter().collect(),
    )];
    for node in &machine.nodes {
        let line = |processors: &[usize], distances: &[u32]| {
            let mut processors = processors.to_vec();
            processors.sort_unstable();
            let processors = cpulist::print(&processors);
            format!("processors {processors}, distances {}", list(distances))
        };
        let asked = line(&node.processors, &node.distances);
        let none = Vec::new();
        let distances = match seen.distances.get(&node.id) {
            Some(distances) => distances.clone(),
            // Of a single node there is nothing to tell.
            None if machine.nodes.len() == 1 => node.distances.clone(),
            None => Vec::new(),
        };
        let found = line(seen.nodes.get(&node.id).unwrap_or(&none), &distances);
        let differs = (asked != found).then(|| "hwloc and the kernel differ".to_owned());
        rows.push(NumaRow::new(
            "hwloc",
            format!("node {}: {asked}", node.id),
            found,
            differs.into_iter().collect(),
        ));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::machine::MachineNode;
    use super::super::verdict;
    use super::*;
    use crate::placement::topology;
    use crate::record::Verdict;

    #[test]
    fn another_view_of_the_nodes_is_found() {
        let node = |id: u32, distances: [u32; 2]| MachineNode {
            id,
            processors: vec![id as usize],
            distances: distances.to_vec(),
            ..MachineNode::default()
        };
        let machine = Machine {
            nodes: vec![node(0, [10, 21]), node(1, [21, 10])],
            ..Machine::default()
        };
        let good = Seen {
            nodes: [(0, vec![0]), (1, vec![1])].into(),
            distances: [(0, vec![10, 21]), (1, vec![21, 10])].into(),
        };
        assert_eq!(verdict(&compare(&machine, &good)), Verdict::Pass);
        let spoilt: [fn(&mut Seen); 4] = [
            |seen| drop(seen.nodes.remove(&1)),
            |seen| seen.nodes.get_mut(&1).unwrap().push(2),
            |seen| seen.distances.get_mut(&0).unwrap()[1] = 20,
            |seen| seen.distances.clear(),
        ];
        for spoil in spoilt {
            let mut seen = good.clone();
            spoil(&mut seen);
            assert_eq!(verdict(&compare(&machine, &seen)), Verdict::Fail);
        }
    }

    #[test]
    fn hwloc_agrees_with_the_kernel_about_this_machine() {
        let machine = Machine::read(&topology::available());
        let rows = rows(&machine);
        assert_eq!(verdict(&rows), Verdict::Pass, "{rows:?}");
    }
}
