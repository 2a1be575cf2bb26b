//! Where workers run: the plan before the run, and the proof after it. [`policy`] and [`plan`] turn policies into
//! processors of a machine; an [`Affinity`] is one worker's own record of where it was put and where it really ran.
//! [`writer_memory`] tells where the values of each writer lie. [`topology`] makes a record of a machine and a plan, and
//! [`diagram`] a picture.

pub(crate) mod diagram;
pub(crate) mod plan;
pub(crate) mod policy;
#[cfg(test)]
mod run_tests;
pub(crate) mod topology;
pub(crate) mod writer_memory;

use nix::sched::sched_getcpu;
use serde::{Deserialize, Serialize};
use splinter_harness::affinity;
use std::collections::BTreeSet;

/// Where one worker ran.

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[allow(missing_docs)] // A field without a comment shares the one above.
pub struct Affinity {
    /// Processor (null: the scheduler's choice); whether pinned.
    pub requested: Option<usize>,
    pub pinned: bool,
    /// Processors seen at the start, between, at the end.
    pub observed_start: Option<usize>,
    pub observed_end: Option<usize>,
    pub observed: BTreeSet<usize>,
    /// Node at the end, by the kernel.
    #[serde(default)]
    pub observed_node: Option<u32>,
    /// Counted by `kernel`, or `sampled` (sees fewer).
    pub migrations: u64,
    pub migrations_source: String,
}

impl Affinity {
    /// Takes the calling thread to its processor.
    #[must_use]
    pub fn take(requested: Option<usize>) -> Self {
        let pinned = requested.is_some_and(affinity::pin);
        let counted = kernel_migrations();
        Self {
            requested,
            pinned,
            migrations: counted.unwrap_or(0),
            migrations_source: if counted.is_some() { "kernel" } else { "sampled" }.to_owned(),
            ..Self::default()
        }
    }

    /// Tells whether it was put where it was to be.
    #[must_use]
    pub fn placed(&self) -> bool {
        self.requested.is_none() || self.pinned
    }

    /// Notes the start.
    pub fn start(&mut self) {
        self.observed_start = cpu();
        self.observed_end = self.observed_start;
        self.observed.extend(self.observed_start);
    }

    /// Looks where it runs.
    pub fn look(&mut self) {
        let now = cpu();
        if now != self.observed_end {
            self.observed.extend(now);
            self.observed_end = now;
            if self.migrations_source == "sampled" {
                self.migrations += 1;
            }
        }
    }

    /// Notes the end.
    pub fn end(&mut self) {
        self.look();
        self.observed_node = splinter_harness::machine::kernel::node_here();
        if self.migrations_source == "kernel" {
            self.migrations = kernel_migrations().unwrap_or(self.migrations).saturating_sub(self.migrations);
        }
    }

    /// Says what was not as asked.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let cpu = self.requested?;
        if !self.pinned {
            return Some(format!("could not be put on processor {cpu}"));
        }
        let elsewhere: Vec<usize> = self.observed.iter().copied().filter(|&seen| seen != cpu).collect();
        if !elsewhere.is_empty() {
            return Some(format!(
                "asked for processor {cpu}, also ran on {}",
                splinter_harness::cpulist::print(&elsewhere)
            ));
        }
        (self.migrations > 0).then(|| format!("asked for processor {cpu}, moved {} times", self.migrations))
    }
}

fn cpu() -> Option<usize> {
    sched_getcpu().ok()
}

/// Reads how often the kernel has moved the calling thread.
fn kernel_migrations() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/sched").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("se.nr_migrations")?.rsplit(':').next()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A processor that no machine has.
    const ABSENT: usize = 65_535;

    fn affinity(requested: Option<usize>, observed: &[usize], migrations: u64) -> Affinity {
        Affinity {
            requested,
            pinned: requested.is_some(),
            observed: observed.iter().copied().collect(),
            migrations,
            ..Affinity::default()
        }
    }

    #[test]
    fn a_worker_that_ran_elsewhere_is_misplaced() {
        assert_eq!(affinity(None, &[0, 1], 9).fault(), None);
        assert_eq!(affinity(Some(1), &[1], 0).fault(), None);
        assert!(affinity(Some(1), &[1, 2], 1).fault().unwrap().contains("also ran on 2"));
        assert!(affinity(Some(1), &[1], 2).fault().unwrap().contains("moved 2 times"));
    }

    #[test]
    fn a_processor_that_is_not_there_cannot_be_had() {
        std::thread::spawn(|| {
            let affinity = Affinity::take(Some(ABSENT));
            assert!(!affinity.placed() && affinity.fault().is_some());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_pinned_thread_stays() {
        std::thread::spawn(|| {
            let here = affinity::allowed()[0];
            let mut affinity = Affinity::take(Some(here));
            affinity.start();
            std::thread::yield_now();
            affinity.end();
            assert_eq!(affinity.fault(), None, "{affinity:?}");
            assert_eq!(affinity.observed_start, Some(here));
        })
        .join()
        .unwrap();
    }
}
