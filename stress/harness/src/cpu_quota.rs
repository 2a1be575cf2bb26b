//! How much processor time control groups grant this process, and how long they stopped it: the quotas of its own group
//! and of all that group is in, of version 1 or 2. Reads below any root folder, never fails; where nothing limits or
//! nothing can be read, there is no quota.

use crate::control_group;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The quota of a control group, and what it did to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CpuQuota {
    /// The group, by its folder: of several with a quota the one that stopped its processes longest.
    pub group: String,
    /// Processors whose time it grants.
    pub processors: f64,
    /// Periods in the run at whose end its processes were stopped, since their time was used up.
    pub throttled_periods: u64,
    /// How long its processes were stopped, all processors together.
    pub throttled_ms: u64,
}

impl CpuQuota {
    /// Describes what it did, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "{} grants {:.2} processors, and stopped the run for {} ms in {} periods",
            self.group, self.processors, self.throttled_ms, self.throttled_periods
        )
    }
}

/// The groups with a quota that this process is in, as they are at one moment.
#[derive(Clone, Debug, Default)]
pub struct QuotaGroups(Vec<Group>);

#[derive(Clone, Debug, PartialEq)]
struct Group {
    folder: PathBuf,
    processors: f64,
    periods: u64,
    throttled_ns: u64,
}

impl QuotaGroups {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        Self::below(Path::new("/"))
    }

    fn below(root: &Path) -> Self {
        let groups = control_group::Groups::with("cpu", root);
        let groups =
            groups.iter().flat_map(|it| it.folders().filter_map(|at| Group::read(at, it.version, root)));
        Self(groups.collect())
    }

    /// Returns the quota that did most to this process since an earlier moment; before it did anything, the least.
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<CpuQuota> {
        let quotas = self.0.iter().map(|group| {
            let known = before.0.iter().find(|known| known.folder == group.folder);
            let since = |of: fn(&Group) -> u64| of(group).saturating_sub(known.map_or(0, of));
            CpuQuota {
                group: group.folder.display().to_string(),
                processors: group.processors,
                throttled_periods: since(|group| group.periods),
                throttled_ms: since(|group| group.throttled_ns) / 1_000_000,
            }
        });
        let by_time = |one: &CpuQuota, other: &CpuQuota| {
            let least = other.processors.total_cmp(&one.processors);
            one.throttled_ms.cmp(&other.throttled_ms).then(least)
        };
        quotas.max_by(by_time)
    }
}

impl Group {
    /// Reads a group; none where it has no quota.
    fn read(folder: &Path, version: u8, root: &Path) -> Option<Self> {
        let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let (quota, period) = if version == 2 {
            let max = text("cpu.max")?;
            let (quota, period) = max.trim().split_once(' ')?;
            (quota.to_owned(), period.to_owned())
        } else {
            (text("cpu.cfs_quota_us")?, text("cpu.cfs_period_us")?)
        };
        // No quota is `max`, or -1.
        let quota = quota.trim().parse::<u64>().ok()?;
        let period = period.trim().parse::<u64>().ok().filter(|&it| it > 0)?;
        let stat = text("cpu.stat").unwrap_or_default();
        let count = |name: &str| {
            let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
            let line = lines.find(|&(known, _)| known == name)?;
            line.1.trim().parse::<u64>().ok()
        };
        let micros = || Some(count("throttled_usec")?.saturating_mul(1000));
        let shown = folder.strip_prefix(root).unwrap_or(folder);
        Some(Self {
            folder: Path::new("/").join(shown),
            processors: quota as f64 / period as f64,
            periods: count("nr_throttled").unwrap_or(0),
            throttled_ns: count("throttled_time").or_else(micros).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_tree::Tree;

    #[test]
    fn a_quota_of_version_2_is_found_in_the_own_group_and_in_those_above() {
        let tree = Tree::new(&[
            ("proc/self/cgroup", "0::/jobs/one\n"),
            (
                "proc/self/mountinfo",
                "31 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
            ),
            ("sys/fs/cgroup/jobs/one/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/jobs/cpu.max", "150000 100000\n"),
            (
                "sys/fs/cgroup/jobs/cpu.stat",
                "usage_usec 9\nnr_periods 7\nnr_throttled 2\nthrottled_usec 5000\n",
            ),
        ]);
        let before = QuotaGroups::below(tree.root());
        tree.write("sys/fs/cgroup/jobs/cpu.stat", "nr_throttled 6\nthrottled_usec 305000\n");
        let expected = CpuQuota {
            group: "/sys/fs/cgroup/jobs".to_owned(),
            processors: 1.5,
            throttled_periods: 4,
            throttled_ms: 300,
        };
        let after = QuotaGroups::below(tree.root());
        assert_eq!(after.since(&before), Some(expected.clone()));
        // The least of all, as long as none did anything.
        tree.write("sys/fs/cgroup/jobs/one/cpu.max", "50000 100000\n");
        let both = QuotaGroups::below(tree.root());
        assert_eq!(both.since(&both).unwrap().processors, 0.5);
        assert_eq!(both.since(&before), Some(expected));
    }

    #[test]
    fn a_quota_of_version_1_is_found_in_a_container_too() {
        let at = "sys/fs/cgroup/cpu,cpuacct";
        let tree = Tree::new(&[
            ("proc/self/cgroup", "5:memory:/docker/ab\n4:cpuset:/\n3:cpu,cpuacct:/docker/ab\n0::/\n"),
            (
                "proc/self/mountinfo",
                "40 31 0:29 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n\
                     41 31 0:30 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
                     42 31 0:31 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n",
            ),
            (&format!("{at}/cpu.cfs_quota_us"), "20000\n"),
            (&format!("{at}/cpu.cfs_period_us"), "100000\n"),
            (&format!("{at}/cpu.stat"), "nr_periods 3\nnr_throttled 1\nthrottled_time 7000000\n"),
        ]);
        let quota = QuotaGroups::below(tree.root()).since(&QuotaGroups::default()).unwrap();
        assert_eq!((quota.processors, quota.throttled_ms), (0.2, 7));
        assert_eq!(quota.group, format!("/{at}"));
        tree.write(&format!("{at}/cpu.cfs_quota_us"), "-1\n");
        assert!(QuotaGroups::below(tree.root()).0.is_empty());
    }

    #[test]
    fn without_control_groups_there_is_no_quota() {
        assert!(QuotaGroups::below(Path::new("/nowhere")).0.is_empty());
    }
}
