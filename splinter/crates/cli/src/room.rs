//! Warns if a store can outgrow its file system or the memory. A store takes its memory as it is used, so it can be
//! created larger than what there is.

use nix::sys::stat::fstat;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use splinter::{Location, Store};
use std::fs;

/// Returns a warning if a store can grow larger than its file system or the memory, with the consequence; none if it
/// fits.
pub fn warning(store: &Store) -> Option<String> {
    let place = store.location();
    let (size, grown) = (store.arena_len(), human(store.arena_len()));
    let files = fstatfs(store.fd()).ok()?;
    let block = files.block_size() as u64;
    // Pages that the store already has are not counted as free.
    let taken = fstat(store.fd()).map_or(0, |file| file.st_blocks.unsigned_abs() * 512);
    let free = files.blocks_available() * block;
    if size.saturating_sub(taken) > free {
        let files_at = match place {
            Location::Shared(_) => "/dev/shm",
            _ => "the file system there",
        };
        let (free, all) = (human(free), human(files.blocks() * block));
        return Some(format!(
            "{place} can grow to {grown}, and {files_at} has {free} of {all} free: once that is used up, a write that \
             needs more ends its program by SIGBUS; --reserve takes all of it now, or makes no store"
        ));
    }
    let memory = memory()?;
    let is_in_memory = files.filesystem_type() == TMPFS_MAGIC;
    (is_in_memory && size > memory).then(|| {
        let memory = human(memory);
        format!(
            "{place} can grow to {grown}, and this machine has {memory} of memory and swap: once that is used up, the \
             kernel ends programs to have some back"
        )
    })
}

/// Returns the size of memory and swap, in bytes.
fn memory() -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let of = |name: &str| -> Option<u64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_end_matches("kB").trim().parse().ok()
    };
    Some((of("MemTotal:")? + of("SwapTotal:").unwrap_or(0)) * 1024)
}

/// Formats a number of bytes with a unit, as in "1.3 TB".
fn human(bytes: u64) -> String {
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
    fn sizes_are_written_with_the_largest_unit_that_fits() {
        for (bytes, text) in [
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (1_340_000_000_000, "1.3 TB"),
            (24 << 30, "25.8 GB"),
        ] {
            assert_eq!(human(bytes), text);
        }
        assert!(memory().unwrap() > 1 << 20);
    }
}
