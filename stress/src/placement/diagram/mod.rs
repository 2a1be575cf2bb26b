//! Draws a machine and a placement as text that fits 100 columns: a part for each node, in it a [`mod@grid`] for each
//! last-level cache, and the distances between nodes. [`mod@names`] says how workers are called, [`mod@lines`] how a line looks.

mod grid;
mod lines;
mod names;

use super::topology::{PlannedPlacement, TopologyRecord};
use crate::options::Role;
use grid::grid;
use lines::{MARGIN, WIDTH, of_bytes, paragraph, plural};
use names::{WorkerNames, by_processor, names};
use splinter_harness::cpulist;
use splinter_harness::machine::{Machine, MachineCache, MachineNode, Processor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Nodes side by side in the matrix of distances.
const MOST_DISTANCES: usize = (WIDTH - MARGIN) / 5;

/// Draws a record, 100 columns wide.
#[must_use]
pub fn topology_summary(record: &TopologyRecord) -> String {
    draw(&record.machine, record.placement.as_ref())
}

fn draw(machine: &Machine, placement: Option<&PlannedPlacement>) -> String {
    let mut text = String::new();
    paragraph(&mut text, "machine", &size(machine));
    paragraph(&mut text, "read by", &machine.source);
    let workers = placement.map(by_processor).unwrap_or_default();
    if let Some(placement) = placement {
        paragraph(&mut text, "placement", &words(placement));
        let anywhere = names(placement.workers.iter().filter(|worker| worker.processor.is_none()));
        if !anywhere.is_empty() {
            paragraph(&mut text, "not pinned", &anywhere.join(" "));
        }
    }
    for node in &machine.nodes {
        part(&mut text, machine, node, &workers);
    }
    distances(&mut text, machine);
    let mut legend = Vec::new();
    if placement.is_some() {
        legend.push("W writer, R reader, H watcher");
    }
    if machine.processors.iter().any(|processor| !processor.usable) {
        legend.push("(n) not for this process");
    }
    if !legend.is_empty() {
        text.push('\n');
        paragraph(&mut text, "legend", &legend.join("; "));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Says how large a machine is.
fn size(machine: &Machine) -> String {
    let (packages, cores) = machine.packages_and_cores();
    let parts = [
        (packages, "package"),
        (machine.nodes.len(), "node"),
        (machine.caches.len(), "last-level cache"),
        (cores, "core"),
        (machine.processors.len(), "processor"),
    ];
    let counted = parts.map(|(count, what)| format!("{count} {what}{}", plural(count)));
    let usable = machine.usable().count();
    let some = match usable == machine.processors.len() {
        true => String::new(),
        false => format!(", {usable} of them for this process"),
    };
    counted.join(", ") + &some
}

/// Describes how many workers of each role are placed, and by which policy.
fn words(placement: &PlannedPlacement) -> String {
    let count = |role| placement.workers.iter().filter(|worker| worker.role == role).count();
    let pin_readers = placement.pin_readers.as_ref().unwrap_or(&placement.pin);
    let roles = [
        (Role::Writer, "writer", &placement.pin),
        (Role::Reader, "reader", pin_readers),
        (Role::Watcher, "watcher", pin_readers),
    ];
    let roles = roles.into_iter().filter_map(|(role, name, pin)| {
        let count = count(role);
        (count > 0).then(|| format!("{count} {name}{} {pin}", plural(count)))
    });
    let processors = placement.processors;
    let mut words = roles.collect::<Vec<_>>().join(", ");
    let _ = write!(words, "; on {processors} processor{}", plural(processors));
    if placement.oversubscribed {
        words += ", oversubscribed";
    }
    words
}

/// Draws a node: a grid for each part of it that shares a cache.
fn part(text: &mut String, machine: &Machine, node: &MachineNode, workers: &WorkerNames) {
    text.push('\n');
    let here: Vec<&Processor> = node.processors.iter().filter_map(|&id| machine.processor(id)).collect();
    let packages: BTreeSet<usize> = here.iter().map(|cpu| cpu.package).collect();
    let packages: Vec<usize> = packages.into_iter().collect();
    let mut line = vec![memory(node)];
    match packages[..] {
        [] => line.push("no processors".to_owned()),
        [package] => line.push(format!("package {package}")),
        _ => line.push(format!("packages {}", cpulist::print(&packages))),
    }
    paragraph(text, &format!("node {}", node.id), &line.join(", "));
    let mut parts: BTreeMap<(usize, Option<usize>), Vec<&Processor>> = BTreeMap::new();
    for cpu in here {
        parts.entry((cpu.package, cpu.cache)).or_default().push(cpu);
    }
    for ((package, cache), cpus) in parts {
        let cache = cache.and_then(|id| machine.caches.get(id));
        let (name, mut what) = match cache {
            Some(cache) => (format!("  llc:{}", cache.id), level(machine, cache, node)),
            None => ("  no llc".to_owned(), "no last-level cache is known".to_owned()),
        };
        if packages.len() > 1 {
            let _ = write!(what, ", package {package}");
        }
        paragraph(text, &name, &what);
        grid(text, &cpus, workers);
    }
}

fn memory(node: &MachineNode) -> String {
    match (node.memory, node.memory_bytes) {
        (false, _) => "no memory".to_owned(),
        (true, 0) => "memory of unknown size".to_owned(),
        (true, bytes) => format!("memory {}", of_bytes(bytes)),
    }
}

/// Says what a cache is, and with which other nodes this one shares it.
fn level(machine: &Machine, cache: &MachineCache, node: &MachineNode) -> String {
    let owners = cache.processors.iter().filter_map(|&id| machine.processor(id));
    let others: BTreeSet<usize> = owners.map(|cpu| cpu.node as usize).collect();
    let others: Vec<usize> = others.into_iter().filter(|&id| id != node.id as usize).collect();
    let mut text = format!("L{}", cache.level);
    if cache.bytes > 0 {
        let _ = write!(text, ", {}", of_bytes(cache.bytes));
    }
    if !others.is_empty() {
        let (nodes, list) = (plural(others.len()), cpulist::print(&others));
        let _ = write!(text, ", shared with node{nodes} {list}");
    }
    text
}

/// Draws the distances between nodes, where they are known.
fn distances(text: &mut String, machine: &Machine) {
    let nodes = &machine.nodes;
    if nodes.len() < 2 {
        return;
    }
    text.push('\n');
    if nodes.iter().all(|node| node.distances.is_empty()) {
        paragraph(text, "distances", "unknown");
        return;
    }
    for (part, side_by_side) in nodes.chunks(MOST_DISTANCES).enumerate() {
        let head = format!("{:<MARGIN$}", "distances   to");
        let columns = side_by_side.iter().map(|node| format!("{:>5}", node.id));
        let _ = writeln!(text, "{head}{}", columns.collect::<String>());
        for node in nodes {
            let head = format!("{:<MARGIN$}", format!("  from node {}", node.id));
            let row = node.distances.iter().skip(part * MOST_DISTANCES).take(MOST_DISTANCES);
            let row = row.map(|distance| format!("{distance:>5}"));
            let _ = writeln!(text, "{head}{}", row.collect::<String>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::topology::place;
    use super::*;
    use crate::workload::Workload;
    use splinter_harness::machine::made_up::{made_up, restricted, two_sockets};

    fn drawn(machine: &Machine, workers: [u32; 3], pin: &str, pin_readers: Option<&str>) -> String {
        let workload = Workload {
            writers: workers[0],
            readers: workers[1],
            watchers: workers[2],
            pin: pin.parse().unwrap(),
            pin_readers: pin_readers.map(|pin| pin.parse().unwrap()),
            ..Workload::default()
        };
        let placement = place(&workload, machine).unwrap();
        let text = draw(machine, Some(&placement));
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert_eq!(line.trim_end(), line);
        }
        text
    }

    #[test]
    fn a_machine_and_its_workers_are_drawn_core_by_core() {
        let mut machine = restricted(
            made_up(&[(0, 0, 0, 0), (0, 0, 0, 1), (3, 1, 1, 2), (0, 0, 0, 0), (0, 0, 0, 1), (3, 1, 1, 2)]),
            &[0, 1, 2, 3, 4],
        );
        for (node, distances) in machine.nodes.iter_mut().zip([[10, 21], [21, 10]]) {
            node.distances = distances.to_vec();
        }
        let expected = "\
machine         2 packages, 2 nodes, 2 last-level caches, 3 cores, 6 processors, 5 of them for this
                process
read by         a test
placement       5 writers compact, 2 readers none, 1 watcher none; on 5 processors, oversubscribed
not pinned      R0-1 H0

node 0          memory 1 GiB, package 0
  llc:0         L3, 32 MiB
    processor   0    1
                W0   W2
      sibling   3    4
                W1   W3

node 3          memory 1 GiB, package 1
  llc:1         L3, 32 MiB
    processor   2
                W4
      sibling   (5)

distances   to      0    3
  from node 0      10   21
  from node 3      21   10

legend          W writer, R reader, H watcher; (n) not for this process";
        assert_eq!(drawn(&machine, [5, 2, 1], "compact", Some("none")), expected);
    }

    #[test]
    fn every_worker_is_in_the_picture_however_many_there_are() {
        let everyone = |text: &str| {
            let mut seen = [0; 3];
            let grids = text.lines().filter(|line| line.starts_with(' '));
            for word in grids.flat_map(str::split_whitespace) {
                let Some(role) = "WRH".find(&word[..1]) else {
                    continue;
                };
                let Ok(numbers) = cpulist::parse(&word[1..]) else {
                    continue;
                };
                seen[role] += numbers.len() as u32;
            }
            seen
        };
        for machine in [two_sockets(true), made_up(&[(0, 0, 0, 0), (0, 0, 0, 1)])] {
            for pin in ["compact", "scatter", "per-node", "per-llc", "per-core", "node:0", "0"] {
                for workers in [[1, 0, 0], [32, 32, 0], [64, 100, 7]] {
                    let text = drawn(&machine, workers, pin, None);
                    assert_eq!(everyone(&text), workers, "{pin}:\n{text}");
                }
            }
        }
    }

    #[test]
    fn a_cache_of_two_nodes_a_node_of_two_packages_and_a_node_of_memory_are_drawn() {
        let mut machine = made_up(&[(0, 0, 0, 0), (1, 0, 0, 1), (2, 1, 1, 2), (2, 2, 2, 3)]);
        machine.nodes[1].memory = false;
        machine.nodes.push(MachineNode {
            id: 7,
            memory: true,
            memory_bytes: 3 << 29,
            ..MachineNode::default()
        });
        let text = draw(&machine, None);
        assert!(text.contains("L3, 32 MiB, shared with node 1\n"), "{text}");
        assert!(text.contains("node 1          no memory, package 0\n"), "{text}");
        assert!(text.contains("packages 1-2\n") && text.contains("32 MiB, package 2\n"), "{text}");
        assert!(text.contains("memory 1.5 GiB, no processors\n"), "{text}");
        assert!(text.ends_with("distances       unknown"), "{text}");
    }

    #[test]
    fn large_machines_fit_the_width() {
        let place = |id: usize| ((id / 32) as u32, id / 256, id / 32, id);
        let mut machine = made_up(&(0..1024).map(place).collect::<Vec<_>>());
        for node in &mut machine.nodes {
            node.distances = vec![10; 32];
        }
        let text = drawn(&machine, [512, 256, 0], "scatter", None);
        assert!(text.contains(" 1023"));
        assert_eq!(text.matches("from node 31").count(), 2);
        machine.source = format!("synthetic:{}", "pack:1 ".repeat(40));
        drawn(&machine, [1, 0, 0], "none", None);
        machine.source = "x".repeat(300);
        drawn(&machine, [1, 0, 0], "none", None);
    }
}
