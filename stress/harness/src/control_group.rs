//! Where the control groups of this process are, in the tree of groups that has some controller, of version 1 or 2. Reads
//! below any root folder, never fails.

use std::fs;
use std::path::{Path, PathBuf};

/// The groups of this process in one tree.
pub(crate) struct Groups {
    /// Version of the kernel's interface: 1 or 2.
    pub version: u8,
    /// Folder of its own group.
    own: PathBuf,
    /// Folder where the tree is mounted.
    top: PathBuf,
}

impl Groups {
    /// Finds the tree that has a controller, such as `cpu`, and the own group in it.
    pub(crate) fn with(controller: &str, root: &Path) -> Option<Self> {
        let has_it = |list: &str| list.split(',').any(|name| name == controller);
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
        let group = |controls: &dyn Fn(&str) -> bool| {
            // 4:cpu,cpuacct:/the/group
            let mut lines = groups.lines().map(|line| line.splitn(3, ':'));
            lines.find_map(|mut line| {
                let (_, controllers, path) = (line.next()?, line.next()?, line.next()?);
                controls(controllers).then_some(path)
            })
        };
        let mount = |kind: &str, options: &dyn Fn(&str) -> bool| {
            // 31 23 0:26 /its/root /where/it/is rw shared:4 - cgroup2 cgroup2 rw,nsdelegate
            mounts.lines().find_map(|line| {
                let (mount, system) = line.split_once(" - ")?;
                let mut system = system.split(' ');
                let is_it = system.next()? == kind && options(system.nth(1)?);
                let mut mount = mount.split(' ').skip(3);
                is_it.then_some((mount.next()?, mount.next()?))
            })
        };
        let first = group(&has_it).zip(mount("cgroup", &has_it));
        let second = || group(&str::is_empty).zip(mount("cgroup2", &|_| true));
        let first = first.map(|found| (1, found));
        let (version, (path, (mounted, at))) = first.or_else(|| second().map(|found| (2, found)))?;
        let top = root.join(at.trim_start_matches('/'));
        // In a container the tree is mounted from some group on; one above that cannot be seen.
        let inner = Path::new(path).strip_prefix(mounted).unwrap_or(Path::new(""));
        let inner = inner.strip_prefix("/").unwrap_or(inner);
        let own = top.join(inner);
        Some(Self { version, own, top })
    }

    /// Returns the folders of the own group and of all that it is in.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.own.ancestors().take_while(|folder| folder.starts_with(&self.top))
    }
}
