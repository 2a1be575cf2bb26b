//! The nodes as hwloc sees them, held against what the kernel says in `/sys`: another reader of the same
//! machine, so that neither can be wrong alone.

use super::expected::{described, list};
use super::record::NumaRow;
use splinter_harness::machine::hwloc::this_machine;
use splinter_harness::machine::sysfs;
use splinter_harness::machine::{Machine, MachineNode};

/// Compares hwloc's nodes, their processors and distances with the kernel's.
pub(super) fn rows(machine: &Machine) -> Vec<NumaRow> {
    match this_machine(&sysfs::usable()) {
        Ok(seen) => compare(machine, &seen),
        Err(error) => vec![NumaRow::failed("hwloc", "topology", error)],
    }
}

fn compare(machine: &Machine, seen: &Machine) -> Vec<NumaRow> {
    let there: Vec<u32> = machine.nodes.iter().map(|node| node.id).collect();
    let known: Vec<u32> = seen.nodes.iter().map(|node| node.id).collect();
    let other = (there != known).then(|| "hwloc has other nodes than the kernel".to_owned());
    let (asked, found) = (list(&there), list(&known));
    let mut rows = vec![NumaRow::new("hwloc", format!("nodes {asked}"), found, other)];
    for node in &machine.nodes {
        let line = |node: &MachineNode| described(&node.processors, &node.distances);
        let other = seen.nodes.iter().find(|other| other.id == node.id);
        let (asked, found) = (line(node), other.map(line).unwrap_or_default());
        let differs = (asked != found).then(|| "hwloc and the kernel differ".to_owned());
        rows.push(NumaRow::new("hwloc", format!("node {}: {asked}", node.id), found, differs));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::verdict;
    use super::*;
    use splinter_harness::verdict::Verdict;

    #[test]
    fn another_view_of_the_nodes_is_found() {
        let node = |id: u32, distances: [u32; 2]| MachineNode {
            id,
            processors: vec![id as usize],
            distances: distances.to_vec(),
            ..MachineNode::default()
        };
        let machine = Machine { nodes: vec![node(0, [10, 21]), node(1, [21, 10])], ..Machine::default() };
        assert_eq!(verdict(&compare(&machine, &machine)), Verdict::Pass);
        let spoilt: [fn(&mut Machine); 4] = [
            |seen| drop(seen.nodes.remove(1)),
            |seen| seen.nodes[1].processors.push(2),
            |seen| seen.nodes[0].distances[1] = 20,
            |seen| seen.nodes[0].distances.clear(),
        ];
        for spoil in spoilt {
            let mut seen = machine.clone();
            spoil(&mut seen);
            assert_eq!(verdict(&compare(&machine, &seen)), Verdict::Fail);
        }
    }

    #[test]
    fn hwloc_agrees_with_the_kernel_about_this_machine() {
        let rows = rows(&sysfs::this_machine());
        assert_eq!(verdict(&rows), Verdict::Pass, "{rows:?}");
    }
}
