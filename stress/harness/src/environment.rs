//! The machine and the build that a run happened on: what its figures depend on beside the
//! workload. Reads `/proc` and `/sys`, never fails; what cannot be read is "unavailable".

use crate::affinity;
use crate::counters;
use crate::cpu_quota::{CpuQuota, QuotaGroups};
use crate::cpulist;
use crate::disturbance::{Disturbance, Usage, disturbed};
use crate::machine::MachineNode;
use crate::machine::sysfs;
use crate::memory;
use crate::valgrind;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::Path;

/// What is said of a thing that cannot be read.
const UNAVAILABLE: &str = "unavailable";

/// The fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Environment {
    /// The processor's name.
    pub cpu_model: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// Caches of the first, as "L1 Data 48K".
    pub caches: Vec<String>,
    /// NUMA nodes, with or without memory.
    pub nodes: Vec<Node>,
    /// Memory of the machine.
    pub memory_bytes: u64,
    /// Kernel release.
    pub kernel: String,
    /// Policies for private and shared memory.
    pub huge_pages: [String; 2],
    /// Frequency governor.
    pub governor: String,
    /// Whether there is one, and whose.
    pub hypervisor: String,
    /// Whether Valgrind ran it, which voids all times.
    #[serde(default)]
    pub valgrind: bool,
    /// Load averages over 1, 5 and 15 minutes before.
    pub load_before: String,
    /// Time that the hypervisor took meanwhile.
    pub steal_ms: u64,
    /// Only under a control-group quota: the group that stopped its processes longest, else the least quota; its
    /// grant; stops during the run, all processors together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<CpuQuota>,
    /// Absent if undisturbed; `cause`: `steal`, `quota`, `other_load` (`share` of processor time), `memory_pressure`
    /// (of time).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disturbances: Vec<Disturbance>,
    /// Disturbed rounds, or runs, that were taken again; absent if none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounds_again: u32,
    /// Rate of the time-stamp counter, measured.
    pub tsc_ghz: f64,
    /// `"available"`, or `"unavailable"` and why: the kernel refused them, or `SPLINTER_COUNTERS=off`.
    pub hardware_counters: String,
    /// What was built.
    pub build: Build,
}

/// A NUMA node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)] // Older records lack some.
pub struct Node {
    /// Its number.
    pub id: u32,
    /// Its processors, as a list; empty for one with memory only.
    pub processors: String,
    /// Its distances to all nodes, as the firmware tells them.
    pub distances: String,
    /// Its memory; 0 for one with processors only, or where the kernel does not tell.
    pub memory_bytes: u64,
}

/// What was built, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // The names say it all.
pub struct Build {
    pub version: String,
    pub git_revision: String,
    pub rustc: String,
    pub profile: String,
    pub opt_level: String,
    pub target: String,
    pub rustflags: String,
    pub debug_assertions: bool,
}

impl Environment {
    /// Writes down what the hypervisor and quotas took since the usage was read, and what disturbed the measurement.
    pub fn note(&mut self, usage: &Usage) {
        (self.steal_ms, self.cpu_quota, self.disturbances) = usage.outcome();
    }

    /// Reads all of it. Steal time, throttling and counter rate are known after the run only.
    #[must_use]
    pub fn read() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let virtual_machine =
            field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
        Self {
            cpu_model: field("model name").unwrap_or_else(|| UNAVAILABLE.to_owned()),
            processors: affinity::allowed().len().max(1),
            caches: caches().iter().map(Cache::to_string).collect(),
            nodes: sysfs::this_machine().nodes.iter().map(Node::of).collect(),
            memory_bytes: sysfs::memory_bytes(Path::new("/proc/meminfo")).unwrap_or(0),
            kernel: text("/proc/sys/kernel/osrelease"),
            huge_pages: ["enabled", "shmem_enabled"]
                .map(|name| chosen(&text(&format!("/sys/kernel/mm/transparent_hugepage/{name}")))),
            governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            hypervisor: match (virtual_machine, text("/sys/class/dmi/id/sys_vendor")) {
                (false, _) => "none".to_owned(),
                (true, vendor) if vendor == UNAVAILABLE => "present".to_owned(),
                (true, vendor) => format!("present ({vendor})"),
            },
            valgrind: valgrind::is_running(),
            load_before: text("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
            steal_ms: 0,
            cpu_quota: quota(),
            disturbances: Vec::new(),
            rounds_again: 0,
            tsc_ghz: 0.0,
            hardware_counters: match counters::hardware() {
                Ok(()) => "available".to_owned(),
                Err(why) => format!("{UNAVAILABLE}: {why}"),
            },
            build: Build::this(),
        }
    }
}

impl Node {
    fn of(node: &MachineNode) -> Self {
        let distances: Vec<String> = node.distances.iter().map(u32::to_string).collect();
        Self {
            id: node.id,
            processors: cpulist::print(&node.processors),
            distances: distances.join(" "),
            memory_bytes: node.memory_bytes,
        }
    }
}

impl Build {
    /// Returns what this program was built from.
    #[must_use]
    pub fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: env!("SPLINTER_BUILD_REVISION").to_owned(),
            rustc: env!("SPLINTER_BUILD_RUSTC").to_owned(),
            profile: env!("SPLINTER_BUILD_PROFILE").to_owned(),
            opt_level: env!("SPLINTER_BUILD_OPT_LEVEL").to_owned(),
            target: env!("SPLINTER_BUILD_TARGET").to_owned(),
            rustflags: env!("SPLINTER_BUILD_FLAGS").to_owned(),
            debug_assertions: cfg!(debug_assertions),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Returns the least quota of this process, before it did anything.
fn quota() -> Option<CpuQuota> {
    let groups = QuotaGroups::read();
    groups.since(&groups)
}

/// Makes sure that there is `/proc`: by it programs find themselves and their files, and the suite what its threads and
/// memory do.
///
/// # Errors
/// One line that says that it is missing, and what to do.
pub fn require_proc() -> Result<(), String> {
    if Path::new("/proc/self").exists() {
        return Ok(());
    }
    Err(
        "/proc is not mounted here, and nothing can be measured without it: mount it, by 'mount -t proc proc /proc'"
            .to_owned(),
    )
}

/// Reads a file of the kernel's, or says that it is unavailable.
fn text(path: &str) -> String {
    sysfs::text(path).unwrap_or_else(|| UNAVAILABLE.to_owned())
}

/// Returns the word in brackets: `always [madvise] never`.
fn chosen(text: &str) -> String {
    let word = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    word.map_or(text, |(word, _)| word).to_owned()
}

/// A cache of the first processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// 1 for the closest one.
    pub level: u32,
    /// "Data", "Instruction" or "Unified".
    pub kind: String,
    /// Its size.
    pub bytes: u64,
    /// Its size as the kernel writes it.
    shown: String,
}

impl Cache {
    /// Describes a cache, the size of which is as the kernel writes it: `48K`. `None` if that is no size.
    #[must_use]
    pub fn new(level: u32, kind: &str, size: &str) -> Option<Self> {
        Some(Self { level, kind: kind.to_owned(), bytes: sysfs::size_bytes(size)?, shown: size.to_owned() })
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{} {} {}", self.level, self.kind, self.shown)
    }
}

/// Reads the caches of the first processor; none where the kernel does not tell.
#[must_use]
pub fn caches() -> Vec<Cache> {
    (0..16)
        .map_while(|index| {
            let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
            let of = |name: &str| text(&format!("{folder}/{name}"));
            Cache::new(of("level").parse().ok()?, &of("type"), &of("size"))
        })
        .collect()
}

/// Returns the memory that could be had now without swapping, in bytes, under the limits of control groups too.
#[must_use]
pub fn available_memory() -> Option<u64> {
    memory::available(Path::new("/"))
}

/// Returns the memory that this process has resident, in bytes.
#[must_use]
pub fn resident_memory() -> Option<u64> {
    sysfs::bytes_of(&text("/proc/self/status"), "VmRSS")
}

/// Returns the load average over the last minute.
#[must_use]
pub fn load_average() -> Option<f64> {
    text("/proc/loadavg").split(' ').next()?.parse().ok()
}

/// Takes back what a verdict says of figures: a pass of a disturbed measurement is inconclusive. A broken invariant is broken
/// on a busy machine too.
pub fn settle(verdict: &mut Verdict, reasons: &mut Vec<String>, environment: &Environment) {
    if let Some(why) = disturbed(&environment.disturbances) {
        *verdict = (*verdict).max(Verdict::Inconclusive);
        reasons.push(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_described() {
        let environment = Environment::read();
        assert!(environment.processors > 0);
        assert!(environment.memory_bytes > 0);
        // A machine whose memory grew while it ran may count the rest to no node.
        let has_memory = |node: &Node| node.memory_bytes > 0;
        assert!(environment.nodes.is_empty() || environment.nodes.iter().any(has_memory));
        assert_ne!(environment.kernel, UNAVAILABLE);
        assert_eq!(environment.hardware_counters == "available", counters::hardware().is_ok());
        assert!(!environment.build.rustc.is_empty());
        let text = serde_json::to_string(&environment).unwrap();
        assert_eq!(serde_json::from_str::<Environment>(&text).unwrap(), environment);
    }

    #[test]
    fn the_chosen_policy_is_the_one_in_brackets() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
        assert_eq!(chosen("unavailable"), "unavailable");
    }
}
