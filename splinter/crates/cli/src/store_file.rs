//! The file behind a store: its path, whether its name still refers to it, which parts of it were ever written, which
//! processes have it open, and whether it has room to grow. Asks the kernel only what any program may ask about a file.

use crate::failure::Failure;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat, major, minor};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::sys::sysinfo::sysinfo;
use nix::unistd::{Whence, lseek};
use splinter::{Location, Store};
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often a waiting command checks that its store is still there.
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How an open store lost its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// No file has the name any more.
    Removed,
    /// Another store, or another file, has the name.
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

/// Returns the path of a store in the file system.
pub(crate) fn path(location: &Location) -> PathBuf {
    match location {
        Location::File(path) => path.clone(),
        shared => shared.to_string().into(),
    }
}

/// Tells whether an open store has lost its name: whether the name refers to no file, or to another one. If the kernel
/// does not say, the store counts as the same.
pub(crate) fn lost(store: &Store) -> Option<Lost> {
    let open = fstat(store.fd()).ok()?;
    match fs::symlink_metadata(path(store.location())) {
        Ok(named) if (named.dev(), named.ino()) == (open.st_dev, open.st_ino) => None,
        Ok(_) => Some(Lost::Replaced),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Lost::Removed),
        Err(_) => None,
    }
}

/// Finds the next bytes of a file, from `at` on, that were ever written.
pub(crate) fn data_from(file: &File, at: u64, len: u64) -> Option<Range<u64>> {
    let seek = |at: u64, whence| lseek(file, i64::try_from(at).unwrap_or(i64::MAX), whence);
    match seek(at, Whence::SeekData) {
        _ if at >= len => None,
        Ok(start) => {
            let end = seek(start as u64, Whence::SeekHole).map_or(len, |end| end as u64);
            Some(start as u64..end.min(len))
        }
        // There is no more data.
        Err(Errno::ENXIO) => None,
        // The file system cannot tell.
        Err(_) => Some(at..len),
    }
}

/// Checks periodically, for a command that waits, that a store's name still refers to the open store.
#[derive(Debug)]
pub(crate) struct StoreCheck {
    next: Instant,
}

impl StoreCheck {
    /// Starts; the first check is due after [`CHECK_INTERVAL`].
    pub(crate) fn new() -> Self {
        Self { next: Instant::now() + CHECK_INTERVAL }
    }

    /// Checks the store, if [`CHECK_INTERVAL`] has passed since the last check. Fails if it was removed, or removed and
    /// created again.
    pub(crate) fn run_if_due(&mut self, store: &Store) -> Result<(), Failure> {
        let now = Instant::now();
        if now < self.next {
            return Ok(());
        }
        self.next = now + CHECK_INTERVAL;
        let place = store.location();
        match lost(store) {
            None => Ok(()),
            Some(lost @ Lost::Removed) => Err(Failure::new(format!("the store {place} {lost}"))),
            Some(lost @ Lost::Replaced) => Err(Failure::new(format!(
                "the store {place} {lost}: this command waited for the old one; run it again"
            ))),
        }
    }
}

impl Default for StoreCheck {
    fn default() -> Self {
        Self::new()
    }
}

/// The other processes that have files mapped, by the files' inodes. It has those that this user may see, in this
/// container: the user's own, or all for root.
#[derive(Debug, Default)]
pub(crate) struct Users(HashMap<u64, Vec<(String, u32)>>);

impl Users {
    /// Reads the kernel's lists in `/proc`. Returns none if there is no `/proc`.
    pub(crate) fn now() -> Option<Self> {
        let mut users = Self::default();
        // A real `/proc` has at least this process.
        fs::metadata(format!("/proc/{}/maps", std::process::id())).ok()?;
        let entries = fs::read_dir("/proc").ok()?.flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for id in ids.filter(|id| *id != std::process::id()) {
            // Bytes, since a path need not be UTF-8.
            let maps = fs::read(format!("/proc/{id}/maps")).unwrap_or_default();
            for line in maps.split(|byte| *byte == b'\n') {
                users.add(id, &String::from_utf8_lossy(line));
            }
        }
        Some(users)
    }

    /// Adds a line of a process's maps: addresses, rights, offset, device, inode, path.
    fn add(&mut self, id: u32, line: &str) {
        let mut fields = line.split_ascii_whitespace().skip(3);
        let (Some(device), Some(inode)) = (fields.next(), fields.next()) else { return };
        let Some(inode) = inode.parse().ok().filter(|inode| *inode != 0) else { return };
        let ids = self.0.entry(inode).or_default();
        if ids.last().is_none_or(|(_, last)| *last != id) {
            ids.push((device.to_owned(), id));
        }
    }

    /// Returns the ids of the processes that have a store mapped.
    pub(crate) fn of(&self, store: &Store) -> Vec<u32> {
        let Ok(FileStat { st_dev, st_ino, .. }) = fstat(store.fd()) else { return Vec::new() };
        let device = format!("{:02x}:{:02x}", major(st_dev), minor(st_dev));
        let ids = self.0.get(&st_ino).into_iter().flatten();
        ids.filter(|(of, _)| *of == device).map(|(_, id)| *id).collect()
    }
}

/// Returns the bytes of memory, or of the disk, that a store takes so far.
pub(crate) fn memory_bytes(store: &Store) -> u64 {
    fstat(store.fd()).map_or(0, |file| file.st_blocks.unsigned_abs() * 512)
}

/// Returns a warning if a store can grow larger than its file system or the memory; none if it fits. A store takes its
/// memory as it is used, so it can be created larger than what there is.
pub(crate) fn growth_warning(store: &Store) -> Option<String> {
    let place = store.location();
    let (size, grown) = (store.arena_len(), with_unit(store.arena_len()));
    let files = fstatfs(store.fd()).ok()?;
    let block = files.block_size() as u64;
    // Pages that the store already has are not counted as free.
    let taken = memory_bytes(store);
    let free = files.blocks_available() * block;
    if size.saturating_sub(taken) > free {
        let files_at = match place {
            Location::Shared(_) => "/dev/shm",
            _ => "the file system there",
        };
        let (free, all) = (with_unit(free), with_unit(files.blocks() * block));
        return Some(format!(
            "{place} can grow to {grown}, and {files_at} has {free} of {all} free: once that is used up, a write that \
             needs more ends its program by SIGBUS; --reserve takes all of it now, or makes no store"
        ));
    }
    let memory = memory()?;
    let is_in_memory = files.filesystem_type() == TMPFS_MAGIC;
    (is_in_memory && size > memory).then(|| {
        let memory = with_unit(memory);
        format!(
            "{place} can grow to {grown}, and this machine has {memory} of memory and swap: once that is used up, the \
             kernel ends programs to get some back"
        )
    })
}

/// Returns the size of memory and swap, in bytes.
fn memory() -> Option<u64> {
    sysinfo().ok().map(|about| about.ram_total() + about.swap_total())
}

/// Formats a number of bytes with a unit, as in "1.3 TB".
fn with_unit(bytes: u64) -> String {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let bytes = bytes as f64;
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processes_that_map_a_file_come_from_the_kernels_lists() {
        let mut users = Users::default();
        users.add(7, "7f00-7f01 rw-s 00000000 00:1a 42                /dev/shm/a b");
        users.add(7, "7f01-7f02 rw-s 00000000 00:1a 42                /dev/shm/a b");
        users.add(8, "7f00-7f01 rw-s 00000000 00:1a 42                /dev/shm/a b (deleted)");
        users.add(8, "7f00-7f01 rw-p 00000000 00:00 0                 [heap]");
        users.add(9, "");
        let device = || "00:1a".to_owned();
        assert_eq!(users.0, HashMap::from([(42, vec![(device(), 7), (device(), 8)])]));
    }

    #[test]
    fn sizes_are_written_with_the_largest_unit_that_fits() {
        for (bytes, text) in
            [(999, "999 bytes"), (1000, "1.0 kB"), (1_340_000_000_000, "1.3 TB"), (24 << 30, "25.8 GB")]
        {
            assert_eq!(with_unit(bytes), text);
        }
        assert!(memory().unwrap() > 1 << 20);
    }
}
