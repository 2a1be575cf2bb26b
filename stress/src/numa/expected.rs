//! What the nodes of the machine are said to be like, and what the kernel does, and lets this process do, with
//! pages. Compares nothing.

use serde::{Deserialize, Serialize};
use splinter_harness::cpulist;
use std::fmt;
use std::fs;
use std::str::FromStr;

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

/// Tells whether this process may move pages that others have mapped.
pub(super) fn may_move_all() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    has_capability(&status, CAP_SYS_NICE)
}

/// Tells whether the kernel moves pages by itself to the threads that use them.
pub(super) fn balancing() -> &'static str {
    let switch = fs::read_to_string("/proc/sys/kernel/numa_balancing").unwrap_or_default();
    match switch.trim() {
        "0" => "off",
        "" => "not in this kernel",
        _ => "on",
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
        let wrong =
            || format!("'{text}' describes no node: give NODE=PROCESSORS/DISTANCES, as in 0=0-7/10,21");
        let (id, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (processors, distances) = rest.split_once('/').ok_or_else(wrong)?;
        let distances = numbers(distances);
        let processors = match processors {
            "" => Vec::new(),
            list => cpulist::parse(list)?,
        };
        match id.parse() {
            Ok(id) if !distances.is_empty() => Ok(Self { id, processors, distances }),
            _ => Err(wrong()),
        }
    }
}

splinter_harness::as_text!(Expected);

/// Prints distances.
pub(super) fn list(numbers: &[u32]) -> String {
    let words: Vec<String> = numbers.iter().map(u32::to_string).collect();
    words.join(",")
}

/// Describes a node by its processors and its distances to all nodes.
pub(super) fn described(processors: &[usize], distances: &[u32]) -> String {
    format!("processors {}, distances {}", cpulist::print(processors), list(distances))
}

/// Reads distances; none where any is not a number.
fn numbers(text: &str) -> Vec<u32> {
    let words = text.split(',').map(str::parse);
    words.collect::<Result<_, _>>().unwrap_or_default()
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
}
