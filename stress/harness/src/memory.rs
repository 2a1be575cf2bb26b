//! How much memory this process can still get: of the machine, and under the limits of its control groups. Reads below any
//! root folder, never fails.

use crate::control_group::Groups;
use crate::machine::sysfs;
use std::path::Path;

/// Returns the memory in bytes that the machine and all control groups of this process leave it; `None` where neither
/// tells.
pub(crate) fn available(root: &Path) -> Option<u64> {
    let table = sysfs::text(root.join("proc/meminfo"));
    let of_machine = table.and_then(|table| sysfs::bytes_of(&table, "MemAvailable"));
    let groups = Groups::with("memory", root);
    let of_groups =
        groups.iter().flat_map(|groups| groups.folders().filter_map(|it| left(it, groups.version)));
    of_machine.into_iter().chain(of_groups).min()
}

/// Returns what a group's limit leaves: all but the memory in use that the kernel cannot take back. `None` without a limit.
fn left(group: &Path, version: u8) -> Option<u64> {
    let [limit, used, prefix] = match version {
        1 => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_"],
        _ => ["memory.max", "memory.current", ""],
    };
    let bytes = |name: &str| sysfs::text(group.join(name))?.parse::<u64>().ok();
    let is_of_files = |name: &str| matches!(name.strip_prefix(prefix), Some("active_file" | "inactive_file"));
    let stat = sysfs::text(group.join("memory.stat")).unwrap_or_default();
    let lines = stat.lines().filter_map(|line| line.split_once(' '));
    let pages_of_files =
        lines.filter(|(name, _)| is_of_files(name)).filter_map(|(_, it)| it.parse::<u64>().ok());
    let used = bytes(used).unwrap_or(0).saturating_sub(pages_of_files.sum());
    Some(bytes(limit)?.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_tree::Tree;

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 8000 kB");

    #[test]
    fn the_least_of_the_machine_and_of_all_limits_of_version_2_is_left() {
        let tree = Tree::new(&[
            MACHINE,
            ("proc/self/cgroup", "0::/jobs/one"),
            ("proc/self/mountinfo", "31 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"),
            ("sys/fs/cgroup/jobs/one/memory.max", "max"),
        ]);
        assert_eq!(available(tree.root()), Some(8000 << 10), "nothing limits");
        tree.write("sys/fs/cgroup/jobs/memory.max", "6000000");
        assert_eq!(available(tree.root()), Some(6_000_000));
        tree.write("sys/fs/cgroup/jobs/memory.current", "2500000");
        tree.write(
            "sys/fs/cgroup/jobs/memory.stat",
            "anon 1500000\nactive_file 300000\ninactive_file 700000",
        );
        assert_eq!(available(tree.root()), Some(4_500_000), "pages of files are given back");
        tree.write("sys/fs/cgroup/jobs/one/memory.max", "1000");
        assert_eq!(available(tree.root()), Some(1000));
        tree.write("proc/meminfo", "MemAvailable: 0 kB");
        assert_eq!(available(tree.root()), Some(0));
    }

    #[test]
    fn a_limit_of_version_1_counts_in_a_container_too() {
        let at = "sys/fs/cgroup/memory";
        let tree = Tree::new(&[
            MACHINE,
            ("proc/self/cgroup", "4:memory:/docker/ab\n3:cpu:/\n0::/"),
            (
                "proc/self/mountinfo",
                "40 31 0:29 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n\
                 41 31 0:30 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
            ),
            (&format!("{at}/memory.limit_in_bytes"), "9223372036854771712"),
        ]);
        assert_eq!(available(tree.root()), Some(8000 << 10), "this is how the kernel writes no limit");
        tree.write(&format!("{at}/memory.limit_in_bytes"), "5000");
        tree.write(&format!("{at}/memory.usage_in_bytes"), "3000");
        tree.write(
            &format!("{at}/memory.stat"),
            "inactive_file 1\ntotal_inactive_file 900\ntotal_active_file 100",
        );
        assert_eq!(available(tree.root()), Some(3000));
        tree.write(&format!("{at}/memory.limit_in_bytes"), "1000");
        assert_eq!(available(tree.root()), Some(0), "the limit was lowered below what is in use");
    }

    #[test]
    fn without_a_kernel_to_ask_it_is_unknown() {
        assert_eq!(available(Path::new("/nowhere")), None);
        assert!(available(Path::new("/")).is_some());
    }
}
