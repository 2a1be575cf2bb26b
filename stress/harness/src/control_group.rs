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
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
        let v1 = v1(controller, &groups, &mounts).map(|found| (1, found));
        let (version, (path, (mounted, at))) = v1.or_else(|| Some((2, v2(&groups, &mounts)?)))?;
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

/// A group's path, and its tree: the group that is mounted, and where.
type Place<'a> = (&'a str, (&'a str, &'a str));

/// Finds the group in the tree of version 1 that has a controller.
fn v1<'a>(controller: &str, groups: &'a str, mounts: &'a str) -> Option<Place<'a>> {
    let has_it = |list: &str| list.split(',').any(|name| name == controller);
    group(groups, has_it).zip(mount(mounts, "cgroup", has_it))
}

/// Finds the group in the tree of version 2, the line of which names no controllers.
fn v2<'a>(groups: &'a str, mounts: &'a str) -> Option<Place<'a>> {
    group(groups, str::is_empty).zip(mount(mounts, "cgroup2", |_| true))
}

fn group(groups: &str, controls: impl Fn(&str) -> bool) -> Option<&str> {
    // 4:cpu,cpuacct:/the/group
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controls(controllers).then_some(path)
    })
}

fn mount<'a>(mounts: &'a str, kind: &str, options: impl Fn(&str) -> bool) -> Option<(&'a str, &'a str)> {
    // 31 23 0:26 /its/root /where/it/is rw shared:4 - cgroup2 cgroup2 rw,nsdelegate
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let is_it = system.next()? == kind && options(system.nth(1)?);
        let mut mount = mount.split(' ').skip(3);
        is_it.then_some((mount.next()?, mount.next()?))
    })
}
