//! Whether an open store is still the one that its name stands for, and which processes have a store open.

use crate::failure::Failure;
use nix::sys::stat::{FileStat, fstat, major, minor};
use splinter::{Location, Store};
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often a command that waits looks whether its store is still there.
pub const LOOK: Duration = Duration::from_secs(1);

/// What became of the name of a store that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing has the name.
    Removed,
    /// Another store, or something else, has it.
    Replaced,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "was removed",
            Self::Replaced => "was removed and made again",
        })
    }
}

/// Tells where in the file system a store is.
pub fn path(location: &Location) -> PathBuf {
    match location {
        Location::File(path) => path.clone(),
        shared => shared.to_string().into(),
    }
}

/// Tells whether the name of an open store stands for something else by now. If the kernel does not say, it counts as the same
/// store.
pub fn lost(store: &Store) -> Option<Lost> {
    let open = fstat(store.fd()).ok()?;
    match fs::symlink_metadata(path(store.location())) {
        Ok(named) if (named.dev(), named.ino()) == (open.st_dev, open.st_ino) => None,
        Ok(_) => Some(Lost::Replaced),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Lost::Removed),
        Err(_) => None,
    }
}

/// Looks now and then whether a store is still the one of its name, for a command that waits.
#[derive(Debug)]
pub struct Lookout {
    next: Instant,
}

impl Lookout {
    /// Begins; the first look is due after [`LOOK`].
    pub fn new() -> Self {
        Self { next: Instant::now() + LOOK }
    }

    /// Looks, if it is time.
    ///
    /// # Errors
    /// The store was removed, or removed and made again: exit code 1.
    pub fn look(&mut self, store: &Store) -> Result<(), Failure> {
        let now = Instant::now();
        if now < self.next {
            return Ok(());
        }
        self.next = now + LOOK;
        let place = store.location();
        match lost(store) {
            None => Ok(()),
            Some(lost @ Lost::Removed) => Err(Failure::new(format!("the store {place} {lost}"))),
            Some(lost @ Lost::Replaced) => Err(Failure::new(format!(
                "the store {place} {lost}: this was waiting at the old one; begin again"
            ))),
        }
    }
}

impl Default for Lookout {
    fn default() -> Self {
        Self::new()
    }
}

/// The processes that have files mapped, by the files' inodes, as far as this user may see: its own, unless it is root, in
/// this container. Without this process.
#[derive(Debug, Default)]
pub struct Users(HashMap<u64, Vec<(String, u32)>>);

impl Users {
    /// Asks the kernel; returns none without `/proc`, by which it answers.
    pub fn now() -> Option<Self> {
        let mut users = Self::default();
        // This process at least is there, if it is what it has to be.
        fs::metadata(format!("/proc/{}/maps", std::process::id())).ok()?;
        let entries = fs::read_dir("/proc").ok()?.flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for id in ids.filter(|id| *id != std::process::id()) {
            // Bytes: paths need not be text.
            let maps = fs::read(format!("/proc/{id}/maps")).unwrap_or_default();
            for line in maps.split(|byte| *byte == b'\n') {
                users.add(id, &String::from_utf8_lossy(line));
            }
        }
        Some(users)
    }

    /// Notes a line of a process's maps: addresses, rights, offset, device, inode, path.
    fn add(&mut self, id: u32, line: &str) {
        let mut fields = line.split_ascii_whitespace().skip(3);
        let (Some(device), Some(inode)) = (fields.next(), fields.next()) else { return };
        let Some(inode) = inode.parse().ok().filter(|inode| *inode != 0) else { return };
        let ids = self.0.entry(inode).or_default();
        if ids.last().is_none_or(|(_, last)| *last != id) {
            ids.push((device.to_owned(), id));
        }
    }

    /// Lists those that have a store mapped, by their numbers.
    pub fn of(&self, store: &Store) -> Vec<u32> {
        let Ok(FileStat { st_dev, st_ino, .. }) = fstat(store.fd()) else { return Vec::new() };
        let device = format!("{:02x}:{:02x}", major(st_dev), minor(st_dev));
        let ids = self.0.get(&st_ino).into_iter().flatten();
        ids.filter(|(of, _)| *of == device).map(|(_, id)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_file_mapped_is_read_from_the_kernels_lists() {
        let mut users = Users::default();
        users.add(7, "7f00-7f01 rw-s 00000000 00:1a 42                /dev/shm/a b");
        users.add(7, "7f01-7f02 rw-s 00000000 00:1a 42                /dev/shm/a b");
        users.add(8, "7f00-7f01 rw-s 00000000 00:1a 42                /dev/shm/a b (deleted)");
        users.add(8, "7f00-7f01 rw-p 00000000 00:00 0                 [heap]");
        users.add(9, "");
        let device = || "00:1a".to_owned();
        assert_eq!(users.0, HashMap::from([(42, vec![(device(), 7), (device(), 8)])]));
    }
}
