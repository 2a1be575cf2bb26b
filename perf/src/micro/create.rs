//! Creating a store far larger than memory: how long it takes, and how much of it becomes resident.

use super::fixture::say;
use splinter::{Config, Geometry, Store};
use splinter_harness::environment::resident_memory;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

/// Bytes of the arena to create, at least.
pub const ARENA_BYTES: u64 = 64 << 30;

/// The cost of creating a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Created {
    /// Nanoseconds until the store was ready.
    pub ns: f64,
    /// Bytes by which the process's resident memory grew, or that the arena's file has allocated, if more.
    pub resident_bytes: f64,
}

/// Creates a sparse store of at least `arena_bytes` with the default value size and vectors, and removes it again.
///
/// # Errors
/// The store's error, in one line.
pub fn create(arena_bytes: u64) -> Result<Created, String> {
    let config = Config { geometry: geometry(arena_bytes)?, ..Config::default() };
    let before = resident_memory().ok_or("the kernel does not tell resident memory")?;
    let start = Instant::now();
    let store = Store::anonymous(&config).map_err(say)?;
    let ns = start.elapsed().as_nanos() as f64;
    let grown = resident_memory().unwrap_or(before).saturating_sub(before);
    let allocated = allocated(&store).map_err(say)?;
    if store.arena_len() < arena_bytes {
        return Err(format!("the arena has {} bytes instead of {arena_bytes}", store.arena_len()));
    }
    Ok(Created { ns, resident_bytes: grown.max(allocated) as f64 })
}

/// Returns the bytes of memory that a store's file has taken, mapped or not.
fn allocated(store: &Store) -> io::Result<u64> {
    let file = File::from(store.fd().try_clone_to_owned()?);
    // The unit of `blocks` is 512 bytes, whatever the file system's own is.
    Ok(file.metadata()?.blocks() * 512)
}

/// Finds the geometry whose arena has at least that many bytes, from how the arena grows with its slots.
fn geometry(arena_bytes: u64) -> Result<Geometry, String> {
    let arena_len = |slots| {
        let geometry = Geometry { slots, ..Geometry::default() };
        Store::anonymous(&Config { geometry, ..Config::default() })
            .map(|store| store.arena_len())
            .map_err(say)
    };
    const STEP: u64 = 4096;
    let slot_bytes = (arena_len(2 * STEP)? - arena_len(STEP)?) / STEP;
    let slots = arena_bytes.checked_div(slot_bytes).ok_or("the arena does not grow with its slots")? + 1;
    Ok(Geometry { slots, ..Geometry::default() })
}

#[cfg(test)]
mod tests {
    use super::create;

    #[test]
    fn a_large_store_is_as_large_as_asked_for() {
        let created = create(1 << 30).unwrap();
        assert!(created.ns > 0.0 && created.resident_bytes >= 0.0);
    }
}
