//! Machines that refuse: limits, small and read-only file systems in a mount namespace of their own, and what a
//! process holds, to see that a refusal leaves nothing behind.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use splinter::{Location, StoreError};
use std::fs::{File, read_dir, read_to_string};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The descriptors and mappings of a process.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// Open descriptors.
    pub descriptors: usize,
    /// Mappings of stores; the allocator comes and goes with others.
    pub mappings: usize,
}

impl Account {
    /// Counts them now.
    pub fn take() -> Self {
        let descriptors = read_dir("/proc/self/fd").expect("/proc").count();
        let maps = read_to_string("/proc/self/maps").expect("/proc");
        let of_store = |line: &&str| line.contains(" rw-s ") || line.contains(" r--s ");
        Self { descriptors, mappings: maps.lines().filter(of_store).count() }
    }

    /// Tells how many bytes of addresses the process has in use.
    pub fn address_space() -> u64 {
        let pages = read_to_string("/proc/self/statm").expect("/proc");
        let pages = pages.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
        pages.expect("a number") * 4096
    }
}

/// Runs `body` under a limit, which is taken back afterwards.
pub fn limited<T>(resource: Resource, limit: u64, body: &dyn Fn() -> T) -> T {
    let (soft, hard) = getrlimit(resource).expect("a limit");
    setrlimit(resource, limit, hard).expect("a lower limit");
    let answer = body();
    setrlimit(resource, soft, hard).expect("the limit as it was");
    answer
}

/// Asserts that an error is one line that holds all of `parts`.
pub fn refused(error: &StoreError, parts: &[&str]) {
    let text = error.to_string();
    assert!(!text.contains('\n') && parts.iter().all(|part| text.contains(part)), "{text}");
}

/// Tells whether a store's file is there.
pub fn is_left(location: &Location) -> bool {
    Path::new(&location.to_string()).symlink_metadata().is_ok()
}

/// Drops root privileges; no effect for other users.
pub fn become_nobody() {
    if geteuid().is_root() {
        let (user, group) = (Uid::from_raw(65_534), Gid::from_raw(65_534));
        setgroups(&[]).expect("no other groups");
        setresgid(group, group, group).expect("another group");
        setresuid(user, user, user).expect("another user");
    }
}

/// The mounts of a namespace that only this process and its children see: they go with them.
pub struct Mounts(());

impl Mounts {
    /// Leaves the others' mounts, as the superuser or as that of a user namespace. The process must have one
    /// thread. Where neither can be had the test is skipped, and says so.
    pub fn try_new() -> Option<Self> {
        let (user, group) = (geteuid(), nix::unistd::getegid());
        let alone = if user.is_root() {
            unshare(CloneFlags::CLONE_NEWNS)
        } else {
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        };
        let mapped = alone.map_err(std::io::Error::from).and_then(|()| {
            if !user.is_root() {
                std::fs::write("/proc/self/setgroups", "deny")?;
                std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
                std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))?;
            }
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            Ok(mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?)
        });
        match mapped {
            Ok(()) => Some(Self(())),
            Err(error) => {
                crate::skipped(&format!("small file systems: no mount namespace here: {error}"));
                None
            }
        }
    }

    /// Mounts an empty file system in memory, and makes the folder for it if there is none.
    pub fn tmpfs(&self, at: impl AsRef<Path>, options: &str) {
        let at = at.as_ref();
        let _ = std::fs::create_dir(at);
        let flags = MsFlags::empty();
        mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options)).expect("a small file system");
    }

    /// Mounts a folder at another place too, for reading only.
    pub fn read_only_view(&self, of: &Path, at: &Path) {
        std::fs::create_dir(at).expect("a folder");
        let none = None::<&str>;
        mount(Some(of), at, none, MsFlags::MS_BIND, none).expect("a second view");
        let fixed = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, at, none, fixed, none).expect("a read-only view");
    }

    /// Mounts folders that lie over one another, which the options name.
    ///
    /// # Errors
    /// The error of the kernel.
    pub fn overlay(&self, at: &Path, options: &str) -> nix::Result<()> {
        mount(Some("overlay"), at, Some("overlay"), MsFlags::empty(), Some(options))
    }

    /// Takes a file system away.
    pub fn unmount(&self, at: &Path) {
        umount2(at, MntFlags::MNT_DETACH).expect("a mount");
    }

    /// Takes all the room there is, until what is returned is dropped.
    pub fn fill(&self, folder: &str) -> Filler {
        let path = Path::new(folder).join("filler");
        let mut file = File::create(&path).expect("a file");
        while file.write(&[1; 4096]).is_ok_and(|written| written > 0) {}
        Filler(path)
    }

    /// Lists a folder, in order.
    pub fn listing(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

/// A file that takes all the room there was.
pub struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
