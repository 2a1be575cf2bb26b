//! The nodes of the machine as `/sys` tells of them, and as they are said to be. Reads, compares nothing.

use crate::cpulist;
use crate::placement::topology::{self, Cpu};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::str::FromStr;

/// The nodes, and what this process may do with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// All nodes that are there, ascending.
    pub nodes: Vec<MachineNode>,
    /// Whether this process may move pages that others have mapped.
    pub may_move_all: bool,
    /// Whether the kernel moves pages to those who use them, on its own.
    pub balancing: String,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineNode {
    /// Its number.
    pub id: u32,
    /// Its processors, all that are online.
    pub processors: Vec<usize>,
    /// Those of them that this process may use.
    pub usable: Vec<usize>,
    /// Whether it has memory.
    pub memory: bool,
    /// Its distances to all nodes, in their order.
    pub distances: Vec<u32>,
}

/// What a node is said to be like: `NODE=PROCESSORS/DISTANCES`, as in `0=0-7/10,21`; without
/// processors `2=/31,10`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expected {
    /// Its number.
    pub id: u32,
    /// Its processors.
    pub processors: Vec<usize>,
    /// Its distances to all nodes, in their order.
    pub distances: Vec<u32>,
}

/// The number of `CAP_SYS_NICE` in Linux's sets of capabilities.
const CAP_SYS_NICE: u32 = 23;

impl Machine {
    /// Reads it.
    pub(super) fn read(available: &[Cpu]) -> Self {
        let with_memory = splinter::numa_nodes();
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let nodes = topology::online_nodes().into_iter().map(|id| {
            let folder = format!("/sys/devices/system/node/node{id}");
            let here = topology::of_node(available, id as usize);
            let usable: Vec<usize> = here.iter().map(|cpu| cpu.id).collect();
            let listed = cpulist::parse(read(&format!("{folder}/cpulist")).trim());
            MachineNode {
                id,
                processors: listed.unwrap_or_default(),
                usable,
                memory: with_memory.contains(&id),
                distances: numbers(&read(&format!("{folder}/distance")), ' '),
            }
        });
        let balancing = match read("/proc/sys/kernel/numa_balancing").trim() {
            "0" => "off",
            "" => "not in this kernel",
            _ => "on",
        };
        Self {
            nodes: nodes.collect(),
            may_move_all: has_capability(&read("/proc/self/status"), CAP_SYS_NICE),
            balancing: balancing.to_owned(),
        }
    }

    /// Returns the nodes that have memory.
    pub(super) fn with_memory(&self) -> impl Iterator<Item = &MachineNode> + Clone {
        self.nodes.iter().filter(|node| node.memory)
    }

    /// Returns the nodes on which this process may run.
    pub(super) fn with_processors(&self) -> impl Iterator<Item = &MachineNode> + Clone {
        self.nodes.iter().filter(|node| !node.usable.is_empty())
    }

    /// Returns a processor to touch memory from: of another node than `node` if there is one, so that
    /// nothing gets to `node` by itself.
    pub(super) fn processor_off(&self, node: u32) -> Option<usize> {
        let mut others = self.with_processors();
        let other = others.find(|other| other.id != node && other.memory);
        let any = || self.with_processors().find(|other| other.id != node);
        let other = other.or_else(any).or_else(|| self.with_processors().next());
        other.and_then(|node| node.usable.first().copied())
    }

    /// Returns the node of a processor.
    pub(super) fn node_of(&self, cpu: usize) -> Option<u32> {
        let owner = self
            .nodes
            .iter()
            .find(|node| node.processors.contains(&cpu));
        owner.map(|node| node.id)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (processors, distances) = (cpulist::print(&self.processors), list(&self.distances));
        write!(f, "{}={processors}/{distances}", self.id)
    }
}

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("'{text}' describes no node: give NODE=PROCESSORS/DISTANCES, as in 0=0-7/10,21")
        };
        let (id, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (processors, distances) = rest.split_once('/').ok_or_else(wrong)?;
        let distances = numbers(distances, ',');
        let processors = match processors {
            "" => Vec::new(),
            list => cpulist::parse(list)?,
        };
        match id.parse() {
            Ok(id) if !distances.is_empty() => Ok(Self {
                id,
                processors,
                distances,
            }),
            _ => Err(wrong()),
        }
    }
}

crate::as_text!(Expected);

/// Prints distances.
pub(super) fn list(numbers: &[u32]) -> String {
    let words: Vec<String> = numbers.iter().map(u32::to_string).collect();
    words.join(",")
}

/// Reads numbers; none where any is not one.
fn numbers(text: &str, between: char) -> Vec<u32> {
    let words = text.trim().split(between).filter(|word| !word.is_empty());
    words
        .map(str::parse)
        .collect::<Result<_, _>>()
        .unwrap_or_default()
}

/// Tells whether a process has a capability, from its status.
fn has_capability(status: &str, number: u32) -> bool {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    bits.is_some_and(|bits| bits >> number & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_is_said_to_be_round_trips() {
        for text in ["0=0-7/10,21,31,41", "2=/31,10", "1=8,10-11/10"] {
            assert_eq!(text.parse::<Expected>().unwrap().to_string(), text);
        }
        for text in ["", "0", "0=0-7", "x=0/10", "0=0/", "0=7-0/10", "0=0/ten"] {
            let error = text.parse::<Expected>().unwrap_err();
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn capabilities_are_bits_of_the_effective_set() {
        let status = "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t0000000000800000\n";
        assert!(has_capability(status, CAP_SYS_NICE));
        assert!(!has_capability(status, 22) && !has_capability("", CAP_SYS_NICE));
    }

    #[test]
    fn this_machine_has_a_node_with_memory_and_one_to_run_on() {
        let machine = Machine::read(&topology::available());
        assert!(machine.with_memory().count() > 0);
        assert!(machine.processor_off(0).is_some());
    }

    #[test]
    fn memory_is_touched_from_another_node_where_there_is_one() {
        let node = |id: u32, memory| MachineNode {
            id,
            processors: vec![id as usize * 2, id as usize * 2 + 1],
            usable: vec![id as usize * 2, id as usize * 2 + 1],
            memory,
            ..MachineNode::default()
        };
        let machine = Machine {
            nodes: vec![node(0, false), node(1, true), node(2, true)],
            ..Machine::default()
        };
        assert_eq!(machine.processor_off(1), Some(4));
        assert_eq!(machine.processor_off(2), Some(2));
        assert_eq!(machine.node_of(5), Some(2));
        assert_eq!(machine.node_of(6), None);
        let only = Machine {
            nodes: vec![node(0, true)],
            ..Machine::default()
        };
        assert_eq!(only.processor_off(0), Some(0));
    }
}
